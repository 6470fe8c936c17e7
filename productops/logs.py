"""Structured logs: one set-up for every program, with release and flow-run ids where they are bound, and no secrets in them."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

import structlog
from pydantic import SecretStr

from productops.redaction import BLANK, know_secrets, names_secret, password_of, redact, redact_value
from productops.settings import Settings

_plain_record: Callable[..., logging.LogRecord] = logging.LogRecord


def _redact(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key, value in event.items():
        event[key] = BLANK if names_secret(key) else redact_value(value)
    return event


def _redact_line(_logger: Any, _method: str, line: Any) -> str:
    """The written line once more: values that are no texts may have become some with a secret in them."""
    return redact(str(line))


class _Patient:
    """Standard error that never fails: a full disk must not end a program that gives users the baseline back."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def _safe_record(*args: Any, **more: Any) -> logging.LogRecord:
    """A record of the standard library's logging without secrets, for every logger and handler of the process, Prefect's among them."""
    record = _plain_record(*args, **more)
    try:
        written = record.getMessage()
    except (TypeError, ValueError):
        return record  # a format that does not fit its arguments is told by logging itself
    safe = redact(written)
    if safe != written:
        record.msg, record.args = safe, ()
    if record.exc_info and record.exc_info[0] is not None:
        trace = logging.Formatter().formatException(record.exc_info)
        if (safe := redact(trace)) != trace:
            record.exc_text = safe  # a formatter writes this instead of the error itself
            record.exc_info = None
    return record


def guard_logging(settings: Settings, *secrets: str | None) -> None:
    """Take every secret of the settings, and those given besides, out of whatever this process logs or answers from now on."""
    known = [value.get_secret_value() for name in Settings.model_fields if isinstance(value := getattr(settings, name), SecretStr)]
    urls = (settings.database_url, settings.prefect_database_url)
    know_secrets([*known, *(password_of(url) for url in urls), *secrets])
    if logging.getLogRecordFactory() is not _safe_record:
        globals()["_plain_record"] = logging.getLogRecordFactory()
        logging.setLogRecordFactory(_safe_record)


def set_up_logs(settings: Settings, *, program: str) -> None:
    """JSON lines (or coloured text) on standard error, from ``log_level`` up, secrets blanked."""
    guard_logging(settings)
    level = logging.getLevelNamesMapping()[settings.log_level]
    renderer: Any = structlog.processors.JSONRenderer() if settings.log_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact,
            renderer,
            _redact_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Patient())),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(program=program)
