"""What the parents of a route of the Gateway API report of it, whichever kind of route it is."""

from webhook.objects.raw import Object


def unprogrammed(route: Object) -> str | None:
    """Why the route's present generation is not known to be accepted; None if it is.

    Every parent that reports must say Accepted and ResolvedRefs True at the generation of the
    object. A route that nobody reports on has nothing to wait for. Of a Service as parent Linkerd
    says no generation (source: its status controller): then what it says is taken as it stands.
    """
    generation = (route.get("metadata") or {}).get("generation", 0)
    for parent in (route.get("status") or {}).get("parents") or []:
        ref = parent.get("parentRef") or {}
        unsaid = generation if ref.get("kind") == "Service" else 0
        name = f"{ref.get('kind', 'Gateway')} {ref.get('name', '?')}"
        there = {c.get("type"): c for c in parent.get("conditions") or []}
        for kind in ("Accepted", "ResolvedRefs"):
            condition = there.get(kind)
            if condition is None or condition.get("observedGeneration", unsaid) < generation:
                return f"{name} has not reported {kind} for generation {generation}"
            if condition.get("status") != "True":
                value, message = condition.get("status"), condition.get("message")
                return f"{name} says {kind} is {value}: {message}"
    return None
