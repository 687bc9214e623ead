"""What a policy may not say is refused as it is written, with the nearest right name."""

from typing import Any

import pytest

from webhook.mutation.request import Request
from webhook.mutation.validate import validate


def denied(spec: dict[str, Any]) -> str | None:
    """Why a policy with this spec is refused."""
    policy = {"kind": "ClusterReleasePolicy", "metadata": {"name": "default"}, "spec": spec}
    request = Request(
        uid="u", operation="CREATE", kind="ClusterReleasePolicy", group="slipway.dev",
        namespace="", name="default", object=policy, old=None,
    )  # fmt: skip
    return validate(request).denied


@pytest.mark.parametrize("field", ["include", "exclude"])
def test_a_route_of_a_kind_that_nobody_divides_is_refused_with_the_nearest(field: str) -> None:
    """It would never be found, and the policy would mean something else."""
    why = denied({"traffic": {"routes": {field: [{"kind": "HttpRoute"}]}}})
    assert why
    assert why.startswith(
        f"ClusterReleasePolicy default: spec.traffic.routes.{field}: Slipway divides no `HttpRoute`"
    )
    assert why.endswith("did you mean `HTTPRoute`?")


def test_routes_are_named_by_kind_namespace_and_name() -> None:
    """Each may be left out."""
    some = [{"kind": "HTTPRoute", "namespace": "infra", "name": "web"}, {"name": "admin"}]
    assert (
        denied({"traffic": {"routes": {"include": some, "exclude": [{"kind": "Ingress"}]}}}) is None
    )


def test_an_unknown_field_of_a_route_is_refused_with_the_nearest() -> None:
    """As everywhere in a policy."""
    why = denied({"traffic": {"routes": {"include": [{"knd": "Ingress"}]}}})
    assert why
    assert "did you mean `kind`?" in why
