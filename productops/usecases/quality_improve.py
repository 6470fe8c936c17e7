"""What would make the tests better: find it, show it, and keep what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from productops.domain.catalog import Service
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.quality_flaky import RUNS_MAX, FlakyRules, judge_tests, owner_of
from productops.domain.quality_improve import ImproveFacts, Insight, KnownInsight, MeasuredTest, TrendSeries, comes_back, find_insights
from productops.domain.quality_insight import EDGES, InsightState
from productops.domain.quality_runs import REASON_CHARACTERS_MIN, TestHistory
from productops.errors import ConflictError, InvalidInputError
from productops.store import Unit
from productops.store.quality_learning import InsightFilter, RunFacts
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand, service_for

ESCAPES_SINCE = timedelta(days=90)
# The course of what is looked at, from the figures of a run, and whether more of it is better. A run that lacks one has no say.
FIGURES: dict[str, tuple[tuple[str, str | None], bool]] = {
    "pass rate": (("tests_passed", "tests_ran"), True),
    "line coverage (%)": (("coverage_lines_pct", None), True),
    "duration of all tests (s)": (("tests_duration_s", None), False),
    "share of tests that were retried": (("tests_flaky", "tests_ran"), False),
}


@dataclass(frozen=True, slots=True)
class ImproveReport:
    """What a review found. ``opened``, ``still``, ``back`` (dismissed before, doubled since) and ``gone`` count findings."""

    service: str
    runs: int
    insights: tuple[KnownInsight, ...]
    opened: int
    still: int
    back: int
    gone: int


def review_quality(context: Context, service: str, actor: Actor, *, rules: FlakyRules | None = None) -> ImproveReport:
    """Look at the newest runs and keep what is found, each matter once. Repeating it changes nothing but the figures.

    Raises: NotFoundError, ForbiddenError.
    """
    with context.store.write() as unit:
        found = service_for(unit, service, actor, Operation.QUALITY_IMPROVE, seen_by=Operation.QUALITY_READ)
        now = context.clock.now()
        facts = _facts(unit, found, now, rules or FlakyRules())
        counts = _keep(unit, found, find_insights(facts), now=now)
        if any(counts.values()):
            detail = {"runs": facts.runs} | counts
            unit.audit.add("quality.reviewed", f"service/{service}", actor=actor.name, origin=actor.origin, now=now, detail=detail)
        known = unit.quality_insights.of_service(service).values()
    shown = sorted(
        (each for each in known if each.gone_at is None), key=lambda each: (-each.insight.minutes, -each.insight.weight, each.id)
    )
    return ImproveReport(service, facts.runs, tuple(shown), counts["opened"], counts["still"], counts["back"], counts["gone"])


def _keep(unit: Unit, service: Service, insights: Iterable[Insight], *, now: datetime) -> dict[str, int]:
    known, counts = unit.quality_insights.of_service(service.name), {"opened": 0, "still": 0, "back": 0, "gone": 0}
    seen = set()
    for insight in insights:
        seen.add(insight.key)
        before = known.get(insight.key)
        if before is None:
            unit.quality_insights.add(insight, venture=service.venture, service=service.name, now=now)
            counts["opened"] += 1
            continue
        unit.quality_insights.see(before.id, insight, now=now)
        counts["back" if _again(unit, before, insight, now) else "still"] += 1
    for each in known.values():
        if each.insight.key not in seen and each.gone_at is None:
            unit.quality_insights.miss(each.id, now=now)
            counts["gone"] += 1
    return counts


def _again(unit: Unit, before: KnownInsight, insight: Insight, now: datetime) -> bool:
    """A dismissed or finished matter is open again when what speaks for it has doubled since."""
    if before.state not in {InsightState.DISMISSED, InsightState.DONE} or not comes_back(insight.weight, before.decided_weight):
        return False
    return unit.quality_insights.move(
        before.id, before.state, InsightState.OPEN, reason=f"the evidence has doubled since: {before.reason}"[:2000], by="productops",
        weight=insight.weight, now=now,
    )  # fmt: skip


def _facts(unit: Unit, service: Service, now: datetime, rules: FlakyRules) -> ImproveFacts:
    history = unit.quality_histories.history(service.name, runs=RUNS_MAX)
    ids = [run.run_id for run in history.runs]
    seconds = unit.quality_histories.seconds(service.name, ids)
    flaky = judge_tests(history, seconds=seconds, rules=rules)
    runs = unit.quality_facts.runs(service.name, ids)
    span = now - history.runs[0].at if history.runs else timedelta(days=1)
    tests = [
        MeasuredTest(each.key, each.name, each.suite, each.runs, each.failed_runs - each.retried_runs, seconds.get(each.key))
        for each in flaky
    ]
    return ImproveFacts(
        service=service.name, span=max(span, timedelta(days=1)), runs=len(runs), flaky=flaky, tests=tests,
        trends=(*_whole(service.name, runs), *_grouped(history, rules, service.venture)),
        escapes=unit.quality_facts.escapes(service.name, since=now - ESCAPES_SINCE), changed=[run.changed for run in runs],
        failed=[run.failed for run in runs], names={test.key: test.name for test in flaky},
    )  # fmt: skip


def _whole(service: str, runs: Sequence[RunFacts]) -> list[TrendSeries]:
    """The course of each figure of the service."""
    return [
        TrendSeries("service", service, name, tuple(_figure(run, *figure) for run in runs), higher_is_better=better)
        for name, (figure, better) in FIGURES.items()
    ]


def _figure(run: RunFacts, name: str, of: str | None) -> float | None:
    value, whole = run.figures.get(name), 1.0 if of is None else run.figures.get(of)
    return value / whole if value is not None and whole else None


def _grouped(history: TestHistory, rules: FlakyRules, otherwise: str) -> list[TrendSeries]:
    """The share of watched tests that passed at once, by suite and by owner; those are the tests that move."""
    groups: dict[tuple[str, str], list[int]] = {}
    for row, test in enumerate(history.tests):
        groups.setdefault(("suite", test.suite), []).append(row)
        if rules.owners:
            groups.setdefault(("team", owner_of(test.file, rules.owners, otherwise)), []).append(row)
    figure, runs = "pass rate of watched tests", range(len(history.runs))
    return [
        TrendSeries(dimension, name, figure, tuple(_passed(history, rows, run) for run in runs), higher_is_better=True)
        for (dimension, name), rows in groups.items()
    ]


def _passed(history: TestHistory, rows: Sequence[int], run: int) -> float | None:
    ran = [row for row in rows if history.executions[row][run] > 0]
    return sum(history.failures[row][run] == 0 for row in ran) / len(ran) if ran else None


def list_insights(
    context: Context, wanted: InsightFilter, *, actor: Actor, before: str | None = None, limit: int = 50
) -> list[KnownInsight]:  # fmt: skip
    """Newest first, those of ventures that the caller may see. Raises: NotFoundError for a ``before`` that is no id."""
    ventures = visible_ventures(actor.principal, Operation.QUALITY_READ)
    with context.store.read() as unit:
        return unit.quality_insights.page(replace(wanted, ventures=ventures), before=before, limit=limit)


def read_insight(context: Context, insight_id: str, *, actor: Actor) -> KnownInsight:
    """Raises: NotFoundError, also for what the caller may not see."""
    with context.store.read() as unit:
        found = unit.quality_insights.get(insight_id)
        _may(found, actor, Operation.QUALITY_READ)
        return found


def accept_insight(context: Context, insight_id: str, *, actor: Actor, reason: str = "") -> KnownInsight:
    """Make it a task. Raises: NotFoundError, ForbiddenError, ConflictError when it is not open."""
    return _decide(context, insight_id, InsightState.ACCEPTED, reason=reason, actor=actor)


def finish_insight(context: Context, insight_id: str, *, actor: Actor, reason: str = "") -> KnownInsight:
    """The task is done; it comes back when the evidence doubles. Raises: NotFoundError, ForbiddenError, ConflictError."""
    return _decide(context, insight_id, InsightState.DONE, reason=reason, actor=actor)


def dismiss_insight(context: Context, insight_id: str, *, reason: str, actor: Actor) -> KnownInsight:
    """Not worth it, for a reason; it comes back when the evidence doubles.

    Raises: NotFoundError, ForbiddenError, InvalidInputError without a reason, ConflictError when it is done or dismissed already.
    """
    if len(reason.strip()) < REASON_CHARACTERS_MIN:
        raise InvalidInputError(f"a reason has at least {REASON_CHARACTERS_MIN} characters: whoever reads it later was not there")
    return _decide(context, insight_id, InsightState.DISMISSED, reason=reason, actor=actor)


def _decide(context: Context, insight_id: str, after: InsightState, *, reason: str, actor: Actor) -> KnownInsight:
    with context.store.write() as unit:
        found, now = unit.quality_insights.get(insight_id), context.clock.now()
        _may(found, actor, Operation.QUALITY_IMPROVE)
        text, weight = reason.strip()[:2000], found.insight.weight
        allowed = after in EDGES[found.state]
        if not allowed or not unit.quality_insights.move(
            insight_id, found.state, after, reason=text, by=actor.name, weight=weight, now=now
        ):
            raise ConflictError(f"finding {insight_id} is {unit.quality_insights.get(insight_id).state}, so it cannot become {after}")
        unit.audit.add(
            f"quality.insight_{after}", f"insight/{insight_id}", actor=actor.name, origin=actor.origin, now=now, reason=text,
            detail={"service": found.service, "kind": found.insight.kind.value, "title": found.insight.title, "weight": weight},
            before=found.state.value, after=after.value,
        )  # fmt: skip
        return unit.quality_insights.get(insight_id)


def _may(found: KnownInsight, actor: Actor, operation: Operation) -> None:
    missing = f"there is no finding {found.id}; list them with: productops quality insights"
    demand(actor, operation, seen_by=Operation.QUALITY_READ, venture=found.venture, missing=missing, everywhere=True)
