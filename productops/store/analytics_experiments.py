"""Experiments and looks at them: rows in and out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.analytics_experiment import (
    Breach,
    Choice,
    Experiment,
    ExperimentDecision,
    ExperimentState,
    KnownLook,
)
from productops.domain.catalog_experiment import ExperimentEntry, ExperimentSpec
from productops.errors import ConflictError, NotFoundError
from productops.store.identity import new_id
from productops.store.tables import AnalyticsExperimentLookRow, AnalyticsExperimentRow, CatalogRevision

KIND = "Experiment"


class AnalyticsExperiments:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, name: str) -> Experiment | None:
        """None when it was never declared."""
        row = self._session.get(AnalyticsExperimentRow, name, populate_existing=True)
        return _experiment(row) if row is not None else None

    def get(self, name: str) -> Experiment:
        """Raises: NotFoundError."""
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"there is no experiment {name[:80]!r}; list them with: productops experiment list")
        return found

    def page(
        self, *, ventures: Collection[str] | None, venture: str | None, state: ExperimentState | None, after: str | None, limit: int
    ) -> list[Experiment]:  # fmt: skip
        """By name; ``after`` is the last one seen. ``ventures`` None: of all."""
        row = AnalyticsExperimentRow
        query = select(row).order_by(row.name).limit(limit)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if venture is not None:
            query = query.where(row.venture == venture)
        if state is not None:
            query = query.where(row.state == state.value)
        if after is not None:
            query = query.where(row.name > after)
        return [_experiment(each) for each in self._session.scalars(query)]

    def put(self, entry: ExperimentEntry, *, base: str, author: str, now: datetime) -> tuple[str, dict[str, Any] | None]:
        """Insert or update what is declared; the run stays. Returns created, changed or unchanged, and the spec before.

        Raises: ConflictError.
        """
        name, venture, spec = entry.metadata.name, entry.metadata.venture, entry.spec.model_dump(mode="json")
        row = self._session.get(AnalyticsExperimentRow, name)
        if row is not None and (row.spec, row.venture) == (spec, venture):
            row.base = base
            return "unchanged", None
        before = row.spec if row is not None else None
        revision = self._revise(name, spec, author=author, now=now)
        try:
            if row is None:
                self._session.add(_draft(name, venture, spec, base=base, revision=revision, now=now))
            else:
                row.venture, row.spec, row.base, row.revision, row.updated_at = venture, spec, base, revision, now
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"somebody else declared the experiment {name} at this moment; try again") from error
        return ("created" if before is None else "changed"), before

    def declared_in(self, bases: Collection[str]) -> dict[str, ExperimentState]:
        """State by name of what was declared in these folders."""
        row = AnalyticsExperimentRow
        query = select(row.name, row.state).where(row.base.in_(sorted(bases)))
        return {str(name): ExperimentState(state) for name, state in self._session.execute(query)}

    def remove(self, name: str) -> None:
        """Forget an entry and its looks; its revisions stay."""
        self._session.execute(delete(AnalyticsExperimentLookRow).where(AnalyticsExperimentLookRow.experiment == name))
        self._session.execute(delete(AnalyticsExperimentRow).where(AnalyticsExperimentRow.name == name))

    def start(self, experiment: Experiment, *, now: datetime) -> None:
        """The next run of it, by the spec that is declared now. Raises: ConflictError."""
        self._move(
            experiment, ExperimentState.RUNNING, run=experiment.run + 1, plan=experiment.spec.model_dump(mode="json"), started_at=now,
            stopped_at=None, looks=0, looked_at=None, breach=None, decision=None,
        )  # fmt: skip

    def stop(self, experiment: Experiment, *, now: datetime) -> None:
        """Nobody who comes later is counted. Raises: ConflictError."""
        self._move(experiment, ExperimentState.STOPPED, stopped_at=now)

    def decide(self, experiment: Experiment, decision: ExperimentDecision) -> None:
        """End it. Raises: ConflictError."""
        document = asdict(decision) | {"at": decision.at.isoformat()}
        self._move(experiment, ExperimentState.DECIDED, stopped_at=experiment.stopped_at or decision.at, decision=document)

    def note_breach(self, experiment: Experiment, breach: Breach) -> bool:
        """Once in a run; False when another look wrote one before."""
        row, document = AnalyticsExperimentRow, asdict(breach) | {"at": breach.at.isoformat()}
        changed: Any = self._session.execute(
            update(row)
            .where(row.name == experiment.name, row.run == experiment.run, row.state == "running", row.moves == self._moves(experiment))
            .values(breach=document, moves=row.moves + 1)
            .execution_options(synchronize_session=False)
        )
        return bool(changed.rowcount == 1)

    def add_look(self, experiment: Experiment, result: dict[str, Any], *, now: datetime) -> KnownLook:
        """The next look of the run. Raises: ConflictError when somebody else looked at this moment."""
        row, number = AnalyticsExperimentRow, experiment.looks + 1
        changed: Any = self._session.execute(
            update(row)
            .where(row.name == experiment.name, row.run == experiment.run, row.looks == experiment.looks)
            .values(looks=number, looked_at=now)
            .execution_options(synchronize_session=False)
        )
        if changed.rowcount != 1:
            raise ConflictError(f"somebody else looked at experiment {experiment.name} at this moment; that look counts")
        look = AnalyticsExperimentLookRow(id=new_id(), experiment=experiment.name, run=experiment.run, number=number, at=now, result=result)
        self._session.add(look)
        self._session.flush()
        return _look(look)

    def looks(self, name: str, run: int, *, limit: int = 1000) -> list[KnownLook]:
        """Those of a run, oldest first; the newest ``limit``."""
        row = AnalyticsExperimentLookRow
        query = select(row).where(row.experiment == name, row.run == run).order_by(row.number.desc()).limit(limit)
        return [_look(each) for each in reversed(self._session.scalars(query).all())]

    def newest_look(self, name: str, run: int) -> KnownLook | None:
        """The last look of a run."""
        found = self.looks(name, run, limit=1)
        return found[0] if found else None

    def _moves(self, experiment: Experiment) -> int:
        """Changes of state so far, of a run that has no breach; -1 when it has one."""
        row = AnalyticsExperimentRow
        found = self._session.execute(select(row.moves, row.breach).where(row.name == experiment.name)).first()
        return int(found[0]) if found is not None and found[1] is None else -1

    def _move(self, experiment: Experiment, to: ExperimentState, **values: Any) -> None:
        """Raises: IllegalTransitionError, ConflictError."""
        experiment.check_move(to)
        row = AnalyticsExperimentRow
        changed: Any = self._session.execute(
            update(row)
            .where(row.name == experiment.name, row.state == experiment.state.value, row.run == experiment.run)
            .values(state=to.value, moves=row.moves + 1, **values)
            .execution_options(synchronize_session=False)
        )
        if changed.rowcount != 1:
            raise ConflictError(f"experiment {experiment.name} is no longer {experiment.state}; look at it again")

    def _revise(self, name: str, spec: dict[str, Any], *, author: str, now: datetime) -> int:
        known = select(func.max(CatalogRevision.revision)).where(CatalogRevision.kind == KIND, CatalogRevision.name == name)
        revision = (self._session.scalar(known) or 0) + 1
        self._session.add(CatalogRevision(kind=KIND, name=name, revision=revision, spec=spec, author=author, applied_at=now))
        return revision


def _draft(name: str, venture: str, spec: dict[str, Any], *, base: str, revision: int, now: datetime) -> AnalyticsExperimentRow:
    return AnalyticsExperimentRow(
        name=name, venture=venture, spec=spec, base=base, revision=revision, updated_at=now, state="draft", moves=0, run=0, plan=None,
        started_at=None, stopped_at=None, looks=0, looked_at=None, breach=None, decision=None,
    )  # fmt: skip


def _experiment(row: AnalyticsExperimentRow) -> Experiment:
    return Experiment(
        row.name, row.venture, ExperimentSpec.model_validate(row.spec), row.revision, ExperimentState(row.state), row.updated_at, row.run,
        ExperimentSpec.model_validate(row.plan) if row.plan else None, row.started_at, row.stopped_at, row.looks, row.looked_at,
        _breach(row.breach), _decision(row.decision),
    )  # fmt: skip


def _breach(document: dict[str, Any] | None) -> Breach | None:
    return Breach(**(document | {"at": datetime.fromisoformat(document["at"])})) if document else None


def _decision(document: dict[str, Any] | None) -> ExperimentDecision | None:
    if not document:
        return None
    return ExperimentDecision(**(document | {"at": datetime.fromisoformat(document["at"]), "choice": Choice(document["choice"])}))


def _look(row: AnalyticsExperimentLookRow) -> KnownLook:
    return KnownLook(str(row.id), row.experiment, row.run, row.number, row.at, row.result)
