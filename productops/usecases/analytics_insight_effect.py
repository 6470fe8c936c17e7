"""Did it help? What accepting an insight changed, against the course it would have gone on with."""

from __future__ import annotations

from datetime import date, timedelta

from productops.domain.analytics_insight import STATE_AFTER, Insight, Measure, Outcome
from productops.domain.analytics_insight_find import HISTORY_DAYS, SEGMENTS, Watched, watched
from productops.domain.governance_access import Operation
from productops.stats.analytics_insight_effect import Effect, interrupted
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import venture_for

NOTHING = 0.1
"""A change that is surely smaller than a tenth is no effect."""


def measure_effects(context: Context, venture: str, day: date, *, actor: Actor) -> list[Insight]:
    """Tell what became of accepted insights whose day has come. Repeating it measures nothing twice.

    Raises: NotFoundError, ForbiddenError, StoreUnavailableError.
    """
    with context.store.read() as unit:
        venture_for(unit, venture, actor, Operation.ANALYTICS_READ)
        actor.check(Operation.ANALYTICS_WRITE, venture=venture)
        due = unit.analytics_insights.due(venture, day=day)
        if not due:
            return []
        since = day - timedelta(days=HISTORY_DAYS - 1)
        figures = unit.analytics_insights.figures(venture, since=since, until=day + timedelta(days=1), dimensions=SEGMENTS)
    seen = watched(figures)
    told = [(insight, *_judge(seen, insight)) for insight in due]
    done = []
    with context.store.write() as unit:
        now = context.clock.now()
        for insight, outcome, effect in told:
            moved = unit.analytics_insights.move(insight.id, insight.state, STATE_AFTER[outcome], outcome=outcome.value, effect=effect)
            if not moved:
                continue
            detail = {
                "before": insight.state.value,
                "after": STATE_AFTER[outcome].value,
                "outcome": outcome.value,
                "effect": effect["sentence"],
            }
            unit.audit.add(
                "insight.measured", f"insight/{insight.id}", actor=actor.name, origin=actor.origin, now=now,
                before=insight.state.value, after=STATE_AFTER[outcome].value, detail=detail,
            )  # fmt: skip
            done.append(unit.analytics_insights.get(insight.id))
    return done


def _judge(seen: Watched, insight: Insight) -> tuple[Outcome, dict[str, object]]:
    effect = effect_of_deed(seen, insight)
    if effect is None:
        return Outcome.CANNOT_TELL, {"sentence": "too few days are known before or after to tell"}
    outcome = outcome_of(insight, effect)
    words = (
        f"since it was accepted {effect.change:+.0%}, with 95 % confidence between {effect.low:+.0%} and {effect.high:+.0%}, "
        f"against going on as before ({effect.days_after} days): {outcome.value}"
    )
    figures = {
        "change": effect.change, "low": effect.low, "high": effect.high, "p": effect.p, "days_before": effect.days_before,
        "days_after": effect.days_after,
    }  # fmt: skip
    return outcome, {"sentence": words, **figures}


def effect_of_deed(seen: Watched, insight: Insight) -> Effect | None:
    """The days since it was decided, against the state the insight had found going on."""
    finding = insight.finding
    row = seen.row(finding.feature, finding.measure, finding.dimension, finding.value)
    if row is None or insight.decided_at is None:
        return None
    acted, found = seen.column(insight.decided_at.date()) + 1, seen.column(finding.first_day)
    peers = [
        at
        for at, each in enumerate(seen.series)
        if not each.dimension and each.measure is finding.measure and each.feature != finding.feature
    ]
    # The state that an insight found is part of what would have gone on, so it is estimated beside the level before it.
    since = found if finding.kind.of_series else None
    return interrupted(
        seen.panel.values[row], seen.panel.values[peers[:60]], acted, seen.panel.weekday, count=bool(seen.panel.counts[row]), since=since
    )


def outcome_of(insight: Insight, effect: Effect) -> Outcome:
    """Better, worse, surely next to nothing, or not to be told."""
    wanted = 1.0 if insight.finding.measure is Measure.USE else -1.0
    if effect.low * effect.high > 0:
        return Outcome.HELPED if effect.change * wanted > 0 else Outcome.WORSE
    return Outcome.NO_EFFECT if max(abs(effect.low), abs(effect.high)) <= NOTHING else Outcome.CANNOT_TELL
