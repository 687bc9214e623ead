"""What `slipway run` puts into a cluster: CRDs, a policy, and a webhook configuration by URL.

In a cluster the chart does this. The rules here are the chart's; a test holds them together.
"""

import base64
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import structlog
import yaml
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_fixed,
)

from webhook import names
from webhook.cluster import errors
from webhook.cluster.client import Client, PatchType
from webhook.cluster.kinds import (
    CLUSTERRELEASEPOLICIES,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    MUTATINGADMISSIONPOLICIES,
    MUTATINGADMISSIONPOLICYBINDINGS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    ROUTES,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Kind,
    Object,
)
from webhook.config import Address
from webhook.traffic.routers import ROUTERS

log = structlog.get_logger(__name__)

CONFIGURATION: Final = "slipway-run"
_ESTABLISHED: Final = 20.0
"""Seconds for the API server to serve a new CRD."""

_INTENT: Final = (
    "request.operation == 'CREATE' || {also}[object, oldObject].exists(o, "
    "has(o.metadata.annotations) && ('slipway.dev/{key}' in o.metadata.annotations || "
    "'slipway.dev/original' in o.metadata.annotations))"
)


def crds() -> list[Object]:
    """The CRDs, as the chart has them."""
    inside = Path(str(files("webhook"))) / "crds"
    folder = inside if inside.is_dir() else inside.parents[1] / "charts" / "slipway" / "crds"
    found = [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))]
    if not found:
        raise FileNotFoundError(f"no CRDs in {folder}; is the installation complete?")
    return found


def url(address: Address, path: str) -> str:
    """Where the API server sends its reviews."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"https://{host}:{address.port}{path}"


async def prepare(client: Client, namespace: str, *, default_policy: bool) -> None:
    """Make the CRDs and Slipway's namespace, and a policy if there is none at all."""
    for crd in crds():
        await _apply(client, CUSTOMRESOURCEDEFINITIONS, crd)
    established = AsyncRetrying(
        retry=retry_if_exception_type(errors.NotFound),
        wait=wait_fixed(0.1),
        stop=stop_after_delay(_ESTABLISHED),
        reraise=True,
    )
    await established(client.list, CLUSTERRELEASEPOLICIES)
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    await _apply(client, NAMESPACES, space)
    if default_policy and not (await client.list(CLUSTERRELEASEPOLICIES)).items:
        policy = {
            "apiVersion": names.API_VERSION,
            "kind": "ClusterReleasePolicy",
            "metadata": {"name": "default"},
            "spec": {},
        }
        await client.create(CLUSTERRELEASEPOLICIES, policy)
        log.info("default_policy_created")


async def configure(
    client: Client, address: Address, ca_bundle: bytes, *, excluded: tuple[str, ...]
) -> None:
    """Have the API server call this process."""
    bundle = base64.b64encode(ca_bundle).decode()
    for kind, webhooks in (
        (MUTATINGWEBHOOKCONFIGURATIONS, mutating()),
        (VALIDATINGWEBHOOKCONFIGURATIONS, validating()),
    ):
        path = "/mutate" if kind is MUTATINGWEBHOOKCONFIGURATIONS else "/validate"
        shared = {"clientConfig": {"url": url(address, path), "caBundle": bundle}}
        if kind is MUTATINGWEBHOOKCONFIGURATIONS:
            shared["namespaceSelector"] = _outside(excluded)
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": CONFIGURATION},
            "webhooks": [{**webhook, **shared} for webhook in webhooks],
        }
        await _apply(client, kind, body)


async def unconfigure(client: Client) -> None:
    """Take the configuration away, so that the cluster calls nobody that is gone."""
    for kind in (MUTATINGWEBHOOKCONFIGURATIONS, VALIDATINGWEBHOOKCONFIGURATIONS):
        try:
            await client.delete(kind, CONFIGURATION)
        except errors.ApiError as error:
            log.warning("configuration_left_behind", kind=kind.kind, error=str(error))


async def unguard(client: Client, configuration: str, admission_policy: str) -> None:
    """Take away by name what holds changes at admission; raises ``errors.ApiError``.

    The API server may go on for some seconds: it watches these objects like any other.
    """
    for kind, name in (
        (MUTATINGADMISSIONPOLICYBINDINGS, admission_policy),
        (MUTATINGADMISSIONPOLICIES, admission_policy),
        (MUTATINGWEBHOOKCONFIGURATIONS, configuration),
        (VALIDATINGWEBHOOKCONFIGURATIONS, configuration),
    ):
        if not name:
            continue
        try:
            await client.delete(kind, name)
        except errors.NotFound:
            log.info("not_there", kind=kind.kind, name=name)


async def stop_deployment(client: Client, namespace: str, name: str) -> None:
    """Scale one of Slipway's own Deployments to 0, if there is one."""
    try:
        await client.patch(DEPLOYMENTS, name, {"spec": {"replicas": 0}}, namespace)
    except errors.NotFound:
        log.info("not_there", kind=DEPLOYMENTS.kind, name=name)


def mutating() -> list[Object]:
    """The mutating webhooks, without where and for which namespaces they are called."""
    selector_changes = "object.spec.?selector != oldObject.spec.?selector || "
    return [
        _webhook("deployments", "apps", "deployments", None),
        _webhook("services", "", "services", _INTENT.format(key="pin", also=selector_changes)),
        *map(_of_route, (ROUTES[router.kind] for router in ROUTERS.values() if router.shown)),
        *map(_of_owned, (ROUTES[router.kind] for router in ROUTERS.values() if not router.shown)),
        _webhook("releases", names.GROUP, "releases", None, version="v1alpha1"),
    ]


def validating() -> list[Object]:
    """The validating webhooks, without where they are called."""
    rule = {
        "apiGroups": [names.GROUP],
        "apiVersions": ["v1alpha1"],
        "resources": ["clusterreleasepolicies", "releasepolicies"],
        "operations": ["CREATE", "UPDATE"],
        "scope": "*",
    }
    return [{"name": "policies.slipway.dev", **_always(), "rules": [rule]}]


def _of_route(kind: Kind) -> Object:
    """For a kind whose objects show their split themselves."""
    intent = _INTENT.format(key="split", also="")
    return _webhook(kind.plural, kind.group, kind.plural, intent, version=kind.version)


def _of_owned(kind: Kind) -> Object:
    """For a kind of which only Slipway's own objects carry a split."""
    selector = {"matchExpressions": [{"key": names.CANARY_OF, "operator": "Exists"}]}
    webhook = _webhook(kind.plural, kind.group, kind.plural, None, version=kind.version)
    return {**webhook, "objectSelector": selector}


def _webhook(
    name: str, group: str, resource: str, condition: str | None, version: str = "v1"
) -> Object:
    rule = {
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": [resource],
        "operations": ["CREATE", "UPDATE"],
        "scope": "Namespaced",
    }
    out: Object = {
        "name": f"{name}.slipway.dev",
        **_always(),
        "reinvocationPolicy": "IfNeeded",
        "rules": [rule],
    }
    if condition:
        out["matchConditions"] = [{"name": "may-carry-intent", "expression": condition}]
    return out


def _always() -> dict[str, Any]:
    return {
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
        "timeoutSeconds": 5,
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
    }


def _outside(namespaces: tuple[str, ...]) -> Object:
    return {
        "matchExpressions": [
            {
                "key": "kubernetes.io/metadata.name",
                "operator": "NotIn",
                "values": sorted(set(namespaces)),
            }
        ]
    }


async def _apply(client: Client, kind: Kind, body: Object) -> None:
    await client.patch(kind, body["metadata"]["name"], body, content=PatchType.APPLY)
