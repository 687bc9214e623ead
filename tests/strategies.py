"""Objects as an API server sends them: plain ones to build, odd ones for hypothesis to draw."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from webhook.objects.intent import Share, Split, Sticky
from webhook.objects.steps import (
    HeaderMatch,
    HeaderRoute,
    MirrorRoute,
    RequestMatch,
    StringMatch,
)

Object = dict[str, Any]

NAMESPACE = "shop"
CANARY_SUFFIX = "-canary"

# Deployments


def deployment(image: str = "web:v1", *, replicas: int = 3, **spec: Any) -> Object:
    """A plain Deployment ``web`` as it is stored, defaults filled in."""
    return defaulted(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": NAMESPACE, "labels": {"app": "web"}},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": template(image),
                **spec,
            },
        }
    )


def template(image: str = "web:v1") -> Object:
    """A pod template with one container."""
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }


def defaulted(obj: Object) -> Object:
    """What the API server makes of a Deployment before admission: defaults in, zeroes out."""
    obj = deepcopy(obj)
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    for field, zero in (("paused", False), ("minReadySeconds", 0)):
        if spec.get(field) == zero:
            spec.pop(field, None)
    return obj


_WORDS = st.sampled_from(["a", "web", "shop", "v1", "v2.0", "team-a", "x_y", "1", "true"])
_KEYS = st.sampled_from(["tier", "team", "example.com/owner", "app.kubernetes.io/part-of", "n"])
_MAPS = st.dictionaries(_KEYS, _WORDS, max_size=3)
VERSIONS = st.one_of(_WORDS, st.text(max_size=80), st.text("a1.-_", min_size=50, max_size=80))

IMAGES = st.one_of(
    st.builds("{}:{}".format, st.sampled_from(["web", "registry:5000/team/web"]), _WORDS),
    st.sampled_from(
        [
            "web",
            "registry:5000/web",
            "web@sha256:" + "0123456789abcdef" * 4,
            "registry:5000/team/web:1.2.3-rc.1@sha256:" + "ab" * 32,
        ]
    ),
)


def _without_empty(metadata: Object) -> Object:
    """The API server stores no empty maps in metadata."""
    return {key: value for key, value in metadata.items() if value}


@st.composite
def templates(draw: st.DrawFn) -> Object:
    """Pod templates with the label ``app: web`` and odd contents of all else."""
    labels = {**draw(_MAPS), "app": "web"}
    if draw(st.booleans()):
        labels["app.kubernetes.io/version"] = draw(_WORDS)
    container: Object = {"name": "web", "image": draw(IMAGES)}
    if draw(st.booleans()):
        container["env"] = [{"name": "A", "value": draw(_WORDS)}]
    spec: Object = {"containers": [container]}
    if draw(st.booleans()):
        spec["terminationGracePeriodSeconds"] = draw(st.integers(0, 90))
    return {
        "metadata": _without_empty({"labels": labels, "annotations": draw(_MAPS)}),
        "spec": spec,
    }


PERCENTS = st.integers(0, 100).map("{}%".format)
SURGES = st.one_of(PERCENTS, st.integers(0, 30))


@st.composite
def deployments(draw: st.DrawFn) -> Object:
    """Deployments named ``web`` that an API server would have accepted, defaults filled in."""
    spec: Object = {
        "replicas": draw(st.integers(1, 20)),
        "selector": {"matchLabels": {"app": "web"}},
        "template": draw(templates()),
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "minReadySeconds": st.integers(0, 300),
        "progressDeadlineSeconds": st.integers(301, 2000),
        "paused": st.booleans(),
        "revisionHistoryLimit": st.integers(0, 10),
        "strategy": st.fixed_dictionaries(
            {"type": st.just("RollingUpdate")},
            optional={
                "rollingUpdate": st.fixed_dictionaries(
                    {}, optional={"maxSurge": SURGES, "maxUnavailable": SURGES}
                )
            },
        ),
    }
    for field, values in optional.items():
        if draw(st.booleans()):
            spec[field] = draw(values)
    meta = {"labels": draw(_MAPS), "annotations": draw(_MAPS)}
    return defaulted(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": NAMESPACE, **_without_empty(meta)},
            "spec": spec,
        }
    )


# Services


def service(name: str = "web", **spec: Any) -> Object:
    """A plain Service that selects the pods of `deployment`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "type": "ClusterIP",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
            **spec,
        },
    }


# Routes


def backend(name: str = "web", weight: int = 1, **more: Any) -> Object:
    """One ``backendRefs`` entry as it is stored: the CRD's schema fills in the defaults."""
    return {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight, **more}


def route(*rules: list[Object], name: str = "web") -> Object:
    """An HTTPRoute with one rule for each list of backends."""
    return route_with([{"backendRefs": refs} for refs in rules], name=name)


def route_with(rules: list[Object], name: str = "web") -> Object:
    """An HTTPRoute with whole rules."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": NAMESPACE, "generation": 1},
        "spec": {"parentRefs": [{"name": "gateway"}], "rules": rules},
    }


WEIGHTS = st.one_of(st.integers(0, 10), st.integers(0, 10_000), st.integers(0, 1_000_000))
SMALL_WEIGHTS = st.one_of(st.integers(0, 10), st.integers(0, 10_000))


@st.composite
def backends(draw: st.DrawFn, weights: st.SearchStrategy[int] = WEIGHTS) -> Object:
    """Backends: Services of this and of another namespace, foreign kinds, with filters."""
    name = draw(st.sampled_from(["web", "api", "legacy", "other"]))
    ref = backend(name, draw(weights))
    what = draw(st.sampled_from(["plain", "plain", "plain", "foreign", "bucket", "filter"]))
    if what == "foreign":
        ref = {**ref, "name": "elsewhere", "namespace": "billing"}
    elif what == "bucket":
        ref = {**ref, "group": "example.com", "kind": "Bucket", "name": name}
    elif what == "filter":
        header = {"name": "x-from", "value": name}
        ref["filters"] = [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [header]}}
        ]
    return ref


@st.composite
def rules(draw: st.DrawFn, weights: st.SearchStrategy[int] = WEIGHTS) -> Object:
    """Rules: with several backends, without any, or with only a redirect."""
    matches = [{"path": {"type": "PathPrefix", "value": draw(st.sampled_from(["/", "/a"]))}}]
    what = draw(st.sampled_from(["backends", "backends", "backends", "bare", "redirect"]))
    if what == "bare":
        return {"matches": matches}
    if what == "redirect":
        redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
        return {"matches": matches, "filters": [redirect]}
    return {
        "matches": matches,
        "backendRefs": draw(st.lists(backends(weights), min_size=1, max_size=4)),
    }


@st.composite
def routes(draw: st.DrawFn, weights: st.SearchStrategy[int] = WEIGHTS) -> Object:
    """HTTPRoutes of the users."""
    return route_with(draw(st.lists(rules(weights), max_size=4)))


@st.composite
def shares(draw: st.DrawFn) -> dict[str, int]:
    """Percents by root Service."""
    return draw(st.dictionaries(st.sampled_from(["web", "api"]), st.integers(0, 100), min_size=1))


def ingress(
    *paths: tuple[str, str], name: str = "web", class_name: str | None = "nginx", **notes: str
) -> Object:
    """An Ingress with one host and (path, Service) pairs; ``notes`` are nginx annotations."""
    spec: Object = {
        "rules": [
            {
                "host": "shop.example",
                "http": {
                    "paths": [
                        {
                            "path": path,
                            "pathType": "Prefix",
                            "backend": {"service": {"name": to, "port": {"number": 80}}},
                        }
                        for path, to in paths
                    ]
                },
            }
        ]
    }
    if class_name:
        spec["ingressClassName"] = class_name
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "annotations": {
                f"nginx.ingress.kubernetes.io/{key.replace('_', '-')}": value
                for key, value in notes.items()
            },
        },
        "spec": spec,
    }


# What a split says beside its weight

_METHODS = st.sampled_from(["GET", "POST"])
_PATHS = st.sampled_from(["/", "/a", "/a/b", "/b"])
_TENANTS = st.sampled_from(["a", "b"])


@st.composite
def narrow_matches(draw: st.DrawFn) -> Object:
    """Matches of a user's rule: any path, and perhaps a method, a header or a parameter."""
    kind = draw(st.sampled_from(["PathPrefix", "PathPrefix", "Exact"]))
    match: Object = {"path": {"type": kind, "value": draw(_PATHS)}}
    if draw(st.booleans()):
        match["method"] = draw(_METHODS)
    if draw(st.booleans()):
        match["headers"] = [{"type": "Exact", "name": "x-tenant", "value": draw(_TENANTS)}]
    if draw(st.integers(0, 3)) == 0:
        match["queryParams"] = [{"type": "Exact", "name": "q", "value": "1"}]
    return match


@st.composite
def narrow_routes(draw: st.DrawFn) -> Object:
    """HTTPRoutes whose rules overlap in many ways."""
    made = []
    for _ in range(draw(st.integers(1, 4))):
        names = draw(st.lists(st.sampled_from(["web", "web", "api", "legacy"]), min_size=1))
        plain = {"backendRefs": [backend(name, draw(st.integers(0, 3))) for name in names[:3]]}
        rule = draw(st.one_of(st.just(plain), st.just(plain), rules(SMALL_WEIGHTS)))
        rule["matches"] = draw(st.lists(narrow_matches(), min_size=1, max_size=2))
        made.append(rule)
    return route_with(made)


TEXTS = st.one_of(
    st.builds(StringMatch, exact=st.sampled_from(["yes", "v1", "a.b"])),
    st.builds(StringMatch, prefix=st.sampled_from(["v", "a.", "yes"])),
    st.builds(StringMatch, regex=st.sampled_from(["v[0-9]+", "yes|no"])),
)
HEADER_MATCHES = st.one_of(
    st.builds(
        HeaderMatch,
        header_name=st.sampled_from(["X-Canary", "X-Tenant", "X-Canary"]),
        header_value=TEXTS,
    ),
    st.builds(HeaderMatch, cookie_name=st.sampled_from(["who", "x.y"]), cookie_value=TEXTS),
)
REQUEST_MATCHES = st.builds(
    RequestMatch,
    method=st.one_of(st.none(), st.builds(StringMatch, exact=_METHODS)),
    path=st.one_of(
        st.none(), st.builds(StringMatch, exact=_PATHS), st.builds(StringMatch, prefix=_PATHS)
    ),
    headers=st.dictionaries(st.sampled_from(["X-Canary", "X-Who"]), TEXTS, max_size=1),
)


@st.composite
def whole_shares(draw: st.DrawFn) -> dict[str, Share]:
    """Shares with header routes, mirrors and stickiness, by root Service."""
    out = {}
    for root in draw(st.sampled_from([["web"], ["web", "api"]])):
        matches = st.lists(HEADER_MATCHES, max_size=2).map(tuple)
        headers = st.builds(HeaderRoute, name=st.just("h"), match=matches)
        mirrors = st.builds(
            MirrorRoute,
            name=st.just("m"),
            match=st.lists(REQUEST_MATCHES, max_size=2).map(tuple),
            percentage=st.sampled_from([0, 50, 100]),
        )
        out[root] = Share(
            canary=f"{root}-canary",
            weight=draw(st.integers(0, 100)),
            headers=tuple(draw(st.lists(headers, max_size=2))),
            mirrors=tuple(draw(st.lists(mirrors, max_size=2))),
            sticky=draw(st.one_of(st.none(), st.just(Sticky("seen", 60, value="7f")))),
        )
    return out


SPLITS = st.builds(Split, shares=whole_shares(), features=st.just(("mirror", "cookie")))
"""Splits for routers that can do all."""
