"""Python's garbage collector, set for what Slipway's programs hold.

Reviews and watched objects are trees of dictionaries: they go by reference counting alone, but
their sheer number would send the collector through them again and again. What it is there for,
cycles, is rare here (tasks that ended, exceptions with their frames).
"""

import gc
from typing import Final

_YOUNG: Final = 10_000
"""Containers made and still alive, before the young are looked at. Python's own 700 are less than
two reviews in flight: a tenth of the webhook's CPU time."""


def relax() -> None:
    """Leave alone what the start of the program made, and look less often at what is new."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
