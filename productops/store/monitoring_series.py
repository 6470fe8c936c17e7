"""Series of metrics without their points: names, thresholds, status, and the table infrastructure_metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from productops.domain.monitoring_series import INSTALLATION, SeriesInfo, SeriesKey, SeriesStatus, Thresholds
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.tables import InfrastructureMetric, MetricBlockRow, MetricSeriesRow, Venture

AT_ONCE = 400
_VALUE_MAX = 1e19  # digits that the column metric_value takes


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """Which series are meant. ``component`` may end in ``*``; every one of ``tags`` has to be there; None: any."""

    venture: str | None = None
    component: str | None = None
    name: str | None = None
    tags: Mapping[str, str] | None = None
    category: str | None = None
    status: SeriesStatus | None = None


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One row of infrastructure_metrics: a value of a series and what it means; None: no value came."""

    info: SeriesInfo
    at_s: int
    value: float | None
    status: SeriesStatus


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest point of a series, and to which second (exclusive) infrastructure_metrics has it."""

    number: int
    at_s: int
    value: float
    rowed_s: int


_COLUMNS = (
    MetricSeriesRow.number, MetricSeriesRow.venture, MetricSeriesRow.component, MetricSeriesRow.category, MetricSeriesRow.name,
    MetricSeriesRow.tags, MetricSeriesRow.warning, MetricSeriesRow.critical, MetricSeriesRow.below, MetricSeriesRow.status,
    MetricSeriesRow.last_s, MetricSeriesRow.last_value,
)  # fmt: skip
_STATUSES = {each.value: each for each in SeriesStatus}
_NONE = Thresholds()


def _info(row: Any) -> SeriesInfo:
    """Of plain columns: thousands of series are read at once, and mapped objects would take three times as long."""
    number, venture, component, category, name, tags, warning, critical, below, status, last_s, last_value = row
    limits = _NONE if warning is None and critical is None else Thresholds(warning, critical, below)
    key = SeriesKey(venture, component, category, name, tuple([(each[0], each[1]) for each in tags]))
    return SeriesInfo(number, key, limits, _STATUSES[status], float(last_s) if last_s is not None else None, last_value)


class Series:
    """Repository of series within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def numbers_of(self, keys: Collection[SeriesKey]) -> dict[SeriesKey, int]:
        """Numbers of those that are known."""
        by_digest = {key.digest: key for key in keys}
        digests, found = sorted(by_digest), {}
        for begin in range(0, len(digests), AT_ONCE):
            part = digests[begin : begin + AT_ONCE]
            query = select(MetricSeriesRow.digest, MetricSeriesRow.number).where(MetricSeriesRow.digest.in_(part))
            found.update({by_digest[digest]: number for digest, number in self._session.execute(query)})
        return found

    def add(self, keys: Collection[SeriesKey], *, now: datetime) -> dict[SeriesKey, int]:
        """Make them known; somebody else may do the same at the same time. Returns the numbers of all."""
        dialect = self._session.connection().dialect.name
        adding = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(MetricSeriesRow).on_conflict_do_nothing()
        rows = [
            {
                "digest": key.digest, "venture": key.venture, "component": key.component, "category": key.category, "name": key.name,
                "tags": [list(tag) for tag in key.tags], "below": False, "watched": False, "status": "normal", "rowed_s": 0,
                "created_at": now,
            }
            for key in sorted(keys, key=lambda key: (key.venture, key.component, key.name, key.tags, key.category))
        ]  # fmt: skip
        if rows:
            self._session.connection().execute(adding, rows)
        return self.numbers_of(keys)

    def active(self, venture: str, *, since_s: int) -> int:
        """How many series of a venture had points since then, or are newer than that."""
        row = MetricSeriesRow
        recent = or_(row.last_s >= since_s, row.created_at >= datetime.fromtimestamp(since_s, UTC))
        return int(self._session.scalar(select(func.count()).select_from(row).where(row.venture == venture, recent)) or 0)

    def watched(self, venture: str | None = None) -> list[SeriesInfo]:
        """Those with thresholds."""
        query = select(*_COLUMNS).where(MetricSeriesRow.watched.is_(True))
        if venture is not None:
            query = query.where(MetricSeriesRow.venture == venture)
        return [_info(row) for row in self._session.execute(query)]

    def find(self, wanted: SeriesFilter, *, after: int = 0, limit: int | None = None) -> list[SeriesInfo]:
        """In the order they became known, after the one with number ``after``."""
        row = MetricSeriesRow
        query = select(*_COLUMNS).where(row.number > after).order_by(row.number)
        for column, value in ((row.venture, wanted.venture), (row.name, wanted.name), (row.category, wanted.category)):
            query = query.where(column == value) if value is not None else query
        if wanted.status is not None:
            query = query.where(row.status == wanted.status.value)
        if wanted.component is not None:
            exact = not wanted.component.endswith("*")
            prefix = row.component.startswith(wanted.component[:-1], autoescape=True)
            query = query.where(row.component == wanted.component if exact else prefix)
        found: list[SeriesInfo] = []
        needed = set((wanted.tags or {}).items())
        for each in self._session.execute(query.execution_options(yield_per=1000)):
            if not needed or needed <= {(name, value) for name, value in each.tags}:
                found.append(_info(each))
                if limit is not None and len(found) >= limit:
                    break
        return found

    def get(self, number: int) -> SeriesInfo:
        """Raises: NotFoundError."""
        row = self._session.execute(select(*_COLUMNS).where(MetricSeriesRow.number == number)).first()
        if row is None:
            raise NotFoundError(f"there is no series {number}; `productops metrics list` shows those there are")
        return _info(row)

    def by_numbers(self, numbers: Sequence[int]) -> dict[int, SeriesInfo]:
        """Those that are still there."""
        found = {}
        for begin in range(0, len(numbers), AT_ONCE):
            query = select(*_COLUMNS).where(MetricSeriesRow.number.in_(numbers[begin : begin + AT_ONCE]))
            found.update({row.number: _info(row) for row in self._session.execute(query)})
        return found

    def set_thresholds(self, number: int, thresholds: Thresholds, *, expected: Thresholds) -> bool:
        """Whether they were still ``expected``. A status that no threshold stands for any more becomes normal."""
        row = MetricSeriesRow
        values: dict[str, Any] = {
            "warning": thresholds.warning, "critical": thresholds.critical, "below": thresholds.below, "watched": thresholds.any,
        }  # fmt: skip
        if not thresholds.any:
            values["status"] = SeriesStatus.NORMAL.value
        changed = self._session.execute(
            update(row)
            .where(
                row.number == number, row.below.is_(expected.below), row.warning.is_not_distinct_from(expected.warning),
                row.critical.is_not_distinct_from(expected.critical),
            )
            .values(**values)
        )  # fmt: skip
        return _count(changed) == 1

    def move_status(self, number: int, *, expected: SeriesStatus, status: SeriesStatus) -> bool:
        """Whether it was still ``expected``: of two that see the change, one tells of it."""
        row = MetricSeriesRow
        changed = self._session.execute(update(row).where(row.number == number, row.status == expected.value).values(status=status.value))
        return _count(changed) == 1

    def rowed_until(self, numbers: Sequence[int]) -> dict[int, int]:
        """To which second (exclusive) infrastructure_metrics has each series."""
        found: dict[int, int] = {}
        for begin in range(0, len(numbers), AT_ONCE):
            part = numbers[begin : begin + AT_ONCE]
            query = select(MetricSeriesRow.number, MetricSeriesRow.rowed_s).where(MetricSeriesRow.number.in_(part))
            found.update(dict(self._session.execute(query).tuples().all()))
        return found

    def note_last(self, rows: Sequence[Newest]) -> None:
        """Keep the newest point of each, and how far rows of infrastructure_metrics go."""
        table: Any = MetricSeriesRow.__table__
        changing = (
            update(table)
            .where(table.c.number == bindparam("of"))
            .values(
                last_s=bindparam("at_s"), last_value=bindparam("found"), rowed_s=bindparam("rowed"),
            )
        )  # fmt: skip
        if rows:
            told = [{"of": each.number, "at_s": each.at_s, "found": each.value, "rowed": each.rowed_s} for each in rows]
            self._session.connection().execute(changing, told)

    def add_rows(self, rows: Sequence[MetricRow]) -> None:
        """Into infrastructure_metrics."""
        if not rows:
            return
        ventures = dict(self._session.execute(select(Venture.name, Venture.id)).tuples().all())
        table: Any = InfrastructureMetric.__table__
        self._session.connection().execute(insert(table), [self._row(each, ventures) for each in rows])

    def _row(self, row: MetricRow, ventures: Mapping[str, Any]) -> dict[str, Any]:
        key, thresholds = row.info.key, row.info.thresholds
        fits = row.value is not None and abs(row.value) < _VALUE_MAX
        return {
            "metric_id": new_id(), "venture_id": ventures.get(key.venture) if key.venture != INSTALLATION else None,
            "infrastructure_component": key.component, "metric_category": key.category, "metric_name": key.name,
            "metric_value": row.value if fits else None, "threshold_warning": thresholds.warning,
            "threshold_critical": thresholds.critical, "status": row.status.value, "tags": dict(key.tags),
            "recorded_at": datetime.fromtimestamp(row.at_s, UTC),
        }  # fmt: skip

    def rows_before(self, *, rows_max: int) -> datetime | None:
        """The time of the oldest row of infrastructure_metrics that is one too many; None: there are not so many."""
        row = InfrastructureMetric
        return self._session.scalar(select(row.recorded_at).order_by(row.recorded_at.desc()).offset(rows_max).limit(1))

    def any_rows(self, *, before: datetime) -> bool:
        """Whether infrastructure_metrics has rows that were recorded before then."""
        row = InfrastructureMetric
        return self._session.scalar(select(row.metric_id).where(row.recorded_at <= before).limit(1)) is not None

    def any_silent(self, *, before_s: int) -> bool:
        """Whether there are series that had no point since then."""
        row = MetricSeriesRow
        query = select(row.number).where(row.watched.is_(False), row.last_s < before_s).limit(1)
        return self._session.scalar(query) is not None

    def forget_rows(self, *, before: datetime, limit: int) -> int:
        """Drop at most ``limit`` rows of infrastructure_metrics that were recorded before then; returns how many."""
        row = InfrastructureMetric
        old = select(row.metric_id).where(row.recorded_at <= before).limit(limit)
        return _count(self._session.execute(delete(row).where(row.metric_id.in_(old))))

    def forget_silent(self, *, before_s: int) -> int:
        """Drop series that had no point since then and of which no block is left; returns how many."""
        row, block = MetricSeriesRow, MetricBlockRow
        unused = ~select(block.series).where(block.series == row.number).exists()
        return _count(self._session.execute(delete(row).where(row.watched.is_(False), row.last_s < before_s, unused)))


def _count(result: Any) -> int:
    return int(result.rowcount)
