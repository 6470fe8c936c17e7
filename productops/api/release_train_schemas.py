"""Wire form of trains: what callers send, what they get. Times in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from productops.api.release_schemas import FlowRunOut, Sent, Text
from productops.domain.catalog import Name
from productops.domain.release import Environment, Phase, Release, Strategy
from productops.domain.release_train import MEMBERS_MAX, Member, MemberPhase, MemberWish, Train, TrainMode, TrainPhase
from productops.usecases.release_train import SIDE_BY_SIDE_MAX, TrainWish


class MemberBody(Sent):
    """One service of a train."""

    service: Name
    version: Annotated[str, Field(min_length=1, max_length=100)]
    depends_on: list[Name] | None = Field(default=None, max_length=MEMBERS_MAX, description="Members before it. Empty: the catalog's.")
    strategy: Strategy | None = Field(default=None, description="Empty: the catalog's.")


class TrainBody(Sent):
    """What to release together."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "members": [
                        {"service": "cart", "version": "2.0.0"},
                        {"service": "storefront", "version": "1.1.0", "depends_on": ["cart"]},
                    ]
                }
            ]
        },
    )
    members: list[MemberBody] = Field(min_length=1, max_length=MEMBERS_MAX)
    environment: Environment = Environment.PRODUCTION
    mode: TrainMode = Field(
        default=TrainMode.ALL_OR_NOTHING,
        description="When a member fails: 'all-or-nothing' gives the promoted ones back, 'best-effort' goes on without it.",
    )
    side_by_side: StrictInt = Field(default=4, ge=1, le=SIDE_BY_SIDE_MAX, description="Most members on their way at the same time.")
    note: Text = Field(default="", description="Why this train; kept in the audit.")
    bypasses: list[Annotated[str, Field(max_length=64)]] = Field(
        default_factory=list, max_length=MEMBERS_MAX, description="Ids of approved bypasses of members that are frozen."
    )

    def to_wish(self) -> TrainWish:
        """What the use case is asked for."""
        return TrainWish(
            members=tuple(
                MemberWish(m.service, m.version, None if m.depends_on is None else tuple(m.depends_on), m.strategy) for m in self.members
            ),
            environment=self.environment, mode=self.mode, side_by_side=self.side_by_side, note=self.note, bypasses=tuple(self.bypasses),
        )  # fmt: skip


class MemberOut(BaseModel):
    """One service of a train, with its release."""

    service: str
    version: str
    depends_on: list[str]
    strategy: Strategy | None
    phase: MemberPhase
    reason: str
    release_id: str | None = Field(description="Its release, once it has begun.")
    release_phase: Phase | None
    updated_at: datetime | None

    @classmethod
    def of(cls, member: Member, release: Release | None) -> MemberOut:
        """The member as callers see it."""
        return cls(
            service=member.service, version=member.version, depends_on=list(member.depends_on), strategy=member.strategy,
            phase=member.phase, reason=member.reason, release_id=member.release_id, release_phase=release.phase if release else None,
            updated_at=member.updated_at,
        )  # fmt: skip


class TrainOut(BaseModel):
    """One train; its members in an order in which they may start."""

    id: str
    title: str
    venture: str
    environment: Environment
    mode: TrainMode
    side_by_side: int
    phase: TrainPhase
    ended: bool
    reason: str
    note: str
    requested_by: str
    origin: str
    members: list[MemberOut]
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    flow_run: FlowRunOut | None

    @classmethod
    def of(cls, train: Train, *, releases: dict[str, Release] | None = None, flow_run: FlowRunOut | None = None) -> TrainOut:
        """The train as callers see it."""
        known = releases or {}
        own = {name: getattr(train, name) for name in cls.model_fields if name not in {"members", "flow_run"}}
        members = [MemberOut.of(m, known.get(m.release_id or "")) for m in train.members]
        return cls.model_validate(own | {"members": members, "flow_run": flow_run})


class TrainPage(BaseModel):
    """Trains, newest first; pass ``next`` as ``after`` for the following page."""

    items: list[TrainOut]
    next: str | None
