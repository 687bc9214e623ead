"""Reading an HTTPRoute: rules, backends, and how a split names a Service."""

from typing import Any, Final, TypeAlias

import msgspec

from webhook import names
from webhook.objects.raw import Object
from webhook.projection.fields import annotations, read

RULES: Final = ("spec", "rules")
ROOT_MATCH: Final[Object] = {"path": {"type": "PathPrefix", "value": "/"}}
"""What a rule without matches stands for (Gateway API v1)."""

Backends: TypeAlias = list[Any]


class Memory(msgspec.Struct, frozen=True):
    """What tells our part of a route from the user's; it describes the route as it is."""

    scale: int
    canaries: dict[str, str]
    """Canary Services that were put in, each with its root Service."""

    @classmethod
    def of(cls, obj: Object | None) -> "Memory | None":
        """Read it off a route; None where nothing of ours is in the rules."""
        text = annotations(obj).get(names.ORIGINAL) if obj else None
        try:
            return msgspec.json.decode(text, type=cls) if isinstance(text, str) else None
        except (msgspec.DecodeError, ValueError):
            return None

    def text(self) -> str:
        """The annotation's value."""
        return msgspec.json.encode(self, order="deterministic").decode()


def home_of(route: Object) -> str:
    """The namespace of a route."""
    return str((route.get("metadata") or {}).get("namespace") or "")


def key_of(namespace: str, service: str, home: str) -> str:
    """How a split in a route of namespace ``home`` names a Service."""
    return service if namespace == home else f"{namespace}/{service}"


def key_in(ref: Any, home: str) -> str | None:
    """The key of a Service backend; None for anything else."""
    if not is_service(ref):
        return None
    return key_of(ref.get("namespace") or home, str(ref.get("name")), home)


def beside(root: str, canary: str) -> str:
    """The key of a canary Service, which is where its root is."""
    namespace, slash, _ = root.rpartition("/")
    return f"{namespace}{slash}{canary}"


def weight_of(ref: Any) -> int:
    """A backend's weight; 1 where it has none."""
    weight = ref.get("weight", 1)
    return weight if isinstance(weight, int) else 1


def is_service(ref: Any) -> bool:
    """Whether a backend is a Service."""
    return (
        isinstance(ref, dict)
        and ref.get("kind", "Service") == "Service"
        and ref.get("group", "") in ("", "core")
    )


def rules_of(route: Object) -> list[Any]:
    """The rules; none where they can't be read."""
    rules = read(route, RULES)
    return rules if isinstance(rules, list) else []


def backends_of(rule: Any) -> Backends:
    """A rule's backends."""
    return _list(rule, "backendRefs")


def filters_of(part: Any) -> list[Any]:
    """Filters of a rule or of a backend."""
    return objects_in(part, "filters")


def part_of(obj: Any, *fields: str) -> Object:
    """A mapping inside an object; empty where there is none."""
    found = read(obj, fields)
    return found if isinstance(found, dict) else {}


def objects_in(part: Any, field: str) -> list[Any]:
    """A list of mappings. Anything else is refused by the API server, but after admission."""
    return [item for item in _list(part, field) if isinstance(item, dict)]


def headers_of(match: Any) -> list[Any]:
    """The headers that a match asks for."""
    return objects_in(match, "headers")


def path_of(match: Any) -> Object:
    """The path that a match asks for, the implied one included."""
    return part_of(match, "path") or part_of(ROOT_MATCH, "path")


def matches_of(rule: Any) -> list[Any]:
    """A rule's matches, the implied one included."""
    return objects_in(rule, "matches") or [ROOT_MATCH]


def sends_to(rule: Any, key: str, home: str) -> Backends:
    """The entries of one Service that get requests: weight 0 is the user's own no."""
    return [ref for ref in backends_of(rule) if key_in(ref, home) == key and weight_of(ref) > 0]


def _list(part: Any, field: str) -> list[Any]:
    found = part.get(field) if isinstance(part, dict) else None
    return found if isinstance(found, list) else []
