"""Ingress for AWS load balancers: weighted target groups in an action annotation.

A backend with the port ``use-annotation`` names an action, not a Service. A plain backend of a
split Service is shown as an action of the Service's name, so that conditions for it still hold.
Source: AWS Load Balancer Controller v2, Ingress annotations (traffic routing) and the API of
target groups: weights up to 999, at most 5 groups in an action.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import gcd
from typing import Any, Final

import msgspec

from webhook.objects.intent import Share
from webhook.objects.raw import Object
from webhook.projection.fields import annotate, annotations
from webhook.traffic.ingress_weights import Dialect, Kept, backends, text_of_users, with_paths
from webhook.traffic.nginx_preview import CLASS, service_name
from webhook.traffic.patterns import Inexpressible
from webhook.traffic.splits import home_of, read_list

CONTROLLER: Final = "ingress.k8s.aws/alb"
ACTION: Final = "alb.ingress.kubernetes.io/actions."
_PREFIX: Final = "alb.ingress.kubernetes.io/"
_AUTH: Final = _PREFIX + "auth-"
_NAMED: Final = {"name": "use-annotation"}
_LARGEST: Final = 999
_MOST: Final = 5


def speaks(ingress: Object) -> bool:
    """Whether it is of the class ``alb`` or has an annotation of the controller's."""
    notes = annotations(ingress)
    name = (ingress.get("spec") or {}).get("ingressClassName") or notes.get(CLASS)
    return name == "alb" or any(key.startswith(_PREFIX) for key in notes)


def services(ingress: Object) -> frozenset[str]:
    """Names of the Services that its backends and their actions send to."""
    plain = {name for b in backends(ingress) if not _is_action(b) and (name := service_name(b))}
    return frozenset(plain).union(
        *(map(_service, _groups(action)) for _, action in _actions(ingress))
    ) - {""}


def divided(users: Object, shares: Mapping[str, Share]) -> tuple[Object, Kept]:
    """Every action that sends to a split Service, and every plain backend of one as an action."""
    mine = {root: share for root, share in shares.items() if root in services(users)}
    notes: dict[str, str | None] = {}
    for name, action in _actions(users):
        if any(_service(group) in mine for group in _groups(action)):
            notes[ACTION + name] = _text(_with_groups(action, _divided(_groups(action), mine)))
    ports = _ports(users, mine)
    for root, port in ports.items():
        groups = [{"serviceName": root, "servicePort": port.get("name") or port.get("number")}]
        action = _with_groups({"type": "forward"}, _divided(groups, mine))
        notes[ACTION + root] = _text(action)
    texts = {key: annotations(users).get(key) for key in notes}
    canaries = {share.canary: root for root, share in mine.items()}
    kept = Kept(canaries, texts, ports=ports)
    return annotate(_named(users, {root: _NAMED for root in ports}, plain=True), notes), kept


def hidden(new: Object, kept: Kept) -> Object:
    """With the user's actions and plain backends."""
    notes = {
        key: text
        for key in kept.texts
        if (text := text_of_users(new, kept, key, lambda here: _united(here, kept)))
        != annotations(new).get(key)
    }
    left = {**annotations(new), **notes}
    ports = {root: port for root, port in kept.ports.items() if left.get(ACTION + root) is None}
    back = _named(new, ports, plain=False)
    return annotate(back, notes) if notes else back


def affected(ingress: Object, roots: frozenset[str]) -> tuple[str, ...]:
    """Hosts and paths that lead to these Services."""
    actions = {
        name
        for name, action in _actions(ingress)
        if roots.intersection(map(_service, _groups(action)))
    }
    return tuple(
        f"{rule.get('host') or '*'}{path.get('path') or '/'}"
        for rule in (ingress.get("spec") or {}).get("rules") or []
        for path in (rule.get("http") or {}).get("paths") or []
        if service_name(path.get("backend")) in (actions if _is_action(path["backend"]) else roots)
    )


def forfeits(service: Object) -> str | None:
    """The controller asks a Service about authentication only where it is alone in an action."""
    for key in sorted(annotations(service)):
        if key.startswith(_AUTH):
            return (
                f"Service {home_of(service)}/{service['metadata']['name']} has {key}, which holds "
                "only while an action forwards to it alone; it belongs on the Ingress"
            )
    return None


def _is_action(backend: Any) -> bool:
    service = backend.get("service") if isinstance(backend, dict) else None
    return isinstance(service, dict) and (service.get("port") or {}).get("name") == _NAMED["name"]


def _actions(ingress: Object) -> Iterator[tuple[str, Object]]:
    """Actions that backends name and that can be read, by name."""
    named = {service_name(backend): None for backend in backends(ingress) if _is_action(backend)}
    for name in named:
        action = _read(annotations(ingress).get(f"{ACTION}{name}"))
        if name and action is not None:
            yield name, action


def _read(text: Any) -> Object | None:
    try:
        found = msgspec.json.decode(text) if isinstance(text, str) else None
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


def _text(action: Object) -> str:
    return msgspec.json.encode(action).decode()


def _groups(action: Object) -> list[Any]:
    """Target groups of an action that forwards; those of one by ARN alone are no Services."""
    if action.get("type") != "forward":
        return []
    return [
        g for g in read_list(action.get("forwardConfig"), "targetGroups") if isinstance(g, dict)
    ]


def _with_groups(action: Object, groups: list[Any]) -> Object:
    config = action.get("forwardConfig") or {}
    return {**action, "forwardConfig": {**config, "targetGroups": groups}}


def _service(group: Object) -> str:
    return str(group.get("serviceName") or "")


def _ports(users: Object, mine: Mapping[str, Share]) -> dict[str, Object]:
    """The port of each split Service that plain backends name."""
    ports: dict[str, Object] = {}
    for backend in backends(users):
        root = service_name(backend) or ""
        if root not in mine or _is_action(backend):
            continue
        port = backend["service"].get("port") or {}
        if ports.setdefault(root, port) != port:
            raise Inexpressible(f"sends to two ports of {root}, and an action has one name")
        if ACTION + root in annotations(users):
            raise Inexpressible(f"has an action of the name {root}, beside a backend of that name")
    return ports


def _named(ingress: Object, ports: Mapping[str, Object], *, plain: bool) -> Object:
    """Backends of these names with other ports: plain ones, or those that name actions."""

    def changed(backend: Any) -> Any:
        port = ports.get(service_name(backend) or "")
        if port is None or _is_action(backend) == plain:
            return backend
        return {**backend, "service": {**backend["service"], "port": port}}

    def path(there: Any) -> list[Any]:
        made = changed(there.get("backend"))
        return [there if made is there.get("backend") else {**there, "backend": made}]

    out, spec = with_paths(ingress, path), ingress.get("spec") or {}
    default = spec.get("defaultBackend")
    if default and (made := changed(default)) is not default:
        return {**out, "spec": {**out["spec"], "defaultBackend": made}}
    return out


def _divided(groups: Sequence[Any], shares: Mapping[str, Share]) -> list[Any]:
    out: list[Any] = []
    weights: list[int] = []
    for group in groups:
        weight, share = group.get("weight", 1), shares.get(_service(group))
        if not isinstance(weight, int) or isinstance(weight, bool) or weight < 0:
            raise Inexpressible(f"has the weight {weight!r} in an action")
        percent = share.weight if share else 0
        out.append(group)
        weights.append(weight * (100 - percent))
        if share:
            out.append({**group, "serviceName": share.canary})
            weights.append(weight * percent)
    if len(out) > _MOST:
        raise Inexpressible(
            f"would have {len(out)} target groups in an action, which has at most {_MOST}"
        )
    small = _small(weights)
    return [{**group, "weight": weight} for group, weight in zip(out, small, strict=True)]


def _small(weights: Sequence[int]) -> list[int]:
    """The smallest in the same proportion; where that is too much, the nearest that fit."""
    common = gcd(*weights) or 1
    whole = [weight // common for weight in weights]
    largest = max(whole, default=0)
    if largest <= _LARGEST:
        return whole
    return [max(1, round(weight * _LARGEST / largest)) if weight else 0 for weight in whole]


def _united(text: str, kept: Kept) -> str | None:
    """A text that somebody edited while it was shown."""
    action = _read(text)
    groups = _groups(action or {})
    if action is None or not any(_service(group) in kept.canaries for group in groups):
        return None
    out: list[Any] = []
    for group in groups:
        root = kept.canaries.get(_service(group))
        if root is None:
            out.append(group)
        elif out and _service(out[-1]) == root:
            both = out[-1].get("weight", 0) + group.get("weight", 0)
            out[-1] = {**out[-1], "weight": both}
    return _text(_with_groups(action, out))


DIALECT: Final = Dialect(
    speaks=speaks,
    controls=lambda controller: controller == CONTROLLER,
    services=services,
    divided=divided,
    hidden=hidden,
    affected=affected,
    forfeits=forfeits,
)
