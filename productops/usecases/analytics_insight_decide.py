"""Accept an insight, which does what it recommends; finish, or dismiss it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from productops.domain.analytics_insight import EDGES, ActionKind, AnalyticsInsightState, Insight
from productops.domain.governance_access import Operation
from productops.domain.release import Environment
from productops.errors import ConflictError, InvalidInputError
from productops.store import Unit
from productops.usecases.analytics_insight_read import insight_for
from productops.usecases.context import Actor, Context
from productops.usecases.release_flags_change import kill_flag, ramp_flag
from productops.usecases.release_rollback_request import request_roll_back

AFTER_DAYS = 14
AFTER_DAYS_MAX = 90
REASON_MIN = 10


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How an insight is accepted. ``action`` None: what it recommends. ``after_days``: so long afterwards its effect is measured."""

    action: ActionKind | None = None
    reason: str = ""
    after_days: int = AFTER_DAYS


def accept_insight(context: Context, insight_id: str, wish: Acceptance, *, actor: Actor) -> Insight:
    """Do what it says: a task, a flag change (proposed where it needs approval), or the roll back of a release. Then it is accepted.

    What it does is done first and can be repeated; so a crash in between leaves it open, and accepting it again goes on.
    Raises: NotFoundError, ForbiddenError, InvalidInputError, ConflictError when it was decided already; as the use cases of flags and
        releases.
    """
    if not 1 <= wish.after_days <= AFTER_DAYS_MAX:
        raise InvalidInputError(f"after_days is {wish.after_days}; it is from 1 to {AFTER_DAYS_MAX}")
    with context.store.read() as unit:
        insight = insight_for(unit, insight_id, actor, Operation.INSIGHT_DECIDE)
    _check_edge(insight, AnalyticsInsightState.ACCEPTED)
    action = wish.action or insight.finding.action.kind
    done = _act(context, insight, action, actor=actor)
    with context.store.write() as unit:
        now = context.clock.now()
        if action is ActionKind.TASK:
            done = {
                "task": unit.analytics_insights.add_task(
                    insight, title=insight.finding.action.text, body=_body(insight), by=actor.name, now=now
                )
            }
        values: dict[str, Any] = {
            "decided_by": actor.name, "decided_at": now, "decided_change": insight.finding.change, "follow": {"kind": action.value, **done},
            "due_day": now.date() + timedelta(days=wish.after_days),
        }  # fmt: skip
        return _move(unit, insight, AnalyticsInsightState.ACCEPTED, actor=actor, reason=wish.reason, **values)


def dismiss_insight(context: Context, insight_id: str, *, reason: str, actor: Actor) -> Insight:
    """Not worth it, or wrong. It comes back when it is twice as large. Raises: as ``accept_insight``."""
    if len(reason.strip()) < REASON_MIN:
        raise InvalidInputError(f"say why it is dismissed, in at least {REASON_MIN} characters: the next reader has only that")
    with context.store.write() as unit:
        insight = insight_for(unit, insight_id, actor, Operation.INSIGHT_DECIDE)
        _check_edge(insight, AnalyticsInsightState.DISMISSED)
        now = context.clock.now()
        return _move(
            unit, insight, AnalyticsInsightState.DISMISSED, actor=actor, reason=reason, decided_by=actor.name, decided_at=now,
            decided_change=insight.finding.change,
        )  # fmt: skip


def finish_insight_task(context: Context, insight_id: str, *, actor: Actor) -> Insight:
    """The task of an accepted insight is done; its effect is measured on its day all the same. Raises: as ``accept_insight``."""
    with context.store.write() as unit:
        insight = insight_for(unit, insight_id, actor, Operation.INSIGHT_DECIDE)
        now = context.clock.now()
        if not unit.analytics_insights.finish_task(insight.id, now=now):
            raise ConflictError(f"insight {insight.id} has no task that is open; it is {insight.state}")
        unit.audit.add(
            "insight.task_done", f"insight/{insight.id}", actor=actor.name, origin=actor.origin, now=now, before="open", after="done",
            detail={"venture": insight.venture},
        )  # fmt: skip
        return insight


def _act(context: Context, insight: Insight, action: ActionKind, *, actor: Actor) -> dict[str, Any]:
    detail = insight.finding.action.detail
    if action is ActionKind.FLAG:
        return _change_flag(context, insight, detail, actor=actor)
    if action is ActionKind.ROLLOUT:
        if "release" not in detail:
            raise InvalidInputError("this insight names no release; accept it with --action task")
        begun = request_roll_back(context, str(detail["release"]), reason=f"insight {insight.id}: {insight.finding.title}", actor=actor)
        return {"release": begun.release.id, "flow_run": begun.flow_run_id}
    return {}


def _change_flag(context: Context, insight: Insight, detail: Mapping[str, str | float], *, actor: Actor) -> dict[str, Any]:
    if "flag" not in detail:
        raise InvalidInputError("this insight names no flag; accept it with --action task")
    key, environment, percent = str(detail["flag"]), Environment(str(detail["environment"])), float(detail["percent"])
    reason = f"insight {insight.id}: {insight.finding.title}"[:2000]
    if percent == 0:
        done = kill_flag(context, key, environments=[environment], actor=actor, reason=reason)
    else:
        done = ramp_flag(context, key, environment, percent=percent, actor=actor, reason=reason)
    waiting = {"change": done.waiting.id, "waits": done.waiting.state.value} if done.waiting is not None else {}
    return {"flag": key, "revision": done.flag.revision, **waiting}


def _body(insight: Insight) -> str:
    return f"{insight.finding.title}\n\n{insight.finding.sentence}\n\nInsight {insight.id}."


def _check_edge(insight: Insight, after: AnalyticsInsightState) -> None:
    if after not in EDGES[insight.state]:
        by = f" by {insight.decided_by}" if insight.decided_by else ""
        raise ConflictError(f"insight {insight.id} is {insight.state}{by}; it cannot become {after} any more")


def _move(
    unit: Unit, insight: Insight, after: AnalyticsInsightState, *, actor: Actor, reason: str, **values: Any
) -> Insight:  # fmt: skip
    now = values["decided_at"]
    if not unit.analytics_insights.move(insight.id, insight.state, after, reason=reason, **values):
        raise ConflictError(f"insight {insight.id} was decided by somebody else at this moment; read it again")
    detail = {"venture": insight.venture, "title": insight.finding.title} | ({"follow": values["follow"]} if "follow" in values else {})
    unit.audit.add(
        f"insight.{after.value}", f"insight/{insight.id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
        before=insight.state.value, after=after.value, detail=detail,
    )  # fmt: skip
    return unit.analytics_insights.get(insight.id)
