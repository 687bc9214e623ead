"""Silence: thousands of releases would write a log that nobody reads."""

from __future__ import annotations

import logging

import structlog


def hush() -> None:
    """Drop everything that is logged."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        cache_logger_on_first_use=False,
    )
