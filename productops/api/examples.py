"""Examples for the document: those that schemas give, and for the rest values that fit the schema and read like real ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DEPTH_MAX = 10
STREAM = 'id: 42\nevent: phase\ndata: {"seq": 42, "type": "phase", "payload": {"from": "rolling_out", "to": "promoting"}}\n\n'
TEXTS = {
    "text/event-stream": STREAM,
    "image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg"/>',
    "text/csv": "id,at\n",
    "application/x-ndjson": "{}\n",
    "application/zip": "PK…",
}
_ID = "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"
_AT = "2026-11-21T03:00:00Z"
# By the name of a field; whatever is not named here follows from its type.
_NAMED: dict[str, Any] = {
    "service": "storefront", "venture": "apollo", "version": "1.1.0", "baseline_version": "1.0.0", "candidate_version": "1.1.0",
    "live_version": "1.0.0", "actor": "mia", "author": "mia", "owner": "mia", "requested_by": "mia", "asked_by": "mia",
    "name": "storefront",
    "reason": "customers cannot pay", "note": "the new basket", "title": "storefront 1.0.0 → 1.1.0 (production)",
    "url": "https://example.com/",
    "default_variant": "off", "off_variant": "off",
    "key": "new-checkout", "slug": "not-found", "origin": "api", "description": "sells things", "variant": "on",
    "email": "mia@example.com", "timezone": "Pacific/Auckland", "action": "release.promoted", "subject": f"release/{_ID}",
    "hash": "9f2d4b0c", "type": "phase",
    "requests": 41200, "failures": 12, "weight_pct": 20, "percent": 20, "hold_s": 30.0, "port": 8710, "operation": "release.read",
}  # fmt: skip
_PATTERNED = (
    "PRODUCTOPS_SECRET_SHOP",
    "release.*",
    "release.promoted",
    "storefront",
    "1.1.0",
    "a" * 64,
    "a" * 32,
    _ID,
    _AT,
    "/x",
    "en",
    "1",
)
# Objects whose members are not fields of a schema.
_OBJECTS: dict[str, dict[str, Any]] = {"variants": {"off": False, "on": True}, "spec": {"owner": "mia"}}
_FORMATS = {
    "date-time": _AT, "date": "2026-11-21", "time": "03:00:00", "uuid": _ID, "uri": "https://example.com/", "email": "mia@example.com",
    "duration": "PT30S",
}  # fmt: skip


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, name: str = "", depth: int = 0) -> Any:
    """A value that the schema allows. ``schemas`` are the document's components; ``name`` is the field it is for."""
    if "$ref" in schema and not schema.get("examples"):
        target = schema["$ref"].rsplit("/", 1)[-1]
        return example_of(schemas[target], schemas, name=name, depth=depth)
    given = _given(schema)
    if given is not None:
        return given[0]
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return _first(schema[union], schemas, name=name, depth=depth)
    return _by_type(schema, schemas, name=name, depth=depth)


def _given(schema: Mapping[str, Any]) -> tuple[Any] | None:
    """What the schema itself says, in a tuple, since the value may be null."""
    if schema.get("examples"):
        return (schema["examples"][0],)
    for member in ("example", "const"):
        if member in schema:
            return (schema[member],)
    return (schema["enum"][0],) if schema.get("enum") else None


def _first(members: list[Mapping[str, Any]], schemas: Mapping[str, Any], *, name: str, depth: int) -> Any:
    real = [m for m in members if m.get("type") != "null"]
    return example_of(real[0], schemas, name=name, depth=depth) if real and depth < DEPTH_MAX else None


def _by_type(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, name: str, depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        return _object(schema, schemas, depth=depth) if schema.get("properties") else _map(schema, schemas, name=name, depth=depth)
    if kind == "array":
        wanted = max(1, int(schema.get("minItems", 1))) if depth < DEPTH_MAX else int(schema.get("minItems", 0))
        return [example_of(schema.get("items", {}), schemas, name=name.removesuffix("s"), depth=depth + 1) for _ in range(wanted)]
    if kind == "boolean":
        return False
    if kind in {"integer", "number"}:
        return _number(schema, name)
    if kind == "null":
        return None
    return _text(schema, name)


def _object(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, depth: int) -> dict[str, Any]:
    wanted = set(schema.get("required", ())) if depth >= DEPTH_MAX else set(schema.get("properties", {}))
    return {
        field: example_of(value, schemas, name=field, depth=depth + 1)
        for field, value in schema.get("properties", {}).items()
        if field in wanted
    }


def _map(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, name: str, depth: int) -> dict[str, Any]:
    """An object whose members are not named by the schema."""
    if name in _OBJECTS:
        return _OBJECTS[name]
    members = schema.get("additionalProperties")
    if not isinstance(members, Mapping) or not members or depth >= DEPTH_MAX:
        return {}
    key = example_of(schema["propertyNames"], schemas) if "propertyNames" in schema else name.removesuffix("s") or "name"
    return {str(key): example_of(members, schemas, name=str(key), depth=depth + 1)}


def _number(schema: Mapping[str, Any], name: str) -> float | int:
    whole = schema.get("type") == "integer"
    named = _NAMED.get(name)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    value: float = named if isinstance(named, (int, float)) else 1 if whole else 0.25
    if low is not None and value <= low:
        value = low + (1 if whole else 0.25) if "exclusiveMinimum" in schema else low
    if high is not None and value > high:
        value = high
    return int(value) if whole else float(value)


def _fitting(text: str, pattern: str | None) -> str:
    """The text, or the first known one that a pattern allows."""
    return text if pattern is None else next((each for each in (text, *_PATTERNED) if re.search(pattern, each)), text)


def _text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("format") in _FORMATS:
        return str(_FORMATS[schema["format"]])
    named = _NAMED.get(name)
    if isinstance(named, str):
        text = named
    elif name == "id" or name.endswith("_id"):
        text = _ID
    elif name.endswith(("_at", "since", "until")):
        text = _AT
    else:
        text = name.replace("_", " ") or "text"
    text = _fitting(text, schema.get("pattern"))
    shortest, longest = int(schema.get("minLength", 0)), schema.get("maxLength")
    text = text + "." * max(0, shortest - len(text))
    return text[: int(longest)] if longest is not None else text
