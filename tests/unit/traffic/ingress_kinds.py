"""Ingresses of AWS load balancers and of Skipper as their users write them, and how they divide."""

import json
from copy import deepcopy
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tests.strategies import NAMESPACE, Object
from webhook.projection.fields import annotations

SERVICES = ("web", "api", "legacy")
ACTION = "alb.ingress.kubernetes.io/actions."
WEIGHTS = "zalando.org/backend-weights"


def backend(name: str, port: Any = 80) -> Object:
    """A backend by number or name of its port."""
    kind = "number" if isinstance(port, int) else "name"
    return {"service": {"name": name, "port": {kind: port}}}


def ingress(klass: str, *paths: tuple[str, Object], **notes: str) -> Object:
    """An Ingress of one host."""
    rule = {
        "host": "shop.example",
        "http": {
            "paths": [{"path": p, "pathType": "Prefix", "backend": each} for p, each in paths]
        },
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "shop", "namespace": NAMESPACE, "annotations": {"team": "a", **notes}},
        "spec": {"ingressClassName": klass, "rules": [rule]},
    }


def alb(*paths: tuple[str, Object], **actions: Any) -> Object:
    """One of the class alb, with actions by name."""
    notes = {ACTION + k: v if isinstance(v, str) else json.dumps(v) for k, v in actions.items()}
    return ingress("alb", *paths, **notes)


def skipper(*paths: tuple[str, str], weights: str | None = None) -> Object:
    """One of the class skipper."""
    notes = {} if weights is None else {WEIGHTS: weights}
    return ingress("skipper", *((path, backend(name)) for path, name in paths), **notes)


def forward(*groups: tuple[str, int | None]) -> Object:
    """An action as the reference writes it."""
    made = [
        {"serviceName": name, "servicePort": 80} | ({} if weight is None else {"weight": weight})
        for name, weight in groups
    ]
    return {"type": "forward", "forwardConfig": {"targetGroups": made}}


@st.composite
def albs(draw: st.DrawFn) -> Object:
    """With plain backends and actions, their JSON spaced as people do."""
    groups = st.tuples(st.sampled_from(SERVICES), st.integers(0, 999))
    actions = {
        f"to-{i}": json.dumps(forward(*each), indent=draw(st.sampled_from([None, 2])))
        for i, each in enumerate(
            draw(st.lists(st.lists(groups, min_size=1, max_size=3), max_size=2))
        )
    }
    named = [backend(name, "use-annotation") for name in actions]
    plain = draw(st.lists(st.sampled_from(SERVICES).map(backend), min_size=0 if named else 1))
    users = alb(*((f"/{i}", each) for i, each in enumerate([*named, *plain])), **actions)
    if plain and draw(st.booleans()):
        users["spec"]["defaultBackend"] = deepcopy(plain[0])
    return users


@st.composite
def skippers(draw: st.DrawFn) -> Object:
    """With weights and without."""
    path = st.tuples(st.sampled_from(["/", "/a", "/b"]), st.sampled_from(SERVICES))
    weights = st.dictionaries(
        st.sampled_from(SERVICES), st.one_of(st.integers(0, 100), st.sampled_from([0.5, 12.25]))
    )
    text = draw(st.one_of(st.none(), weights.map(lambda w: json.dumps(w, indent=1))))
    return skipper(*draw(st.lists(path, min_size=1, max_size=5, unique=True)), weights=text)


USERS = st.one_of(albs(), skippers())


def parts(obj: Object) -> dict[str, dict[str, Fraction]]:
    """By path: the part of its requests that each Service gets, as the controllers read it."""
    paths = obj["spec"]["rules"][0]["http"]["paths"]
    if obj["spec"]["ingressClassName"] == "alb":
        out = {each["path"]: _of_action(obj, each["backend"]) for each in paths}
        default = obj["spec"].get("defaultBackend")
        return out | ({"*": _of_action(obj, default)} if default else {})
    weights = json.loads(annotations(obj).get(WEIGHTS, "{}"))
    found: dict[str, dict[str, Fraction]] = {}
    for each in paths:
        name = each["backend"]["service"]["name"]
        found.setdefault(each["path"], {})[name] = Fraction(str(weights.get(name, 0)))
    return {path: _fractions(there, equal=True) for path, there in found.items()}


def _of_action(obj: Object, there: Object) -> dict[str, Fraction]:
    service = there["service"]
    if service["port"].get("name") != "use-annotation":
        return {service["name"]: Fraction(1)}
    action = json.loads(annotations(obj)[ACTION + service["name"]])
    found: dict[str, Fraction] = {}
    for group in action["forwardConfig"]["targetGroups"]:
        name = group["serviceName"]
        found[name] = found.get(name, Fraction(0)) + group.get("weight", 1)
    return _fractions(found, equal=False)


def _fractions(found: dict[str, Fraction], *, equal: bool) -> dict[str, Fraction]:
    total = sum(found.values())
    if not total:
        return {name: Fraction(1, len(found)) if equal else Fraction(0) for name in found}
    return {name: weight / total for name, weight in found.items()}
