"""Routes of causes of incidents: the ledger, looks, the picture, what people say about hypotheses, and how often we were right."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from productops.api import paging
from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.release_schemas import Sent
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.incident_cause import (
    CauseDecision,
    CauseKind,
    CauseRecord,
    CauseVerdict,
    Evidence,
    Hypothesis,
    Ledger,
)
from productops.domain.release import Environment
from productops.usecases import incident_cause_read

CAUSES = f"{BASE}/incidents/{{incident_id}}/causes"
router = APIRouter(tags=["incidents"])
READ = [allowed(Operation.INCIDENT_READ)]
RESPOND = [allowed(Operation.INCIDENT_RESPOND)]
IncidentId = Annotated[str, Path(max_length=80, description="Id of the incident.")]


class EvidenceOut(BaseModel):
    """One observation with its figures."""

    text: str
    weight: float = Field(description="Natural-log odds that it moves: above 0 for the hypothesis, below 0 against it.")
    at: datetime | None = Field(description="When the thing happened.")
    link: str | None = Field(description="Where to read more.")

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """For the wire."""
        return cls(text=evidence.text, weight=round(evidence.weight, 3), at=evidence.at, link=evidence.link)


class HypothesisOut(BaseModel):
    """Something that may have done it."""

    key: str = Field(description="What names it in this incident: `release:<id>`, `flag:new-checkout`.")
    kind: CauseKind
    subject: str
    service: str
    environment: Environment
    probability: float = Field(ge=0, le=1, description="Among all of the ledger; they add up to 1.")
    supporting: list[EvidenceOut]
    refuting: list[EvidenceOut]
    remedy: dict[str, Any] = Field(description="The step of a playbook that would undo it, and on what; empty: none by itself.")
    verdict: CauseVerdict | None = Field(description="What a person said it is.")

    @classmethod
    def of(cls, each: Hypothesis) -> Self:
        """For the wire."""
        return cls(
            key=each.key, kind=each.kind, subject=each.subject, service=each.service, environment=each.environment,
            probability=round(each.probability, 4), supporting=[EvidenceOut.of(e) for e in each.supporting],
            refuting=[EvidenceOut.of(e) for e in each.refuting], remedy=dict(each.remedy), verdict=each.verdict,
        )  # fmt: skip


class OnsetOut(BaseModel):
    """When it began."""

    model_config = ConfigDict(from_attributes=True)
    at: datetime
    low: datetime = Field(description="With `high`: holds the onset with 95 % probability.")
    high: datetime
    series: str
    sentence: str


class LedgerOut(BaseModel):
    """One look at an incident."""

    id: str
    incident_id: str
    at: datetime
    by: str
    took_s: float
    onset: OnsetOut | None
    hypotheses: list[HypothesisOut] = Field(description="The likeliest first.")
    sources: list[str] = Field(description="What was looked at.")
    missing: list[str] = Field(description="What could not be looked at.")

    @classmethod
    def of(cls, ledger: Ledger) -> Self:
        """For the wire."""
        onset = OnsetOut.model_validate(ledger.onset) if ledger.onset is not None else None
        return cls(
            id=ledger.id, incident_id=ledger.incident_id, at=ledger.at, by=ledger.by, took_s=ledger.took_s, onset=onset,
            hypotheses=[HypothesisOut.of(each) for each in ledger.hypotheses], sources=list(ledger.sources), missing=list(ledger.missing),
        )  # fmt: skip


class CauseLookPage(BaseModel):
    """Looks, newest first."""

    items: list[LedgerOut]
    next: str | None = Field(description="Where the next page begins; nothing at the end.")


class CauseDecisionIn(Sent):
    """What a person says about a hypothesis."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"hypothesis": "flag:new-checkout", "verdict": "confirmed", "reason": "off again, and the errors were gone"}]
        },
    )
    hypothesis: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*$")] = Field(
        description="Its key in the ledger; also of a cause that no look had, such as `dependency:payments-db`."
    )
    verdict: CauseVerdict
    reason: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] = ""


class CauseDecisionOut(BaseModel):
    """What was kept."""

    incident_id: str
    hypothesis: str
    verdict: CauseVerdict
    rank: int | None = Field(description="Its place in the first look, from 1; nothing: it was not in it.")
    probability: float | None
    by: str
    reason: str
    at: datetime

    @classmethod
    def of(cls, decision: CauseDecision) -> Self:
        """For the wire."""
        return cls(
            incident_id=decision.incident_id, hypothesis=f"{decision.kind.value}:{decision.subject}", verdict=decision.verdict,
            rank=decision.rank, probability=decision.probability, by=decision.by, reason=decision.reason, at=decision.at,
        )  # fmt: skip


class CauseRecordOut(BaseModel):
    """How often the first look was right, over a year of causes that people confirmed."""

    confirmed: int
    first: int = Field(description="Of these the first look had so many on top.")
    among_three: int
    sentence: str

    @classmethod
    def of(cls, record: CauseRecord) -> Self:
        """For the wire."""
        return cls(confirmed=record.confirmed, first=record.first, among_three=record.among_three, sentence=record.sentence)


@router.get(CAUSES, operation_id="getIncidentCauses", dependencies=READ, summary="What an incident may come from")
def read(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> LedgerOut:
    """The newest look: hypotheses with evidence for and against, the likeliest first. 404 before any look."""
    return LedgerOut.of(incident_cause_read.read_causes(context, incident_id, actor=actor))


@router.post(CAUSES, operation_id="findIncidentCauses", dependencies=RESPOND, summary="Look for the cause again")
def look(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> LedgerOut:
    """With what is known now. Looks are kept; nothing is changed but the ledger."""
    from productops.usecases.incident_cause import find_cause  # brings the numerics

    return LedgerOut.of(find_cause(context, incident_id, actor=actor))


@router.get(f"{CAUSES}/looks", operation_id="listIncidentCauseLooks", dependencies=READ, summary="All looks for the cause, newest first")
def looks(
    incident_id: IncidentId, context: ContextDep, actor: ActorDep, limit: paging.Limit = 20, after: paging.After = None
) -> CauseLookPage:  # fmt: skip
    """How the ledger came to be what it is."""
    before = paging.decode_one(after)
    found = incident_cause_read.list_cause_looks(context, incident_id, before=before, limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda each: (each.id,))
    return CauseLookPage(items=[LedgerOut.of(each) for each in page], next=following)


@router.get(
    f"{CAUSES}/picture", operation_id="drawIncidentCauses", dependencies=READ, summary="The newest look as a picture",
    response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}},
)  # fmt: skip
def draw(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> Response:
    """SVG: failures and waiting by version around the onset, with what happened when."""
    from productops.adapters.incident_cause_picture import draw_cause

    found = incident_cause_read.read_cause_picture(context, incident_id, actor=actor)
    svg = draw_cause(
        found.ledger, title=found.title, first_s=found.first_s, length=found.length, arms=found.arms, marks=found.marks
    )  # fmt: skip
    return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


@router.post(
    f"{CAUSES}/decisions", operation_id="decideIncidentCause", dependencies=RESPOND, summary="Say that a hypothesis is right or wrong"
)
def decide(incident_id: IncidentId, body: CauseDecisionIn, context: ContextDep, actor: ActorDep) -> CauseDecisionOut:
    """Confirmed causes weigh in later incidents, and say how often the first look is right. One cause of an incident is confirmed."""
    decision = incident_cause_read.decide_cause(
        context, incident_id, body.hypothesis, body.verdict, reason=body.reason, actor=actor
    )  # fmt: skip
    return CauseDecisionOut.of(decision)


@router.get(
    f"{BASE}/incident-causes/record", operation_id="getCauseRecord", dependencies=READ, summary="How often the first look was right"
)
def record(
    context: ContextDep, actor: ActorDep,
    venture: Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$", description="Only of this venture.")] = None,
) -> CauseRecordOut:  # fmt: skip
    """Of the causes that people confirmed within a year."""
    return CauseRecordOut.of(incident_cause_read.cause_record(context, venture=venture, actor=actor))
