"""What a split says beside its weight, tried with real requests through Traefik.

The split is written as the reconciler writes it, through the real webhook.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie

import pytest

from lab import slipway, traefik
from lab.api import Object
from lab.cluster import Lab, as_yaml
from lab.errors import LabError
from lab.setup import Response
from lab.slipway import Slipway
from tests.e2e.app import App
from tests.e2e.objects import users_part
from webhook import names
from webhook.objects.intent import Share, Sticky
from webhook.objects.steps import HeaderMatch, HeaderRoute, MirrorRoute, StringMatch
from webhook.traffic.contract import Annotate, Delete, Router, Target
from webhook.traffic.routers import ROUTERS

pytestmark = pytest.mark.e2e

KINDS = {
    "HTTPRoute": "httproutes",
    "Gateway": "gateways",
    "GatewayClass": "gatewayclasses",
    "Ingress": "ingresses",
    "IngressClass": "ingressclasses",
}
ENTRIES = (
    HeaderMatch(header_name="X-Canary", header_value=StringMatch(exact="yes")),
    HeaderMatch(header_name="X-Build", header_value=StringMatch(regex="v[0-9]+")),
    HeaderMatch(cookie_name="who", cookie_value=StringMatch(prefix="tester-")),
)
OVER = [{"X-Canary": "yes"}, {"X-Build": "v2"}, {"Cookie": "a=b; who=tester-1; c=d"}]
NOT_OVER = [{}, {"X-Canary": "no"}, {"X-Build": "xv2"}, {"Cookie": "nowho=tester-1"}]
OWN = (
    f"--as=system:serviceaccount:{slipway.NAMESPACE}:slipway",
    f"--field-manager={names.FIELD_MANAGER}",
)


@dataclass(frozen=True)
class Stage:
    """Two versions side by side, each behind a Service, and a route to the first."""

    lab: Lab
    app: App
    route: Object

    @property
    def router(self) -> Router:
        return ROUTERS[self.route["kind"]]

    @property
    def stored(self) -> Object:
        return self.lab.get(KINDS[self.route["kind"]], self.app.name, self.app.namespace)

    @property
    def objects(self) -> dict[str, list[Object]]:
        return {kind: self.lab.list(plural) for kind, plural in KINDS.items()}

    def write(self, *, term: int = 1, **shares: Share) -> None:
        """Make the route carry these shares, as the reconciler would; all must be read back."""
        owner = self.lab.get("deployments", "web", self.app.namespace)["metadata"]
        target = Target(
            owner={"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
            | {"uid": owner["uid"]},
            namespace=self.app.namespace,
            services=frozenset({"web"}),
            term=term,
        )
        for made in self.router.writes(self.objects, self.stored, shares, target):
            space, name = f"--namespace={self.app.namespace}", made.object["metadata"]["name"]
            kind = KINDS[made.kind]
            if isinstance(made, Annotate):
                patch = json.dumps({"metadata": {"annotations": made.annotations}})
                self.lab.kubectl("patch", kind, name, space, "--type=merge", "-p", patch, *OWN)
            elif isinstance(made, Delete):
                self.lab.kubectl("delete", kind, name, space, OWN[0])
            else:
                self.lab.kubectl("apply", "-f", "-", *OWN, input=as_yaml(made.object))
        stored = self.stored
        assert self.router.shares(self.objects, stored, self.app.namespace) == shares
        assert self.router.projected(stored) == stored

    def get(self, host: str = "", **headers: str) -> Response:
        at = {"Host": host or self.app.host, **headers}
        return self.lab.fetch("GET", "127.0.0.1", traefik.WEB_PORT, "/", at)

    def versions(self, host: str = "", **headers: str) -> set[str]:
        """Who answers ten requests; an error by its status."""
        answers = [self.get(host, **headers) for _ in range(10)]
        return {a.headers.get("X-Version") or str(a.status) for a in answers}

    def wait_for(self, versions: set[str], host: str = "", **headers: str) -> None:
        self.lab.wait(
            lambda: self.versions(host, **headers) == versions, 20, f"{versions} for {headers}"
        )


@pytest.fixture(params=["httproute", "ingress"])
def stage(request: pytest.FixtureRequest, lab: Lab, guarded: Slipway) -> Iterator[Stage]:
    app = App(lab.namespace("routers"), replicas=1)
    canary = app.having(name="web-canary")
    route = getattr(app, request.param)()
    lab.apply(
        [app.deployment("v1"), app.service(), canary.deployment("v2"), canary.service(), route]
    )
    space = f"--namespace={app.namespace}"
    for name in ("web", "web-canary"):
        lab.kubectl(space, "rollout", "status", f"deployment/{name}")
    made = Stage(lab, app, route)
    made.wait_for({"v1"})
    yield made
    lab.kubectl("delete", "namespace", app.namespace, "--wait=false")


def by(*entries: HeaderMatch, weight: int = 0, preview: str = "") -> Share:
    headers = (HeaderRoute(name="testers", match=entries),)
    return Share("web-canary", weight, headers=headers, preview=preview)


def test_headers_cookies_and_a_preview_lead_to_a_version_without_traffic(stage: Stage) -> None:
    """Nobody else sees it; applying again changes nothing, and in the end all is as applied."""
    before, preview = users_part(stage.stored), f"next.{stage.app.namespace}.example"
    room = len(ENTRIES) if stage.route["kind"] == "HTTPRoute" else 1
    for first in range(0, len(ENTRIES), room):
        share = by(*ENTRIES[first : first + room], preview=preview)
        lacks = stage.router.lacks(stage.objects, stage.stored, stage.app.namespace, {"web": share})
        assert lacks is None
        stage.write(web=share)
        for over in OVER[first : first + room]:
            stage.wait_for({"v2"}, **over)
        for headers in NOT_OVER:
            assert stage.versions(**headers) == {"v1"}, headers
        stage.wait_for({"v2"}, host=preview)
    stage.lab.kubectl("diff", "-f", "-", input=as_yaml(stage.route))
    stage.lab.apply(stage.route)
    assert stage.versions(**OVER[-1]) == {"v2"}
    stage.write()
    stage.wait_for({"v1"}, **OVER[-1])
    stage.wait_for({"404"}, host=preview)
    assert users_part(stage.stored) == before


@pytest.mark.parametrize("stage", ["httproute"], indirect=True)
def test_a_user_who_saw_the_new_version_keeps_seeing_it_while_it_has_traffic(
    stage: Stage,
) -> None:
    """A browser keeps the cookie that came with the first answer; an abort overrules it."""
    sticky = Sticky("seen", 60, value="7f")
    share = Share("web-canary", 50, sticky=sticky)
    notes = stage.router.without(stage.objects, stage.stored, stage.app.namespace, {"web": share})
    assert notes == ()
    stage.write(web=share)
    stage.wait_for({"v1", "v2"})
    jar = SimpleCookie()
    for answer in (stage.get() for _ in range(20)):
        cookie = answer.headers.get("Set-Cookie")
        assert bool(cookie) == (answer.headers["X-Version"] == "v2")
        jar.load(cookie or "")
    assert {name: (c.value, c["max-age"], c["path"]) for name, c in jar.items()} == {
        "seen": ("7f", "60", "/")
    }
    assert stage.versions(Cookie="a=b; seen=7f") == {"v2"}
    shares = Counter(stage.get(Cookie="seen=6e").headers["X-Version"] for _ in range(20))
    assert shares == {"v1": 10, "v2": 10}, "the cookie of an earlier release says nothing"
    stage.write(web=Share("web-canary", 0, sticky=sticky))
    stage.wait_for({"v1"}, Cookie="seen=7f")


def test_a_mirror_is_refused_where_the_router_can_not_and_costs_nobody_a_request(
    stage: Stage,
) -> None:
    """Traefik's class does not list it, and its filter would answer 500; the dialect has none."""
    share = Share("web-canary", 0, mirrors=(MirrorRoute(name="shadow"),))
    said = stage.router.lacks(stage.objects, stage.stored, stage.app.namespace, {"web": share})
    where = f"{stage.route['kind']} {stage.app.namespace}/web"
    assert re.match(
        f"{where} can't mirror requests: .*(HTTPRouteRequestMirror|dialect)", said or ""
    )
    stage.write(web=share)
    assert stage.versions() == {"v1"}


def test_an_older_leader_moves_no_weight(stage: Stage) -> None:
    """It was paused while its successor took the weight back, and wakes up."""
    stage.write(term=5, web=Share("web-canary", 0))
    with pytest.raises(LabError, match="comes from an older leader"):
        stage.write(term=4, web=Share("web-canary", 50))
    assert stage.versions() == {"v1"}
    stage.write(term=6, web=Share("web-canary", 100))
    stage.wait_for({"v2"})
