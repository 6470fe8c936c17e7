"""Who may call: ways to be known, and the one operation that each route stands for."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import Depends, Request

from productops.adapters.token_file import read_or_create
from productops.api.governance_access_ways import Authenticator, InstallationToken, StoredTokens, Way
from productops.domain.evidence_link import PATH as EVIDENCE_PATH
from productops.domain.evidence_link import evidence_key
from productops.domain.governance_access import NOBODY, Operation, Principal, decide_somewhere
from productops.domain.release_windows_feed import PATH as CALENDAR_PATH
from productops.errors import ForbiddenError, SettingsError
from productops.settings import Settings
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access import admins_of

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.routing import APIRoute
    from starlette.types import Scope

__all__ = [
    "PRINCIPAL", "PUBLIC_PATHS", "STATUS_PATH", "Allowed", "Authenticator", "InstallationToken", "StoredTokens", "Way", "actor_of",
    "allowed", "bind",
    "chosen_token", "guards_itself", "is_evidence_key", "is_public", "make_authenticator", "operation_of", "principal_of",
]  # fmt: skip

PRINCIPAL = "productops.principal"
"""Key of a request's ASGI scope: who the gate found the caller to be."""
PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/errors"})
STATUS_PATH = "/status"
"""Status pages for everybody; their routes answer only where a setting says so."""
# Pages of evidence, calendar feeds, log-ins and received webhooks check a key, a code or a signature of their own.
PUBLIC_PREFIXES = (f"{EVIDENCE_PATH}/", f"{CALENDAR_PATH}/", "/webhooks/", "/login", "/approvals/link/", f"{STATUS_PATH}/")
# What is asked for there is known by its content only: these routes ask `principal_of` and decide themselves.
SELF_GUARDED = ("/prefect",)


def chosen_token(settings: Settings) -> str:
    """The installation's token: the set one, else that of the token file (only on loopback, the settings see to that).

    Raises: SettingsError when the file cannot be made or trusted.
    """
    token = settings.api_token.get_secret_value().strip() if settings.api_token else ""
    return token or read_or_create(settings.home)


def is_public(path: str) -> bool:
    """Whether a path is open to everybody, or asks for a key of its own."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)


def guards_itself(path: str) -> bool:
    """Whether a path stands for different operations by what is sent, so that its route decides."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in SELF_GUARDED)


def is_evidence_key(key: str, token: str, release_id: str) -> bool:
    """Whether ``key`` is that of this release's evidence; takes the same time for every wrong key."""
    return hmac.compare_digest(key.encode("utf-8", "surrogateescape"), evidence_key(token, release_id).encode())


def principal_of(scope: Scope) -> Principal:
    """Who the gate let in; nobody on a public path."""
    found: Principal = scope.get(PRINCIPAL, NOBODY)
    return found


def actor_of(request: Request) -> Actor:
    """The caller as use cases know it."""
    principal = principal_of(request.scope)
    return Actor(name=principal.name, origin="api", principal=principal)


class Allowed:
    """A dependency: lets in who may do its operation anywhere at all. Where it is about to happen, the use case asks again."""

    def __init__(self, operation: Operation, *, any_token: bool = False) -> None:
        self.operation = operation
        self._any_token = any_token

    async def __call__(self, request: Request) -> Actor:  # async, because others are called in a thread
        """The caller. Raises: ForbiddenError."""
        actor = actor_of(request)
        asked = replace(actor.principal, operations=None) if self._any_token else actor.principal
        decision = decide_somewhere(asked, self.operation)
        if not decision.allowed:
            raise ForbiddenError(decision.reason, operation=self.operation.value)
        return actor


def allowed(operation: Operation, *, any_token: bool = False) -> Any:
    """For a route: ``@router.get(…, dependencies=[allowed(Operation.RELEASE_READ)])``. Each route but public ones has exactly one.

    ``any_token``: also for tokens that are narrowed to other operations; for what a caller may always ask about itself.
    """
    return Depends(Allowed(operation, any_token=any_token))


def operation_of(route: APIRoute) -> Operation | None:
    """The operation that a route is bound to. Raises: TypeError for more than one."""
    found = {each.call.operation for each in route.dependant.dependencies if isinstance(each.call, Allowed)}
    if len(found) > 1:
        raise TypeError(f"{_named(route)} is bound to several operations: {', '.join(sorted(found))}")
    return next(iter(found), None)


def bind(app: FastAPI) -> None:
    """Write each route's operation into the OpenAPI document. Raises: TypeError that names every route which is bound to none."""
    from productops.api.conventions import api_routes

    unbound = []
    for route in api_routes(app.routes):
        operation = operation_of(route)
        if operation is not None:
            route.openapi_extra = dict(route.openapi_extra or {}) | {"x-operation": operation.value}
        elif not is_public(route.path) and not guards_itself(route.path):
            unbound.append(_named(route))
    if unbound:
        raise TypeError(
            f"routes without an operation: {'; '.join(unbound)}. Add dependencies=[allowed(Operation.…)] to each (productops.api.access), "
            "and let its use case call actor.check with venture and environment"
        )


def _named(route: APIRoute) -> str:
    return f"{', '.join(sorted(route.methods or ()))} {route.path}"


def make_authenticator(app: FastAPI, settings: Settings, token: str, more: Iterable[Way] = ()) -> Authenticator:
    """The ways in: the installation's token unless it was turned off, tokens of people and programs, and ``more``.

    Raises: SettingsError when the installation's token is off and nobody could get in.
    """
    context: Context = app.state.context
    if not settings.installation_token:
        with context.store.read() as unit:
            if not admins_of(unit, now=context.clock.now()):
                raise SettingsError(
                    "PRODUCTOPS_INSTALLATION_TOKEN is off and nobody is admin: turn it on, and run productops access grant NAME admin first"
                )
    found = Authenticator(InstallationToken(token if settings.installation_token else None), StoredTokens(lambda: app.state.context), more)
    app.state.authenticator = found
    return found
