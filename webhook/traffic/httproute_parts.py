"""Reading an HTTPRoute: rules, backends, matches and filters."""

from typing import Any, Final, TypeAlias

from webhook.objects.raw import Object
from webhook.projection.fields import read
from webhook.traffic.splits import key_of, read_list

RULES: Final = ("spec", "rules")
ROOT_MATCH: Final[Object] = {"path": {"type": "PathPrefix", "value": "/"}}
"""What a rule without matches stands for (Gateway API v1)."""

Backends: TypeAlias = list[Any]


def key_in(ref: Any, home: str) -> str | None:
    """The key of a Service backend; None for anything else."""
    if not is_service(ref):
        return None
    return key_of(ref.get("namespace") or home, str(ref.get("name")), home)


def weight_of(ref: Any) -> int:
    """A backend's weight; 1 where it has none."""
    weight = ref.get("weight", 1)
    return weight if isinstance(weight, int) else 1


def is_service(ref: Any) -> bool:
    """Whether a backend is a Service."""
    return (
        isinstance(ref, dict)
        and ref.get("kind", "Service") == "Service"
        and ref.get("group", "") in ("", "core")
    )


def rules_of(route: Object) -> list[Any]:
    """The rules; none where they can't be read."""
    rules = read(route, RULES)
    return rules if isinstance(rules, list) else []


def backends_of(rule: Any) -> Backends:
    """A rule's backends."""
    return read_list(rule, "backendRefs")


def filters_of(part: Any) -> list[Any]:
    """Filters of a rule or of a backend."""
    return objects_in(part, "filters")


def part_of(obj: Any, *fields: str) -> Object:
    """A mapping inside an object; empty where there is none."""
    found = read(obj, fields)
    return found if isinstance(found, dict) else {}


def objects_in(part: Any, field: str) -> list[Any]:
    """A list of mappings. Anything else is refused by the API server, but after admission."""
    return [item for item in read_list(part, field) if isinstance(item, dict)]


def headers_of(match: Any) -> list[Any]:
    """The headers that a match asks for."""
    return objects_in(match, "headers")


def path_of(match: Any) -> Object:
    """The path that a match asks for, the implied one included."""
    return part_of(match, "path") or part_of(ROOT_MATCH, "path")


def matches_of(rule: Any) -> list[Any]:
    """A rule's matches, the implied one included."""
    return objects_in(rule, "matches") or [ROOT_MATCH]


def sends_to(rule: Any, key: str, home: str) -> Backends:
    """The entries of one Service that get requests: weight 0 is the user's own no."""
    return [ref for ref in backends_of(rule) if key_in(ref, home) == key and weight_of(ref) > 0]
