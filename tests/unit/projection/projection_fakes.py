"""An API server with one object in it, and Slipway's webhook in front."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jsonpatch
import msgspec

from tests.strategies import NAMESPACE, Object
from webhook import names
from webhook.mutation.mutate import mutate
from webhook.mutation.request import Outcome, Request
from webhook.mutation.world import Running
from webhook.objects.intent import Intent
from webhook.objects.policy import Policy, PolicySpec
from webhook.projection.config import Ref
from webhook.projection.deployment import projected_deployment
from webhook.projection.diff import diff
from webhook.projection.fields import annotate
from webhook.projection.service import projected_service
from webhook.projection.template import own_keys, users_template
from webhook.traffic import httproute, ingress

NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
SLIPWAY = "system:serviceaccount:slipway:slipway"
ADA = "ada@example.com"
POLICY = Policy(kind="ClusterReleasePolicy", name="default", namespace=None, spec=PolicySpec())

_PROJECTED = {
    "Deployment": projected_deployment,
    "Service": projected_service,
    "HTTPRoute": httproute.projected,
    "Ingress": ingress.ROUTER.projected,
}
_GROUPS = {
    "Deployment": "apps",
    "HTTPRoute": "gateway.networking.k8s.io",
    "Ingress": "networking.k8s.io",
    "Release": names.GROUP,
}


@dataclass
class FakeWorld:
    """What the webhook would know from its watches."""

    policy: Policy | None = POLICY
    running: tuple[Running, ...] = ()
    identity: str = SLIPWAY
    guards_config: bool = True
    contents: dict[str, str] = field(default_factory=dict)
    """Digests of ConfigMaps and Secrets, by ``kind/name``."""

    def policy_for(self, namespace: str, deployment: Mapping[str, Any]) -> Policy | None:
        return self.policy

    def running_in(self, namespace: str) -> Iterable[Running]:
        return self.running

    def digest(self, namespace: str, ref: Ref) -> str | None:
        return self.contents.get(str(ref))


def request(
    obj: Object,
    old: Object | None = None,
    *,
    username: str = ADA,
    field_manager: str = "kubectl",
    dry_run: bool = False,
) -> Request:
    """A write as it arrives at the webhook."""
    return Request(
        uid="1",
        operation="UPDATE" if old else "CREATE",
        kind=obj["kind"],
        group=_GROUPS.get(obj["kind"], ""),
        namespace=NAMESPACE,
        name=obj["metadata"]["name"],
        object=obj,
        old=old,
        username=username,
        field_manager=field_manager,
        dry_run=dry_run,
    )


class Server:
    """Stores what admission makes of each write, and holds admission to its promises.

    Every write is also made as a dry run and once more as a re-invocation; its patch is
    applied to what it was made from; and a write of the stored object must change nothing.
    """

    def __init__(self, world: FakeWorld | None = None) -> None:
        self.world = world or FakeWorld()
        self.stored: Object = {}
        self.outcome: Outcome

    def create(self, obj: Object, **by: Any) -> "Server":
        """A user creates the object."""
        self._admit(request(deepcopy(obj), **by))
        return self

    def put(self, obj: Object, **by: Any) -> "Server":
        """A user replaces the object."""
        self._admit(request(deepcopy(obj), self.stored, **by))
        return self

    def intend(self, **changes: Intent | None) -> "Server":
        """The reconciler changes intent annotations: ``hold``, ``pin``, ``config``..."""
        texts = {
            getattr(names, key.upper()): value.text() if value else None
            for key, value in changes.items()
        }
        self.put(annotate(self.stored, texts), username=SLIPWAY, field_manager=names.FIELD_MANAGER)
        return self

    def lift(self) -> "Server":
        """The reconciler gives a Deployment back."""
        return self.intend(hold=None, stable=None)

    def _admit(self, asked: Request) -> None:
        before = deepcopy((asked.object, asked.old))
        self.outcome = out = mutate(asked, self.world, NOW)
        assert (asked.object, asked.old) == before, "the request was changed in place"
        assert mutate(msgspec.structs.replace(asked, dry_run=True), self.world, NOW) == out
        if out.denied:
            return
        patched = jsonpatch.apply_patch(asked.object, diff(asked.object, out.object))
        assert patched == out.object
        again = mutate(msgspec.structs.replace(asked, object=out.object), self.world, NOW)
        assert again.object == out.object, "the re-invocation changed something"
        same = mutate(request(out.object, out.object), self.world, NOW)
        assert same.object == out.object, "writing the stored object changed something"
        projected = _PROJECTED.get(asked.kind)
        if projected:
            assert projected(out.object) == out.object, "the reconciler would repair for ever"
        # As JSON: no two parts of what is read back are one and the same.
        self.stored = msgspec.json.decode(msgspec.json.encode(out.object))


def bare(obj: Object) -> Object:
    """The object without anything of Slipway's in annotations and in the pod template."""
    ours = {key: None for key in _notes(obj) if key.startswith(names.PREFIX)}
    obj = annotate(obj, ours)
    if "template" in obj["spec"]:
        obj = {**obj, "spec": {**obj["spec"], "template": users_template(obj["spec"]["template"])}}
    return obj


def stripped(obj: Object) -> Object:
    """What a tool writes that drops every annotation and label of Slipway's, labels included."""
    obj = deepcopy(bare(obj))
    labels = obj["metadata"].get("labels", {})
    labels.pop(names.TRACK, None)
    if not labels:
        obj["metadata"].pop("labels", None)
    return obj


def _notes(obj: Object) -> Mapping[str, Any]:
    return obj["metadata"].get("annotations") or {}


def note(obj: Object, key: str) -> Any:
    """An annotation's value, None if it is not there."""
    return _notes(obj).get(key)


def keys_in(obj: Object) -> Any:
    """Slipway's keys in a Deployment's template."""
    return own_keys(obj["spec"]["template"])
