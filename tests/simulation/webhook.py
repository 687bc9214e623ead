"""Admission: the real decision with the real world, fed by watches of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from tests.simulation.api_server import ApiServer, Refused, Who
from tests.simulation.clock import Clock
from tests.simulation.patches import Object, with_meta, with_spec
from tests.simulation.watches import Watch
from webhook import names
from webhook.cluster.contents import Informed
from webhook.cluster.kinds import DEPLOYMENTS, RELEASES, Kind
from webhook.cluster.policies import FOLLOWED
from webhook.cluster.store import Store
from webhook.cluster.table import Change
from webhook.cluster.world import StoreWorld
from webhook.mutation.contents import contents_needed
from webhook.mutation.mutate import mutate
from webhook.mutation.request import Request
from webhook.mutation.world import World
from webhook.projection.config import Ref

Look = Callable[[tuple[Ref, ...]], Mapping[Ref, str]]

IDENTITY = "system:serviceaccount:slipway-system:slipway"


class Webhook:
    """Answers every write; while it is down, writes pass without it."""

    def __init__(
        self,
        clock: Clock,
        dice: random.Random,
        *,
        admission_policy: bool,
        look: Look | None = None,
    ) -> None:
        self._clock, self._dice = clock, dice
        self.admission_policy = admission_policy
        self._watches: dict[Kind, Watch] = {}
        self._store = Store(None)  # type: ignore[arg-type] nothing is followed through it
        self._look = look
        """Looks contents up, where Slipway may read them."""
        self._world = StoreWorld(self._store, IDENTITY, guards_config=look is not None)
        self.down = False
        self.reviews = 0

    def connect(self, api: ApiServer, slowest: int) -> None:
        """Follow what decisions need."""
        for kind in (*FOLLOWED, RELEASES):
            table = self._store.table(kind)
            watch = Watch(self._clock, api, self._dice, table, _heed_not, slowest)
            self._watches[kind] = watch
            watch.open()
        api.subscribe(self._changed)

    def cut(self, ms: int) -> None:
        """All its watches break."""
        for watch in self._watches.values():
            watch.cut(ms)

    def admit(
        self, kind: Kind, operation: str, obj: Object, old: Object | None, who: Who
    ) -> Object:
        """The object to store; raises Refused where the write is denied."""
        theirs = old is not None and who.user != IDENTITY
        if self.admission_policy and kind is DEPLOYMENTS and old is not None and theirs:
            obj = _paused_by_policy(obj, old)
        if self.down:
            return obj
        self.reviews += 1
        meta = obj["metadata"]
        request = Request(
            uid="review",
            operation=operation,
            kind=kind.kind,
            group=kind.group,
            namespace=meta.get("namespace") or "",
            name=meta["name"],
            object=obj,
            old=old,
            username=who.user,
            field_manager=who.manager,
        )
        outcome = mutate(request, self._informed(request), self._clock.time())
        if outcome.denied:
            raise Refused(403, "Forbidden", outcome.denied)
        return outcome.object

    def _informed(self, request: Request) -> World:
        """As `webhook.compose` does it."""
        needed = contents_needed(request, self._world) if self._look else ()
        return Informed(self._world, self._look(needed)) if self._look and needed else self._world

    def _changed(self, kind: Kind, type_: str, obj: Object, _old: Object | None) -> None:
        watch = self._watches.get(kind)
        if watch is not None:
            watch.heard(type_, obj)


def _heed_not(_change: Change) -> None:
    return


def _paused_by_policy(obj: Object, old: Object) -> Object:
    """The chart's MutatingAdmissionPolicy."""
    notes = obj["metadata"].get("annotations") or {}
    managed = names.GUARDED_BY in (old["metadata"].get("annotations") or {})
    spec = obj["spec"]
    can_be_held = spec["replicas"] > 0 and spec["strategy"]["type"] == "RollingUpdate"
    if not managed or not can_be_held or spec.get("paused") is True:
        return obj
    if spec["template"] == old["spec"]["template"]:
        return obj
    held = with_meta(obj, annotations={**notes, names.HELD_BY: "admission-policy"})
    return with_spec(held, paused=True)
