"""What is said of a route that can only divide requests by weight, whatever its kind."""

from collections.abc import Mapping

from webhook.objects.intent import Share
from webhook.objects.raw import Object
from webhook.traffic.splits import home_of


def named(kind: str, obj: Object) -> str:
    """The route, at the beginning of a sentence."""
    return f"{kind} {home_of(obj)}/{obj['metadata']['name']}"


def more_than_weights(kind: str, obj: Object, shares: Mapping[str, Share]) -> str | None:
    """A sentence about what shares ask for beside weights, if they do."""
    for share in shares.values():
        asked = {
            "carry the header route": any(route.match for route in share.headers),
            "mirror requests": any(mirror.percentage for mirror in share.mirrors),
            f"be previewed at {share.preview}": bool(share.preview),
        }
        for what, wanted in asked.items():
            if wanted:
                return (
                    f"{named(kind, obj)} can't {what}: Slipway writes only weights in this kind "
                    "of route"
                )
    return None


def not_sticky(kind: str, obj: Object, shares: Mapping[str, Share]) -> tuple[str, ...]:
    """A sentence about stickiness, which is left out, if shares ask for it."""
    if not any(share.sticky for share in shares.values()):
        return ()
    return (f"{named(kind, obj)} does not bring users back to their version: it has weights only",)
