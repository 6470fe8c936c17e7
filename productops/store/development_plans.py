"""Plans of the work: rows in and out; which one is current moves by compare-and-set."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from productops.domain.development_plan_facts_stored import PlanState, StoredPlan
from productops.errors import ConflictError, NotFoundError
from productops.store.tables import DevelopmentCurrentPlanRow, DevelopmentPlanItemRow, DevelopmentPlanRow

LEASE: Final = timedelta(minutes=3)
TRIES_MAX: Final = 3
_HEAVY = ("request", "plan", "changed", "wish", "gaps", "extra")


@dataclass(frozen=True, slots=True)
class CurrentPlan:
    """Which plan is current, since when; ``revision`` is what a change of it must know."""

    plan_id: str
    revision: int
    since: datetime


@dataclass(frozen=True, slots=True)
class PlanFilter:
    """Which plans. ``ventures`` None: all."""

    venture: str | None = None
    team: str | None = None
    state: PlanState | None = None
    base_id: str | None = None
    ventures: frozenset[str] | None = None


class DevelopmentPlans:
    """Repository of plans within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, plan: StoredPlan) -> None:
        """Keep a plan, or the wish for one."""
        self._session.add(
            DevelopmentPlanRow(
                id=uuid.UUID(plan.id), venture=plan.venture, team=plan.team, scenario=plan.scenario, base_id=_id(plan.base_id),
                asked_by=plan.asked_by, origin=plan.origin, asked_at=plan.asked_at, note=plan.note, wish=dict(plan.wish), tries=0,
                **_made(plan),
            )
        )  # fmt: skip
        self._session.flush()

    def made(self, plan: StoredPlan, *, owner: str) -> None:
        """Fill in what became of a wish. Raises: ConflictError when another took it over."""
        row = DevelopmentPlanRow
        mine = (row.id == uuid.UUID(plan.id), row.state == PlanState.WAITING.value, row.claimed_by == owner)
        done: Any = self._session.execute(
            update(row)
            .where(*mine)
            .values(claimed_by=None, claimed_until=None, **_made(plan))
            .execution_options(synchronize_session="fetch")
        )
        if done.rowcount != 1:
            raise ConflictError(f"plan {plan.id} was taken over by another program, which took this one for dead")

    def get(self, plan_id: str) -> StoredPlan:
        """Raises: NotFoundError."""
        missing = f"there is no plan {plan_id[:80]!r}; list them with: productops plan list"
        try:
            row = self._session.get(DevelopmentPlanRow, uuid.UUID(plan_id), populate_existing=True)
        except ValueError as error:
            raise NotFoundError(missing) from error
        if row is None:
            raise NotFoundError(missing)
        return _plan(row)

    def page(self, wanted: PlanFilter, *, before: str | None = None, limit: int = 50) -> list[StoredPlan]:
        """Newest first, without their documents; ``before`` is the id of the last one seen."""
        row = DevelopmentPlanRow
        query = select(row).order_by(row.id.desc()).limit(limit).options(*(defer(getattr(row, name)) for name in _HEAVY))
        named = ((row.venture, wanted.venture), (row.team, wanted.team), (row.state, wanted.state), (row.base_id, _id(wanted.base_id)))
        for column, value in named:
            query = query if value is None else query.where(column == value)
        if wanted.ventures is not None:
            query = query.where(row.venture.in_(sorted(wanted.ventures)))
        if before is not None:
            query = query.where(row.id < uuid.UUID(before))
        return [_plan(each, light=True) for each in self._session.scalars(query.execution_options(populate_existing=True))]

    def current(self, venture: str, team: str = "") -> CurrentPlan | None:
        """The plan people work by; None when there is none yet."""
        row = self._session.get(DevelopmentCurrentPlanRow, (venture, team), populate_existing=True)
        return CurrentPlan(str(row.plan_id), row.revision, row.since) if row is not None else None

    def currents(self, ventures: Collection[str] | None = None) -> list[tuple[str, str]]:
        """(venture, team) of all that have a current plan."""
        row = DevelopmentCurrentPlanRow
        query = select(row.venture, row.team).order_by(row.venture, row.team)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        return [(venture, team) for venture, team in self._session.execute(query)]

    def make_current(self, plan: StoredPlan, *, expected: CurrentPlan | None, now: datetime) -> StoredPlan:
        """Let it be the one people work by, where ``expected`` still is. Raises: ConflictError when another is by now."""
        told = f"another plan of {plan.venture}{f', team {plan.team}' if plan.team else ''} became the current one at this moment"
        if not self._moved(plan, expected, now=now):
            raise ConflictError(f"{told}; look at it and ask again")
        if expected is not None:
            self._state(expected.plan_id, PlanState.CURRENT, PlanState.SUPERSEDED)
            self._session.execute(delete(DevelopmentPlanItemRow).where(DevelopmentPlanItemRow.plan_id == uuid.UUID(expected.plan_id)))
        self._state(plan.id, PlanState.DRAFT, PlanState.CURRENT)
        self._items(plan)
        return replace(plan, state=PlanState.CURRENT)

    def _moved(self, plan: StoredPlan, expected: CurrentPlan | None, *, now: datetime) -> bool:
        row = DevelopmentCurrentPlanRow
        if expected is None:
            try:
                with self._session.begin_nested():
                    values = {"venture": plan.venture, "team": plan.team, "plan_id": uuid.UUID(plan.id), "revision": 1, "since": now}
                    self._session.execute(insert(row), values)
            except IntegrityError:
                return False
            return True
        mine = (row.venture == plan.venture, row.team == plan.team, row.revision == expected.revision)
        done: Any = self._session.execute(
            update(row)
            .where(*mine, row.plan_id == uuid.UUID(expected.plan_id))
            .values(plan_id=uuid.UUID(plan.id), revision=expected.revision + 1, since=now)
            .execution_options(synchronize_session=False)
        )
        return bool(done.rowcount == 1)

    def _state(self, plan_id: str, before: PlanState, after: PlanState) -> None:
        row = DevelopmentPlanRow
        query = update(row).where(row.id == uuid.UUID(plan_id), row.state == before.value).values(state=after.value)
        done: Any = self._session.execute(query.execution_options(synchronize_session="fetch"))
        if done.rowcount != 1:
            raise ConflictError(f"plan {plan_id} is no longer {before}; look at it and ask again")

    def _items(self, plan: StoredPlan) -> None:
        rows = [
            {
                "plan_id": uuid.UUID(plan.id), "item": task["item"], "feature": task["feature"], "person": task["person"],
                "starts_at": datetime.fromisoformat(task["starts_at"]), "ends_at": datetime.fromisoformat(task["ends_at"]),
                "critical": task["critical"],
            }
            for task in plan.plan["tasks"]
        ]  # fmt: skip
        if rows:
            self._session.execute(insert(DevelopmentPlanItemRow), rows)

    def is_waiting(self, *, now: datetime) -> bool:
        """Whether a plan is to be made that nobody makes."""
        row = DevelopmentPlanRow
        return self._session.scalar(select(row.id).where(*_free(now)).limit(1)) is not None

    def claim(self, *, owner: str, now: datetime) -> StoredPlan | None:
        """The oldest wish that nobody sees to, now this owner's; None when there is none."""
        row = DevelopmentPlanRow
        found = self._session.scalar(select(row.id).where(*_free(now)).order_by(row.id).limit(1))
        if found is None:
            return None
        values = {"claimed_by": owner, "claimed_until": now + LEASE, "tries": row.tries + 1}
        done: Any = self._session.execute(
            update(row).where(row.id == found, *_free(now)).values(**values).execution_options(synchronize_session="fetch")
        )
        return self.get(str(found)) if done.rowcount == 1 else None

    def tries(self, plan_id: str) -> int:
        """How often its making was begun."""
        return self._session.scalar(select(DevelopmentPlanRow.tries).where(DevelopmentPlanRow.id == uuid.UUID(plan_id))) or 0


def _free(now: datetime) -> tuple[Any, ...]:
    row = DevelopmentPlanRow
    return row.state == PlanState.WAITING.value, or_(row.claimed_until.is_(None), row.claimed_until <= now)


def _id(text: str | None) -> uuid.UUID | None:
    """Of one that others named; what is no id is that of nothing."""
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return uuid.UUID(int=0)


def _made(plan: StoredPlan) -> dict[str, Any]:
    """What is known once a plan is made."""
    return {
        "state": plan.state.value, "previous_id": _id(plan.previous_id), "made_at": plan.made_at, "request": dict(plan.request),
        "request_digest": plan.request_digest, "plan": dict(plan.plan), "changed": dict(plan.changed),
        "changes": [dict(each) for each in plan.changes], "gaps": [dict(each) for each in plan.gaps], "extra": dict(plan.extra),
        "error": dict(plan.error), "proven": plan.proven, "gap": plan.gap, "length_h": plan.length_h, "starts_at": plan.starts_at,
        "ends_at": plan.ends_at,
    }  # fmt: skip


def _plan(row: DevelopmentPlanRow, *, light: bool = False) -> StoredPlan:
    heavy: dict[str, Any] = {}
    if not light:
        heavy = {name: _frozen(getattr(row, name)) for name in _HEAVY}
    return StoredPlan(
        id=str(row.id), venture=row.venture, team=row.team, state=PlanState(row.state), scenario=row.scenario,
        base_id=str(row.base_id) if row.base_id else None, previous_id=str(row.previous_id) if row.previous_id else None,
        asked_by=row.asked_by, origin=row.origin, asked_at=row.asked_at, made_at=row.made_at, note=row.note,
        request_digest=row.request_digest, changes=tuple(row.changes), error=row.error, proven=row.proven, gap=row.gap,
        length_h=row.length_h, starts_at=row.starts_at, ends_at=row.ends_at, **heavy,
    )  # fmt: skip


def _frozen(value: Mapping[str, Any] | list[Any]) -> Mapping[str, Any] | tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else value
