"""A watch of the lab tells every state of an object, however fast they follow each other."""

import pytest

from lab.api import Object
from lab.cluster import Lab
from lab.watch import Watch

pytestmark = pytest.mark.e2e


def value_of(obj: Object) -> str:
    return str(obj["data"]["value"])


def test_no_state_between_two_looks_is_missed(lab: Lab) -> None:
    """Ten states in a row, told in order; those that were there before are told first."""
    namespace, told = lab.namespace("watch"), list[str]()

    def saw(obj: Object) -> None:
        if obj["metadata"]["name"] == "counted":
            told.append(value_of(obj))

    meta = {"name": "counted", "namespace": namespace}
    lab.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"value": "0"}})
    watch = Watch(lab.api, "configmaps", namespace, saw)
    for value in range(1, 10):
        lab.patch("configmaps", "counted", {"data": {"value": str(value)}}, namespace)
    lab.wait(lambda: told[-1] == "9", 10, "the last state to be told")
    assert told == [str(value) for value in range(10)]
    lab.delete("configmaps", "counted", namespace)
    lab.wait(lambda: not any(map(_is_counted, watch.objects)), 10, "the object to be gone")
    watch.close()
    lab.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"value": "x"}})
    assert told[-1] == "9", "told after it was closed"


def _is_counted(obj: Object) -> bool:
    return bool(obj["metadata"]["name"] == "counted")
