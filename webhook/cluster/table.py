"""The objects of one kind, as new as anything that was heard of them."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from webhook.cluster.indexes import WORDS, Words
from webhook.cluster.kinds import Kind, Object
from webhook.cluster.trims import Trim, trim_for

ChangeType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED", "RELISTED"]

_GRAVES: Final = 4096
"""Deletions remembered, so that a late answer to an older write brings nothing back to life."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something changed in a table. ``object`` is the newest known state, or the last one.

    RELISTED says that a table is complete after a list; its ``object`` is empty.
    """

    kind: Kind
    type: ChangeType
    object: Object


class Table:
    """Objects of one kind, of the whole cluster or (``namespace``) of one namespace.

    Versions are compared, so it does not matter in which order the watch and the answers to our
    own writes arrive. ``synced`` is True after the first complete list; ``fresh_at`` (monotonic
    seconds) is when the API server last said anything about the kind.
    """

    def __init__(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        trim: Trim | None = None,
        words: Words | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.trim = trim or trim_for(kind)
        self.synced = False
        self._clock = clock
        self.fresh_at = clock()
        self._spaces: dict[str, dict[str, Object]] = {}
        self._words = words or WORDS.get(kind)
        self._found: dict[str, dict[tuple[str, str], Object]] = {}
        self._graves: OrderedDict[str, int] = OrderedDict()
        self._unconfirmed: set[tuple[str, str]] = set()
        self._version = 0

    def __len__(self) -> int:
        return sum(len(space) for space in self._spaces.values())

    def get(self, namespace: str | None, name: str) -> Object | None:
        """Return an object, or None; it belongs to the table and must not be changed."""
        return self._spaces.get(namespace or "", {}).get(name)

    def all(self, namespace: str | None = None) -> Sequence[Object]:
        """Return the objects, of one namespace if given; later changes do not show in it."""
        if namespace is not None:
            return list(self._spaces.get(namespace, {}).values())
        return [obj for space in self._spaces.values() for obj in space.values()]

    def found(self, *words: str) -> list[Object]:
        """Return the objects that have any of these words, each once; see `indexes`."""
        out: dict[tuple[str, str], Object] = {}
        for word in words:
            out |= self._found.get(word, {})
        return list(out.values())

    # -- what we did ourselves -----------------------------------------------------------------

    def upsert(self, obj: Object) -> None:
        """Take in the answer to our own write. It is announced when the watch confirms it."""
        key, uid, version = identity(obj)
        held = self.get(*key)
        if self._is_dead(uid, version) or (held is not None and version_of(held) >= version):
            return
        self._put(key, self.trim(obj))
        self._unconfirmed.add(key)

    def forget(self, obj: Object) -> None:
        """Take out what we deleted; a newer state (it waits for a finalizer) stays or comes."""
        key, uid, version = identity(obj)
        self._bury(uid, version)
        held = self.get(*key)
        if held is not None and identity(held)[1] == uid and version_of(held) <= version:
            self._drop(key)

    # -- what the API server says --------------------------------------------------------------

    def touch(self, version: str = "") -> None:
        """Note that the API server spoke; a bookmark says up to which version."""
        self.fresh_at = self._clock()
        if version:
            self._version = int(version)

    def observe(self, type: str, obj: Object) -> Change | None:
        """Take in an event of the watch; None if nothing new is in it."""
        key, uid, version = identity(obj)
        self.touch(str(version))
        if type == "DELETED":
            return self._deleted(key, uid, version, obj)
        held = self.get(*key)
        if self._is_dead(uid, version) or (held is not None and version_of(held) > version):
            return None
        if held is not None and version_of(held) == version:
            return self._confirm(key, "ADDED" if type == "ADDED" else "MODIFIED")
        self._put(key, self.trim(obj))
        return Change(self.kind, "ADDED" if held is None else "MODIFIED", self._held(key))

    def replace(self, objects: Iterable[Object], version: str) -> list[Change]:
        """Take in a complete, already trimmed list; the answer is what it changed.

        What is newer than the list stays. A list older than what was seen before comes from a
        cluster restored from a backup: then only the list counts.
        """
        listed = int(version or 0)
        restored = listed < self._version
        if restored:
            self._graves.clear()
        changes: list[Change] = []
        seen: set[tuple[str, str]] = set()
        for obj in objects:
            seen.add(identity(obj)[0])
            changes += self._merge(obj, trust=restored)
        changes += self._vanish(seen, listed, trust=restored)
        self.synced = True
        self.touch(str(listed))
        return changes

    def clear(self) -> list[Change]:
        """Take in that the kind is not installed; the answer is what that removed."""
        gone = self.all()
        self._spaces.clear()
        self._found.clear()
        self._unconfirmed.clear()
        self._version = 0
        self.synced = True
        self.touch()
        return [Change(self.kind, "DELETED", obj) for obj in gone]

    # -- inside --------------------------------------------------------------------------------

    def _deleted(self, key: tuple[str, str], uid: str, version: int, obj: Object) -> Change | None:
        self._bury(uid, version)
        held = self.get(*key)
        if held is not None and version_of(held) > version:
            return None  # its successor of the same name is here already
        self._drop(key)
        return Change(self.kind, "DELETED", self.trim(obj))

    def _merge(self, obj: Object, *, trust: bool) -> list[Change]:
        key, uid, version = identity(obj)
        held = self.get(*key)
        if held is None:
            if self._is_dead(uid, version):
                return []
            self._put(key, obj)
            return [Change(self.kind, "ADDED", obj)]
        if version_of(held) == version and identity(held)[1] == uid:
            confirmed = self._confirm(key, "MODIFIED")
            return [confirmed] if confirmed else []
        if version_of(held) > version and not trust:
            return []
        self._put(key, obj)
        if identity(held)[1] == uid:
            return [Change(self.kind, "MODIFIED", obj)]
        return [Change(self.kind, "DELETED", held), Change(self.kind, "ADDED", obj)]

    def _vanish(self, seen: set[tuple[str, str]], listed: int, *, trust: bool) -> list[Change]:
        changes = []
        for obj in self.all():
            key, uid, version = identity(obj)
            if key in seen or (version > listed and not trust):
                continue
            self._bury(uid, listed)
            self._drop(key)
            changes.append(Change(self.kind, "DELETED", obj))
        return changes

    def _confirm(self, key: tuple[str, str], type: ChangeType) -> Change | None:
        if key not in self._unconfirmed:
            return None
        self._unconfirmed.discard(key)
        return Change(self.kind, type, self._held(key))

    def _held(self, key: tuple[str, str]) -> Object:
        return self._spaces[key[0]][key[1]]

    def _put(self, key: tuple[str, str], obj: Object) -> None:
        self._forget_words(key)
        self._spaces.setdefault(key[0], {})[key[1]] = obj
        for word in self._words(obj) if self._words else ():
            self._found.setdefault(word, {})[key] = obj
        self._unconfirmed.discard(key)

    def _drop(self, key: tuple[str, str]) -> None:
        self._unconfirmed.discard(key)
        self._forget_words(key)
        space = self._spaces.get(key[0])
        if space is not None:
            space.pop(key[1], None)
            if not space:
                del self._spaces[key[0]]

    def _forget_words(self, key: tuple[str, str]) -> None:
        held = self.get(*key)
        if held is None or self._words is None:
            return
        for word in self._words(held):
            known = self._found.get(word)
            if known and known.pop(key, None) is not None and not known:
                del self._found[word]

    def _is_dead(self, uid: str, version: int) -> bool:
        return version <= self._graves.get(uid, -1)

    def _bury(self, uid: str, version: int) -> None:
        self._graves[uid] = max(version, self._graves.pop(uid, -1))
        while len(self._graves) > _GRAVES:
            self._graves.popitem(last=False)


def version_of(obj: Object) -> int:
    """Return the resourceVersion as the number it is."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def identity(obj: Object) -> tuple[tuple[str, str], str, int]:
    """Return where an object is (namespace, name), which one it is (uid), and its version."""
    metadata = obj["metadata"]
    key = (metadata.get("namespace") or "", metadata["name"])
    return key, metadata.get("uid") or "", version_of(obj)
