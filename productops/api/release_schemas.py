"""Wire form of releases: what callers send, what they get. Durations in seconds, shares in percent, times in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

from productops.domain.catalog import Name
from productops.domain.release import Cause, Environment, Phase, Release, Step, StepRecord, Strategy
from productops.domain.strategies import Overrides
from productops.domain.strategies.plan import OnInconclusive, PromoteOn
from productops.domain.traffic import TrafficTarget
from productops.usecases.release_read import ReleaseDetail
from productops.usecases.release_request import ReleaseWish
from productops.usecases.release_windows import NOW, Start

# A NUL character has no place in a text of PostgreSQL.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=2000)]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00]*$"),
    Field(description="Why; kept in the audit."),
]
Weight = Annotated[StrictInt, Field(ge=1, le=100)]


class Sent(BaseModel):
    """Anything callers send: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ReleaseBody(Sent):
    """What to release and, where it differs from the service's catalog entry, how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"service": "storefront"},
                {"service": "storefront", "environment": "staging", "strategy": "canary", "weights_pct": [5, 20, 50], "hold_s": 30},
            ]
        },
    )

    service: Name
    venture: Name | None = Field(default=None, description="Owner of the service; checked when given.")
    environment: Environment = Environment.PRODUCTION
    strategy: Strategy | None = Field(default=None, description="Empty: the catalog's.")
    weights_pct: list[Weight] | None = Field(default=None, min_length=1, max_length=50, description="Shares of a canary, rising.")
    hold_s: float | None = Field(default=None, ge=1, le=86_400, allow_inf_nan=False, description="How long each step is held.")
    alpha: float | None = Field(default=None, gt=0, lt=0.5, description="Largest chance of rolling back a good version.")
    promote_on: PromoteOn | None = Field(default=None, description="End a step when certified, or after its full hold.")
    on_inconclusive: OnInconclusive | None = Field(default=None, description="When a hold ends with too little evidence.")
    force_downgrade: StrictBool = Field(default=False, description="Insist on a version that is older than the live one.")
    lift_quarantine: StrictBool = Field(default=False, description="Insist on a version that was rolled back here before.")
    note: Text = Field(default="", description="Why this release; kept in the audit.")
    start: Start = Field(default=NOW, description="'next-window': during a freeze, wait for the next opening instead of being refused.")
    bypass: str | None = Field(default=None, max_length=64, description="Id of an approved bypass: start in spite of a freeze.")

    def to_wish(self, version: str) -> ReleaseWish:
        """What the use case is asked for."""
        overrides = Overrides(
            weights_pct=tuple(self.weights_pct) if self.weights_pct else None, hold_s=self.hold_s, alpha=self.alpha,
            promote_on=self.promote_on, on_inconclusive=self.on_inconclusive,
        )  # fmt: skip
        return ReleaseWish(
            service=self.service, version=version, environment=self.environment, venture=self.venture, strategy=self.strategy,
            overrides=overrides, force_downgrade=self.force_downgrade, lift_quarantine=self.lift_quarantine, note=self.note,
            start=self.start, bypass=self.bypass,
        )  # fmt: skip


class ReasonBody(Sent):
    """Why a person intervenes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "customers cannot pay"}]})
    reason: Reason


class StepOut(BaseModel):
    """One step of a rollout: as planned, and, once it has begun, as it went."""

    index: int
    title: str
    weight_pct: int = Field(description="Candidate's share of requests.")
    hold_s: float
    header_only: bool = Field(description="Only requests with the test header reach the candidate.")
    started_at: datetime | None = None
    ended_at: datetime | None = None
    verdict: str | None = Field(default=None, description="passed, failed or inconclusive; null while it is held.")
    reason: str = ""
    summary: dict[str, Any] = Field(default_factory=dict, description="Totals of both versions within the step.")

    @classmethod
    def of(cls, index: int, step: Step, record: StepRecord | None) -> StepOut:
        """The step with what happened in it."""
        planned = {
            "index": index, "title": step.title, "weight_pct": step.weight_pct, "hold_s": step.hold_s, "header_only": step.header_only,
        }  # fmt: skip
        if record is None:
            return cls.model_validate(planned)
        happened = {
            "started_at": record.started_at, "ended_at": record.ended_at, "verdict": record.verdict, "reason": record.reason,
            "summary": record.summary,
        }  # fmt: skip
        return cls.model_validate(planned | happened)


class FlowRunOut(BaseModel):
    """The Prefect flow run that carries a release out."""

    id: str
    url: str


class ReleaseOut(BaseModel):
    """One release. ``flow_run`` is null until a flow run has taken it up."""

    id: str
    title: str
    venture: str
    service: str
    environment: Environment
    version: str
    baseline_version: str | None = Field(description="What users had; null for a service's first version.")
    strategy: Strategy
    phase: Phase
    ended: bool
    cause: Cause | None = Field(description="Why it left the way to its users.")
    reason: str
    requested_by: str
    origin: str
    note: str
    step_index: int = Field(description="Step that has begun last; -1 before the first.")
    steps: list[StepOut]
    plan: dict[str, Any] = Field(description="The policy it was requested with: analysis, validate_s, keep_warm_s.")
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    heartbeat_at: datetime | None = Field(description="When the flow run last gave a sign.")
    flow_run: FlowRunOut | None

    @classmethod
    def of(cls, release: Release, *, flow_run: FlowRunOut | None, records: list[StepRecord] | None = None) -> ReleaseOut:
        """The release as callers see it."""
        return cls.model_validate(release_fields(release, flow_run=flow_run, records=records or []))


def release_fields(release: Release, *, flow_run: FlowRunOut | None, records: list[StepRecord]) -> dict[str, Any]:
    """Values of ``ReleaseOut``."""
    went = {record.index: record for record in records}
    same = (
        "id", "title", "venture", "service", "environment", "version", "baseline_version", "strategy", "phase", "ended", "cause", "reason",
        "requested_by", "origin", "step_index", "created_at", "updated_at", "ended_at", "heartbeat_at",
    )  # fmt: skip
    return {name: getattr(release, name) for name in same} | {
        "note": release.plan.get("note", ""),
        "steps": [StepOut.of(i, step, went.get(i)) for i, step in enumerate(release.steps)],
        "plan": {name: value for name, value in release.plan.items() if name != "note"},
        "flow_run": flow_run,
    }


class LeaseOut(BaseModel):
    """The time-limited right to keep traffic on the candidate."""

    holder: str
    ttl_s: float
    deadline: datetime
    beat: int = Field(description="Rises with every renewal.")
    left_s: float = Field(description="Seconds until users are given the baseline, unless it is renewed.")


class TrafficOut(BaseModel):
    """What users of the service should get now, and whether the router confirmed it."""

    baseline_version: str | None
    candidate_version: str | None
    candidate_pct: int
    header_only: bool
    generation: int
    applied_generation: int
    applied_at: datetime | None
    confirmed: bool
    release_id: str | None = Field(description="The release that holds the traffic; it may be another one.")
    lease: LeaseOut | None

    @classmethod
    def of(cls, target: TrafficTarget, *, now: datetime) -> TrafficOut:
        """The target with the seconds its lease has left."""
        lease = None
        if target.lease is not None:
            left_s = max(0.0, (target.lease.deadline - now).total_seconds())
            lease = {
                "holder": target.lease.holder, "ttl_s": target.lease.ttl_s, "deadline": target.lease.deadline, "beat": target.lease.beat,
                "left_s": round(left_s, 3),
            }  # fmt: skip
        same = (
            "baseline_version", "candidate_version", "candidate_pct", "header_only", "generation", "applied_generation", "applied_at",
            "confirmed", "release_id",
        )  # fmt: skip
        return cls.model_validate({name: getattr(target, name) for name in same} | {"lease": lease})


class TransitionOut(BaseModel):
    """One move of a release: who, when, why, with what evidence."""

    model_config = ConfigDict(populate_by_name=True)
    source: str | None = Field(alias="from")
    target: str = Field(alias="to")
    actor: str
    reason: str
    evidence: dict[str, Any]
    at: datetime


class IncidentOut(BaseModel):
    """An incident that the release caused."""

    incident_id: str
    type: str
    severity: str
    status: str
    title: str
    description: str | None
    detected_at: datetime


class LookOut(BaseModel):
    """What the judge said after one second, with its evidence."""

    step: int
    at_s: int = Field(description="The second, Unix time.")
    verdict: str
    reason: str
    log_e: float = Field(description="Natural log of the evidence of harm; users are given the baseline at log(1/alpha).")
    log_e_safe: float = Field(description="Natural log of the evidence of no harm; certified at log(1/alpha).")
    evidence: dict[str, Any]


class ReleaseDetailOut(ReleaseOut):
    """One release with its story, its traffic and its totals."""

    transitions: list[TransitionOut]
    summary: dict[str, Any] = Field(
        description="Totals of both versions: of the whole rollout when it has ended, before that of the last `window_s` seconds."
    )
    traffic: TrafficOut | None
    incidents: list[IncidentOut]
    look: LookOut | None = Field(description="What the judge said last, with its evidence; null before the first second.")

    @classmethod
    def of_detail(cls, detail: ReleaseDetail, *, flow_run: FlowRunOut | None) -> ReleaseDetailOut:
        """Everything about one release."""
        fields = release_fields(detail.release, flow_run=flow_run, records=detail.records)
        return cls.model_validate(
            fields | {
                "transitions": detail.transitions,
                "summary": detail.summary,
                "traffic": TrafficOut.of(detail.target, now=detail.read_at) if detail.target else None,
                "incidents": detail.incidents,
                "look": detail.look,
            }
        )  # fmt: skip


class ReleasePage(BaseModel):
    """Releases, newest first; pass ``next`` as ``after`` for the following page."""

    items: list[ReleaseOut]
    next: str | None


class AnalysisPage(BaseModel):
    """Looks in order of time; pass ``next`` as ``after_s`` for the following page."""

    items: list[LookOut]
    next: int | None


class UsualTrafficOut(BaseModel):
    """What users do now."""

    requests_per_s: float
    failure_ratio: float
    measured_s: int


class HarmOut(BaseModel):
    """One harm under the plan, on average."""

    name: str
    factor: float = Field(description="Times the usual failures.")
    detected_s: float | None = Field(description="Seconds of rollout until it is rolled back; null: not within the plan.")
    failures: float = Field(description="Failures that users see beyond the usual ones until then.")


class OutlookOut(BaseModel):
    """Which harm the plan finds how fast."""

    traffic: UsualTrafficOut
    harms: list[HarmOut]
    certified_s: float | None = Field(description="When a good version is certified; null: not within the plan.")


class PlanOut(BaseModel):
    """What a release would do; nothing was written."""

    service: str
    venture: str
    environment: Environment
    version: str
    baseline_version: str | None
    strategy: Strategy
    steps: list[StepOut] = Field(description="Empty for a service's first version: there is nothing to compare with.")
    plan: dict[str, Any]
    longest_s: float = Field(description="All holds and the validation; starting the candidate comes on top.")
    outlook: OutlookOut | None = Field(description="Null without known traffic, or where the judge's reactions cannot be foretold.")

    @classmethod
    def of(cls, release: Release) -> PlanOut:
        """The plan of a release that was not written."""
        longest_s = sum(step.hold_s for step in release.steps) + float(release.plan.get("validate_s", 0.0))
        fields = release_fields(release, flow_run=None, records=[])
        known = {name: fields[name] for name in cls.model_fields if name in fields}
        return cls.model_validate(known | {"longest_s": longest_s, "outlook": release.plan.get("outlook")})
