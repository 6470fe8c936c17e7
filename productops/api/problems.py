"""Errors as application/problem+json (RFC 9457); nothing here ever answers HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from productops.errors import InvalidInputError, NotFoundError, ProductOpsError, UnauthorizedError, error_classes
from productops.redaction import redact_value

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
REASONS_MAX = 20
REASONS_SHOWN = 3
_TEXT_MAX = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its HTTP status, the stable name in ``type``, and what it says above the detail."""

    status: int
    slug: str
    title: str
    meaning: str


# What HTTP itself finds wrong, before any use case is asked.
HTTP_KINDS = (
    Kind(400, "bad-request", "Bad request", "The body could not be read."),
    Kind(404, NotFoundError.slug, NotFoundError.title, "There is nothing at this path."),
    Kind(405, "method-not-allowed", "Method not allowed", "The path exists, but not with this method; `Allow` names those it has."),
    Kind(408, "body-timeout", "Body timed out", "The body did not come within 30 s."),
    Kind(413, "body-too-large", "Body too large", "The body exceeds what this operation takes: 128 KiB, 1 MiB for flags."),
    Kind(415, "unsupported-media-type", "Unsupported media type", "The body is not JSON, or its `Content-Type` does not say so."),
    Kind(421, "wrong-host", "Wrong host", "The request names a host that is not this installation; `PRODUCTOPS_PUBLIC_NAMES` adds names."),
    Kind(503, "busy", "Busy", "Too many event streams are open; try again later."),
)
KIND_OF = {kind.status: kind for kind in HTTP_KINDS}
INTERNAL = Kind(500, ProductOpsError.slug, ProductOpsError.title, "An error nobody foresaw; the server's log has the request id.")


def problem(
    status: int, *, slug: str, title: str, detail: str, extra: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer for one error. ``extra`` members are added beside the standard ones and never replace them."""
    document = redact_value(dict(extra or {})) | {
        "type": f"/docs/errors#{slug}", "title": title, "status": status, "detail": redact_value(detail), "slug": slug,
    }  # fmt: skip
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if request_id:
        document["request_id"] = request_id
    sent = dict(headers or {})
    if status == 503:
        sent["Retry-After"] = str(RETRY_AFTER_S)
    # A lone surrogate has no UTF-8 form; its backslash form is valid JSON.
    body = json.dumps(document, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace")
    return Response(body, status_code=status, headers=sent, media_type=MEDIA_TYPE)


def from_error(error: ProductOpsError) -> Response:
    """The answer for an error of ours."""
    headers = {"WWW-Authenticate": 'Bearer realm="productops"'} if isinstance(error, UnauthorizedError) else {}
    if error.retryable and error.status < 500:
        headers["Retry-After"] = str(error.extra.get("retry_after_s", RETRY_AFTER_S))
    return problem(error.status, slug=error.slug, title=error.title, detail=error.detail, extra=error.extra, headers=headers)


def internal() -> Response:
    """The answer for everything nobody foresaw; it tells nothing of the inside."""
    detail = "an unexpected error; the server's log has it under this request id"
    return problem(INTERNAL.status, slug=INTERNAL.slug, title=INTERNAL.title, detail=detail)


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error as a problem."""

    @app.exception_handler(ProductOpsError)
    async def on_ours(_request: Request, error: ProductOpsError) -> Response:
        return from_error(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_request: Request, error: RequestValidationError) -> Response:
        return from_validation(error)

    @app.exception_handler(HTTPException)
    async def on_http(_request: Request, error: HTTPException) -> Response:
        return from_http(error)


def from_http(error: HTTPException) -> Response:
    """The answer for what HTTP itself finds wrong."""
    kind = KIND_OF.get(error.status_code, Kind(error.status_code, "http", "HTTP error", ""))
    detail = kind.meaning if error.status_code in {404, 405} else str(error.detail)
    return problem(error.status_code, slug=kind.slug, title=kind.title, detail=detail, headers=error.headers)


def from_validation(error: RequestValidationError) -> Response:
    """The answer for a request that is not as documented; it names the fields, never the values."""
    found = error.errors()
    reasons = [{"field": _field(each), "reason": _reason(each)} for each in found[:REASONS_MAX]]
    shown = reasons[:REASONS_SHOWN]
    detail = "; ".join(f"{each['field']}: {each['reason']}" for each in shown)
    if len(found) > len(shown):
        detail += f"; and {len(found) - len(shown)} more"
    kind = InvalidInputError
    return problem(kind.status, slug=kind.slug, title=kind.title, detail=detail, extra={"errors": reasons})


def _field(error: Mapping[str, Any]) -> str:
    place, *rest = error["loc"]
    named = [] if error["type"] == "json_invalid" else [str(part) for part in rest]
    return (".".join(named) or str(place))[:_TEXT_MAX]


def _reason(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown field"
    if error["type"] == "json_invalid":
        return f"is not JSON ({error.get('ctx', {}).get('error', 'unreadable')} at character {error['loc'][-1]})"
    return str(error["msg"])[:_TEXT_MAX]


def kinds() -> list[Kind]:
    """Every kind of problem this interface can answer, by slug."""
    ours = [Kind(c.status, c.slug, c.title, (c.__doc__ or "").strip().splitlines()[0]) for c in error_classes() if c is not ProductOpsError]
    found = {kind.slug: kind for kind in (*HTTP_KINDS, INTERNAL, *ours)}
    return sorted(found.values(), key=lambda kind: kind.slug)


def example(kind: Kind) -> dict[str, Any]:
    """A problem of this kind as it would be answered; for the document."""
    return {
        "type": f"/docs/errors#{kind.slug}", "title": kind.title, "status": kind.status, "detail": kind.meaning.replace("``", "`"),
        "slug": kind.slug, "request_id": "9f2d4b0c",
    }  # fmt: skip
