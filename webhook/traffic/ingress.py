"""Ingress: which controller an object is for decides how its split is written."""

from collections.abc import Mapping
from typing import Final

from webhook.objects.intent import Share, Split
from webhook.objects.raw import Object
from webhook.projection.fields import annotations
from webhook.traffic import alb_ingress, ingress_weights, nginx_ingress, skipper_ingress
from webhook.traffic.contract import Found, Objects, Router, Shown, Target, Write
from webhook.traffic.ingress_weights import Dialect
from webhook.traffic.nginx_preview import CLASS
from webhook.traffic.splits import home_of, shares_in, split_of
from webhook.traffic.weights_only import not_sticky

_DIALECTS: Final = (alb_ingress.DIALECT, skipper_ingress.DIALECT)
_NGINX: Final = nginx_ingress.ROUTER


def dialect_of(ingress: Object) -> Dialect | None:
    """By what the object says itself; None for the nginx dialect and whatever nobody knows."""
    if nginx_ingress.is_canary(ingress) or nginx_ingress.is_ours(ingress):
        return None
    if "nginx" in _class_of(ingress):
        return None
    return next((each for each in _DIALECTS if each.speaks(ingress)), None)


def _class_of(ingress: Object) -> str:
    name = (ingress.get("spec") or {}).get("ingressClassName")
    return str(name or annotations(ingress).get(CLASS) or "")


def _served(objects: Objects, ingress: Object) -> Dialect | None:
    """`dialect_of`, unless its class is known to be another controller's."""
    controllers = nginx_ingress.controllers(objects)
    if nginx_ingress.speaks_dialect(ingress, controllers):
        return None
    dialect, controller = dialect_of(ingress), controllers.get(_class_of(ingress))
    return dialect if dialect and (controller is None or dialect.controls(controller)) else None


def _services_of(ingress: Object) -> frozenset[tuple[str, str]]:
    dialect = dialect_of(ingress)
    services = dialect.services if dialect else nginx_ingress.services_of
    return frozenset((home_of(ingress), name) for name in services(ingress))


def _finds(objects: Objects, namespace: str, services: frozenset[str]) -> list[Found]:
    others = [
        Found(item, roots)
        for item in objects.get(KIND, ())
        if home_of(item) == namespace
        and (dialect := _served(objects, item))
        and (roots := dialect.services(item) & services)
    ]
    return [*_NGINX.finds(objects, namespace, services), *others]


def _shares(objects: Objects, ingress: Object, namespace: str) -> dict[str, Share]:
    if _served(objects, ingress) is None:
        return _NGINX.shares(objects, ingress, namespace)
    return shares_in(split_of(ingress), namespace, home_of(ingress))


def _writes(
    objects: Objects, ingress: Object, shares: Mapping[str, Share], target: Target
) -> list[Write]:
    if _served(objects, ingress) is None:
        return _NGINX.writes(objects, ingress, shares, target)
    return ingress_weights.writes(ingress, shares, target)


def _lacks(
    objects: Objects, ingress: Object, namespace: str, shares: Mapping[str, Share]
) -> str | None:
    dialect = _served(objects, ingress)
    if dialect is None:
        return _NGINX.lacks(objects, ingress, namespace, shares)
    return ingress_weights.lacks(dialect, objects, ingress, shares)


def _without(
    objects: Objects, ingress: Object, namespace: str, shares: Mapping[str, Share]
) -> tuple[str, ...]:
    if _served(objects, ingress) is None:
        return _NGINX.without(objects, ingress, namespace, shares)
    return not_sticky(KIND, ingress, shares)


def _affected(
    objects: Objects, ingress: Object, namespace: str, services: frozenset[str]
) -> tuple[str, ...]:
    dialect = _served(objects, ingress)
    if dialect is None:
        return _NGINX.affected(objects, ingress, namespace, services)
    return dialect.affected(restore(ingress), services)


def project(users: Object, split: Split | None) -> Object:
    """The user's Ingress with the split shown in it; one in the nginx dialect as it is."""
    dialect = dialect_of(users)
    return ingress_weights.project(dialect, users, split) if dialect else users


def restore(new: Object, old: Object | None = None) -> Object:
    """The user's Ingress behind a written one."""
    dialect = dialect_of(new)
    return ingress_weights.restore(dialect, new, old) if dialect else new


KIND: Final = ingress_weights.KIND
ROUTER: Final = Router(
    group="networking.k8s.io",
    kind=KIND,
    services_of=_services_of,
    finds=_finds,
    shares=_shares,
    unprogrammed=lambda _ingress: None,
    projected=lambda ingress: project(restore(ingress), split_of(ingress)),
    strays=_NGINX.strays,
    writes=_writes,
    lacks=_lacks,
    without=_without,
    affected=_affected,
    shown=Shown(project, restore),
)
