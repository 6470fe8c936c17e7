"""Releases: rows in and out, moves by compare-and-set."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.analysis import Look
from productops.domain.release import (
    ENDED,
    Cause,
    Environment,
    Phase,
    Release,
    ReleaseEvent,
    Step,
    StepRecord,
    Strategy,
    check_move,
)
from productops.errors import ConflictError, IdempotencyError, NotFoundError, ReleaseInFlightError
from productops.store.governance_access import within
from productops.store.release_events import number_alone
from productops.store.tables import AnalysisRow, EventRow, IdempotencyRow, ReleaseRow, StepRow, TransitionRow


def release_of(row: ReleaseRow) -> Release:
    """The domain's value of a row."""
    return Release(
        id=str(row.id),
        venture=row.venture,
        service=row.service,
        environment=Environment(row.environment),
        version=row.version,
        baseline_version=row.baseline_version,
        strategy=Strategy(row.strategy),
        phase=Phase(row.phase),
        steps=tuple(Step.from_dict(s) for s in row.steps),
        plan=row.plan,
        requested_by=row.requested_by,
        origin=row.origin,
        reason=row.reason,
        cause=Cause(row.cause) if row.cause else None,
        step_index=row.step_index,
        fence=row.fence,
        flow_run_id=row.flow_run_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        heartbeat_at=row.heartbeat_at,
    )


def active_key(service: str, environment: Environment) -> str:
    """What is unique among releases that have not ended."""
    return f"{service}/{environment}"


def parse_id(release_id: str) -> uuid.UUID:
    """Raises: NotFoundError for a text that is no release id."""
    try:
        return uuid.UUID(release_id)
    except ValueError as error:
        raise NotFoundError(f"there is no release {release_id[:80]!r}") from error


class Releases:
    """Repository of releases within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._told: list[EventRow] = []

    def add(self, release: Release) -> None:
        """Insert a new release. Raises: ReleaseInFlightError when one is active for the same service and environment."""
        row = ReleaseRow(
            id=uuid.UUID(release.id),
            venture=release.venture,
            service=release.service,
            environment=release.environment.value,
            version=release.version,
            baseline_version=release.baseline_version,
            strategy=release.strategy.value,
            phase=release.phase.value,
            steps=[s.to_dict() for s in release.steps],
            plan=release.plan,
            requested_by=release.requested_by,
            origin=release.origin,
            reason=release.reason,
            active_key=active_key(release.service, release.environment),
            created_at=release.created_at,
            updated_at=release.updated_at,
        )
        self._session.add(row)
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ReleaseInFlightError(f"another release of {release.service} in {release.environment} is in flight") from error

    def get(self, release_id: str) -> Release:
        """Raises: NotFoundError."""
        row = self._session.get(ReleaseRow, parse_id(release_id), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no release {release_id}")
        return release_of(row)

    def active(self, service: str, environment: Environment) -> Release | None:
        """The release in flight, if any."""
        row = self._session.scalar(select(ReleaseRow).where(ReleaseRow.active_key == active_key(service, environment)))
        return release_of(row) if row else None

    def of_run(self, flow_run_id: str) -> Release | None:
        """The release that a flow run carries out."""
        row = self._session.scalar(select(ReleaseRow).where(ReleaseRow.flow_run_id == flow_run_id))
        return release_of(row) if row else None

    def all_active(self) -> list[Release]:
        """Every release in flight, oldest first."""
        rows = self._session.scalars(select(ReleaseRow).where(ReleaseRow.active_key.is_not(None)).order_by(ReleaseRow.created_at))
        return [release_of(r) for r in rows]

    def active_of(self, services: Sequence[str]) -> list[Release]:
        """Releases in flight of these services."""
        keys = [active_key(service, environment) for service in services for environment in Environment]
        return [release_of(r) for r in self._session.scalars(select(ReleaseRow).where(ReleaseRow.active_key.in_(keys)))]

    def count_unbegun(self, *, since: datetime) -> int:
        """How many that were asked for after ``since`` no flow carries out yet."""
        query = select(func.count()).where(
            ReleaseRow.phase == Phase.REQUESTED.value, ReleaseRow.flow_run_id.is_(None), ReleaseRow.active_key.is_not(None),
            ReleaseRow.created_at > since,
        )  # fmt: skip
        return self._session.scalar(query) or 0

    def newest(
        self, *, service: str | None, environment: Environment | None, before: str | None, limit: int,
        places: Collection[tuple[str, str]] | None = None,
    ) -> list[Release]:  # fmt: skip
        """Releases, newest first; ``before`` is the id of the last one seen (ids rise with time). ``places``: only what lies there."""
        query = select(ReleaseRow).order_by(ReleaseRow.id.desc()).limit(limit)
        if places is not None:
            query = query.where(within(places, ReleaseRow.venture, ReleaseRow.environment))
        if service:
            query = query.where(ReleaseRow.service == service)
        if environment:
            query = query.where(ReleaseRow.environment == environment.value)
        if before:
            query = query.where(ReleaseRow.id < parse_id(before))
        return [release_of(r) for r in self._session.scalars(query)]

    def last_promoted(self, service: str, environment: Environment) -> Release | None:
        """The promotion that made the present baseline, if one did."""
        query = (
            select(ReleaseRow)
            .where(ReleaseRow.service == service, ReleaseRow.environment == environment.value, ReleaseRow.phase == Phase.PROMOTED.value)
            .order_by(ReleaseRow.ended_at.desc())
            .limit(1)
        )
        row = self._session.scalar(query)
        return release_of(row) if row else None

    def move(
        self, release_id: str, target: Phase, *, actor: str, reason: str, now: datetime,
        cause: Cause | None = None, evidence: dict[str, Any] | None = None,
    ) -> Release:  # fmt: skip
        """Move a release along an edge of its state machine; writes the transition and its event.

        Raises: IllegalTransitionError when there is no such edge, ConflictError when somebody else moved it meanwhile.
        """
        current = self.get(release_id)
        check_move(release_id, current.phase, target)
        values: dict[str, Any] = {"phase": target.value, "updated_at": now}
        if cause is not None:
            values |= {"cause": cause.value, "reason": reason}
        if target in ENDED:
            values |= {"ended_at": now, "active_key": None}
        if current.phase is Phase.PROMOTED:
            values |= {"ended_at": None, "active_key": active_key(current.service, current.environment)}
        try:
            changed = self._session.execute(
                update(ReleaseRow)
                .where(ReleaseRow.id == parse_id(release_id), ReleaseRow.phase == current.phase.value)
                .values(**values)
                .execution_options(synchronize_session=False)
            )
        except IntegrityError as error:
            raise ReleaseInFlightError(f"another release of {current.service} in {current.environment} is in flight") from error
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise ConflictError(f"release {release_id} is no longer {current.phase}")
        self._session.add(
            TransitionRow(
                release_id=parse_id(release_id), source=current.phase.value, target=target.value,
                actor=actor, reason=reason, evidence=evidence or {}, at=now,
            )
        )  # fmt: skip
        payload = {"from": current.phase.value, "to": target.value, "actor": actor, "reason": reason}
        if cause is not None:
            payload["cause"] = cause.value
        self.tell(release_id, "phase", payload, now=now)
        return self.get(release_id)

    def claim(self, release_id: str, flow_run_id: str, *, instead_of: str | None, now: datetime) -> bool:
        """Make a flow run the one that carries the release out; false when another was quicker than ``instead_of`` says."""
        before = ReleaseRow.flow_run_id.is_(None) if instead_of is None else ReleaseRow.flow_run_id == instead_of
        changed = self._session.execute(
            update(ReleaseRow)
            .where(ReleaseRow.id == parse_id(release_id), before)
            .values(flow_run_id=flow_run_id, heartbeat_at=now)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def note(self, release_id: str, **values: Any) -> None:
        """Set plain columns that no state hangs on: ``step_index``, ``fence``, ``heartbeat_at``, ``baseline_version``."""
        self._session.execute(
            update(ReleaseRow).where(ReleaseRow.id == parse_id(release_id)).values(**values).execution_options(synchronize_session=False)
        )

    def tell(self, release_id: str, kind: str, payload: dict[str, Any], *, now: datetime) -> None:
        """Append a line to the release's story; it gets its number at the end of the transaction, see ``seal``."""
        self._told.append(EventRow(release_id=parse_id(release_id), type=kind, at=now, payload=payload))

    def forget(self) -> None:
        """Drop what was told and not numbered yet."""
        self._told.clear()

    def seal(self) -> None:
        """Number what was told. From here to the end of the transaction no other writer can, so numbers rise in the order of commits:
        who reads on after the highest number it has seen misses nothing.
        """
        if not self._told:
            return
        self._session.flush()
        number_alone(self._session, {event.release_id for event in self._told})
        self._session.add_all(self._told)
        self._session.flush()
        self._told.clear()

    def events(self, release_id: str, *, after: int, limit: int = 500, kind: str | None = None) -> list[ReleaseEvent]:
        """The story after sequence number ``after``; of one ``kind`` only when it is given."""
        self.seal()
        query = (
            select(EventRow).where(EventRow.release_id == parse_id(release_id), EventRow.seq > after).order_by(EventRow.seq).limit(limit)
        )
        rows = self._session.scalars(query.where(EventRow.type == kind) if kind else query)
        return [ReleaseEvent(seq=r.seq, release_id=str(r.release_id), type=r.type, at=r.at, payload=r.payload) for r in rows]

    def transitions(self, release_id: str) -> list[dict[str, Any]]:
        """Every move, oldest first: ``from, to, actor, reason, evidence, at``."""
        rows = self._session.scalars(
            select(TransitionRow).where(TransitionRow.release_id == parse_id(release_id)).order_by(TransitionRow.id)
        )
        return [
            {"from": r.source, "to": r.target, "actor": r.actor, "reason": r.reason, "evidence": r.evidence, "at": r.at.isoformat()}
            for r in rows
        ]

    def start_step(self, release_id: str, record: StepRecord) -> None:
        """Write the step's beginning; a step that is begun again keeps its first beginning."""
        key = (parse_id(release_id), record.index)
        if self._session.get(StepRow, key) is None:
            self._session.add(
                StepRow(
                    release_id=key[0], step_index=record.index, weight_pct=record.weight_pct, hold_s=record.hold_s,
                    header_only=record.header_only, started_at=record.started_at, summary={},
                )
            )  # fmt: skip

    def end_step(self, release_id: str, index: int, *, verdict: str, reason: str, summary: dict[str, Any], now: datetime) -> None:
        """Write the step's outcome once; the first outcome stays."""
        self._session.execute(
            update(StepRow)
            .where(StepRow.release_id == parse_id(release_id), StepRow.step_index == index, StepRow.ended_at.is_(None))
            .values(ended_at=now, verdict=verdict, reason=reason, summary=summary)
            .execution_options(synchronize_session=False)
        )

    def steps(self, release_id: str) -> list[StepRecord]:
        """The steps that have begun, in order."""
        rows = self._session.scalars(select(StepRow).where(StepRow.release_id == parse_id(release_id)).order_by(StepRow.step_index))
        return [
            StepRecord(
                index=r.step_index, weight_pct=r.weight_pct, hold_s=r.hold_s, header_only=r.header_only,
                started_at=r.started_at, ended_at=r.ended_at, verdict=r.verdict, reason=r.reason, summary=r.summary,
            )
            for r in rows
        ]  # fmt: skip

    def add_looks(self, release_id: str, step_index: int, looks: Sequence[Look], *, now: datetime) -> None:
        """Store looks of the judge, one row a second. Seconds already stored are left as they are."""
        if not looks:
            return
        rid = parse_id(release_id)
        seen = set(
            self._session.scalars(
                select(AnalysisRow.at_s).where(AnalysisRow.release_id == rid, AnalysisRow.at_s.in_([k.at_s for k in looks]))
            )
        )
        self._session.add_all(
            AnalysisRow(
                release_id=rid, step_index=step_index, at_s=k.at_s, verdict=k.verdict.value, reason=k.reason,
                log_e=k.log_e, log_e_safe=k.log_e_safe, evidence=k.evidence, recorded_at=now,
            )
            for k in looks if k.at_s not in seen
        )  # fmt: skip

    def last_look(self, release_id: str) -> dict[str, Any] | None:
        """The newest look of the judge, in the form of ``looks``."""
        newest = select(func.max(AnalysisRow.at_s)).where(AnalysisRow.release_id == uuid.UUID(release_id))
        at_s = self._session.scalar(newest)
        return self.looks(release_id, after_s=at_s - 1, limit=1)[0] if at_s is not None else None

    def looks(self, release_id: str, *, after_s: int = 0, limit: int = 5_000) -> list[dict[str, Any]]:
        """Looks after a second, in order: ``step, at_s, verdict, reason, log_e, log_e_safe, evidence``."""
        rows = self._session.scalars(
            select(AnalysisRow)
            .where(AnalysisRow.release_id == parse_id(release_id), AnalysisRow.at_s > after_s)
            .order_by(AnalysisRow.at_s)
            .limit(limit)
        )
        return [
            {
                "step": r.step_index, "at_s": r.at_s, "verdict": r.verdict, "reason": r.reason,
                "log_e": r.log_e, "log_e_safe": r.log_e_safe, "evidence": r.evidence,
            }
            for r in rows
        ]  # fmt: skip

    def count_active(self) -> int:
        """Releases in flight."""
        return self._session.scalar(select(func.count()).select_from(ReleaseRow).where(ReleaseRow.active_key.is_not(None))) or 0

    def remembered(self, key: str, fingerprint: str) -> str | None:
        """Release id that an idempotency key made before. Raises: IdempotencyError when the request differs."""
        row = self._session.get(IdempotencyRow, key)
        if row is None:
            return None
        if row.fingerprint != fingerprint:
            raise IdempotencyError("this Idempotency-Key was used with a different request; use a new key")
        return str(row.release_id)

    def remember(self, key: str, fingerprint: str, release_id: str, *, now: datetime) -> None:
        """Keep an idempotency key's answer. Raises: IdempotencyError when another request took the key at the same moment."""
        self._session.add(IdempotencyRow(key=key, fingerprint=fingerprint, release_id=parse_id(release_id), created_at=now))
        try:
            self._session.flush()
        except IntegrityError as error:
            raise IdempotencyError("this Idempotency-Key was used by another request at the same moment; repeat yours") from error

    def forget_keys(self, *, before: datetime) -> None:
        """Drop idempotency keys that are older than ``before``."""
        self._session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < before))
