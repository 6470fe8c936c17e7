"""Which alert rules hold now, series by series."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from productops.domain.governance_access import Operation
from productops.domain.incident_alert import Alert
from productops.domain.monitoring_series import INSTALLATION, SeriesData
from productops.domain.monitoring_slo_rule import AlertRule, Operator, RuleState, Selector, holds, series_title, value_at
from productops.errors import InvalidInputError, NotFoundError
from productops.usecases.context import OURSELVES, Actor, Context

log = structlog.get_logger(__name__)
AGAIN = timedelta(seconds=60)
MISSING = "(no series)"
HOST = "host/"


def evaluate_rules(context: Context, *, now: datetime, actor: Actor) -> list[Alert]:
    """Alerts of rules that begin to hold, of those that hold again every minute, and of those that hold no more.

    Raises: ForbiddenError, StoreUnavailableError.
    """
    actor.check(Operation.METRIC_READ)
    with context.store.read() as unit:
        rules = unit.alert_rules.all()
        states = unit.alert_rules.states() if rules else {}
    alerts: list[Alert] = []
    changed: dict[str, dict[str, RuleState | None]] = {}
    for rule in rules:
        told = _evaluate(context, rule, states.get(rule.id, {}), alerts, now=now)
        if told:
            changed[rule.id] = told
    if changed:
        with context.store.write() as unit:
            present = {rule.id for rule in unit.alert_rules.all()}
            for rule_id in changed.keys() & present:
                unit.alert_rules.put_states(rule_id, changed[rule_id])
    return alerts


def series_for(context: Context, venture: str, selector: Selector, *, since: datetime, until: datetime) -> list[SeriesData]:
    """What a rule looks at; hosts belong to no venture. Raises: InvalidInputError, NotFoundError, StoreUnavailableError."""
    from productops.usecases.monitoring_series import read_series

    of_host = selector.name.startswith("host.") or (selector.component or "").startswith(HOST)
    return read_series(
        context, venture=INSTALLATION if of_host else venture, component=selector.component, name=selector.name,
        tags=selector.tags or None, since=since, until=until, actor=OURSELVES,
    )  # fmt: skip


def _evaluate(
    context: Context, rule: AlertRule, states: Mapping[str, RuleState], alerts: list[Alert], *, now: datetime
) -> dict[str, RuleState | None]:
    """States that changed; alerts are added to ``alerts``."""
    found = _values(context, rule, states, now=now) if rule.enabled else {}
    changed: dict[str, RuleState | None] = {}
    for series in sorted(found.keys() | states.keys()):
        before = states.get(series, RuleState())
        after, status = _step(rule, before, found.get(series), now=now)
        if status:
            alerts.append(_alert(rule, series, after if after.since else before, status, now=now))
        if after != before:
            changed[series] = after if after.since else None
    return changed


def _values(
    context: Context, rule: AlertRule, states: Mapping[str, RuleState], *, now: datetime
) -> dict[str, float | None]:  # fmt: skip
    """What is compared, by series. Where nothing is there at all, the rule itself may be what is silent."""
    spec = rule.spec
    since = now - timedelta(seconds=spec.looks_back_s)
    try:
        data = series_for(context, rule.venture, spec.selector, since=since, until=now + timedelta(seconds=1))
    except (InvalidInputError, NotFoundError) as error:
        log.warning("alert rule not evaluated", rule=rule.name, reason=str(error))
        return dict.fromkeys(states)
    found: dict[str, float | None] = {
        series_title(each.key.component, each.key.name, each.key.tags): value_at(spec.condition, each.at, each.value, now_s=now.timestamp())
        for each in data
    }
    if spec.condition.operator is Operator.ABSENT:
        if not found and not states:
            found[MISSING] = float("inf")
        # A series that was silent when it was last looked at and has no point still is.
        found |= {series: float("inf") for series in states if series not in found and (series != MISSING or not data)}
    return found


def _step(rule: AlertRule, before: RuleState, value: float | None, *, now: datetime) -> tuple[RuleState, str]:
    """The state after a look, and what is to be told: ``firing``, ``resolved`` or nothing."""
    if not holds(rule.spec.condition, value):
        return RuleState(), "resolved" if before.fired_at is not None else ""
    since = before.since or now
    shown = None if value is None or value == float("inf") else value
    if before.fired_at is None:
        if now - since < timedelta(seconds=rule.spec.for_s):
            return RuleState(since), ""
        return RuleState(since, now, now, shown), "firing"
    if before.told_at is not None and now - before.told_at < AGAIN:
        return before, ""
    return RuleState(since, before.fired_at, now, shown), "firing"


def _alert(rule: AlertRule, series: str, state: RuleState, status: str, *, now: datetime) -> Alert:
    spec = rule.spec
    shown = "" if state.value is None or spec.condition.operator is Operator.ABSENT else f" (now {state.value:.6g})"
    summary = spec.summary or f"{series} {spec.condition.words}"
    if status == "resolved":
        summary, shown = f"{rule.name}: {series} is as it should be again", ""
    evidence = {
        "rule_id": rule.id, "rule": rule.name, "series": series, "condition": spec.condition.words, "for_s": spec.for_s,
        **({"runbook": spec.runbook} if spec.runbook else {}),
    }  # fmt: skip
    return Alert(
        source="rule", name=rule.name, venture=rule.venture, service=rule.service, environment=rule.environment,
        component=spec.selector.component or rule.service or "", labels={**spec.labels, "rule": rule.name, "series": series},
        status=status, severity=rule.severity, summary=f"{summary}{shown}", evidence=evidence,
        starts_at=state.fired_at or now, ends_at=now if status == "resolved" else None, value=state.value,
    )  # fmt: skip


def resolved_alert(rule: AlertRule, series: str, state: RuleState, *, now: datetime) -> Alert:
    """The end of what a rule has raised, for one that is no more."""
    return _alert(rule, series, state, "resolved", now=now)
