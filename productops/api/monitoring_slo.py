"""Routes of objectives: list, read with what releases burned, allow releases for a time though nothing is left."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from productops.api.access import allowed
from productops.api.deployment_ops_read import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.monitoring_slo import Method, Objective, OnSpent, ReleaseBurn
from productops.domain.release import Environment
from productops.store.monitoring_slo import Allowance
from productops.usecases import monitoring_slo
from productops.usecases.governance_access_scope import release_for
from productops.usecases.monitoring_slo import ObjectiveView

router = APIRouter(tags=["monitoring"])
READ = [allowed(Operation.METRIC_READ)]
Name = Annotated[str, Path(max_length=130, description="Name of the objective: that of its SLO, with a number where it has several.")]
Filter = Query(max_length=63, pattern=r"^[^\x00]*$")


class ReleaseBurnOut(BaseModel):
    """What a release cost of an error budget."""

    release_id: str
    version: str
    since: datetime
    until: datetime
    bad: float = Field(description="Bad events of its version, or bad slices, in that time.")
    expected: float = Field(description="As many would have been bad with the baseline.")
    minutes: float = Field(description="Minutes of the budget that it burned beyond what was expected.")

    @classmethod
    def of(cls, burn: ReleaseBurn) -> ReleaseBurnOut:
        """As callers see it."""
        return cls(
            release_id=burn.release_id, version=burn.version, since=burn.since, until=burn.until, bad=burn.bad, expected=burn.expected,
            minutes=round(burn.minutes, 4),
        )  # fmt: skip


class AllowanceOut(BaseModel):
    """Releases may go out until then though the budget is spent."""

    id: str
    objective: str
    reason: str
    given_by: str
    given_at: datetime
    until: datetime

    @classmethod
    def of(cls, allowance: Allowance) -> AllowanceOut:
        """As callers see it."""
        return cls(
            id=allowance.id, objective=allowance.objective, reason=allowance.reason, given_by=allowance.given_by,
            given_at=allowance.given_at, until=allowance.until,
        )  # fmt: skip


class ObjectiveOut(BaseModel):
    """An objective with its error budget. Ratios are null where nothing was measured."""

    name: str
    slo: str
    title: str
    venture: str
    service: str
    environment: Environment
    target: float
    method: Method
    window: str = Field(description="Length in OpenSLO's shorthand.")
    window_start: datetime
    window_end: datetime
    on_spent: OnSpent = Field(description="What a spent budget does to a release.")
    good: float
    total: float
    sli: float | None = Field(description="Share of good events, or of good slices.")
    slices: int | None
    bad_slices: float | None
    remaining_ratio: float | None = Field(description="Share of the budget that is left; below 0: more was spent than there is.")
    budget_minutes: float = Field(description="The whole budget as minutes of a total outage.")
    burned_minutes: float
    spent: bool
    surely_spent: bool = Field(description="So few events would hardly look like this by bad luck; only then releases are held.")
    firing: list[str] = Field(description="Burn rate rules that fire now.")
    allowance: AllowanceOut | None
    sentence: str

    @classmethod
    def of(cls, view: ObjectiveView) -> ObjectiveOut:
        """As callers see it."""
        return cls.model_validate(objective_fields(view))


class RuleOut(BaseModel):
    """A burn rate rule: the share of bad events is above the limit in the long and in the short window."""

    name: str
    long_s: int
    short_s: int
    burn: float
    severity: str
    limit_ratio: float


class ObjectiveDetail(ObjectiveOut):
    """With its rules, and with what releases burned, the dearest first."""

    rules: list[RuleOut]
    releases: list[ReleaseBurnOut]

    @classmethod
    def of(cls, view: ObjectiveView) -> ObjectiveDetail:
        """As callers see it."""
        objective = view.objective
        rules = [
            {"name": r.name, "long_s": r.long_s, "short_s": r.short_s, "burn": r.burn, "severity": r.severity,
             "limit_ratio": round(r.limit(objective.budget), 9)}
            for r in objective.rules
        ]  # fmt: skip
        burned = [ReleaseBurnOut.of(each) for each in view.budget.releases]
        return cls.model_validate(objective_fields(view) | {"rules": rules, "releases": burned})


def objective_fields(view: ObjectiveView) -> dict[str, object]:
    """Values of ``ObjectiveOut``."""
    budget, objective = view.budget, view.objective
    same = ("name", "slo", "title", "venture", "service", "environment", "target", "method", "on_spent")
    counted = (
        "good", "total", "sli", "slices", "bad_slices", "remaining_ratio", "budget_minutes", "burned_minutes", "spent", "surely_spent",
        "sentence",
    )  # fmt: skip
    return {name: getattr(objective, name) for name in same} | {name: getattr(budget, name) for name in counted} | {
        "window": objective.window.duration, "window_start": budget.since, "window_end": budget.until, "firing": list(view.firing),
        "allowance": AllowanceOut.of(view.allowance) if view.allowance else None,
    }  # fmt: skip


class ObjectiveList(BaseModel):
    """By name."""

    items: list[ObjectiveOut]


class AllowanceBody(BaseModel):
    """Why releases may go out, and for how long."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "1.1.2 mends the timeouts", "minutes": 60}]})

    reason: Annotated[str, Field(min_length=10, max_length=1000, pattern=r"^[^\x00]*$")]
    minutes: Annotated[int, Field(ge=1, le=10_080)] = 60


class ReleaseBudgetLine(BaseModel):
    """What a release burned of one objective's budget."""

    objective: str
    target: float
    burn: ReleaseBurnOut

    @classmethod
    def of(cls, objective: Objective, burn: ReleaseBurn) -> ReleaseBudgetLine:
        """As callers see it."""
        return cls(objective=objective.name, target=objective.target, burn=ReleaseBurnOut.of(burn))


class ReleaseBudget(BaseModel):
    """What a release burned; ``minutes`` of the objective that it cost most."""

    release_id: str
    service: str
    version: str
    minutes: float
    items: list[ReleaseBudgetLine]


@router.get(f"{BASE}/slos", operation_id="listObjectives", dependencies=READ, summary="List objectives with their error budgets")
def show_objectives(
    context: ContextDep, actor: ActorDep,
    venture: Annotated[str | None, Filter] = None,
    service: Annotated[str | None, Filter] = None,
    environment: Environment | None = None,
) -> ObjectiveList:  # fmt: skip
    """Objectives are declared in the catalog as OpenSLO; filters can be combined."""
    found = monitoring_slo.list_objectives(context, venture=venture, service=service, environment=environment, actor=actor)
    return ObjectiveList(items=[ObjectiveOut.of(each) for each in found])


@router.get(f"{BASE}/slos/{{objective}}", operation_id="getObjective", dependencies=READ, summary="Read an objective")
def show_objective(objective: Name, context: ContextDep, actor: ActorDep) -> ObjectiveDetail:
    """With its burn rate rules, and with what each release of the window burned of its budget."""
    return ObjectiveDetail.of(monitoring_slo.read_objective(context, objective, actor=actor))


@router.post(
    f"{BASE}/slos/{{objective}}/allowances", operation_id="allowSpentBudget", dependencies=[allowed(Operation.RELEASE_FORCE)],
    status_code=201, summary="Let releases out though the budget is spent",
)  # fmt: skip
def allow(objective: Name, body: AllowanceBody, context: ContextDep, actor: ActorDep) -> AllowanceOut:
    """For the release that mends it; at most a week, and in the audit log."""
    return AllowanceOut.of(
        monitoring_slo.allow_spent(context, objective, reason=body.reason, minutes=body.minutes, actor=actor)
    )  # fmt: skip


@router.get(
    "/api/v1/product-ops/releases/{release_id}/budget", operation_id="getReleaseBudget", dependencies=[allowed(Operation.RELEASE_READ)],
    summary="What a release burned of error budgets",
)  # fmt: skip
def show_release_budget(
    release_id: Annotated[str, Path(max_length=64, description="Id of the release.")], context: ContextDep, actor: ActorDep
) -> ReleaseBudget:
    """From its start until half an hour after its promotion: bad events of its version beyond what its baseline would have had."""
    with context.store.read() as unit:
        release = release_for(unit, release_id, actor)
    lines = [ReleaseBudgetLine.of(*each) for each in monitoring_slo.burned_of_release(context, release)]
    minutes = max((line.burn.minutes for line in lines), default=0.0)
    return ReleaseBudget(release_id=release.id, service=release.service, version=release.version, minutes=minutes, items=lines)
