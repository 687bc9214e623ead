"""The CRDs, as YAML: what users and `slipway run` rely on."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[3] / "charts" / "slipway"
Schema = dict[str, Any]

CRDS = {
    crd["spec"]["names"]["kind"]: crd
    for path in sorted((CHART / "crds").glob("*.yaml"))
    for crd in yaml.safe_load_all(path.read_text())
}
POLICIES = ("ClusterReleasePolicy", "ReleasePolicy")


def version(kind: str) -> Schema:
    (only,) = CRDS[kind]["spec"]["versions"]
    assert only["name"] == "v1alpha1"
    found: Schema = only
    return found


def schema(kind: str) -> Schema:
    found: Schema = version(kind)["schema"]["openAPIV3Schema"]
    return found


def spec(kind: str) -> dict[str, Schema]:
    found: dict[str, Schema] = schema(kind)["properties"]["spec"]["properties"]
    return found


def fields(node: Schema, path: str = "") -> list[tuple[str, Schema]]:
    """Every field below a schema, with its path."""
    found = []
    for name, child in node.get("properties", {}).items():
        found += [(f"{path}.{name}", child), *fields(child, f"{path}.{name}")]
    if "items" in node:
        found += fields(node["items"], f"{path}[]")
    return found


def defaulted(node: Schema, value: Any) -> Any:
    """What the API server stores for ``value``: its defaulting, in short."""
    if isinstance(value, dict):
        for name, child in node.get("properties", {}).items():
            if name not in value and "default" in child:
                value[name] = json.loads(json.dumps(child["default"]))
            if name in value:
                value[name] = defaulted(child, value[name])
    if isinstance(value, list):
        return [defaulted(node["items"], each) for each in value]
    return value


def test_there_are_three_kinds_with_short_names() -> None:
    """The names that people type."""
    rows = {
        kind: (
            crd["spec"]["scope"],
            crd["spec"]["names"]["plural"],
            *crd["spec"]["names"]["shortNames"],
        )
        for kind, crd in CRDS.items()
    }
    assert rows == {
        "ClusterReleasePolicy": ("Cluster", "clusterreleasepolicies", "crp"),
        "ReleasePolicy": ("Namespaced", "releasepolicies", "rp"),
        "Release": ("Namespaced", "releases", "rel"),
    }
    assert {crd["spec"]["group"] for crd in CRDS.values()} == {"slipway.dev"}


def test_the_smallest_policy_is_complete() -> None:
    """`spec: {}` and no spec at all mean the same, and every default is written down."""
    expected = {
        "match": {"namespaceSelector": {}, "objectSelector": {}},
        "traffic": {"settle": "5s", "drain": "30s"},
        "promotion": "Automatic",
        "rollbackWindow": {"revisions": 0},
        "config": {"guard": False},
        "analysis": {},
        "guardrails": {
            "onUnguardable": "Allow",
            "onSharedService": "Allow",
            "onUnsupportedStep": "Deny",
        },
        "revisionHistoryLimit": 10,
    }
    smallest: list[dict[str, Any]] = [{"spec": {}}, {}]
    for given in smallest:
        stored = defaulted(schema("ClusterReleasePolicy"), given)
        assert {key: stored["spec"][key] for key in expected} == expected


def test_a_strategy_is_never_defaulted_beside_the_one_a_user_chose() -> None:
    """A merge patch that sets another strategy would otherwise hold two."""
    for kind in POLICIES:
        assert "strategy" not in defaulted(schema(kind), {"spec": {}})["spec"]


def test_a_canary_with_no_steps_has_three() -> None:
    """10, 25, 50 %."""
    given: dict[str, Any] = {"spec": {"strategy": {"canary": {}}}}
    canary = defaulted(schema("ReleasePolicy"), given)["spec"]["strategy"]["canary"]
    assert [step["setWeight"] for step in canary["steps"]] == [10, 25, 50]


def test_both_policies_say_the_same() -> None:
    """They differ only in that one selects namespaces and the other lies in one."""
    cluster, namespaced = (dict(spec(kind)) for kind in POLICIES)
    mine, theirs = cluster.pop("match"), namespaced.pop("match")
    assert cluster == namespaced
    assert set(mine["properties"]) - set(theirs["properties"]) == {"namespaceSelector"}
    assert mine["properties"]["objectSelector"] == theirs["properties"]["objectSelector"]
    assert (
        version("ReleasePolicy")["additionalPrinterColumns"]
        == (version("ClusterReleasePolicy")["additionalPrinterColumns"])
    )


def test_a_release_takes_the_policys_strategy_as_it_is() -> None:
    """The snapshot's strategy accepts what a policy accepts."""
    snapshot, policy = spec("Release")["strategy"], spec("ReleasePolicy")["strategy"]
    assert snapshot["properties"] == policy["properties"]


def test_only_the_fields_for_people_can_change_in_a_release() -> None:
    """Everything else is frozen, also against being added or dropped."""
    frozen = {
        name
        for name, child in spec("Release").items()
        if any(
            rule["rule"] == "self == oldSelf" for rule in child.get("x-kubernetes-validations", ())
        )
    }
    people = {"paused", "abort", "approve", "skip", "promote", "retry", "results"}
    assert set(spec("Release")) - frozen == people
    presence = schema("Release")["properties"]["spec"]["x-kubernetes-validations"][0]["rule"]
    optional = frozen - set(schema("Release")["properties"]["spec"]["required"])
    assert {
        name for name in optional if f"has(self.{name}) == has(oldSelf.{name})" in presence
    } == (optional)


def test_a_release_tells_its_story_in_columns() -> None:
    """What `kubectl get releases` shows, and which of it only with `-o wide`."""
    columns = version("Release")["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column.get("priority")]
    assert shown == [
        "Deployment", "Version", "Phase", "Step", "Weight", "Measured", "Ready", "Reason", "Age",
    ]  # fmt: skip
    known = {path for path, _ in fields(schema("Release"))}
    own = [
        column["jsonPath"] for column in columns if not column["jsonPath"].startswith(".metadata")
    ]
    assert set(own) <= known


@pytest.mark.parametrize("kind", sorted(CRDS))
def test_a_kind_can_be_waited_for_and_has_a_status_of_its_own(kind: str) -> None:
    """Conditions are merged by type; spec and status have separate rights."""
    assert version(kind)["subresources"] == {"status": {}}
    conditions = schema(kind)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


@pytest.mark.parametrize("kind", sorted(CRDS))
def test_every_field_of_a_spec_explains_itself_to_kubectl_explain(kind: str) -> None:
    """Fields whose parent says it all (a name, a uid, a version) are left alone."""
    obvious = {"name", "uid", "kind", "version", "revision", "canary", "root", "namespace"}
    silent = [
        path
        for path, child in fields(schema(kind)["properties"]["spec"])
        if "description" not in child and path.rsplit(".", 1)[-1] not in obvious
    ]
    assert silent == []


@pytest.mark.parametrize("kind", sorted(CRDS))
def test_a_crd_is_small_enough_for_a_client_side_apply(kind: str) -> None:
    """kubectl copies the whole object into one annotation, of 262,144 bytes at most."""
    assert len(json.dumps(CRDS[kind])) < 40_000


@pytest.mark.parametrize("kind", sorted(CRDS))
def test_a_schema_refuses_what_it_does_not_know(kind: str) -> None:
    """Nothing is preserved unseen, so a misspelt field is an error under strict validation."""
    assert "preserve-unknown" not in json.dumps(CRDS[kind])
