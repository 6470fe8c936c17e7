"""Routes of alert rules: set, list, read, change, delete, and try on what was measured."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from productops.api.access import allowed
from productops.api.deployment_ops_read import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.monitoring_slo_rule import AlertRule, Condition, RuleSpec, Selector, Severity
from productops.domain.release import Environment
from productops.errors import InvalidInputError, PreconditionRequiredError
from productops.usecases import monitoring_rules
from productops.usecases.monitoring_rules import Preview, RuleView, RuleWish

RULES = f"{BASE}/alert-rules"
router = APIRouter(tags=["monitoring"])
READ = [allowed(Operation.METRIC_READ)]
SET = [allowed(Operation.ALERT_SET)]
RuleId = Annotated[str, Path(max_length=64, description="Id of the rule.")]
IfMatch = Annotated[str | None, Header(description='The revision that is changed, as in the ETag: `"3"`.')]
ETAG = {"ETag": {"description": "The revision.", "schema": {"type": "string"}}}


class RuleBody(BaseModel):
    """A series, a condition that has to hold for some time, and how bad that is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "disk-full", "venture": "apollo", "severity": "SEV3", "for_s": 300,
                    "selector": {"name": "host.disk_pct", "tags": {"mount": "/"}},
                    "condition": {"operator": ">", "threshold": 90}, "summary": "The disk of a host is nearly full",
                }
            ]
        },
    )  # fmt: skip

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,118}$", description="One of each name in a venture.")]
    venture: Annotated[str, Field(max_length=63, pattern=r"^[^\x00]*$")]
    selector: Selector
    condition: Condition
    for_s: Annotated[int, Field(ge=0, le=86_400, description="The condition has to hold for so long.")] = 0
    severity: Severity = "SEV3"
    service: Annotated[str | None, Field(max_length=63, pattern=r"^[^\x00]*$", description="What its alerts are about.")] = None
    environment: Environment | None = None
    enabled: bool = True
    summary: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""
    runbook: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$", description="Where it says what to do.")] = ""
    labels: Annotated[dict[str, str], Field(max_length=20)] = {}

    def to_wish(self) -> RuleWish:
        """For the use case."""
        spec = RuleSpec(
            selector=self.selector, condition=self.condition, for_s=self.for_s, summary=self.summary, runbook=self.runbook,
            labels=self.labels,
        )  # fmt: skip
        return RuleWish(self.venture, self.name, spec, self.severity, self.service, self.environment, self.enabled)


class AlertRuleOut(BaseModel):
    """A rule, and the series it fires for."""

    rule_id: str
    name: str
    venture: str
    service: str | None
    environment: Environment | None
    severity: Severity
    enabled: bool
    selector: Selector
    condition: Condition
    words: str = Field(description="The condition in words.")
    for_s: int
    summary: str
    runbook: str
    labels: dict[str, str]
    firing: list[str]
    revision: int
    created_by: str
    created_at: datetime
    changed_by: str
    changed_at: datetime

    @classmethod
    def of(cls, rule: AlertRule, firing: tuple[str, ...] = ()) -> AlertRuleOut:
        """As callers see it."""
        same = (
            "name", "venture", "service", "environment", "severity", "enabled", "revision", "created_by", "created_at", "changed_by",
            "changed_at",
        )  # fmt: skip
        parts = ("selector", "condition", "for_s", "summary", "runbook", "labels")
        return cls.model_validate(
            {name: getattr(rule, name) for name in same}
            | {name: getattr(rule.spec, name) for name in parts}
            | {"rule_id": rule.id, "firing": list(firing), "words": f"{rule.spec.selector.name} {rule.spec.condition.words}"}
        )

    @classmethod
    def of_view(cls, view: RuleView) -> AlertRuleOut:
        """With what it fires for."""
        return cls.of(view.rule, view.firing)


class AlertRuleList(BaseModel):
    """By venture and name."""

    items: list[AlertRuleOut]


class FiringOut(BaseModel):
    """Once that it would have fired."""

    series: str
    since: datetime
    until: datetime | None = Field(description="Null: it still would.")
    value: float | None


class PreviewOut(BaseModel):
    """What a rule would have done."""

    since: datetime
    until: datetime
    series: int = Field(description="How many fit the selector.")
    points: int
    count: int = Field(description="How often it would have fired.")
    firings: list[FiringOut] = Field(description="The first 200.")
    sentence: str

    @classmethod
    def of(cls, found: Preview) -> PreviewOut:
        """As callers see it."""
        firings = [FiringOut(series=f.series, since=f.since, until=f.until, value=f.value) for f in found.firings]
        return cls(
            since=found.since, until=found.until, series=found.series, points=found.points, count=found.count, firings=firings,
            sentence=found.sentence,
        )  # fmt: skip


@router.post(
    f"{BASE}/alerts", operation_id="setAlert", dependencies=SET, status_code=201, summary="Set an alert rule",
    responses={201: {"headers": ETAG}},
)  # fmt: skip
def set_alert(body: RuleBody, response: Response, context: ContextDep, actor: ActorDep) -> AlertRuleOut:
    """It counts at once. `POST /alert-rules/preview` says beforehand how often it would have fired."""
    rule = monitoring_rules.set_rule(context, body.to_wish(), actor=actor)
    response.headers["ETag"], response.headers["Location"] = f'"{rule.revision}"', f"{RULES}/{rule.id}"
    return AlertRuleOut.of(rule)


@router.post(f"{RULES}/preview", operation_id="previewAlert", dependencies=READ, summary="Try an alert rule on what was measured")
def preview(
    body: RuleBody, context: ContextDep, actor: ActorDep,
    hours: Annotated[float, Query(gt=0, le=168, description="So far back.")] = 24.0,
) -> PreviewOut:  # fmt: skip
    """How often it would have fired, when, and for which series; nothing is stored."""
    return PreviewOut.of(monitoring_rules.preview_rule(context, body.to_wish(), hours=hours, actor=actor))


@router.get(RULES, operation_id="listAlertRules", dependencies=READ, summary="List alert rules")
def list_alert_rules(
    context: ContextDep, actor: ActorDep, venture: Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$")] = None
) -> AlertRuleList:
    """By venture and name, with the series each fires for now."""
    return AlertRuleList(items=[AlertRuleOut.of_view(each) for each in monitoring_rules.list_rules(context, venture=venture, actor=actor)])


@router.get(
    f"{RULES}/{{rule_id}}", operation_id="getAlertRule", dependencies=READ, summary="Read an alert rule", responses={200: {"headers": ETAG}}
)
def show_rule(rule_id: RuleId, response: Response, context: ContextDep, actor: ActorDep) -> AlertRuleOut:
    """Its revision is the ETag."""
    view = monitoring_rules.read_rule(context, rule_id, actor=actor)
    response.headers["ETag"] = f'"{view.rule.revision}"'
    return AlertRuleOut.of_view(view)


@router.put(
    f"{RULES}/{{rule_id}}", operation_id="changeAlertRule", dependencies=SET, summary="Replace an alert rule",
    responses={200: {"headers": ETAG}},
)  # fmt: skip
def change(
    rule_id: RuleId, body: RuleBody, response: Response, context: ContextDep, actor: ActorDep, if_match: IfMatch = None
) -> AlertRuleOut:
    """`If-Match` names the revision that was read."""
    if if_match is None:
        raise PreconditionRequiredError("send If-Match with the ETag the rule was read with")
    found = re.fullmatch(r'\s*(?:W/)?"(\d{1,9})"\s*', if_match)
    if found is None:
        raise InvalidInputError(f'If-Match is {if_match[:40]!r}; send the ETag that the rule was read with, like "3"')
    rule = monitoring_rules.change_rule(context, rule_id, body.to_wish(), revision=int(found[1]), actor=actor)
    response.headers["ETag"] = f'"{rule.revision}"'
    return AlertRuleOut.of(rule)


@router.delete(f"{RULES}/{{rule_id}}", operation_id="deleteAlertRule", dependencies=SET, summary="Delete an alert rule")
def delete(rule_id: RuleId, context: ContextDep, actor: ActorDep) -> AlertRuleOut:
    """Alerts that it raised end. What it was stays in the audit log."""
    return AlertRuleOut.of(monitoring_rules.remove_rule(context, rule_id, actor=actor))
