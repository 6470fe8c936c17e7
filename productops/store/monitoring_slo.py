"""Objectives: documents, minutes, where each stands, allowances. The SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from productops.domain.catalog_slo import AnyOpenSlo, OpenSloEntry
from productops.domain.monitoring_slo import Counts, Method, Objective, Sum
from productops.domain.release import Environment
from productops.store.identity import new_id
from productops.store.tables import (
    CatalogRevision,
    SecondRow,
    SloAllowanceRow,
    SloDocumentRow,
    SloMinuteRow,
    SloObjectiveRow,
    SloStateRow,
)

PREFIX = "OpenSLO "
Minutes = Mapping[tuple[int, str], Counts]
"""(second in which the minute began, version) → what was counted."""


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that fires: since when, when it was told last (Unix time), and how bad it was at worst."""

    since: float
    told_at: float
    severity: str


@dataclass(frozen=True, slots=True)
class SloState:
    """How far minutes are counted (Unix time of the end) and since when there are any; by rule since when it fires.

    ``sums``: what long windows held at ``rolled_s``; ``pending``: by rule, since when its condition holds; ``told``: what was said last.
    """

    rolled_s: int = 0
    first_s: int | None = None
    firing: Mapping[str, float] = field(default_factory=dict)
    pending: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, Told] = field(default_factory=dict)
    sums: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Allowance:
    """Releases may go out until then though the budget is spent."""

    id: str
    objective: str
    reason: str
    given_by: str
    given_at: datetime
    until: datetime


def _state(row: SloStateRow) -> SloState:
    data = row.data
    told = {pace: Told(each[0], each[1], each[2]) for pace, each in data.get("told", {}).items()}
    sums = {name: (pair[0], pair[1]) for name, pair in data.get("sums", {}).items()}
    return SloState(row.rolled_s, data.get("first_s"), data.get("firing", {}), data.get("pending", {}), told, sums)


class Objectives:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, *, service: str | None = None, environment: Environment | None = None) -> list[Objective]:
        """Every objective, by name; of a service, in an environment."""
        row = SloObjectiveRow
        query = select(row.spec).order_by(row.name)
        if service is not None:
            query = query.where(row.service == service)
        if environment is not None:
            query = query.where(row.environment == environment.value)
        return [Objective.model_validate(spec) for spec in self._session.scalars(query)]

    def find(self, name: str) -> Objective | None:
        """One by name."""
        row = self._session.get(SloObjectiveRow, name, populate_existing=True)
        return None if row is None else Objective.model_validate(row.spec)

    def documents(self) -> dict[tuple[str, str], tuple[dict[str, Any], str]]:
        """What is declared: (kind, name) → (document, folder)."""
        return {(row.kind, row.name): (row.document, row.base) for row in self._session.scalars(select(SloDocumentRow))}

    def put_document(self, entry: OpenSloEntry, *, base: str, author: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'."""
        document = entry.model_dump(mode="json", exclude_unset=True)
        row = self._session.get(SloDocumentRow, (entry.kind, entry.metadata.name))
        if row is not None and row.document == document:
            row.base = base
            return "unchanged"
        self._revise(entry.kind, entry.metadata.name, document, author=author, now=now)
        outcome = "created" if row is None else "changed"
        if row is None:
            self._session.add(SloDocumentRow(kind=entry.kind, name=entry.metadata.name, document=document, base=base))
        else:
            row.document, row.base = document, base
        self._session.flush()
        return outcome

    def remove_document(self, kind: str, name: str) -> None:
        """Its revisions stay."""
        self._session.execute(delete(SloDocumentRow).where(SloDocumentRow.kind == kind, SloDocumentRow.name == name))

    def set(self, objectives: Sequence[Objective]) -> None:
        """These are all there are. Minutes of one that is no more are forgotten with it."""
        row = SloObjectiveRow
        present = {each.name: each for each in self._session.scalars(select(row))}
        for objective in objectives:
            known = present.pop(objective.name, None) or row(name=objective.name)
            known.slo, known.venture, known.service = objective.slo, objective.venture, objective.service
            known.environment, known.spec = objective.environment.value, objective.model_dump(mode="json")
            self._session.add(known)
        for name, gone in present.items():
            self._session.delete(gone)
            for table in (SloMinuteRow, SloStateRow, SloAllowanceRow):
                self._session.execute(delete(table).where(table.objective == name))
        self._session.flush()

    def forget_counts(self, name: str) -> None:
        """Start anew: what was counted until now was counted by another question."""
        for table in (SloMinuteRow, SloStateRow):
            self._session.execute(delete(table).where(table.objective == name))

    def _revise(self, kind: str, name: str, spec: dict[str, Any], *, author: str, now: datetime) -> None:
        kind = f"{PREFIX}{kind}"
        query = select(func.max(CatalogRevision.revision)).where(CatalogRevision.kind == kind, CatalogRevision.name == name)
        revision = (self._session.scalar(query) or 0) + 1
        self._session.add(CatalogRevision(kind=kind, name=name, revision=revision, spec=spec, author=author, applied_at=now))

    # Seconds of the router, and minutes made of them.

    def seconds(
        self, service: str, environment: Environment, *, after_s: int, until_s: int, latency: bool, not_seen: str | None = None
    ) -> list[tuple[int, str, int, int, tuple[float, ...], tuple[int, ...]]]:
        """(second, version, requests, failures, upper bounds in ms, counts) of after_s < second <= until_s; arms of flags left out.

        The histogram is empty without ``latency``: to read it costs more than all the rest. ``not_seen`` is a version without users.
        """
        row = SecondRow
        columns = (row.upper_ms, row.counts) if latency else ()
        query = select(row.at_s, row.version, row.requests, row.failures, *columns).where(
            row.service == service, row.environment == environment.value, row.at_s > after_s, row.at_s <= until_s,
            row.missed.is_(False), row.requests > 0, row.version.not_like("flag:%"), row.version != (not_seen or ""),
        )  # fmt: skip
        found = self._session.execute(query.order_by(row.at_s))
        return [(r[0], r[1], r[2], r[3], tuple(r[4]) if latency else (), tuple(r[5]) if latency else ()) for r in found]

    def minutes_of_traffic(self, service: str, environment: Environment, *, since_s: int, until_s: int) -> Minutes:
        """Requests without failures, and requests, summed up by minute and version in the database."""
        row = SecondRow
        minute = (row.at_s - row.at_s % 60).label("minute")
        query = (
            select(minute, row.version, func.sum(row.requests), func.sum(row.failures))
            .where(
                row.service == service, row.environment == environment.value, row.at_s >= since_s, row.at_s < until_s,
                row.missed.is_(False), row.version.not_like("flag:%"),
            )
            .group_by(minute, row.version)
        )  # fmt: skip
        return {
            (int(at), version): Counts(float(requests) - float(failures), float(requests))
            for at, version, requests, failures in self._session.execute(query)
            if requests
        }

    def put_minutes(self, name: str, minutes: Minutes) -> None:
        """Write them; what was counted of the same minute and version before is replaced."""
        insert = postgresql.insert if self._session.get_bind().dialect.name == "postgresql" else sqlite.insert
        rows = [
            {"objective": name, "minute_s": minute_s, "version": version, "good": counts.good, "total": counts.total}
            for (minute_s, version), counts in minutes.items()
        ]
        if rows:
            query = insert(SloMinuteRow)
            new = {"good": query.excluded.good, "total": query.excluded.total}
            keys = ["objective", "minute_s", "version"]
            self._session.connection().execute(query.on_conflict_do_update(index_elements=keys, set_=new), rows)

    def sums(self, name: str, *, until_s: int, windows_s: Iterable[int]) -> dict[int, Counts]:
        """What the last so many seconds before ``until_s`` held, in whole minutes; one pass over the longest window."""
        row, wanted = SloMinuteRow, sorted(set(windows_s))
        if not wanted:
            return {}
        inside = [row.minute_s >= until_s - window_s for window_s in wanted]
        columns = [func.sum(case((recent, column), else_=0.0)) for recent in inside for column in (row.good, row.total)]
        query = select(*columns).where(row.objective == name, row.minute_s >= until_s - wanted[-1], row.minute_s < until_s)
        values = [float(value or 0.0) for value in self._session.execute(query).one()]
        return {window_s: Counts(values[2 * n], values[2 * n + 1]) for n, window_s in enumerate(wanted)}

    def by_version(self, name: str, *, since_s: int, until_s: int) -> dict[str, Counts]:
        """What was counted by version in [since_s, until_s)."""
        row = SloMinuteRow
        query = (
            select(row.version, func.sum(row.good), func.sum(row.total))
            .where(row.objective == name, row.minute_s >= since_s, row.minute_s < until_s)
            .group_by(row.version)
        )
        return {version: Counts(float(good), float(total)) for version, good, total in self._session.execute(query)}

    def total(self, objective: Objective, *, since_s: int, until_s: int) -> Sum:
        """What was counted in [since_s, until_s); slices are formed and judged in the database."""
        row = SloMinuteRow
        here = (row.objective == objective.name, row.minute_s >= since_s, row.minute_s < until_s)
        if objective.method is Method.OCCURRENCES or objective.slice_s is None:
            good, total = self._session.execute(select(func.sum(row.good), func.sum(row.total)).where(*here)).one()
            return Sum(float(good or 0.0), float(total or 0.0))
        slices = (
            select(func.sum(row.good).label("good"), func.sum(row.total).label("total"))
            .where(*here)
            .group_by(row.minute_s - row.minute_s % objective.slice_s)
            .having(func.sum(row.total) > 0)
            .subquery()
        )
        share = slices.c.good / slices.c.total
        bad = func.sum(case((share < (objective.slice_target or 0.0), 1), else_=0))
        query = select(func.sum(slices.c.good), func.sum(slices.c.total), func.count(), bad, func.sum(share)).select_from(slices)
        good, total, count, bad_slices, shares = self._session.execute(query).one()
        return Sum(float(good or 0.0), float(total or 0.0), int(count or 0), int(bad_slices or 0), float(shares or 0.0))

    def first_minute(self, name: str) -> int | None:
        """The oldest minute that was counted."""
        return self._session.scalar(select(func.min(SloMinuteRow.minute_s)).where(SloMinuteRow.objective == name))

    def forget(self, name: str, *, before_s: int) -> None:
        """Drop minutes that no window reaches any more."""
        self._session.execute(delete(SloMinuteRow).where(SloMinuteRow.objective == name, SloMinuteRow.minute_s < before_s))

    # Where each stands.

    def states(self) -> dict[str, SloState]:
        """By objective."""
        query = select(SloStateRow).execution_options(populate_existing=True)
        return {row.objective: _state(row) for row in self._session.scalars(query)}

    def put_state(self, name: str, state: SloState) -> None:
        """Write it."""
        data = {
            "first_s": state.first_s, "firing": dict(state.firing), "pending": dict(state.pending),
            "told": {pace: [each.since, each.told_at, each.severity] for pace, each in state.told.items()},
            "sums": {key: list(pair) for key, pair in state.sums.items()},
        }  # fmt: skip
        self._session.merge(SloStateRow(objective=name, rolled_s=state.rolled_s, data=data))

    def add_allowance(self, objective: Objective, *, reason: str, by: str, now: datetime, until: datetime) -> Allowance:
        """Write it down."""
        row = SloAllowanceRow(
            id=new_id(), objective=objective.name, venture=objective.venture, reason=reason, given_by=by, given_at=now, until=until
        )
        self._session.add(row)
        self._session.flush()
        return _allowance(row)

    def allowance(self, name: str, *, now: datetime) -> Allowance | None:
        """The one that lasts longest and is not over."""
        row = SloAllowanceRow
        query = select(row).where(row.objective == name, row.until > now).order_by(row.until.desc()).limit(1)
        found = self._session.scalar(query)
        return None if found is None else _allowance(found)


def _allowance(row: SloAllowanceRow) -> Allowance:
    return Allowance(str(row.id), row.objective, row.reason, row.given_by, row.given_at, row.until)


def read_document(document: Mapping[str, Any]) -> OpenSloEntry:
    """A stored document as an entry."""
    from pydantic import TypeAdapter

    adapter: TypeAdapter[OpenSloEntry] = TypeAdapter(AnyOpenSlo)
    return adapter.validate_python(dict(document))
