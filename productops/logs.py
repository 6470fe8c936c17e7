"""Structured logs: one set-up for every program, with release and flow-run ids where they are bound."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, TextIO, cast

import structlog

from productops.settings import Settings

_SECRET = ("token", "password", "secret", "authorization")


def _redact(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key in event:
        if any(word in key.lower() for word in _SECRET):
            event[key] = "***"
    return event


class _Patient:
    """Standard error that never fails: a full disk must not end a program that gives users the baseline back."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def set_up_logs(settings: Settings, *, program: str) -> None:
    """JSON lines (or coloured text) on standard error, from ``log_level`` up, secrets blanked."""
    level = logging.getLevelNamesMapping()[settings.log_level]
    renderer: Any = structlog.processors.JSONRenderer() if settings.log_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Patient())),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(program=program)
