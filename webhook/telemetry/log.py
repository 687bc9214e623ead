"""Logs: one event a line, with fields, for a machine or for a person."""

import logging
import sys
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import Processor

Format = Literal["json", "console"]


def configure(level: str = "info", format: Format = "json", stream: TextIO | None = None) -> None:
    """Send every log line of the process, also those of libraries, through one renderer.

    Raises:
        ValueError: ``level`` is none of debug, info, warning, error, critical.

    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"no log level {level!r}: use debug, info, warning, error or critical")
    out = stream or sys.stderr
    shared = _shared()
    renderer = _renderer(format, colors=out.isatty())
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,  # tests and the CLI may configure more than once
    )
    _route_libraries(number, out, shared, renderer)


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderer(format: Format, *, colors: bool) -> list[Processor]:
    if format == "console":
        return [structlog.dev.ConsoleRenderer(colors=colors)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_dumps),
    ]


def _dumps(fields: dict[str, Any], **_: Any) -> str:
    return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _route_libraries(
    level: int, out: TextIO, shared: list[Processor], renderer: list[Processor]
) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    # One line for each admission review or probe is what the metrics are for.
    logging.getLogger("aiohttp.access").setLevel(max(level, logging.WARNING))
