"""The OpenAPI document: what each operation may answer, which headers it takes and sends, and an example of everything."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI

from productops.api import problems
from productops.api.access import PUBLIC_PATHS
from productops.api.examples import TEXTS, example_of

JSON = "application/json"
_REF = {"$ref": "#/components/schemas/Problem"}
_BODY_METHODS = frozenset({"post", "put", "patch"})
_FOREIGN = ("/ofrep/v1/evaluate",)
_TEXT = {"type": "string"}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 printable characters, remembered for a day: a repetition gets the first answer and does nothing.",
    "schema": {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x20-\x7e]+$"}, {"type": "null"}]},
    "example": "deploy-2026-11-21-17",
}
_REPLAYED = {"description": "`true` when this is the answer to an earlier request with the same key.", "schema": _TEXT}
_KNOWN = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags the caller has; 304 when one of them is that of the present answer.",
    "schema": {"anyOf": [_TEXT, {"type": "null"}]},
    "example": 'W/"5f2b9323c39ee3c861a7b382d205c3d3"',
}
_ETAG = {"description": "Changes with the document.", "schema": _TEXT}
_RETRY = {"description": "Seconds until it is worth trying again.", "schema": {"type": "integer"}}
_UNCHANGED = {"description": "The caller has this answer already.", "headers": {"ETag": _ETAG}}


def install(app: FastAPI) -> None:
    """Make ``app.openapi()`` tell all of it; the document is made once."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = completed(make())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The framework's document with everything that holds for all operations."""
    document = _named(document)
    parts = document.setdefault("components", {})
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}} | parts.get("securitySchemes", {})
    schemas = parts.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    _tighten(document, schemas)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _describe(operation, path=path, method=method)
            _show(operation, schemas)
    return document


def _named(document: dict[str, Any]) -> dict[str, Any]:
    """Where two modules have a document of the same name the framework names it by its module; clients get a name that reads."""
    text = json.dumps(document)
    for name in document.get("components", {}).get("schemas", {}):
        if "__" in name:
            module, kind = name.split("__")[-2:]
            made = "".join(part.capitalize() for part in module.removesuffix("_schemas").split("_")) + kind
            text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{made}"').replace(f'"{name}":', f'"{made}":')
    found: dict[str, Any] = json.loads(text)
    return found


def _tighten(node: Any, schemas: dict[str, Any]) -> None:
    """Say what the framework leaves out: names of no pattern are refused, unions need the field of their kind."""
    if isinstance(node, list):
        for each in node:
            _tighten(each, schemas)
    elif isinstance(node, dict):
        if "patternProperties" in node:
            node.setdefault("additionalProperties", False)
        found = node.get("discriminator")
        if isinstance(found, dict) and isinstance(found.get("mapping"), dict):
            for reference in found["mapping"].values():
                kind = schemas[reference.rsplit("/", 1)[-1]]
                kind["required"] = sorted({*kind.get("required", ()), found["propertyName"]})
        for each in list(node.values()):
            _tighten(each, schemas)


def _describe(operation: dict[str, Any], *, path: str, method: str) -> None:
    """``foreign``: the errors are another protocol's, but for those that the middleware answers."""
    public, foreign = path in PUBLIC_PATHS, path.startswith(_FOREIGN)
    operation.setdefault("security", [] if public else [{"token": []}])
    operation["responses"].pop("422", None)
    if method == "get":
        _may_be_known(operation)
    if method == "post" and path.startswith("/api/"):
        _may_be_repeated(operation)
    for status in _statuses(operation, method=method, public=public, foreign=foreign) + _of_events(operation):
        operation["responses"].setdefault(str(status), _problem(status))


def _statuses(operation: dict[str, Any], *, method: str, public: bool, foreign: bool) -> list[int]:
    if public:
        return [503]
    if foreign:
        return [401, 403, 413, 503]
    reading = method == "get"
    found = [401, 403, 404, 422, 429, 503]
    found += [] if reading else [409, 412, 424, 428, 502]
    found += [400, 408, 413, 415] if "requestBody" in operation else []
    return sorted(found)


def _of_events(operation: dict[str, Any]) -> list[int]:
    """Files of events can be put together anew while they are read, and their libraries may be missing: reading answers that too."""
    return [409, 502] if "analytics" in operation.get("tags", []) else []


def _problem(status: int) -> dict[str, Any]:
    kinds = [kind for kind in problems.kinds() if kind.status == status]
    said = ", ".join(f"`{kind.slug}`" for kind in kinds)
    answer: dict[str, Any] = {
        "description": f"Problem: {said}." if said else "Problem.",
        "content": {problems.MEDIA_TYPE: {"schema": _REF}},
    }
    if kinds:
        answer["content"][problems.MEDIA_TYPE]["example"] = problems.example(kinds[0])
    if status in {429, 503}:
        answer["headers"] = {"Retry-After": _RETRY}
    return answer


def _may_be_known(operation: dict[str, Any]) -> None:
    answer = operation["responses"].get("200", {})
    if JSON not in answer.get("content", {}):
        return
    answer.setdefault("headers", {}).setdefault("ETag", _ETAG)
    operation["responses"].setdefault("304", _UNCHANGED)
    parameters = operation.setdefault("parameters", [])
    if not any(p["name"].lower() == "if-none-match" for p in parameters):
        parameters.append(_KNOWN)


def _may_be_repeated(operation: dict[str, Any]) -> None:
    parameters = operation.setdefault("parameters", [])
    if not any(p["name"].lower() == "idempotency-key" for p in parameters):
        parameters.append(_KEY)
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            answer.setdefault("headers", {}).setdefault("Idempotency-Replayed", _REPLAYED)


def _show(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Give each JSON body and answer an example."""
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [answer.get("content", {}) for answer in operation["responses"].values()]
    for content in contents:
        shown = content.get(JSON)
        if shown is not None and not {"example", "examples"} & shown.keys():
            shown["example"] = example_of(shown.get("schema", {}), schemas)
        for kind in TEXTS.keys() & content.keys():
            content[kind].setdefault("schema", _TEXT)
            content[kind].setdefault("example", TEXTS[kind])


PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "An error (RFC 9457). Some carry more members, e.g. `errors` of a refused body or `release_id` of a conflict.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "slug"],
    "properties": {
        "type": {"type": "string", "description": "Where this kind of error is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence to act on."},
        "slug": {"type": "string", "description": "Stable name of this kind of error."},
        "request_id": {"type": "string", "description": "The same as in `X-Request-Id` and in the server's log."},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"field": {"type": "string"}, "reason": {"type": "string"}}},
        },
    },
    "examples": [
        {
            "type": "/docs/errors#release-in-flight",
            "title": "A release is in flight",
            "status": 409,
            "detail": "release 0197c5a2-… (storefront 1.0.0 → 1.1.0 (production)) is rolling_out; wait for it or roll it back first",
            "slug": "release-in-flight",
            "request_id": "9f2d4b0c",
        }
    ],
}
