"""The small contract behind which every kind of router stands, one file each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from webhook.objects.intent import Share, Split
from webhook.objects.raw import Object

Objects: TypeAlias = Mapping[str, Sequence[Object]]
"""Route objects by kind, as the API server sent them; what serves them; the Services at hand."""


@dataclass(frozen=True, slots=True)
class Found:
    """A user's route object and which of the asked Services it sends to."""

    object: Object
    roots: frozenset[str]


@dataclass(frozen=True, slots=True)
class Target:
    """For whom a split is written."""

    owner: Object
    """The Deployment as an ``ownerReferences`` entry."""
    namespace: str
    """The Deployment's, and its Services'."""
    services: frozenset[str]
    """The Deployment's root Services: splits of others are not touched."""
    term: int
    """The leader's term, for fencing."""


@dataclass(frozen=True, slots=True)
class Annotate:
    """Change annotations of a user's object; None removes one."""

    kind: str
    object: Object
    annotations: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Put:
    """Create an object that Slipway owns, or make it so."""

    kind: str
    object: Object


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object that Slipway owns."""

    kind: str
    object: Object


Write: TypeAlias = Annotate | Put | Delete


def _nothing(_o: Objects, _r: Object, _n: str, _s: Mapping[str, Share]) -> str | None:
    return None


def _no_notes(_o: Objects, _r: Object, _n: str, _s: Mapping[str, Share]) -> tuple[str, ...]:
    return ()


def _no_places(_o: Objects, _r: Object, _n: str, _s: frozenset[str]) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Shown:
    """How the split stands in the user's own object, where the kind has room for it."""

    project: Callable[[Object, Split | None], Object]
    """The user's object with the split shown in it, or, with None, the object as it is."""
    restore: Callable[[Object, Object | None], Object]
    """The user's object behind a written one, given what was stored before, if anything was."""


@dataclass(frozen=True, slots=True)
class Router:
    """What the engine asks of a kind of route. All functions are pure."""

    group: str
    """The API group of the kind."""
    kind: str
    services_of: Callable[[Object], frozenset[tuple[str, str]]]
    """(namespace, name) of every Service that an object sends requests to."""
    finds: Callable[[Objects, str, frozenset[str]], list[Found]]
    """The users' objects that send to Services of a namespace."""
    shares: Callable[[Objects, Object, str], dict[str, Share]]
    """The split that an object carries now, by root Service of a namespace."""
    unprogrammed: Callable[[Object], str | None]
    """Why what the object says is not known to be live."""
    projected: Callable[[Object], Object]
    """The object as the webhook would have stored it."""
    strays: Callable[[Objects, str, frozenset[str]], list[str]]
    """Names of objects of ours that nothing needs any more."""
    writes: Callable[[Objects, Object, Mapping[str, Share], Target], list[Write]]
    """The writes that make the object carry these shares, or, with none, the user's own."""
    lacks: Callable[[Objects, Object, str, Mapping[str, Share]], str | None] = _nothing
    """Why an object can't carry these shares of a namespace's Services, as a sentence.

    Shares that it says nothing about are written, read back equal, and shown."""
    without: Callable[[Objects, Object, str, Mapping[str, Share]], tuple[str, ...]] = _no_notes
    """What the object does not do of these shares although they can be written: sentences.

    That is stickiness, which is had where the router can; the shares are read back equal."""
    affected: Callable[[Objects, Object, str, frozenset[str]], tuple[str, ...]] = _no_places
    """Hosts and paths that change when the object divides these Services of a namespace."""
    siblings: bool = False
    """Whether `lacks` wants to see objects of the namespace that send to other Services, too."""
    shown: Shown | None = None
    """None: the split stands in objects of Slipway's own, beside the user's."""
