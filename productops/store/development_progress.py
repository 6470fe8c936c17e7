"""What reports about features ask of several rooms: the feature by any name, judged commits, tests that failed, and goals."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.catalog_feature import FeatureEntry, FeatureSpec
from productops.domain.development import Change, Feature, Stage
from productops.errors import ConflictError, NotFoundError
from productops.store.development_rows import record_of
from productops.store.tables import (
    CatalogRevision,
    DevelopmentChangeRow,
    DevelopmentFeatureRow,
    DevelopmentGoalRow,
    DevelopmentKeyRow,
    QualityQuarantineRow,
    QualityRunRow,
    QualityTestResultRow,
    QualityTestRow,
)

AT_ONCE = 400
RUNS_MAX = 200


@dataclass(frozen=True, slots=True)
class FeatureFilter:
    """Which features. ``ventures`` None: all; ``text``: part of key or title."""

    venture: str | None = None
    ventures: frozenset[str] | None = None
    source: str | None = None
    stage: Stage | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class FailedTest:
    """A watched test in runs of a feature's commits: in how many of them it failed, and in how many a retry undid that."""

    service: str
    key: str
    name: str
    runs: int
    failed: int
    retried: int
    quarantined: bool


@dataclass(frozen=True, slots=True)
class FeatureGoal:
    """What a catalog entry says that a feature is for."""

    name: str
    venture: str
    spec: FeatureSpec
    revision: int


class DevelopmentProgress:
    """Questions about features, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def feature(self, text: str, *, ventures: Collection[str] | None) -> Feature:
        """By id, by any key it ever had, by the end of its key after a ``/``, or by its id in the tool.

        Raises: NotFoundError; ConflictError when several have that key.
        """
        found = self._by_id(text, ventures) or self._by_key(text, ventures)
        if not found:
            raise NotFoundError(f"there is no feature {text[:80]!r}; list them with: productops development list")
        if len(found) > 1:
            named = ", ".join(f"{row.id} ({row.venture}, {row.source})" for row in found)
            raise ConflictError(f"{len(found)} features are called {text[:80]!r}; name it by its id: {named}")
        return record_of(Feature, found[0])

    def _by_id(self, text: str, ventures: Collection[str] | None) -> Sequence[Any]:
        try:
            wanted = uuid.UUID(text)
        except ValueError:
            return []
        return self._rows(DevelopmentFeatureRow.id == wanted, ventures)

    def _by_key(self, text: str, ventures: Collection[str] | None) -> Sequence[Any]:
        row, key = DevelopmentFeatureRow, DevelopmentKeyRow
        exact = self._rows(row.key == text, ventures)
        if exact:
            return exact
        ends = self._rows(row.key.endswith(f"/{text}", autoescape=True), ventures)
        if ends:
            return ends
        old = select(key.external_id).where(key.key == text, key.source == row.source)
        return self._rows(or_(row.external_id == text, row.external_id.in_(old)), ventures)

    def _rows(self, condition: Any, ventures: Collection[str] | None) -> Sequence[Any]:
        row = DevelopmentFeatureRow
        query = select(row.__table__).where(condition).order_by(row.deleted_at.is_not(None), row.id).limit(10)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        found = self._session.execute(query).all()
        alive = [each for each in found if each.deleted_at is None]
        return alive or found[:1]

    def features(self, wanted: FeatureFilter, *, before: str | None, limit: int) -> list[Feature]:
        """Newest first; ``before`` is the id of the last one seen."""
        row = DevelopmentFeatureRow
        query = select(row.__table__).where(row.deleted_at.is_(None)).order_by(row.id.desc()).limit(limit)
        for column, value in ((row.venture, wanted.venture), (row.source, wanted.source), (row.stage, wanted.stage)):
            query = query if value is None else query.where(column == str(value))
        if wanted.ventures is not None:
            query = query.where(row.venture.in_(sorted(wanted.ventures)))
        if wanted.text:
            part = wanted.text.lower()
            query = query.where(
                or_(func.lower(row.key).contains(part, autoescape=True), func.lower(row.title).contains(part, autoescape=True))
            )
        if before is not None:
            query = query.where(row.id < uuid.UUID(before))
        return [record_of(Feature, found) for found in self._session.execute(query)]

    def names(self, feature: Feature) -> frozenset[str]:
        """All that others may call it by."""
        key = DevelopmentKeyRow
        query = select(key.key).where(key.source == feature.source, key.external_id == feature.external_id)
        return frozenset({feature.external_id, feature.key, *self._session.scalars(query)})

    def changes(self, text: str, *, ventures: Collection[str] | None, limit: int = 10) -> list[Change]:
        """Changes by key, or by the end of their key after a ``/``: ``shop#12`` for ``acme/shop#12``."""
        row = DevelopmentChangeRow
        for condition in (row.key == text, row.key.endswith(f"/{text}", autoescape=True)):
            query = select(row.__table__).where(condition, row.deleted_at.is_(None)).order_by(row.id).limit(limit)
            if ventures is not None:
                query = query.where(row.venture.in_(sorted(ventures)))
            found = [record_of(Change, each) for each in self._session.execute(query)]
            if found:
                return found
        return []

    def runs_of(self, venture: str, commits: Collection[str]) -> list[str]:
        """Ids of quality runs that judged one of these commits, newest first, at most ``RUNS_MAX``."""
        row, wanted = QualityRunRow, sorted({commit for commit in commits if commit})
        found: list[uuid.UUID] = []
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            query = select(row.id).where(row.venture == venture, row.commit.in_(part)).order_by(row.id.desc()).limit(RUNS_MAX)
            found += self._session.scalars(query)
        return [str(each) for each in sorted(found, reverse=True)[:RUNS_MAX]]

    def failed_tests(self, runs: Collection[str], *, now: datetime) -> list[FailedTest]:
        """Tests that failed or were retried in these runs, the worst first."""
        result, test = QualityTestResultRow, QualityTestRow
        query = (
            select(result.service, result.key, test.name, result.executions, result.failures, result.outcome)
            .join(test, (test.service == result.service) & (test.key == result.key))
            .where(result.run_id.in_([uuid.UUID(run) for run in runs]))
        )
        counts: dict[tuple[str, str, str], list[int]] = {}
        for service, key, name, executions, failures, outcome in self._session.execute(query):
            count = counts.setdefault((service, key, name), [0, 0, 0])
            undone = 0 < failures < executions
            count[0] += 1
            count[1] += int(failures > 0 and outcome in {"failed", "error"})
            count[2] += int(undone)
        held = self._quarantined({service for service, _, _ in counts}, now=now)
        found = [FailedTest(s, k, name, c[0], c[1], c[2], quarantined=(s, k) in held) for (s, k, name), c in counts.items() if c[1] or c[2]]
        return sorted(found, key=lambda each: (-each.failed, -each.retried, each.name))

    def _quarantined(self, services: set[str], *, now: datetime) -> set[tuple[str, str]]:
        row = QualityQuarantineRow
        query = select(row.service, row.test_key).where(row.service.in_(sorted(services)), row.ended_at.is_(None), row.until > now)
        return {(service, key) for service, key in self._session.execute(query)}


class DevelopmentGoals:
    """Repository of what features are for, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, ventures: Collection[str] | None = None) -> list[FeatureGoal]:
        """By name."""
        query = select(DevelopmentGoalRow).order_by(DevelopmentGoalRow.name)
        if ventures is not None:
            query = query.where(DevelopmentGoalRow.venture.in_(sorted(ventures)))
        return [_goal(row) for row in self._session.scalars(query)]

    def of(self, venture: str, names: Collection[str]) -> FeatureGoal | None:
        """The entry whose work names the feature by one of its names; the first by name."""
        wanted = set(names)
        return next((goal for goal in self.all([venture]) if wanted & set(goal.spec.work)), None)

    def put(self, entry: FeatureEntry, *, base: str, author: str, now: datetime) -> tuple[str, dict[str, Any] | None]:
        """Insert or update; returns created, changed or unchanged, and the spec before. Raises: ConflictError."""
        name, venture, spec = entry.metadata.name, entry.metadata.venture, entry.spec.model_dump(mode="json")
        row = self._session.get(DevelopmentGoalRow, name)
        if row is not None and (row.spec, row.venture) == (spec, venture):
            row.base = base
            return "unchanged", None
        before = row.spec if row is not None else None
        revision = self._revise(name, spec, author=author, now=now)
        try:
            if row is None:
                self._session.add(DevelopmentGoalRow(name=name, venture=venture, spec=spec, base=base, revision=revision, updated_at=now))
            else:
                row.venture, row.spec, row.base, row.revision, row.updated_at = venture, spec, base, revision, now
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"somebody else declared the feature {name} at this moment; try again") from error
        return ("created" if before is None else "changed"), before

    def declared_in(self, bases: Collection[str]) -> dict[str, str]:
        """Venture by name of what was declared in these folders."""
        query = select(DevelopmentGoalRow.name, DevelopmentGoalRow.venture).where(DevelopmentGoalRow.base.in_(sorted(bases)))
        return {str(name): str(venture) for name, venture in self._session.execute(query)}

    def remove(self, name: str) -> None:
        """Forget an entry; its revisions stay."""
        self._session.execute(delete(DevelopmentGoalRow).where(DevelopmentGoalRow.name == name))

    def _revise(self, name: str, spec: dict[str, Any], *, author: str, now: datetime) -> int:
        known = select(func.max(CatalogRevision.revision)).where(CatalogRevision.kind == "Feature", CatalogRevision.name == name)
        revision = (self._session.scalar(known) or 0) + 1
        self._session.add(CatalogRevision(kind="Feature", name=name, revision=revision, spec=spec, author=author, applied_at=now))
        return revision


def _goal(row: DevelopmentGoalRow) -> FeatureGoal:
    return FeatureGoal(row.name, row.venture, FeatureSpec.model_validate(row.spec), row.revision)
