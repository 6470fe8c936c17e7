"""OpenFeature Remote Evaluation Protocol 0.3.0: one flag, or all of them, for a context.

Source: OFREP 0.3.0, service/openapi.yaml (open-feature/protocol).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import structlog
from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from productops.api.access import allowed, principal_of
from productops.api.ofrep_access import EVENTS_PATH, stream_key
from productops.api.ofrep_door import FlagDoor, door_of
from productops.api.release import matches
from productops.domain.governance_access import ANY, Operation, Principal, visible_places
from productops.domain.release import Environment
from productops.domain.release_flags.evaluate import Answer, Failure, FlagSet
from productops.errors import StoreUnavailableError

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/ofrep/v1", tags=["flags"])
JSON = "application/json"
# From so many flags on, evaluating them all would keep other requests waiting.
THREAD_FROM = 50
INACTIVITY_S = 120
STATUS = {"FLAG_NOT_FOUND": 404}
RETRY_AFTER = {"Retry-After": "1"}

_ENVIRONMENT = {
    "name": "environment", "in": "query", "required": False, "schema": {"type": "string", "enum": [e.value for e in Environment]},
    "description": "Which environment's flags; also as header `X-ProductOps-Environment`. Default: production.",
}  # fmt: skip
_VENTURE = {
    "name": "venture", "in": "query", "required": False, "schema": {"type": "string"},
    "description": "Only this venture's flags; also as header `X-ProductOps-Venture`.",
}  # fmt: skip
_BODY = {
    "required": True,
    "content": {
        JSON: {
            "schema": {
                "type": "object",
                "properties": {"context": {"type": "object", "properties": {"targetingKey": {"type": "string"}}}},
            },
            "example": {"context": {"targetingKey": "user-123", "country": "NZ"}},
        }
    },
}
_FAILURE = {
    "type": "object", "required": ["errorCode"],
    "properties": {"key": {"type": "string"}, "errorCode": {"type": "string"}, "errorDetails": {"type": "string"}},
}  # fmt: skip
_SUCCESS = {
    "type": "object", "required": ["key", "value", "variant", "reason"],
    "properties": {
        "key": {"type": "string"},
        "value": {"oneOf": [{"type": "boolean"}, {"type": "string"}, {"type": "number"}, {"type": "object"}]},
        "variant": {"type": "string"},
        "reason": {"type": "string", "enum": ["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED"]},
        "metadata": {"type": "object", "description": "`decision`: killed, targeting, segment, ramp, default or static; `environment`."},
    },
}  # fmt: skip


def _documented(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {JSON: {"schema": schema}}}


_FAILURES: dict[int | str, dict[str, Any]] = {
    400: _documented("PARSE_ERROR, INVALID_CONTEXT, TARGETING_KEY_MISSING or GENERAL.", _FAILURE),
    429: {"description": "More than PRODUCTOPS_FLAG_EVALUATIONS_PER_S_MAX a second; `Retry-After` says when to come back."},
}
_ONE: dict[int | str, dict[str, Any]] = {
    200: _documented("The variant.", _SUCCESS), 404: _documented("FLAG_NOT_FOUND.", _FAILURE), **_FAILURES
}  # fmt: skip
_ALL: dict[int | str, dict[str, Any]] = {
    200: _documented(
        "All flags; where to hear of changes.",
        {
            "type": "object",
            "required": ["flags"],
            "properties": {
                "flags": {"type": "array", "items": {"anyOf": [_SUCCESS, _FAILURE]}},
                "metadata": {"type": "object"},
                "eventStreams": {"type": "array", "items": {"type": "object"}},
            },
        },
    ),
    304: {"description": "The answer is the one whose ETag was sent as `If-None-Match`."},
    **_FAILURES,
}


class _RefusedError(Exception):
    """A request that is answered without an evaluation."""

    def __init__(self, status: int, code: str, details: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(details)
        self.status, self.code, self.details, self.headers = status, code, details, dict(headers or {})

    def response(self, key: str | None) -> Response:
        """As OFREP writes failures: with the key where one flag was asked for."""
        body = {"key": key} if key is not None else {}
        body |= {"errorCode": self.code, "errorDetails": self.details}
        return Response(json.dumps(body), status_code=self.status, media_type=JSON, headers=self.headers)


@router.post(
    "/evaluate/flags/{key}", operation_id="evaluateFlag", dependencies=[allowed(Operation.FLAG_EVALUATE)],
    summary="Evaluate one flag", responses=_ONE, response_class=Response,
    openapi_extra={"requestBody": _BODY, "parameters": [_ENVIRONMENT]},
)  # fmt: skip
async def evaluate_one(key: str, request: Request) -> Response:
    """The variant of one flag for one context."""
    door = door_of(request.app)
    try:
        flags, context = await _asked(door, request)
    except _RefusedError as refused:
        return refused.response(key)
    answer = flags.evaluate(key, context) if _may_ask(request, flags, key) else flags.missing(key)
    door.counter.add(answer, flags.environment, bulk=False)
    door.expose(flags, (answer,), context, bulk=False)
    status = 200 if isinstance(answer, Answer) else STATUS.get(answer.code, 400)
    return Response(answer.body, status_code=status, media_type=JSON)


@router.post(
    "/evaluate/flags", operation_id="evaluateFlags", dependencies=[allowed(Operation.FLAG_EVALUATE)],
    summary="Evaluate all flags", responses=_ALL, response_class=Response,
    openapi_extra={"requestBody": _BODY, "parameters": [_ENVIRONMENT, _VENTURE]},
)  # fmt: skip
async def evaluate_all(request: Request) -> Response:
    """Every flag for one context, with an ETag, and the stream that tells when to ask again."""
    door = door_of(request.app)
    try:
        flags, context = await _asked(door, request)
    except _RefusedError as refused:
        return refused.response(None)
    keys = [key for key in flags.keys(_named(request, "venture")) if _may_ask(request, flags, key)]
    if len(keys) < THREAD_FROM:
        answers = _evaluated(flags, keys, context)
    else:
        answers = await to_thread.run_sync(_evaluated, flags, keys, context)
    for answer in answers:
        door.counter.add(answer, flags.environment, bulk=True)
    door.expose(flags, answers, context, bulk=True)
    return _bulk_answer(request, flags, answers)


def _evaluated(flags: FlagSet, keys: list[str], context: Mapping[str, Any]) -> list[Answer | Failure]:
    return [flags.evaluate(key, context) for key in keys]


def _bulk_answer(request: Request, flags: FlagSet, answers: list[Answer | Failure]) -> Response:
    """The ETag follows from the answers alone: a change of flags that changes none of them costs the client nothing."""
    listed = b",".join(answer.body for answer in answers)
    key = stream_key(request.app.state.token, flags.environment)
    digest = hashlib.sha256(key.encode() + listed).hexdigest()[:32]
    headers = {"ETag": f'"{digest}"', "Cache-Control": "private, no-cache"}
    if matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    query = urlencode({"environment": flags.environment.value, "since": flags.version, "key": key})
    # Without an origin: providers take that of the address they were given, which is right behind any proxy.
    stream = {"type": "sse", "endpoint": {"requestUri": f"{EVENTS_PATH}?{query}"}, "inactivityDelaySec": INACTIVITY_S}
    metadata = {"environment": flags.environment.value, "version": f"{flags.environment.value}-{flags.version}"}
    tail = json.dumps({"metadata": metadata, "eventStreams": [stream]})
    return Response(b'{"flags":[' + listed + b"]," + tail[1:].encode(), media_type=JSON, headers=headers)


async def _asked(door: FlagDoor, request: Request) -> tuple[FlagSet, Mapping[str, Any]]:
    """The flags and the context of a request. Raises: _RefusedError."""
    if not door.limit.allow():
        details = f"more than {door.limit.per_s} evaluations a second"
        raise _RefusedError(429, "GENERAL", details, RETRY_AFTER)
    environment = environment_of(request)
    context = _context_of(await request.body())
    try:
        return await door.flags(environment), context
    except StoreUnavailableError as error:
        raise _RefusedError(503, "GENERAL", str(error), RETRY_AFTER) from error


def environment_of(request: Request) -> Environment:
    """The environment that the query or the header names; production when neither does. Raises: _RefusedError."""
    named = _named(request, "environment")
    try:
        return Environment(named) if named else Environment.PRODUCTION
    except ValueError:
        known = ", ".join(Environment)
        raise _RefusedError(400, "GENERAL", f"there is no environment {str(named)[:40]!r}; known: {known}") from None


def _may_ask(request: Request, flags: FlagSet, key: str) -> bool:
    """Whether the caller may evaluate that flag in that environment; unknown flags may be asked for by everybody."""
    places = evaluable(principal_of(request.scope))
    if places is None:
        return True
    venture = flags.venture_of(key)
    return venture is None or any(v in {ANY, venture} and e in {ANY, flags.environment.value} for v, e in places)


@lru_cache(maxsize=1000)
def evaluable(principal: Principal) -> frozenset[tuple[str, str]] | None:
    """Pairs of venture and environment, each perhaps ``*``; None: all of them. Asked for hundreds of times a second."""
    return visible_places(principal, Operation.FLAG_EVALUATE)


def _named(request: Request, what: str) -> str | None:
    return request.query_params.get(what) or request.headers.get(f"x-productops-{what}")


def _context_of(body: bytes) -> Mapping[str, Any]:
    """The evaluation context; an empty one where none was sent. Raises: _RefusedError."""
    try:
        document = json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise _RefusedError(400, "PARSE_ERROR", f"the body is not JSON: {str(error)[:100]}") from None
    context = document.get("context", {}) if isinstance(document, dict) else None
    if not isinstance(context, dict):
        raise _RefusedError(400, "INVALID_CONTEXT", 'the body is to be {"context": {…}} with an object of attributes')
    user = context.get("targetingKey")
    if user is not None and not (isinstance(user, str) and _is_text(user)):
        raise _RefusedError(400, "INVALID_CONTEXT", "targetingKey is to be text that names the user")
    return context


def _is_text(text: str) -> bool:
    """Half of a surrogate pair has no UTF-8 form, and so no bucket."""
    try:
        return bool(text.encode()) or text == ""
    except UnicodeEncodeError:
        return False
