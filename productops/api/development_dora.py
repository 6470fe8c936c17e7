"""Routes of delivery figures, and of the causes of incidents that they rest on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from productops.api import paging
from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.store.development_risk import KnownAttribution
from productops.usecases import development_attribution, development_dora
from productops.usecases.development_dora import KEYS_2023, KEYS_NOW, DoraReport, Figure

DEVELOPMENT = f"{BASE}/development"
router = APIRouter(tags=["development"])
READ = [allowed(Operation.DEVELOPMENT_READ)]
Venture = Annotated[str, Query(max_length=63, description="Name of the venture.")]
Service = Annotated[str | None, Query(max_length=63, description="Of this service only.")]
AttributionId = Annotated[str, Path(max_length=80, description="Id of the attribution.")]


class DoraFigureOut(BaseModel):
    """One figure."""

    name: str
    how: str
    values: dict[str, Any] = Field(description="Units stand in the names; null: there is nothing to measure, which is not zero.")
    rows: list[str] = Field(description="Ids of deployments, or of incidents for the time to restore; at most 500.")
    total: int

    @classmethod
    def of(cls, figure: Figure) -> DoraFigureOut:
        """The figure as callers see it."""
        return cls(name=figure.name, how=figure.how, values=figure.values, rows=list(figure.rows), total=figure.total)


class DoraSetOut(BaseModel):
    """The five keys of today and the four of 2023."""

    current: list[DoraFigureOut]
    keys_2023: list[DoraFigureOut]

    @classmethod
    def of(cls, figures: tuple[Figure, ...]) -> DoraSetOut:
        """Both sets."""
        by_name = {figure.name: DoraFigureOut.of(figure) for figure in figures}
        return cls(current=[by_name[name] for name in KEYS_NOW], keys_2023=[by_name[name] for name in KEYS_2023])


class DoraDeploymentOut(BaseModel):
    """A deployment of the window."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["release/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"])
    service: str
    version: str
    sha: str | None = Field(description="Its commit; null: nobody told.")
    finished_at: datetime
    outcome: str = Field(description="`live` or `rolled_back`.")
    commits: int
    unplanned: bool
    incidents: list[str] = Field(description="Attributed to it, as people have corrected it.")
    incidents_by_machine: list[str] = Field(description="Attributed to it by the machine alone.")
    url: str


class AttributionOut(BaseModel):
    """What caused an incident, as the machine or a person says."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    venture: str
    incident_id: str
    deployment: str | None = Field(description="null: none of the deployments caused it.")
    confidence: float
    by_person: bool
    by: str
    reason: str
    evidence: dict[str, Any]
    at: datetime
    replaced_at: datetime | None = Field(description="Since when something newer stands in its place.")

    @classmethod
    def of(cls, known: KnownAttribution) -> AttributionOut:
        """The attribution as callers see it."""
        return cls.model_validate(known)


class DoraOut(BaseModel):
    """The delivery figures of a window; `people` is what counts, `machine` is shown beside it."""

    venture: str
    service: str | None
    since: datetime
    until: datetime
    at: datetime
    people: DoraSetOut = Field(description="With the causes of incidents as people have corrected them.")
    machine: DoraSetOut = Field(description="With the causes as the machine attributes them alone.")
    overruled: int = Field(description="Incidents whose cause people decided otherwise.")
    deployments: list[DoraDeploymentOut]
    attributions: list[AttributionOut]
    notes: list[str] = Field(description="What the figures leave out, and why.")

    @classmethod
    def of(cls, report: DoraReport) -> DoraOut:
        """The report as callers see it."""
        rows = [
            DoraDeploymentOut.model_validate(
                {name: getattr(each, name) for name in DoraDeploymentOut.model_fields}
                | {"incidents": list(each.incidents), "incidents_by_machine": list(each.incidents_by_machine)}
            )
            for each in report.deployments
        ]
        return cls(
            venture=report.venture, service=report.service, since=report.since, until=report.until, at=report.at,
            people=DoraSetOut.of(report.people), machine=DoraSetOut.of(report.machine), overruled=report.overruled, deployments=rows,
            attributions=[AttributionOut.of(each) for each in report.attributions], notes=list(report.notes),
        )  # fmt: skip


class AttributionPage(BaseModel):
    """Attributions, newest first; pass `next` as `after` for the following page."""

    items: list[AttributionOut]
    next: str | None


class OverruleIn(BaseModel):
    """What really caused it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reason": "the payment provider was down, no deployment did it"}]},
    )
    deployment: str | None = Field(
        default=None, max_length=100, description="`release/<id>` or `deployment/<id>` of the same venture; left out: none of them did it."
    )
    reason: str = Field(min_length=10, max_length=2000, pattern=r"^[^\x00]*$")


@router.get(f"{DEVELOPMENT}/dora", operation_id="getDora", dependencies=READ, summary="Delivery figures (DORA)")
def show(
    context: ContextDep,
    actor: ActorDep,
    venture: Venture,
    service: Service = None,
    since: Annotated[datetime | None, Query(alias="from", description="Beginning of the window; left out: 90 days before its end.")] = None,
    until: Annotated[datetime | None, Query(alias="to", description="End of the window; left out: now.")] = None,
) -> DoraOut:
    """By the definitions of DORA, over deployments that tools tell of and releases of our own; each figure with its rows."""
    begin, end = (at if at is None or at.tzinfo else at.replace(tzinfo=UTC) for at in (since, until))
    return DoraOut.of(development_dora.dora_report(context, venture, service=service, since=begin, until=end, actor=actor))


@router.get(f"{DEVELOPMENT}/attributions", operation_id="listAttributions", dependencies=READ, summary="List causes of incidents")
def list_attributions(
    context: ContextDep,
    actor: ActorDep,
    venture: Annotated[str | None, Query(max_length=63, description="Of this venture only.")] = None,
    incident: Annotated[str | None, Query(max_length=80, description="Of this incident only.")] = None,
    replaced: Annotated[bool, Query(description="Also those that stand no longer.")] = False,  # noqa: FBT002
    after: paging.After = None,
    limit: paging.Limit = 50,
) -> AttributionPage:
    """What the machine and people say; newest first."""
    found = development_attribution.list_attributions(
        context, venture=venture, incident=incident, replaced=replaced, before=paging.decode_id(after), limit=limit + 1, actor=actor
    )
    page, following = paging.cut(found, limit, lambda each: (each.id,))
    return AttributionPage(items=[AttributionOut.of(each) for each in page], next=following)


@router.post(
    f"{DEVELOPMENT}/attributions/{{attribution_id}}/overrule", operation_id="overruleAttribution", status_code=201,
    dependencies=[allowed(Operation.DEVELOPMENT_OVERRULE)], summary="Say what really caused an incident",
)  # fmt: skip
def overrule(attribution_id: AttributionId, body: OverruleIn, context: ContextDep, actor: ActorDep) -> AttributionOut:
    """Your word decides in the figures; what the machine says stays beside it. It is kept in the audit log."""
    return AttributionOut.of(
        development_attribution.overrule(context, attribution_id, deployment=body.deployment, reason=body.reason, actor=actor)
    )
