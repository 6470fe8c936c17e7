"""Bodies of strangers as plain data: nothing in them may end the program, and what cannot be read says why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

DEPTH_MAX = 60
VALUES_MAX = 200_000
STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"


class UnreadableError(ValueError):
    """What is wrong with a body."""


def read_json(body: bytes) -> Any:
    """The body as data. Raises: UnreadableError for bad UTF-8, no JSON, not-a-number, and what is nested too deep or too large."""
    try:
        data = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"the body is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise UnreadableError(f"the body is nested deeper than {DEPTH_MAX} levels") from error
    except ValueError as error:
        raise UnreadableError(f"the body is no JSON: {str(error)[:200]}") from error
    _check_size(data)
    return data


def _no_number(name: str) -> Any:
    raise UnreadableError(f"the body is no JSON: it holds {name}")


def _check_size(data: Any) -> None:
    """Level by level, because a recursive look would fail at what it looks for."""
    level, values = [data], 0
    for _ in range(DEPTH_MAX + 1):
        values += len(level)
        if values > VALUES_MAX:
            raise UnreadableError(f"the body holds more than {VALUES_MAX:,} values")
        level = [child for each in level for child in _children(each)]
        if not level:
            return
    raise UnreadableError(f"the body is nested deeper than {DEPTH_MAX} levels")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def dig(data: Any, *path: str | int) -> Any:
    """What stands at a path; ``None`` where there is nothing."""
    for part in path:
        if isinstance(data, dict) and isinstance(part, str):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and -len(data) <= part < len(data):
            data = data[part]
        else:
            return None
    return data


def text(data: Any, *path: str | int, limit: int = 500) -> str:
    """What stands at a path as text that a database takes; empty where there is none, or a collection."""
    found = dig(data, *path)
    if found is None or isinstance(found, bool | dict | list):
        return ""
    return clean(str(found))[:limit]


def clean(value: str) -> str:
    """Without NUL characters and halves of surrogate pairs."""
    return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def clean_data(value: Any, *, limit: int = 2_000) -> Any:
    """Data that a database takes: texts clean and cut, integers within 64 bits. At most ``DEPTH_MAX`` deep, as ``read_json`` made sure."""
    if isinstance(value, str):
        return clean(value)[:limit]
    if isinstance(value, dict):
        return {clean(str(key))[:200]: clean_data(each, limit=limit) for key, each in value.items()}
    if isinstance(value, list):
        return [clean_data(each, limit=limit) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return str(value)[:100]
    return value


def cloud_events(headers: Mapping[str, str], body: bytes) -> list[dict[str, Any]]:
    """The CloudEvents of a request, in structured, batched or binary mode; a CDEvent that comes bare counts as one.

    Raises: UnreadableError.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if "ce-type" in headers and kind not in {STRUCTURED, BATCHED}:
        attributes: dict[str, Any] = {name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name.startswith("ce-")}
        return [attributes | {"data": read_json(body) if body else None}]
    data = read_json(body)
    found = data if isinstance(data, list) else [data]
    if not all(isinstance(each, dict) for each in found):
        raise UnreadableError("the body is neither a CloudEvent nor a list of them")
    return found


def cloud_event_id(headers: Mapping[str, str], body: bytes) -> str:
    """Source and id, which together name a CloudEvent; empty for a batch and for what cannot be read."""
    try:
        events = cloud_events(headers, body)
    except UnreadableError:
        return ""
    if len(events) != 1:
        return ""
    place = events[0].get("context") if "context" in events[0] and "specversion" not in events[0] else events[0]
    source, event_id = text(place, "source"), text(place, "id")
    return f"{source} {event_id}" if event_id else ""
