"""How far a feature is, how good, how risky, and what to do next: read anew from the store each time, so it is as fresh as the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from productops.domain.development import Feature, RunState, Stage, WorkItem
from productops.domain.development_forecast import forecast_count
from productops.domain.development_progress import (
    WEEKS_BACK,
    Row,
    blocked,
    done,
    scope_over_time,
    stage_times,
    weekly,
)
from productops.domain.development_progress_next import NextAction, NextFacts, next_action
from productops.domain.development_readiness import Answer, AnswerState
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.quality_verdict import GateState
from productops.domain.release import Phase
from productops.store import Unit
from productops.store.development_dora import ReleaseMoves
from productops.store.development_progress import FeatureFilter
from productops.usecases.context import Actor, Context
from productops.usecases.development_progress_facts import FeatureFacts, find_feature, gather, release_row, run_row
from productops.usecases.development_readiness import readiness_of
from productops.usecases.development_risk import feature_risk
from productops.usecases.release_summary import release_summary

ROWS_MAX = 200
RELEASES_SHOWN = 10
WEEKS_MIN = 4


@dataclass(frozen=True, slots=True)
class ProgressFigure:
    """``values`` as JSON with units in the names, ``how`` it was made, and the rows behind it; ``total`` of them, the first are given."""

    values: dict[str, Any]
    how: str
    rows: tuple[Row, ...] = ()
    total: int = 0

    @classmethod
    def of(cls, values: dict[str, Any], how: str, rows: Iterable[Row] = ()) -> ProgressFigure:
        """With its rows counted."""
        every = tuple(rows)
        return cls(values, how, every[:ROWS_MAX], len(every))


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """Everything of one feature, with the time the store was read."""

    feature: Feature
    at: datetime
    figures: dict[str, ProgressFigure]
    readiness: Answer
    next: NextAction


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """One line of a list."""

    feature: Feature
    items: int
    items_done: int
    by_items: float | None
    by_effort: float | None
    blocked: tuple[str, ...]


def feature_report(context: Context, text: str, *, actor: Actor) -> FeatureReport:
    """Raises: NotFoundError, ConflictError, ForbiddenError, StoreUnavailableError."""
    with context.store.read() as unit:
        now = context.clock.now()
        facts = gather(unit, find_feature(unit, text, actor), now=now)
        forecast = _forecast(unit, facts)
        answer = readiness_of(unit, facts)
        figures = _work(facts) | {
            "forecast": forecast, "quality": _quality(facts), "live": _live(unit, facts), "risk": _risk(unit, facts),
        }  # fmt: skip
    return FeatureReport(facts.feature, now, figures, answer, _next(facts, answer, forecast))


def list_features(context: Context, wanted: FeatureFilter, *, before: str | None, limit: int, actor: Actor) -> list[FeatureLine]:
    """Newest first. Raises: StoreUnavailableError."""
    visible = visible_ventures(actor.principal, Operation.DEVELOPMENT_READ)
    mine = FeatureFilter(wanted.venture, visible, wanted.source, wanted.stage, wanted.text)
    with context.store.read() as unit:
        found = unit.development_progress.features(mine, before=before, limit=limit)
        return [_line(feature, unit.development.items_of(feature)) for feature in found]


def _line(feature: Feature, items: Sequence[WorkItem]) -> FeatureLine:
    far = done(items)
    waiting = tuple(item.key for item in items if item.blocked_since is not None and item.stage is not Stage.DONE)
    return FeatureLine(feature, far.items, far.items_done, far.by_items, far.by_effort, waiting)


def _item_rows(items: Iterable[WorkItem]) -> list[Row]:
    return [Row.of("work item", item) for item in items]


def _work(facts: FeatureFacts) -> dict[str, ProgressFigure]:
    items, rows = facts.items, _item_rows(facts.items)
    points = scope_over_time(facts.names, [*items, *facts.former], facts.moves)
    stages = stage_times(items, facts.moves, now=facts.now)
    waits = blocked(items, facts.moves, now=facts.now)
    by_key = {item.key: item for item in items}
    observed = sum(move.observed for move in facts.moves if move.field == "stage")
    seen = f" {observed} moves were seen between two looks; their true time lies between them." if observed else ""
    return {
        "done": ProgressFigure.of(
            asdict(done(items)),
            "By items: done items of all. By effort: estimated hours of done items, and of others what is not left (remaining), of all "
            "hours; an item without an estimate counts as the mean of the others. Cancelled items are no part of it.",
            rows,
        ),
        "scope": ProgressFigure.of(
            {"points": [asdict(p) | {"at": p.at.isoformat()} for p in points[-500:]], "changes": max(len(points) - 1, 0)},
            "Every change of what the feature consists of, from the moves of its items; hours as they were estimated then.",
            [*rows, *_item_rows(facts.former)],
        ),
        "cycle_time": ProgressFigure.of(
            {"stages": [asdict(s) | {"stage": s.stage.value} for s in stages]},
            "Hours from entering a stage to leaving it, of all items; those in it now are counted as waiting." + seen,
            rows,
        ),
        "blocked": ProgressFigure.of(
            {"hours": round(waits.hours, 2), "now": list(waits.now), "by_item": {key: round(h, 2) for key, h in waits.by_item}},
            "Hours in which items waited for something else, by their labels and moves; those that wait now are counted until now.",
            _item_rows(by_key[key] for key, _ in waits.by_item if key in by_key),
        ),
        "people": ProgressFigure.of(
            {"working": sorted({facts.people.get(i.assignee, i.assignee) for i in items if i.assignee and i.stage is not Stage.DONE})},
            "Who has an item that is not done.",
        ),
    }  # fmt: skip


def _forecast(unit: Unit, facts: FeatureFacts) -> ProgressFigure:
    stored = next((found for key in sorted(facts.names) if (found := unit.development_forecasts.newest(facts.feature.venture, key))), None)
    left = [item for item in facts.items if item.stage is not Stage.DONE]
    newest = max((item.changed_at for item in facts.items), default=None)
    if stored is not None and left and (newest is None or newest <= stored.made_at):
        values = {
            "p50_at": _iso(stored.p50_at), "p80_at": _iso(stored.p80_at), "p95_at": _iso(stored.p95_at), "made_at": _iso(stored.made_at),
            "method": stored.method, "left": len(left),
        }  # fmt: skip
        row = Row("forecast", stored.id, stored.key, stored.title, "/api/v1/product-ops/development/forecasts")
        return ProgressFigure.of(values, "The newest stored forecast; no item moved since it was made.", [row])
    if not left:
        ended = max((item.done_at for item in facts.items if item.done_at is not None), default=None)
        return ProgressFigure.of({"left": 0, "done_at": _iso(ended), "method": "done"}, "Nothing is left.")
    past, sharing = _pace(unit, facts)
    if sum(1 for count in past if count) < WEEKS_MIN:
        nothing: dict[str, Any] = {"left": len(left), "weeks": past, "method": "none", "p50_at": None, "p80_at": None, "p95_at": None}
        return ProgressFigure.of(
            nothing, f"No date: fewer than {WEEKS_MIN} of the last {WEEKS_BACK} weeks finished anything.", _item_rows(left)
        )
    made = forecast_count(len(left), [count / sharing for count in past], now=facts.now)
    drawn: dict[str, Any] = {"left": len(left), "weeks": past, "method": "throughput"} | {
        f"p{round(level * 100)}_at": _iso(date) for level, _, date in made.dates
    }
    how = (
        f"{len(left)} items are left; weeks to come are drawn from the last {WEEKS_BACK} weeks, in which {sum(past)} items were finished"
        + (f" in its source, shared by the {sharing} features that are on their way." if sharing > 1 else ".")
    )
    return ProgressFigure.of(drawn, how, _item_rows(left))


def _pace(unit: Unit, facts: FeatureFacts) -> tuple[list[int], int]:
    """What it finished in past weeks; where that says too little, what its source finished, and how many features share that."""
    own = weekly(facts.items, now=facts.now)
    if sum(1 for count in own if count) >= WEEKS_MIN:
        return own, 1
    since = facts.now - timedelta(weeks=WEEKS_BACK)
    source = facts.feature.source
    every = unit.development.of(WorkItem, source=source, stage=Stage.DONE.value, changed_since=since, limit=5000)
    started = [stage.value for stage in Stage if stage not in {Stage.BACKLOG, Stage.READY, Stage.DONE}]
    under_way = {item.feature for item in unit.development.of(WorkItem, source=source, stage=started, limit=5000) if item.feature}
    return weekly(every, now=facts.now), max(len(under_way | {facts.feature.key}), 1)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _quality(facts: FeatureFacts) -> ProgressFigure:
    ended = [build for build in facts.builds if build.status in {RunState.SUCCEEDED, RunState.FAILED}]
    values = {
        "changes": len(facts.changes), "commits": len(facts.shas), "builds": len(ended),
        "builds_failed": sum(build.status is RunState.FAILED for build in ended),
        "runs": [
            {"id": run.id, "service": run.service, "version": run.version, "commit": run.commit, "state": run.state.value,
             "sentence": run.verdict.sentence, "at": run.at.isoformat(),
             "gates": [{"gate": g.gate, "state": g.state.value, "required": g.required, "sentence": g.sentence} for g in run.gates]}
            for run in facts.runs
        ],
        "tests_failed": [asdict(test) for test in facts.tests[:50]],
    }  # fmt: skip
    rows = [
        *(Row.of("change", change) for change in facts.changes), *(Row.of("build", build) for build in facts.builds),
        *(run_row(run) for run in facts.runs),
    ]  # fmt: skip
    return ProgressFigure.of(
        values,
        "Builds and judged runs of the commits of its changes, newest first; tests that failed or needed a retry in these runs.",
        rows,
    )


def _live(unit: Unit, facts: FeatureFacts) -> ProgressFigure:
    shown = facts.releases[-RELEASES_SHOWN:]
    values = {"releases": [_release(unit, moves) for moves in shown], "promoted": len(facts.live)}
    how = "Releases to production whose version's commit contains one of its merged changes, with what they measured in their rollout."
    if facts.merge_shas and not facts.releases:
        how += " No version is known to; the commit of a version comes with its quality reports."
    return ProgressFigure.of(values, how, [release_row(moves.release) for moves in shown])


def _release(unit: Unit, moves: ReleaseMoves) -> dict[str, Any]:
    release = moves.release
    promoted = moves.reached.get(Phase.PROMOTED)
    look = unit.releases.last_look(release.id)
    return {
        "id": release.id, "service": release.service, "version": release.version, "phase": release.phase.value,
        "promoted_at": _iso(promoted), "cause": release.cause.value if release.cause else None,
        "verdict": look["verdict"] if look else None, "measured": release_summary(unit, release),
    }  # fmt: skip


def _risk(unit: Unit, facts: FeatureFacts) -> ProgressFigure:
    found = feature_risk(unit, facts)
    return ProgressFigure.of(found.values, found.how, found.rows)


def _next(facts: FeatureFacts, answer: Answer, forecast: ProgressFigure) -> NextAction:
    newest: dict[str, Any] = {}
    for run in reversed(facts.runs):
        newest[run.service] = run
    failing = tuple(
        f"{run.title}: {run.verdict.sentence}" for run in newest.values() if run.state in {GateState.FAILED, GateState.ERROR}
    )  # fmt: skip
    p80 = forecast.values.get("p80_at")
    waits = blocked(facts.items, facts.moves, now=facts.now)
    unready = tuple(f"{check.name} ({check.sentence})" for check in answer.checks if check.state is not AnswerState.PASSED)
    return next_action(
        NextFacts(
            feature=facts.feature, items=facts.items, changes=facts.changes, failing=failing, incidents=facts.incidents, blocked=waits.now,
            live=bool(facts.live), unready=unready, p80=datetime.fromisoformat(p80) if p80 else None, now=facts.now,
        )
    )  # fmt: skip
