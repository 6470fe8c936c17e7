"""What this interface is, as plain pages that load nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from productops.api.problem_help import what_to_do
from productops.api.problems import kinds

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
def openapi(request: Request) -> Response:
    """The document; in a thread, because making it takes a second or more, in which no other request should wait."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
def docs(request: Request) -> Response:
    """Every operation with the path to its full description."""
    document = request.app.openapi()
    rows = [
        (f"<code>{method.upper()} {escape(path)}</code>", escape(operation["summary"]), escape(operation.get("description", "")))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    intro = (
        f"<p>{escape(document['info']['description'])}</p>"
        '<p>Everything in detail: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1). '
        'Errors: <a href="/docs/errors">/docs/errors</a>.</p>'
    )
    return _page("ProductOps", intro + _table(("operation", "what for", "how"), rows))


@router.get("/docs/errors")
def docs_errors() -> Response:
    """Where the ``type`` of every problem leads."""
    parts = [
        f'<h2 id="{kind.slug}">{escape(kind.title)}</h2><p><code>{kind.slug}</code>, status {kind.status}</p>'
        f"<p>{escape(kind.meaning)}</p><p><b>What to do:</b> {escape(what_to_do(kind))}</p>"
        for kind in kinds()
    ]
    return _page("Errors", "".join(parts))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _page(title: str, content: str) -> Response:
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{content}</html>'
    return Response(page, media_type="text/html")
