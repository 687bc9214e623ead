"""Silence for thousands of releases: no log that nobody reads, no searches for cycles."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


def hush() -> None:
    """Drop everything that is logged."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        cache_logger_on_first_use=False,
    )


@contextmanager
def undisturbed() -> Iterator[None]:
    """No log, and no garbage collection but that of `sweep`."""
    hush()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def sweep(seed: int) -> None:
    """Worlds are full of cycles; it is quicker to throw many away at once."""
    if seed % 25 == 0:
        gc.collect()
