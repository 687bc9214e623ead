"""Addresses and node ports of Services: given once, kept, and never to two of them."""

from __future__ import annotations

from collections.abc import Iterable

from tests.simulation.patches import Object, with_spec

_FIRST_PORT = 30_000


class Addresses:
    """What the API server allocates."""

    def __init__(self) -> None:
        self._given = 0

    def given(self, obj: Object, old: Object | None) -> Object:
        """The Service with all that it has to have."""
        spec = obj["spec"]
        if spec["type"] == "ExternalName":
            return with_spec(obj, clusterIP=None, clusterIPs=None)
        before = old["spec"] if old else {}
        address = spec.get("clusterIP") or before.get("clusterIP") or self._next("10.0.0.{}")
        ports = spec["ports"]
        if spec["type"] == "NodePort":
            known = {p["port"]: p.get("nodePort") for p in before.get("ports") or ()}
            ports = [{"nodePort": known.get(p["port"]) or self._port(), **p} for p in ports]
        return with_spec(obj, clusterIP=address, clusterIPs=[address], ports=ports)

    def _next(self, text: str) -> str:
        self._given += 1
        return text.format(self._given)

    def _port(self) -> int:
        self._given += 1
        return _FIRST_PORT + self._given


def clash(obj: Object, old: Object | None, others: Iterable[Object]) -> str | None:
    """Why the API server refuses these addresses; None if it does not."""
    spec = obj["spec"]
    if old and (was := old["spec"].get("clusterIP")) and spec.get("clusterIP") != was:
        return f"spec.clusterIP: field is immutable (it was {was})"
    address = None if spec.get("clusterIP") == "None" else spec.get("clusterIP")
    ports = {p["nodePort"] for p in spec.get("ports") or () if "nodePort" in p}
    for other in others:
        if other["metadata"]["uid"] == obj["metadata"]["uid"]:
            continue
        theirs = other["spec"]
        if address and theirs.get("clusterIP") == address:
            return "spec.clusterIPs: the provided IP is already allocated"
        if ports & {p.get("nodePort") for p in theirs.get("ports") or ()}:
            return "spec.ports: the provided node port is already allocated"
    return None


def without(spec: Object, wanted: Object) -> Object:
    """A Service's spec without what was allocated, and not asked for."""
    kept = {k: v for k, v in spec.items() if k not in ("clusterIP", "clusterIPs") or k in wanted}
    asked = [set(p) for p in wanted.get("ports") or ()]
    if len(asked) == len(kept.get("ports") or ()):
        kept["ports"] = [
            {k: v for k, v in port.items() if k != "nodePort" or k in keys}
            for port, keys in zip(kept["ports"], asked, strict=True)
        ]
    return kept
