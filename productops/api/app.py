"""The REST application: routes, errors, documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI

from productops.adapters.envoy_remote import Discovery
from productops.adapters.prefect_api import PrefectApi
from productops.api import (
    deployment_ops,
    docs_pages,
    evidence,
    governance_audit,
    health,
    incident,
    ofrep,
    ofrep_events,
    problems,
    release,
    release_backtest,
    release_events,
    release_flags,
    release_train,
    release_windows,
    services,
)
from productops.api.access import PUBLIC_PATHS, chosen_token
from productops.api.middleware import Gate, RequestScope
from productops.api.ofrep_access import StreamKey
from productops.api.ofrep_door import flags_running, install_door
from productops.api.streams import Streams
from productops.api.xds import Xds, xds_token
from productops.settings import Settings
from productops.usecases.context import Context

DESCRIPTION = (
    "Operations of software products. Every answer but those of /healthz and /readyz needs `Authorization: Bearer <token>`. "
    "Errors are application/problem+json; their `type` leads to /docs/errors. Long work answers 202 with a `Location`."
)
TAGS = [
    {"name": "release", "description": "Put versions on trial, follow them, give users the earlier version back."},
    {"name": "flags", "description": "Feature flags: declare, ramp, kill, restore; evaluated by OFREP (OpenFeature)."},
    {"name": "windows", "description": "Freezes and change windows: when releases may start; bypasses; feeds for calendar programs."},
    {"name": "deployment-ops", "description": "The same releases under the names of the DeploymentOpsAPI."},
    {"name": "audit", "description": "Who did what, when and why; each entry's hash covers the one before it."},
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
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with flags_running(app):
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
    install_door(app, context, settings)
    app.state.database_url = settings.sqlalchemy_url
    app.state.schema_checked = False
    app.state.audit_key = settings.anchor_key
    app.state.calendar_allow_private = settings.calendar_allow_private
    problems.install(app)
    # Flags come first: they are asked hundreds of times a second, and every route before them would be tried each time.
    for part in (
        ofrep, release_backtest, release, release_events, services, deployment_ops, incident, health, docs_pages,
        evidence, governance_audit, release_flags, ofrep_events, release_windows, release_train,
    ):  # fmt: skip
        app.include_router(part.router)
    app.add_middleware(Gate, token=token)
    app.add_middleware(StreamKey, token=token)
    app.add_middleware(RequestScope)  # added last, so it is around the gate
    app.add_middleware(Xds, discovery=Discovery(settings.home / "xds"), token=xds_token(settings))  # remote Envoys, not our users
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
                    foreign = path.startswith("/ofrep/v1/evaluate")
                    _describe(operation, public=path in PUBLIC_PATHS, reading=method == "get", foreign=foreign)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _describe(operation: dict[str, Any], *, public: bool, reading: bool, foreign: bool) -> None:
    """``foreign``: the errors are another protocol's, but for those that the middleware answers."""
    operation["security"] = [] if public else [{"token": []}]
    statuses = [503] if public else [401, 503] if foreign else [status for status in _ERRORS if not (reading and status in {409, 502})]
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
