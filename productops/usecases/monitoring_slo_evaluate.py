"""Once a second: which error budgets burn too fast, and which alert rules hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from productops.domain.governance_access import Operation
from productops.domain.incident_alert import Alert
from productops.domain.monitoring_slo import MINUTE_S, BurnRule, Counts, Objective, utc
from productops.domain.monitoring_slo_burn import SECONDS_S, RuleLook, Seen, look, sentence, windows_of
from productops.store import Unit
from productops.store.monitoring_slo import SloState, Told
from productops.usecases.context import Actor, Context
from productops.usecases.monitoring_rules_evaluate import evaluate_rules
from productops.usecases.monitoring_slo_count import SETTLE_S, SecondCounts, by_second, router_minutes, series_minutes

__all__ = ["evaluate_objectives", "evaluate_rules"]

AGAIN_S = 60.0
"""What fires is told again so often."""
WRITTEN_S = 2
"""A minute is counted so long after its end: its last second has to be written."""
FIRST_S, FIRST_LATENCY_S = 86_400, 3_600
"""How far back a new objective is counted; latencies are dear to read."""


def evaluate_objectives(context: Context, *, now: datetime, actor: Actor) -> list[Alert]:
    """Alerts of objectives whose budget burns too fast, when that begins, gets worse, every minute, and when it is over.

    Minutes that have ended since the last call are counted first. Safe to call at any pace; one caller at a time.
    Raises: ForbiddenError, StoreUnavailableError.
    """
    actor.check(Operation.METRIC_READ)
    with context.store.read() as unit:
        objectives = unit.objectives.all()
        states = unit.objectives.states()
    if not objectives:
        return []
    now_s = int(now.timestamp())
    states = _count_minutes(context, objectives, states, now_s=now_s)
    with context.store.read() as unit:
        seconds = _seconds(unit, objectives, states, now_s=now_s)
    alerts: list[Alert] = []
    changed: dict[str, SloState] = {}
    for objective in objectives:
        before = states.get(objective.name, SloState())
        after, told = _judge(objective, before, seconds.get(objective.name, ()), now=now)
        alerts += told
        if after != before:
            changed[objective.name] = after
    if changed:
        with context.store.write() as unit:
            for name, state in changed.items():
                unit.objectives.put_state(name, state)
    return alerts


def recount(context: Context, objective: Objective, *, since_s: int, until_s: int) -> int:
    """Count whole minutes of [since_s, until_s) anew, for data that came late. Returns how many minutes there were."""
    since_s = since_s + -since_s % MINUTE_S
    minutes = _minutes(context, objective, since_s=since_s, until_s=until_s)
    with context.store.write() as unit:
        unit.objectives.put_minutes(objective.name, minutes)
    return len(minutes)


def _minutes(context: Context, objective: Objective, *, since_s: int, until_s: int) -> Mapping[tuple[int, str], Counts]:
    if objective.indicator.place == "series":
        return series_minutes(context, objective, since_s=since_s, until_s=until_s)
    with context.store.read() as unit:
        return router_minutes(unit, objective, since_s=since_s, until_s=until_s)


def _count_minutes(context: Context, objectives: Sequence[Objective], states: Mapping[str, SloState], *, now_s: int) -> dict[str, SloState]:
    """States with all ended minutes counted, and what long windows hold. Only what has to be written is written."""
    done_s = (now_s - WRITTEN_S) // MINUTE_S * MINUTE_S
    found = dict(states)
    for objective in objectives:
        state = states.get(objective.name, SloState())
        outside = objective.indicator.place not in {"router", "series"}
        if not outside and state.rolled_s < done_s:
            first_s = FIRST_LATENCY_S if objective.indicator.needs_latency else FIRST_S
            since_s = max(state.rolled_s - SETTLE_S, done_s - first_s)
            minutes = _minutes(context, objective, since_s=since_s - since_s % MINUTE_S, until_s=done_s)
            with context.store.write() as unit:
                unit.objectives.put_minutes(objective.name, minutes)
                found[objective.name] = _summed(unit, objective, replace(state, rolled_s=done_s))
                unit.objectives.put_state(objective.name, found[objective.name])
        elif outside and state.rolled_s and (not state.sums or now_s % MINUTE_S == 0):
            with context.store.read() as unit:
                found[objective.name] = _summed(unit, objective, state)
    return found


def _summed(unit: Unit, objective: Objective, state: SloState) -> SloState:
    lengths = {length for length in windows_of(_rules(objective)) if _whole_minutes(objective, length)}
    sums = unit.objectives.sums(objective.name, until_s=state.rolled_s, windows_s={max(length, MINUTE_S) for length in lengths})
    first_s = state.first_s if state.first_s is not None else unit.objectives.first_minute(objective.name)
    return replace(state, first_s=first_s, sums={str(length): (counts.good, counts.total) for length, counts in sums.items()})


def _rules(objective: Objective) -> tuple[BurnRule, ...]:
    """Rules that can be judged: what is known by minute only cannot be judged within seconds."""
    if objective.indicator.place == "router":
        return objective.rules
    return tuple(rule for rule in objective.rules if rule.long_s > SECONDS_S)


def _whole_minutes(objective: Objective, length_s: int) -> bool:
    return length_s > SECONDS_S or objective.indicator.place != "router"


def _seconds(
    unit: Unit, objectives: Sequence[Objective], states: Mapping[str, SloState], *, now_s: int
) -> Mapping[str, Sequence[SecondCounts]]:
    """Seconds that short windows need, and those after the last counted minute."""
    wanted = [each for each in objectives if each.indicator.place == "router"]
    if not wanted:
        return {}
    rolled = [states[each.name].rolled_s for each in wanted if each.name in states]
    after_s = min([now_s - SECONDS_S, *(each for each in rolled if each > now_s - SETTLE_S)])
    return by_second(unit, wanted, after_s=after_s - 1, until_s=now_s)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The windows of one objective, as of now."""

    objective: Objective
    state: SloState
    seconds: Sequence[SecondCounts]
    now_s: int

    def window(self, length_s: int) -> Seen:
        """What was counted in the last so many seconds. The second that is under way is not there yet."""
        if not _whole_minutes(self.objective, length_s):
            return self._sum(self.now_s - 1 - length_s)
        good, total = self.state.sums.get(str(max(length_s, MINUTE_S)), (0.0, 0.0))
        if self.objective.indicator.place != "router":
            return Seen(Counts(good, total))
        return Seen(Counts(good, total) + self._sum(self.state.rolled_s - 1).whole)

    def _sum(self, after_s: int) -> Seen:
        versions: dict[str, Counts] = {}
        for each in self.seconds:
            if each.at_s > after_s:
                versions[each.version] = versions.get(each.version, Counts()) + each.counts
        return Seen(Counts.of(versions), versions)


def _judge(
    objective: Objective, state: SloState, seconds: Sequence[SecondCounts], *, now: datetime
) -> tuple[SloState, list[Alert]]:  # fmt: skip
    reading = _Reading(objective, state, seconds, int(now.timestamp()))
    rules = [rule for rule in _rules(objective) if _knows_enough(rule, state, now)]
    seen = {length: reading.window(length) for length in windows_of(rules)}
    looks = {rule.name: look(objective, rule, seen) for rule in rules}
    at = now.timestamp()
    pending = {name: state.pending.get(name, at) for name, each in looks.items() if each.breach}
    firing = {}
    for name, each in looks.items():
        if not each.rule.firing and not each.silent:
            continue
        ripe = name in pending and at - pending[name] >= each.rule.after_s
        if ripe or (name in state.firing and not each.recovered):
            firing[name] = state.firing.get(name, at)
    waits = {name: since for name, since in pending.items() if looks[name].rule.after_s}
    told, alerts = _tell(objective, state, [looks[name] for name in firing], now=now)
    return replace(state, firing=firing, pending=waits, told=told), alerts


def _knows_enough(rule: BurnRule, state: SloState, now: datetime) -> bool:
    """A window of days says nothing about what is measured for minutes only."""
    if rule.no_data or rule.long_s <= SECONDS_S:
        return True
    return state.first_s is not None and now.timestamp() - state.first_s >= rule.short_s


def _tell(
    objective: Objective, state: SloState, looks: Sequence[RuleLook], *, now: datetime
) -> tuple[dict[str, Told], list[Alert]]:  # fmt: skip
    """What was told after this look, and alerts: one for what burns fast, one for what burns slowly."""
    at = now.timestamp()
    told: dict[str, Told] = {}
    alerts: list[Alert] = []
    for pace in ("fast", "slow"):
        mine = [each for each in looks if each.rule.pace == pace]
        before = state.told.get(pace)
        if not mine:
            if before is not None:
                alerts.append(_alert(objective, pace, before, (), now=now))
            continue
        severity = min(each.rule.severity for each in mine)
        if before is not None and severity >= before.severity and at - before.told_at < AGAIN_S:
            told[pace] = before
            continue
        since, worst = (at, severity) if before is None else (before.since, min(severity, before.severity))
        told[pace] = Told(since, at, worst)
        alerts.append(_alert(objective, pace, told[pace], mine, now=now))
    return told, alerts


def _alert(objective: Objective, pace: str, told: Told, looks: Sequence[RuleLook], *, now: datetime) -> Alert:
    """``looks`` are what fires; none: it is over."""
    summary = f"{objective.name}: the budget of {objective.service} burns no faster than allowed any more"
    evidence: dict[str, object] = {"objective": objective.name, "target": objective.target}
    value = None
    if looks:
        worst = min(looks, key=lambda each: (each.rule.severity, each.rule.long_s))
        summary, value = sentence(objective, worst), worst.burn
        evidence |= {"requests": int(worst.long.total), "rules": [each.evidence(objective) for each in looks]}
        if worst.part:
            evidence["version"] = worst.part
    return Alert(
        source="slo", name=objective.name, venture=objective.venture, service=objective.service, environment=objective.environment,
        component=objective.service, labels={**objective.labels, "objective": objective.name, "slo": objective.slo, "pace": pace},
        status="firing" if looks else "resolved", severity=told.severity, summary=summary, evidence=evidence,
        starts_at=utc(told.since), ends_at=None if looks else now, value=value,
    )  # fmt: skip
