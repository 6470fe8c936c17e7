"""What programs write, read as log lines: JSON, ``key=value``, and text with a time and a level somewhere at its beginning."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from productops.domain.monitoring_logs import TEXT_MAX, LogLevel, unix_us

HEAD = 160
FUTURE_US = 3_600_000_000
"""A clock that is more than an hour ahead is wrong: then the time counts at which the line came in."""
PAST_US = 7 * 86_400 * 1_000_000
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d:\d\d)(?P<fraction>[.,]\d{1,9})?\s?(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?"
)  # fmt: skip
_LEVEL = re.compile(
    r"\b(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|SEVERE|CRITICAL|CRIT|FATAL|PANIC|EMERG)\b"
    r"|(?:\blevel=|\blvl=|\bseverity=|\[)\"?(?:trace|debug|info|notice|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|panic|emerg|alert)\b",
)
_LEVEL_WORD = re.compile(r"[A-Za-z]+$")
_BEGINS_BADLY = re.compile(
    r"^(?:Traceback \(most recent call last\)|panic: |fatal error: |Exception in thread |Uncaught |Unhandled "
    r"|[\w.]+(?:Error|Exception)\b)"
)
_ACCESS = re.compile(r"\" ([1-5]\d\d) (?:\d+|-)")
_TRACE = re.compile(r"(?:trace_?id|traceparent)[\"']?\s*[=:]\s*[\"']?(?:00-)?([0-9a-f]{32})\b", re.IGNORECASE)
_TIME_KEYS = ("timestamp", "@timestamp", "time", "ts", "datetime", "date")
_LEVEL_KEYS = ("level", "severity", "levelname", "lvl", "log.level", "severity_text")
_TEXT_KEYS = ("message", "msg", "event", "text", "log", "body")
_TRACE_KEYS = ("trace_id", "traceId", "traceid", "trace.id", "otelTraceID", "dd.trace_id")
_STACK_KEYS = ("exception", "exc_info", "stack", "stack_trace", "stacktrace", "exception.stacktrace", "error.stack_trace", "error.stack")
_HEX = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A line as it was read; ``at_us`` is Unix microseconds."""

    at_us: int
    level: LogLevel
    text: str
    trace_id: str = ""


def parse(record: str, *, received_us: int) -> Parsed:
    """One record, of one or several lines. A time without a zone is of this machine's zone."""
    if record.startswith("{") and record.rstrip().endswith("}"):
        found = _parse_json(record, received_us)
        if found is not None:
            return found
    head = record[:HEAD]
    at = _time_in(head, received_us)
    trace = _TRACE.search(record) if "trace" in record or "Trace" in record or "TRACE" in record else None
    return Parsed(at, _level_in(head, record), record[:TEXT_MAX], trace[1].lower() if trace else "")


def _time_in(head: str, received_us: int) -> int:
    found = _TIME.search(head)
    if found is None:
        return received_us
    second = _second(found["day"], found["time"], found["zone"] or "")
    if second is None:
        return received_us
    fraction = found["fraction"]
    return _sane(second + (int(fraction[1:7].ljust(6, "0")) if fraction else 0), received_us)


@lru_cache(maxsize=4_096)
def _second(day: str, time: str, zone: str) -> int | None:
    """Unix microseconds of a whole second; thousands of lines share one."""
    try:
        at = datetime.fromisoformat(f"{day}T{time}{zone.replace('UTC', 'Z')}")
        return unix_us(at.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _sane(at_us: int, received_us: int) -> int:
    return at_us if received_us - PAST_US <= at_us <= received_us + FUTURE_US else received_us


def _level_in(head: str, record: str) -> LogLevel:
    found = _LEVEL.search(head)
    if found is not None:
        word = _LEVEL_WORD.search(found[0])
        return LogLevel.of_name(word[0] if word else "") or LogLevel.INFO
    if _BEGINS_BADLY.match(head) or "\nTraceback (most recent call last)" in record:
        return LogLevel.ERROR
    answer = _ACCESS.search(record, 0, 2_000)
    return LogLevel.ERROR if answer is not None and answer[1] >= "500" else LogLevel.INFO


def _parse_json(record: str, received_us: int) -> Parsed | None:
    try:
        document = json.loads(record)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    message = _take(document, _TEXT_KEYS)
    stack = _take(document, _STACK_KEYS)
    level = _take(document, _LEVEL_KEYS)
    at = _json_time(_take(document, _TIME_KEYS), received_us)
    trace = str(_take(document, _TRACE_KEYS) or "").replace("-", "").lower()
    rest = " ".join(f"{key}={_shown(value)}" for key, value in document.items())
    text = " ".join(filter(None, (str(message) if message is not None else "", rest)))
    if stack:
        text = f"{text}\n{_lines(stack)}"
    return Parsed(at, _json_level(level, text), text[:TEXT_MAX], trace if _HEX.fullmatch(trace) else "")


def _take(document: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """The value of the first of these keys; it is taken out of the document."""
    return next((document.pop(key) for key in keys if key in document), None)


def _lines(stack: Any) -> str:
    if isinstance(stack, list):
        return "\n".join(str(line) for line in stack)
    return str(stack.get("stacktrace") or stack) if isinstance(stack, Mapping) else str(stack)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _json_level(value: Any, text: str) -> LogLevel:
    if isinstance(value, bool):
        return LogLevel.INFO
    if isinstance(value, (int, float)):  # pino and bunyan: 10, 20, … 60
        return {10: LogLevel.TRACE, 20: LogLevel.DEBUG, 40: LogLevel.WARNING, 50: LogLevel.ERROR, 60: LogLevel.FATAL}.get(
            int(value), LogLevel.INFO
        )  # fmt: skip
    named = LogLevel.of_name(str(value)) if value is not None else None
    return named or _level_in(text[:HEAD], text)


def _json_time(value: Any, received_us: int) -> int:
    if isinstance(value, str):
        return _time_in(value, received_us)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e19:
        return received_us
    # Seconds, or the thousandth, millionth, billionth part of one, by how large the number is.
    for factor in (1e6, 1e3, 1.0, 1e-3):
        at = int(value * factor)
        if _sane(at, received_us) == at:
            return at
    return received_us
