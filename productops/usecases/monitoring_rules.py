"""Alert rules: set, list, change, delete, and try on what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from productops.domain.governance_access import Operation, Scope, may_see, visible_places
from productops.domain.incident_alert import Alert
from productops.domain.monitoring_slo_rule import AlertRule, Firing, RuleSpec, RuleState, replay, series_title
from productops.domain.release import Environment
from productops.errors import InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.monitoring_slo_rules import RuleValues
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_access_scope import in_places, venture_for
from productops.usecases.monitoring_rules_evaluate import resolved_alert, series_for

HOURS_MAX = 7 * 24
MOMENTS_MAX = 20_000
LOOKS_MAX = 400_000
FIRINGS_SHOWN = 200
SUBJECT = "alert-rule"


@dataclass(frozen=True, slots=True)
class RuleWish:
    """A rule as somebody wants it. ``service`` and ``environment`` are what its alerts are about."""

    venture: str
    name: str
    spec: RuleSpec
    severity: str = "SEV3"
    service: str | None = None
    environment: Environment | None = None
    enabled: bool = True

    @property
    def values(self) -> RuleValues:
        """As stored."""
        return RuleValues(self.venture, self.name, self.service, self.environment, self.severity, self.enabled, self.spec)


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule and the series it fires for now."""

    rule: AlertRule
    states: dict[str, RuleState]

    @property
    def firing(self) -> tuple[str, ...]:
        """Series."""
        return tuple(sorted(series for series, state in self.states.items() if state.fired_at is not None))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have done in the last ``hours``; ``series`` fit its selector, ``count`` how often it would have fired."""

    since: datetime
    until: datetime
    series: int
    points: int
    count: int
    firings: tuple[Firing, ...]
    sentence: str


def set_rule(context: Context, wish: RuleWish, *, actor: Actor) -> AlertRule:
    """Store a new rule; it counts at once. Raises: NotFoundError, ForbiddenError, InvalidInputError, ConflictError for a taken name."""
    now = context.clock.now()
    with context.store.write() as unit:
        _check(unit, wish, actor)
        rule = unit.alert_rules.add(wish.values, by=actor.name, now=now)
        _audit(unit, "alert-rule.created", rule, actor=actor, now=now, after=document(rule))
    return rule


def change_rule(context: Context, rule_id: str, wish: RuleWish, *, revision: int, actor: Actor) -> AlertRule:
    """Replace a rule that is still at ``revision``; what it fires for begins anew. Raises: as ``set_rule``, RevisionMismatchError."""
    now = context.clock.now()
    with context.store.write() as unit:
        before = rule_in(unit, rule_id, actor, Operation.ALERT_SET)
        if before.venture != wish.venture:
            raise InvalidInputError(f"rule {before.name!r} stays in venture {before.venture}; make a new one in {wish.venture}")
        _check(unit, wish, actor)
        rule = unit.alert_rules.change(rule_id, wish.values, revision=revision, by=actor.name, now=now)
        _audit(unit, "alert-rule.changed", rule, actor=actor, now=now, before=document(before), after=document(rule))
    return rule


def remove_rule(context: Context, rule_id: str, *, actor: Actor) -> AlertRule:
    """Delete a rule; alerts it has raised end. Raises: NotFoundError, ForbiddenError."""
    now = context.clock.now()
    with context.store.write() as unit:
        rule = rule_in(unit, rule_id, actor, Operation.ALERT_SET)
        states = unit.alert_rules.states().get(rule.id, {})
        unit.alert_rules.remove(rule_id)
        _audit(unit, "alert-rule.removed", rule, actor=actor, now=now, before=document(rule))
    _end(context, [resolved_alert(rule, series, state, now=now) for series, state in states.items() if state.fired_at is not None])
    return rule


def list_rules(context: Context, *, venture: str | None = None, actor: Actor) -> list[RuleView]:
    """Those the caller may see, by venture and name. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        seen = visible_places(actor.principal, Operation.METRIC_READ)
        rules = [rule for rule in unit.alert_rules.all(venture=venture) if _in(seen, rule)]
        states = unit.alert_rules.states()
    return [RuleView(rule, states.get(rule.id, {})) for rule in rules]


def read_rule(context: Context, rule_id: str, *, actor: Actor) -> RuleView:
    """Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        rule = rule_in(unit, rule_id, actor, Operation.METRIC_READ)
        return RuleView(rule, unit.alert_rules.states().get(rule.id, {}))


def preview_rule(context: Context, wish: RuleWish, *, hours: float = 24.0, actor: Actor) -> Preview:
    """What a rule would have done with what was measured; nothing is stored.

    Asked every second, or as often as 20,000 questions a series (400,000 in all) allow. Raises: NotFoundError, InvalidInputError.
    """
    if not 0 < hours <= HOURS_MAX:
        raise InvalidInputError(f"{hours:g} hours: look back from a moment up to {HOURS_MAX} hours")
    with context.store.read() as unit:
        venture_for(unit, wish.venture, actor, Operation.METRIC_READ)
    until = context.clock.now()
    since = until - timedelta(hours=hours)
    data = series_for(context, wish.venture, wish.spec.selector, since=since, until=until)
    step_s = max(1.0, hours * 3600 / min(MOMENTS_MAX, LOOKS_MAX / max(1, len(data))))
    moments = [since.timestamp() + step_s * number for number in range(round(hours * 3600 / step_s) + 1)]
    firings: list[Firing] = []
    for each in data:
        title = series_title(each.key.component, each.key.name, each.key.tags)
        first = float(each.at[0]) if len(each.at) else since.timestamp()
        known = [moment for moment in moments if moment >= first]  # what nobody measured yet is not absent
        firings += replay(wish.spec, title, each.at, each.value, moments=known)
    firings.sort(key=lambda each: each.since)
    points = sum(len(each.at) for each in data)
    said = (
        f"would have fired {len(firings)} times in the last {hours:g} h, for {len({each.series for each in firings})} of {len(data)} series"
        if data else f"no series fits in the last {hours:g} h: nothing would have fired, and nothing can be said about the threshold"
    )  # fmt: skip
    return Preview(since, until, len(data), points, len(firings), tuple(firings[:FIRINGS_SHOWN]), said)


def rule_in(unit: Unit, rule_id: str, actor: Actor, operation: Operation) -> AlertRule:
    """A rule by id that the caller may see. Raises: NotFoundError, ForbiddenError."""
    rule = unit.alert_rules.get(rule_id)
    if not may_see(actor.principal, Operation.METRIC_READ, Scope(rule.venture, rule.environment)):
        raise NotFoundError(f"there is no alert rule {rule_id[:80]!r}; list them with: productops alert rules")
    if operation is not Operation.METRIC_READ:
        actor.check(operation, venture=rule.venture, environment=rule.environment)
    return rule


def document(rule: AlertRule) -> dict[str, Any]:
    """What the audit keeps of a rule."""
    return {
        "name": rule.name, "service": rule.service, "environment": rule.environment.value if rule.environment else None,
        "severity": rule.severity, "enabled": rule.enabled, "revision": rule.revision, **rule.spec.model_dump(mode="json"),
    }  # fmt: skip


def _in(places: Any, rule: AlertRule) -> bool:
    if rule.environment is not None:
        return in_places(places, rule.venture, rule.environment)
    return places is None or any(venture in {"*", rule.venture} for venture, _ in places)


def _check(unit: Unit, wish: RuleWish, actor: Actor) -> None:
    """Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    venture_for(unit, wish.venture, actor, Operation.METRIC_READ)
    actor.check(Operation.ALERT_SET, venture=wish.venture, environment=wish.environment)
    if wish.service is not None:
        service = unit.catalog.find_service(wish.service)
        if service is None or service.venture != wish.venture:
            known = ", ".join(s.name for s in unit.catalog.services() if s.venture == wish.venture) or "none"
            raise InvalidInputError(f"venture {wish.venture} has no service {wish.service[:80]!r}; known: {known}")


def _audit(
    unit: Unit, action: str, rule: AlertRule, *, actor: Actor, now: datetime, before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    unit.audit.add(
        action, f"{SUBJECT}/{rule.id}", actor=actor.name, origin=actor.origin, now=now, before=before, after=after,
        detail={"venture": rule.venture, "name": rule.name},
    )  # fmt: skip


def _end(context: Context, alerts: Sequence[Alert]) -> None:
    if alerts:
        from productops.usecases.incident_alerts import take_alerts

        take_alerts(context, alerts, actor=OURSELVES)
