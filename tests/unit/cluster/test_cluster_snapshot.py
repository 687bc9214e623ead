"""One decision reads what is around its Deployment, however many others there are."""

from copy import deepcopy

import pytest

from tests.unit.cluster.crowd import NAMESPACE, Crowd
from webhook.cluster import kinds
from webhook.cluster.snapshot import gather
from webhook.release.observe import observe


def test_what_is_around_a_deployment_is_all_that_a_decision_needs() -> None:
    """The same is seen as if everything in the namespace had been read."""
    crowd = Crowd(4)
    for deployment in crowd.deployments:
        near = observe(gather(crowd.store, deployment, None))
        far = observe(crowd.whole(deployment))
        assert near.release is not None
        assert near.roots
        assert near.routes
        assert (near.deployment, near.stable, near.canary) == (
            far.deployment,
            far.stable,
            far.canary,
        )
        assert (near.roots, near.routes, near.release) == (far.roots, far.routes, far.release)


@pytest.mark.parametrize("apps", [1, 30])
def test_a_decision_reads_no_more_in_a_crowded_namespace(apps: int) -> None:
    """So five hundred releases at once cost each as much as one."""
    crowd = Crowd(apps)
    raw = gather(crowd.store, crowd.deployments[0], None)
    read = (raw.replicasets, raw.pods, raw.services, raw.slices, raw.releases)
    assert [len(part) for part in read] == [2, 2, 1, 1, 1]
    assert len(raw.routes["HTTPRoute"]) == 1
    assert raw.routes["Service"] == raw.services


def test_mappings_that_may_divide_the_same_requests_are_seen_whatever_they_send_to() -> None:
    """Only where a Mapping sends to the Deployment's Service at all."""
    crowd = Crowd(1)
    crowd.put(kinds.MAPPINGS, {"metadata": {}, "spec": {"prefix": "/", "service": "old"}}, "old")
    first = crowd.deployments[0]
    assert gather(crowd.store, first, None).routes["Mapping"] == []
    crowd.put(kinds.MAPPINGS, {"metadata": {}, "spec": {"prefix": "/", "service": "app0"}}, "new")
    (view,) = [
        r
        for r in observe(gather(crowd.store, first, None)).routes
        if r.roots == {"app0"} and r.ref.kind == "Mapping"
    ]
    assert view.lacks
    assert "Mapping shop/old takes a part of the same requests" in view.lacks


def test_a_service_that_also_selects_pods_of_others_is_seen_as_shared() -> None:
    """The others' pods are found by the label that the Service asks for."""
    crowd = Crowd(2)
    shared = {"selector": {"tier": "front"}, "ports": [{"port": 80}]}
    crowd.put(kinds.SERVICES, {"metadata": {}, "spec": shared}, "all")
    first = crowd.deployments[0]
    first["spec"]["template"]["metadata"]["labels"]["tier"] = "front"
    other = crowd.store.table(kinds.PODS, NAMESPACE).get(NAMESPACE, "app1-v1-0")
    assert other is not None
    labelled = deepcopy(other)
    labelled["metadata"]["labels"]["tier"] = "front"
    crowd.put(kinds.PODS, labelled, "app1-v1-0")
    roots = {root.name: root.shared for root in observe(gather(crowd.store, first, None)).roots}
    assert roots == {"app0": False, "all": True}


def test_what_is_deleted_or_changed_is_found_no_more_by_its_old_words() -> None:
    """Routes that send elsewhere, pods that are gone."""
    crowd = Crowd(1)
    deployment = crowd.deployments[0]
    route = crowd.store.table(kinds.HTTPROUTES).get(NAMESPACE, "app0")
    gone = crowd.store.table(kinds.PODS, NAMESPACE).get(NAMESPACE, "app0-v2-0")
    assert route
    assert gone
    elsewhere = {"rules": [{"backendRefs": [{"name": "other", "port": 80}]}]}
    crowd.put(kinds.HTTPROUTES, {"metadata": {}, "spec": elsewhere}, "app0")
    crowd.store.table(kinds.PODS, NAMESPACE).forget(gone)
    raw = gather(crowd.store, deployment, None)
    assert raw.routes["HTTPRoute"] == []
    assert [obj["metadata"]["name"] for obj in raw.pods] == ["app0-v1-0"]
