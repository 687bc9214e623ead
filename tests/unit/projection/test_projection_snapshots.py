"""What a template shows of its ConfigMaps and Secrets, and the way back."""

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import Object
from webhook import names
from webhook.projection.config import (
    UNCOPIED,
    Ref,
    can_be_copied,
    digest_of,
    digests_in,
    live_digest,
    plain,
    references,
    settled,
    shown,
    snapshot_name,
    source_of,
)
from webhook.projection.template import (
    revision_and_version,
    revision_of,
)

NAMES = st.sampled_from(["web", "web.v1", "app-config", "x" * 253])
DIGESTS = st.text("0123456789abcdef", min_size=10, max_size=10)


@st.composite
def pods(draw: st.DrawFn) -> Object:
    """Pod specs that name ConfigMaps and Secrets everywhere where a pod can."""
    name = lambda: draw(NAMES)  # noqa: E731 a name for each place
    kinds = {
        "configMap": lambda: {"configMap": {"name": name(), "optional": True}},
        "secret": lambda: {"secret": {"secretName": name()}},
        "emptyDir": lambda: {"emptyDir": {}},
        "projected": lambda: {
            "projected": {"sources": [{"configMap": {"name": name()}}, {"secret": {"name": name()}},
                                      {"serviceAccountToken": {"path": "t"}}]}
        },
    }  # fmt: skip
    variables = {
        "value": lambda: {"value": "1"},
        "field": lambda: {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        "configMap": lambda: {"valueFrom": {"configMapKeyRef": {"name": name(), "key": "k"}}},
        "secret": lambda: {"valueFrom": {"secretKeyRef": {"name": name(), "key": "k"}}},
    }
    all_of = {
        "configMap": lambda: {"prefix": "P_", "configMapRef": {"name": name()}},
        "secret": lambda: {"secretRef": {"name": name()}},
    }

    def container() -> Object:
        made: Object = {"name": "c", "image": "web:v1"}
        for field, choices in (("env", variables), ("envFrom", all_of)):
            picked = draw(st.lists(st.sampled_from(sorted(choices)), max_size=3))
            if picked:
                made[field] = [{"name": f"n{i}", **choices[p]()} for i, p in enumerate(picked)]
        return made

    volumes = draw(st.lists(st.sampled_from(sorted(kinds)), max_size=3))
    spec: Object = {
        "containers": [container()],
        "volumes": [{"name": f"v{i}", **kinds[kind]()} for i, kind in enumerate(volumes)],
        "imagePullSecrets": [{"name": "pull"}],
    }
    if draw(st.booleans()):
        spec["initContainers"] = [container()]
    return {"metadata": {"labels": {"app": "web"}}, "spec": spec}


@settings(deadline=None)
@given(pods(), st.data())
def test_the_users_template_is_what_the_inverse_gives(
    template: Object, data: st.DataObject
) -> None:
    """Any choice of snapshots, in any place, comes back value for value; nothing is changed."""
    before = deepcopy(template)
    refs = references(template)
    digests = {str(ref): data.draw(DIGESTS) for ref in refs if data.draw(st.booleans())}
    made = shown(template, digests)
    assert template == before
    assert plain(made) == template
    assert digests_in(made) == digests
    assert plain(plain(made)) == plain(made)
    assert settled(template, made) is made
    assert settled(made, made) is made
    assert references(plain(made)) == refs
    if not digests:
        assert made is template


@settings(deadline=None)
@given(pods(), DIGESTS, DIGESTS)
def test_other_contents_are_another_revision(template: Object, one: str, two: str) -> None:
    """The same manifest is the same revision just as long as its contents are the same."""
    refs = [str(ref) for ref in references(template)]
    first = shown(template, dict.fromkeys(refs, one))
    second = shown(template, dict.fromkeys(refs, two))
    same = not refs or one == two
    assert (revision_of(first) == revision_of(second)) is same
    assert (revision_and_version(first)[1] == revision_and_version(second)[1]) is same
    assert settled(second, first) is (first if same else second)


def test_every_place_of_a_pod_that_names_config_is_found() -> None:
    """Volumes, projected volumes, env and envFrom, of containers and init containers."""
    template = configured()
    template["spec"]["volumes"] = [
        {"name": "a", "configMap": {"name": "files"}},
        {"name": "b", "secret": {"secretName": "certs"}},
        {"name": "c", "projected": {"sources": [{"configMap": {"name": "p"}},
                                                {"secret": {"name": "q"}}]}},
    ]  # fmt: skip
    template["spec"]["initContainers"] = [
        {"name": "i", "envFrom": [{"configMapRef": {"name": "init"}}]}
    ]
    template["spec"]["imagePullSecrets"] = [{"name": "pull"}]
    assert set(references(template)) == {
        Ref("ConfigMap", "web"), Ref("Secret", "key"), Ref("ConfigMap", "files"),
        Ref("Secret", "certs"), Ref("ConfigMap", "p"), Ref("Secret", "q"), Ref("ConfigMap", "init"),
    }  # fmt: skip


@given(NAMES, DIGESTS)
def test_a_snapshots_name_tells_of_what_it_is_a_copy(name: str, digest: str) -> None:
    """It is read from the name alone, and no name is too long for the API server."""
    assert source_of(name) == (name, "")
    assert source_of(snapshot_name(name, digest)) == (name, digest)
    assert can_be_copied(name) is (len(snapshot_name(name, digest)) <= 253)


def test_a_digest_is_about_contents_alone() -> None:
    """Labels, versions and the order of keys change nothing; data, binary data and type do."""
    one = {"metadata": {"name": "web", "resourceVersion": "1"}, "data": {"a": "1", "b": "2"}}
    two = {"metadata": {"name": "x", "labels": {"a": "b"}}, "data": {"b": "2", "a": "1"}}
    assert digest_of(one) == digest_of({**two, "immutable": True, "binaryData": {}})
    others = [{**one, "data": {"a": "1"}}, {**one, "binaryData": {"c": ""}}, {**one, "type": "x"}]
    assert len({digest_of(each) for each in (one, *others)}) == 4


@pytest.mark.parametrize(
    "what",
    [
        {"metadata": {"name": "web", "annotations": {names.LIVE: "true"}}},
        {"metadata": {"name": "t"}, "type": "kubernetes.io/service-account-token"},
        {"metadata": {"name": "x" * 240}},
    ],
)
def test_some_objects_are_always_read_live(what: Object) -> None:
    """A person asked for it, the cluster fills it in, or no name is left for a copy."""
    assert live_digest(what) == UNCOPIED
    assert digest_of(what)


def configured() -> Object:
    """A template whose container reads a ConfigMap and a Secret."""
    env = [{"configMapRef": {"name": "web"}}, {"secretRef": {"name": "key"}}]
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:v1", "envFrom": env}]},
    }
