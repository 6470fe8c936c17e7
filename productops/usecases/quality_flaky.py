"""Flaky tests: look at the stored history, quarantine what answers by chance, give back what does not; and both by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.catalog import Service
from productops.domain.governance_access import Operation
from productops.domain.quality_flaky import (
    RUNS_MAX,
    SPAN,
    SPAN_MAX,
    FlakyCost,
    FlakyDecision,
    FlakyMove,
    FlakyRules,
    FlakyTest,
    Held,
    decide,
    judge_tests,
    owner_of,
    total_cost,
)
from productops.domain.quality_runs import REASON_CHARACTERS_MIN, Quarantine
from productops.errors import InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import service_for

AUTOMATIC = "review"
_SAID = {
    FlakyMove.RELEASE: "quality.quarantine_released",
    FlakyMove.EXPIRE: "quality.quarantine_expired",
    FlakyMove.BLOCK: "quality.quarantine_broken",
}


@dataclass(frozen=True, slots=True)
class FlakyReport:
    """How the watched tests of a service stand. ``decisions`` is what a review did, or would do when one only looks.

    ``runs`` looked at; ``cost`` of the tests held to be flaky; ``people_minutes`` is what each blocked run is taken to cost somebody.
    """

    service: str
    venture: str
    at: datetime
    runs: int
    tests: tuple[FlakyTest, ...]
    quarantined: tuple[Quarantine, ...]
    decisions: tuple[FlakyDecision, ...]
    cost: FlakyCost
    people_minutes: float

    def flaky(self, sure: float) -> tuple[FlakyTest, ...]:
        """Those that answer by chance, with a probability of at least ``sure``."""
        return tuple(test for test in self.tests if test.probability >= sure)


def read_flaky(context: Context, service: str, actor: Actor, *, rules: FlakyRules | None = None) -> FlakyReport:
    """How the tests stand, and what the next review would do; nothing is changed. Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        found = service_for(unit, service, actor, Operation.QUALITY_READ)
        return _look(unit, found, context.clock.now(), rules or FlakyRules())


def review_flaky(context: Context, service: str, actor: Actor, *, rules: FlakyRules | None = None) -> FlakyReport:
    """Do what the evidence asks for: quarantine, release, expire, or let a quarantined test block again. Repeating it changes nothing.

    Raises: NotFoundError, ForbiddenError, ConflictError beside another review of the same service.
    """
    use = rules or FlakyRules()
    with context.store.write() as unit:
        found = service_for(unit, service, actor, Operation.QUALITY_QUARANTINE, seen_by=Operation.QUALITY_READ)
        now = context.clock.now()
        report = _look(unit, found, now, use)
        held = {each.test_key: each for each in report.quarantined}
        for decision in report.decisions:
            if decision.move is FlakyMove.QUARANTINE:
                _hold(unit, _asked_for(found, decision, use, actor, now), actor)
            else:
                _end(unit, held[decision.key], _SAID[decision.move], decision.reason, actor, now)
        quarantined = tuple(unit.quality_histories.held(service))
    return FlakyReport(
        report.service, report.venture, now, report.runs, report.tests, quarantined, report.decisions, report.cost, report.people_minutes,
    )  # fmt: skip


def quarantine_test(
    context: Context, service: str, test: str, *, reason: str, actor: Actor, owner: str = "", span: timedelta = SPAN
) -> Quarantine:  # fmt: skip
    """Let a test warn only, by somebody's word, until a time; evidence does not end it sooner, a break does.

    Raises: NotFoundError for a test that never failed, ForbiddenError, InvalidInputError, ConflictError when it is in quarantine already.
    """
    _check(reason, span)
    with context.store.write() as unit:
        found = service_for(unit, service, actor, Operation.QUALITY_QUARANTINE, seen_by=Operation.QUALITY_READ)
        watched = unit.quality_histories.watched(service, test)
        who = owner.strip() or owner_of(watched.file, (), found.venture)
        now = context.clock.now()
        held = Quarantine(
            str(new_id()), found.venture, service, test, watched.title, who, reason.strip()[:2000], {"by": "hand"}, actor.name, now,
            now + span,
        )  # fmt: skip
        return _hold(unit, held, actor)


def release_test(context: Context, service: str, test: str, *, reason: str, actor: Actor) -> Quarantine:
    """Let a test block again. Raises: NotFoundError when it is not in quarantine, ForbiddenError, InvalidInputError."""
    _check(reason, SPAN)
    with context.store.write() as unit:
        service_for(unit, service, actor, Operation.QUALITY_QUARANTINE, seen_by=Operation.QUALITY_READ)
        held = next((each for each in unit.quality_histories.held(service) if each.test_key == test), None)
        if held is None:
            raise NotFoundError(f"the test {test[:80]!r} of {service} is not in quarantine; see: productops quality flaky {service}")
        now = context.clock.now()
        _end(unit, held, _SAID[FlakyMove.RELEASE], reason.strip(), actor, now)
        return Quarantine(
            held.id, held.venture, held.service, held.test_key, held.test_name, held.owner, held.reason, held.evidence, held.by,
            held.since, held.until, now, reason.strip(),
        )  # fmt: skip


def _look(unit: Unit, service: Service, now: datetime, rules: FlakyRules) -> FlakyReport:
    history = unit.quality_histories.history(service.name, runs=RUNS_MAX)
    seconds = unit.quality_histories.seconds(service.name, [run.run_id for run in history.runs])
    tests = judge_tests(history, seconds=seconds, rules=rules)
    held = unit.quality_histories.held(service.name)
    marks = [Held(each.test_key, each.test_name, each.since, each.until, by_hand=each.evidence.get("by") == "hand") for each in held]
    decisions = decide(tests, marks, now=now, ended=unit.quality_histories.ended(service.name), rules=rules)
    cost = total_cost(test for test in tests if test.probability >= rules.sure)
    return FlakyReport(
        service.name, service.venture, now, len(history.runs), tests, tuple(held), decisions, cost, rules.people_minutes
    )  # fmt: skip


def _asked_for(service: Service, decision: FlakyDecision, rules: FlakyRules, actor: Actor, now: datetime) -> Quarantine:
    """What the evidence asks for."""
    test = decision.test
    return Quarantine(
        str(new_id()), service.venture, service.name, decision.key, decision.name,
        owner_of(test.file if test else "", rules.owners, service.venture), decision.reason[:2000],
        (test.evidence() if test else {}) | {"by": AUTOMATIC}, actor.name, now, now + rules.span,
    )  # fmt: skip


def _hold(unit: Unit, held: Quarantine, actor: Actor) -> Quarantine:
    """Keep it, and tell the audit. Raises: ConflictError when the test is in quarantine already."""
    unit.quality_histories.hold(held)
    unit.audit.add(
        "quality.quarantined", f"test/{held.service}/{held.test_key}", actor=actor.name, origin=actor.origin, now=held.since,
        reason=held.reason, before="counts", after="quarantined",
        detail={"quarantine_id": held.id, "test": held.test_name, "owner": held.owner, "until": held.until.isoformat(),
                "evidence": dict(held.evidence)},
    )  # fmt: skip
    return held


def _end(unit: Unit, held: Quarantine, action: str, reason: str, actor: Actor, now: datetime) -> None:
    """Somebody quicker has ended it already: then there is nothing to tell."""
    if unit.quality_histories.end(held.id, reason=reason[:2000], now=now):
        unit.audit.add(
            action, f"test/{held.service}/{held.test_key}", actor=actor.name, origin=actor.origin, now=now, reason=reason[:2000],
            detail={"quarantine_id": held.id, "test": held.test_name, "owner": held.owner}, before="quarantined", after="counts",
        )  # fmt: skip


def _check(reason: str, span: timedelta) -> None:
    if len(reason.strip()) < REASON_CHARACTERS_MIN:
        raise InvalidInputError(f"a reason has at least {REASON_CHARACTERS_MIN} characters: whoever reads it later was not there")
    if not timedelta(hours=1) <= span <= SPAN_MAX:
        raise InvalidInputError(f"a quarantine lasts from an hour to {SPAN_MAX.days} days; this one would last {span}")
