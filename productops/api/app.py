"""The REST application: routes, errors, documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI

from productops.adapters.prefect_api import PrefectApi
from productops.api import deployment_ops, docs_pages, evidence, health, problems, release, release_events, services
from productops.api.access import PUBLIC_PATHS, chosen_token
from productops.api.middleware import Gate, RequestScope
from productops.api.streams import Streams
from productops.settings import Settings
from productops.usecases.context import Context

DESCRIPTION = (
    "Operations of software products. Every answer but those of /healthz and /readyz needs `Authorization: Bearer <token>`. "
    "Errors are application/problem+json; their `type` leads to /docs/errors. Long work answers 202 with a `Location`."
)
TAGS = [
    {"name": "release", "description": "Put versions on trial, follow them, give users the earlier version back."},
    {"name": "deployment-ops", "description": "The same releases under the names of the DeploymentOpsAPI."},
    {"name": "monitoring", "description": "Health of this program."},
]
_ERRORS = {401: "unauthorized", 404: "not-found", 409: "conflict", 422: "invalid-input", 502: "dependency-failed", 503: "store-unavailable"}


def product_version() -> str:
    """The installed version; 0 when it runs from a folder that was never installed."""
    try:
        return version("productops")
    except PackageNotFoundError:
        return "0"


def create_app(context: Context, settings: Settings) -> FastAPI:
    """The application over a wired context. It closes the context's store when it ends.

    Raises: SettingsError when it would be open to other machines without a token that was set on purpose.
    """
    token = chosen_token(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        context.store.close()
        if isinstance(context.orchestrator, PrefectApi):
            context.orchestrator.close()

    app = FastAPI(
        title="ProductOps", version=product_version(), description=DESCRIPTION, openapi_tags=TAGS, lifespan=lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False,  # their pages load scripts from other hosts
    )  # fmt: skip
    app.state.context = context
    app.state.token = token
    app.state.streams = Streams()
    app.state.database_url = settings.sqlalchemy_url
    app.state.schema_checked = False
    problems.install(app)
    for part in (release, release_events, services, deployment_ops, health, docs_pages, evidence):
        app.include_router(part.router)
    app.add_middleware(Gate, token=token)
    app.add_middleware(RequestScope)  # added last, so it is around the gate
    _document_errors(app)
    return app


def _document_errors(app: FastAPI) -> None:
    """Say in the OpenAPI document what every operation may answer and that it needs the token."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = make()
            parts = document.setdefault("components", {})
            parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            schemas = parts.setdefault("schemas", {})
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            schemas["Problem"] = PROBLEM
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _describe(operation, public=path in PUBLIC_PATHS, reading=method == "get")
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _describe(operation: dict[str, Any], *, public: bool, reading: bool) -> None:
    operation["security"] = [] if public else [{"token": []}]
    statuses = [503] if public else [status for status in _ERRORS if not (reading and status in {409, 502})]
    operation["responses"].pop("422", None)
    for status in statuses:
        operation["responses"][str(status)] = {
            "description": f"Problem, e.g. `{_ERRORS[status]}`.",
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }


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
