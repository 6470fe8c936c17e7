"""Routes of development sources: how far each tool was read, and reading one at once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.development import System
from productops.domain.development_sync import StreamState
from productops.domain.governance_access import Operation
from productops.usecases import development_sync
from productops.usecases.development_sync import SourceView

SOURCES = f"{BASE}/development-sources"
router = APIRouter(tags=["development"])
SourceName = Annotated[str, Path(max_length=63, description="Name of the source in the catalog.")]
LOCATION = {"Location": {"description": "Where it is seen how far the source was read.", "schema": {"type": "string"}}}


class StreamOut(BaseModel):
    """One stream of a source: a list of one repository or project."""

    stream: str = Field(examples=["issues:77"], description="What is read, and the number of the repository or project.")
    project: str = Field(description="What the catalog calls it.")
    filled: bool = Field(description="Whether it was read to its end once; until then it is still being filled from the beginning.")
    since: datetime | None = Field(description="The next look begins here.")
    pages: int
    items: int = Field(description="Things that were new.")
    read_at: datetime | None = Field(description="When a page of it was stored last.")
    reached_at: datetime | None = Field(description="When it was read to its end last.")
    combed_at: datetime | None = Field(description="When the last full look began, which finds what was deleted.")
    combing_since: datetime | None = Field(description="A full look is under way since then.")
    error: str = Field(description="Why it was not read; empty after it went well.")

    @classmethod
    def of(cls, state: StreamState) -> StreamOut:
        """The stream as callers see it."""
        since = state.cursor.get("since")
        same = {name: getattr(state, name) for name in cls.model_fields if name not in {"project", "since", "pages"}}
        project = str(state.cursor.get("project", ""))
        return cls.model_validate(same | {"project": project, "since": since, "pages": state.position})


class DevelopmentSourceOut(BaseModel):
    """A tool that is read, and how it stands."""

    name: str = Field(examples=["shop-github"])
    venture: str
    system: System
    address: str
    projects: list[str]
    paused: bool
    token_set: bool = Field(description="Whether its secret is set where the API runs.")
    running: bool = Field(description="Whether a run has it at this moment.")
    wanted_at: datetime | None = Field(description="Somebody wants it read; a run has not begun yet.")
    run_started_at: datetime | None
    run_ended_at: datetime | None
    succeeded_at: datetime | None = Field(description="When all streams were read to their end last.")
    lag_s: float | None = Field(description="Seconds since then; null: never.")
    last_error: str = Field(description="Why the last run did not read all; empty when it did.")
    paused_until: datetime | None = Field(description="The source asked for peace until then.")
    rate_left: int | None = Field(description="Questions left until its limit is set back.")
    counts: dict[str, int] = Field(description="How much is known of it, by kind; deleted things not counted.")
    streams: list[StreamOut]

    @classmethod
    def of(cls, view: SourceView) -> DevelopmentSourceOut:
        """The source as callers see it."""
        state, source = view.state, view.state.source
        return cls(
            name=source.name, venture=source.venture, system=source.system, address=source.spec.base_url,
            projects=list(source.spec.projects), paused=source.spec.paused, token_set=view.token_set, running=state.run is not None,
            wanted_at=state.wanted_at, run_started_at=state.run_started_at, run_ended_at=state.run_ended_at,
            succeeded_at=state.succeeded_at, lag_s=view.lag_s, last_error=state.last_error, paused_until=state.paused_until,
            rate_left=state.rate_left, counts=dict(view.counts), streams=[StreamOut.of(each) for each in state.streams],
        )  # fmt: skip


class DevelopmentSourceList(BaseModel):
    """All sources the caller may see, by name."""

    items: list[DevelopmentSourceOut]


class SyncBody(BaseModel):
    """How to read it."""

    full: bool = Field(default=False, description="Look at all there is: finds what was deleted, and applies a changed mapping.")
    accept_deletions: bool = Field(default=False, description="Believe a full look that does not see most of a project any more.")


@router.get(
    SOURCES, operation_id="listDevelopmentSources", dependencies=[allowed(Operation.DEVELOPMENT_READ)], summary="List development sources"
)
def list_sources(context: ContextDep, actor: ActorDep) -> DevelopmentSourceList:
    """The tools that are read, how far, and why not."""
    return DevelopmentSourceList(items=[DevelopmentSourceOut.of(view) for view in development_sync.list_sources(context, actor=actor)])


@router.get(
    f"{SOURCES}/{{name}}", operation_id="showDevelopmentSource", dependencies=[allowed(Operation.DEVELOPMENT_READ)],
    summary="Show a development source",
)  # fmt: skip
def show_source(name: SourceName, context: ContextDep, actor: ActorDep) -> DevelopmentSourceOut:
    """How far one tool was read."""
    return DevelopmentSourceOut.of(development_sync.show_source(context, name, actor=actor))


@router.post(
    f"{SOURCES}/{{name}}/sync", operation_id="syncDevelopmentSource", dependencies=[allowed(Operation.DEVELOPMENT_SYNC)], status_code=202,
    summary="Read a development source now", responses={202: {"headers": LOCATION}},
)  # fmt: skip
def sync(
    name: SourceName, body: SyncBody, request: Request, response: Response, context: ContextDep, actor: ActorDep
) -> DevelopmentSourceOut:
    """Answers at once; look at the source to see how far it is. The flow `development-sync` reads all sources every five minutes anyway."""
    view = development_sync.request_sync(context, name, actor=actor, full=body.full, accept_deletions=body.accept_deletions)
    request.app.state.development_news.set()
    response.headers["Location"] = f"{SOURCES}/{name}"
    return DevelopmentSourceOut.of(view)
