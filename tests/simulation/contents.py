"""Config is a version too: what people have in their ConfigMap and Secret, and what pods read.

A pod reads for its whole life what its version had, so its template has to name snapshots, and
each of these has to be there, and to be what its name says. Where people switched that off, or
wrote where no webhook saw it, or nothing could be copied, plain names are excused from then on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tests.simulation import rollout, shop
from tests.simulation.api_server import owners
from tests.simulation.deployments import pods_of
from tests.simulation.patches import Object
from tests.simulation.reading import notes
from tests.simulation.users import ALICE
from webhook import names
from webhook.cluster.contents import KINDS
from webhook.cluster.kinds import (
    CLUSTERRELEASEPOLICIES,
    DEPLOYMENTS,
    PODS,
    REPLICASETS,
    Kind,
)
from webhook.projection.config import CONFIGMAP, SECRET, Ref, digest_of, references, source_of

if TYPE_CHECKING:
    from tests.simulation.world import World

USED = (Ref(CONFIGMAP, shop.CONFIG), Ref(SECRET, shop.KEYS))
_UNANSWERED = 0.08
_LATE = 0.15
_PATIENCE = 2000
"""Milliseconds that a write may wait for contents, and so may be behind them."""


class Contents:
    """The users' ConfigMap and Secret, and the rules about their snapshots."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dice = random.Random(f"{world.scenario.seed} contents")  # noqa: S311 dice for tests
        self._past: dict[Ref, list[tuple[int, str]]] = {ref: [] for ref in USED}
        """When there were which contents; an empty text while there were none."""
        self.values: dict[Ref, list[str]] = {ref: [] for ref in USED}
        """What people wanted in them, the last one last."""
        self._fine: dict[Ref, set[str]] = {ref: set() for ref in USED}
        """Digests that may be shown at the end."""
        self.loose = False
        """Plain names are excused."""
        self._taken: set[str] = set()
        """Snapshots that a person deleted."""
        world.kubelets.lacks = self._lacks
        world.api.subscribe(self._changed)

    # What people do

    def furnish(self) -> None:
        for ref in USED:
            self.write(ref, "first")

    def write(self, ref: Ref, value: str) -> None:
        """Make the object, or change it."""
        api, kind = self._world.api, KINDS[ref.kind]
        if api.terminating:
            return
        self.values[ref].append(value)
        obj = shop.contents(ref.kind, ref.name, value)
        self._fine[ref] = {digest_of(obj)}
        there = api.find(kind, shop.NAMESPACE, ref.name)
        (api.put if there else api.create)(kind, obj, ALICE)

    def delete(self, ref: Ref) -> None:
        """What is shown may stay, also where nothing could be copied any more."""
        where = (shop.NAMESPACE, ref.name)
        if self._world.api.find(KINDS[ref.kind], *where):
            self._world.api.delete(KINDS[ref.kind], where)
            self._fine[ref] |= self.shown(ref)

    def take(self) -> None:
        """A person deletes a snapshot whose original still has these contents."""
        for ref, _ in self._copies():
            source, digest = source_of(ref.name)
            live = self._world.api.find(KINDS[ref.kind], shop.NAMESPACE, source)
            if live is not None and digest_of(live) == digest:
                self._world.happened["snapshot deleted"] += 1
                self._taken.add(ref.name)
                self._world.api.delete(KINDS[ref.kind], (shop.NAMESPACE, ref.name))
                return

    def went_back(self) -> None:
        """After an undo the older contents may stay; new pods may hide that they are wanted."""
        for ref in USED:
            self._fine[ref] |= {*self.shown(ref), self.decided(ref)}

    def made_again(self) -> bool:
        """What pods wait for and somebody has deleted is made again."""
        gone = [ref for ref in USED if self._missing(ref)]
        if not gone or not self._world.kubelets.waiting:
            return False
        for ref in gone:
            self.write(ref, self.values[ref][-1])
        return True

    # What the webhook sees

    def look(self, refs: tuple[Ref, ...]) -> Mapping[Ref, str]:
        """As `webhook.cluster.contents.look`: now and then behind, or without an answer."""
        chance = self._dice.random()
        at = self._world.clock.now
        if chance < _LATE:
            at -= self._dice.randrange(_PATIENCE)
        found = {ref: digest for ref in refs if (digest := self._at(ref, at))}
        if chance < _UNANSWERED:
            self._world.happened["contents not read"] += 1
            found = {}
        if any(ref not in found and not self.decided(ref) for ref in refs):
            self.loose = True
        return found

    def _at(self, ref: Ref, at: int) -> str:
        known = [digest for since, digest in self._past.get(ref, ()) if since <= at]
        return known[-1] if known else ""

    def decided(self, ref: Ref) -> str:
        """The digest that the Deployment says it shows."""
        text = notes(self._world.users.deployment).get(names.CONFIG)
        digest: str = json.loads(text or "{}").get("shown", {}).get(str(ref), "")
        return digest

    def shown(self, ref: Ref) -> set[str]:
        """The digest that the Deployment's template names."""
        found = self._world.users.deployment
        named = references(found["spec"]["template"]) if found else ()
        pairs = {source_of(each.name) for each in named if each.kind == ref.kind}
        return {digest for name, digest in pairs if name == ref.name and digest}

    # What happens in the cluster

    def _changed(self, kind: Kind, type_: str, obj: Object, old: Object | None) -> None:
        if kind in KINDS.values():
            if names.SNAPSHOT_OF in (obj["metadata"].get("labels") or {}):
                self._copy(kind, type_, obj)
            else:
                self._original(kind, type_, obj)
            if type_ == "ADDED":
                self._world.kubelets.look_again()
        elif kind is DEPLOYMENTS and type_ != "DELETED" and obj["metadata"]["name"] == "web":
            changed = old is None or obj["spec"]["template"] != old["spec"]["template"]
            if changed and self._world.webhook.down and _plain(obj["spec"]["template"]):
                self.loose = True
        elif kind is CLUSTERRELEASEPOLICIES:
            guards = (obj["spec"].get("config") or {}).get("guard") and type_ != "DELETED"
            if not guards or "none" in obj["spec"]["strategy"]:
                self.loose = True
        elif kind is REPLICASETS and type_ == "ADDED":
            self._replicaset(obj)

    def _original(self, kind: Kind, type_: str, obj: Object) -> None:
        ref = Ref(kind.kind, obj["metadata"]["name"])
        digest = "" if type_ == "DELETED" else digest_of(obj)
        self._past[ref].append((self._world.clock.now, digest))

    def _copy(self, kind: Kind, type_: str, obj: Object) -> None:
        name = obj["metadata"]["name"]
        source, digest = source_of(name)
        if type_ == "DELETED":
            self._copy_gone(Ref(kind.kind, name), obj)
            return
        if type_ == "ADDED":
            self._world.happened["snapshot made"] += 1
        if obj.get("immutable") is not True or digest_of(obj) != digest:
            self._fail(f"snapshot {name} is not what its name says")
        if digest not in {each for _, each in self._past[Ref(kind.kind, source)]}:
            self._fail(f"snapshot {name} has contents that nobody wrote")

    def _copy_gone(self, ref: Ref, obj: Object) -> None:
        api = self._world.api
        if api.terminating or ref.name in self._taken:
            return
        if all(api.by_uid(uid) is None for uid in owners(obj)):
            return  # it goes with its Deployment
        self._world.happened["snapshot dropped"] += 1
        for rs in api.all(REPLICASETS):
            if self._lives(rs) and ref in references(rs["spec"]["template"]):
                self._fail(f"snapshot {ref.name} goes, and {rs['metadata']['name']} has pods")

    def _replicaset(self, rs: Object) -> None:
        """New pods may read only what their template fixes."""
        plain = _plain(rs["spec"]["template"])
        excuses = self._world.excuses
        if excuses.leaving or excuses.passed or not self._world.installed:
            self.loose |= bool(plain)
        if plain and not self.loose:
            self._fail(f"{rs['metadata']['name']} reads {plain[0]} itself")

    def _lives(self, rs: Object) -> bool:
        return bool(rollout.size(rs) or pods_of(self._world.api, rs))

    def _lacks(self, pod: Object) -> bool:
        """Whether a kubelet waits with the pod (`CreateContainerConfigError`)."""
        return any(self._missing(ref) for ref in references(pod))

    def _missing(self, ref: Ref) -> bool:
        return self._world.api.find(KINDS[ref.kind], shop.NAMESPACE, ref.name) is None

    def _copies(self) -> Iterable[tuple[Ref, Object]]:
        for kind in KINDS.values():
            for obj in self._world.api.all(kind):
                if names.SNAPSHOT_OF in (obj["metadata"].get("labels") or {}):
                    yield Ref(kind.kind, obj["metadata"]["name"]), obj

    def _fail(self, what: str) -> None:
        self._world.rules.broken.append(f"rule 8: {what}")

    # At the end

    def leftovers(self) -> str:
        """What is not as it has to be at the end, or nothing."""
        return self._lost() or self._unneeded() or self._old()

    def _lost(self) -> str:
        for rs in filter(self._lives, self._world.api.all(REPLICASETS)):
            for ref in references(rs["spec"]["template"]):
                if source_of(ref.name)[1] and self._missing(ref) and not self._is_taken(ref):
                    return f"rule 8: at the end {rs['metadata']['name']} lacks {ref}"
        return ""

    def _is_taken(self, ref: Ref) -> bool:
        """A person deleted it, and it can't be made again from what is there now."""
        name, digest = source_of(ref.name)
        live = self._world.api.find(KINDS[ref.kind], shop.NAMESPACE, name)
        same = live is not None and digest_of(live) == digest
        shown = digest in self.shown(Ref(ref.kind, name))
        return ref.name in self._taken and not (same and shown)

    def _unneeded(self) -> str:
        api = self._world.api
        needed = {ref for pod in api.all(PODS) for ref in references(pod)}
        for kind in (REPLICASETS, DEPLOYMENTS):
            for obj in api.all(kind):
                needed |= set(references(obj["spec"]["template"]))
        needed |= {Ref(r.kind, f"{r.name}.slipway-{self.decided(r)}") for r in USED}
        for ref, obj in self._copies():
            if ref not in needed and self._world.installed:
                return f"rule 8: {ref} is left, and nobody needs it"
            if not any(api.by_uid(uid) for uid in owners(obj)):
                return f"rule 8: {ref} goes with nobody"
        return ""

    def _old(self) -> str:
        """What is shown is the newest, or what somebody went back to."""
        found = self._world.users.deployment
        if found is None or self.loose or not self._world.installed:
            return ""
        for ref in USED:
            shown, decided = self.shown(ref), self.decided(ref)
            if not shown <= self._fine[ref] or not shown:
                return f"rule 8: at the end {ref} is shown as {shown}, not as {self._fine[ref]}"
            if shown != {decided}:
                return f"rule 8: at the end {ref} is shown as {shown}, and {decided} is noted"
        return ""


def _plain(template: Object) -> list[Ref]:
    return [ref for ref in references(template) if not source_of(ref.name)[1]]
