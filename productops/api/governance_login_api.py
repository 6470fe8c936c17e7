"""One's own browser sessions, and the link that begins one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import BaseModel, Field

from productops.api.access import allowed
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.usecases.governance_sessions import end_session, list_sessions, make_link

router = APIRouter(prefix="/api/v1/access", tags=["access"], dependencies=[allowed(Operation.TOKEN_OWN)])
IgnoredKey = Annotated[str | None, Header(description="Has no effect: a link is never shown twice.", max_length=255)]
SessionId = Annotated[str, Path(description="Id of the session.", max_length=80)]


class LoginLinkOut(BaseModel):
    """A link that works once. It is shown here and nowhere else."""

    path: str = Field(description="To be opened in the browser that is to be logged in, at this API's address.")
    expires_at: datetime


class SessionOut(BaseModel):
    """A browser that is logged in."""

    id: str
    principal: str
    way: str = Field(description="`link` or `oidc`.")
    browser: str
    began_at: datetime
    used_at: datetime = Field(description="To the minute.")


class SessionsOut(BaseModel):
    """Living sessions, those used last first."""

    items: list[SessionOut]


@router.post("/login-links", operation_id="makeLoginLink", status_code=201, summary="Make a log-in link")
def link(context: ContextDep, actor: ActorDep, idempotency_key: IgnoredKey = None) -> LoginLinkOut:  # noqa: ARG001 - no answer is kept
    """A link that logs a browser in as the caller: once, within 60 s, and never with more rights than the caller's token has."""
    made = make_link(context, actor=actor)
    return LoginLinkOut(path=f"/login?code={made.code}", expires_at=made.expires_at)


@router.get("/sessions", operation_id="listSessions", summary="List browser sessions")
def sessions(
    request: Request,
    context: ContextDep,
    actor: ActorDep,
    everybody: Annotated[bool, Query(description="Those of all people; takes access.read.")] = False,  # noqa: FBT002
) -> SessionsOut:
    """One's own, or everybody's."""
    idle: timedelta = request.app.state.sessions.idle
    found = list_sessions(context, idle=idle, everybody=everybody, actor=actor)
    return SessionsOut(items=[SessionOut.model_validate(each, from_attributes=True) for each in found])


@router.post("/sessions/{session_id}/end", operation_id="endSession", summary="End a browser session")
def end(request: Request, session_id: SessionId, context: ContextDep, actor: ActorDep) -> SessionOut:
    """One's own; anybody's with access.manage. Every process of the API has forgotten it within 5 s."""
    ended = end_session(context, session_id, actor=actor)
    request.app.state.sessions.forget()
    return SessionOut.model_validate(ended, from_attributes=True)
