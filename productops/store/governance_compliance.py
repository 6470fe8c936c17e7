"""Controls, findings, waivers and checks: rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.catalog_compliance import ControlEntry, ControlSpec
from productops.domain.governance_compliance import ComplianceCheck, Control, ControlResult, Deviation, Finding, Waiver
from productops.domain.governance_compliance_words import FindingState, Severity
from productops.errors import ConflictError, NotFoundError
from productops.store.identity import new_id
from productops.store.tables import CatalogRevision, ComplianceCheckRow, ControlRow, FindingRow, WaiverRow

KIND = "Control"


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Which findings. ``ventures`` None: all; a finding of no venture is shown to who sees all."""

    state: FindingState | None = None
    control: str | None = None
    severity: Severity | None = None
    venture: str | None = None
    owner: str | None = None
    ventures: frozenset[str] | None = None


class Controls:
    """Repository of controls within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[Control]:
        """Every declared control, by name."""
        rows = self._session.scalars(select(ControlRow).order_by(ControlRow.name).execution_options(populate_existing=True))
        return [Control(row.name, row.venture, ControlSpec.model_validate(row.spec), row.base, row.revision) for row in rows]

    def put(self, entry: ControlEntry, *, base: str, author: str, now: datetime) -> tuple[str, dict[str, Any] | None]:
        """Insert or update; returns 'created', 'changed' or 'unchanged', and what was declared before."""
        name, spec, venture = entry.metadata.name, entry.spec.model_dump(mode="json"), entry.metadata.venture
        row = self._session.get(ControlRow, name)
        if row is None:
            revision = self._revise(name, {"venture": venture} | spec, author=author, now=now)
            self._session.add(ControlRow(name=name, venture=venture, spec=spec, base=base, revision=revision))
            self._session.flush()
            return "created", None
        before = {"venture": row.venture} | row.spec
        if before == {"venture": venture} | spec:
            row.base = base
            return "unchanged", before
        row.revision = self._revise(name, {"venture": venture} | spec, author=author, now=now)
        row.spec, row.venture, row.base = spec, venture, base
        self._session.flush()
        return "changed", before

    def remove(self, name: str) -> None:
        """Forget a control; its revisions and findings stay."""
        self._session.execute(delete(ControlRow).where(ControlRow.name == name))

    def _revise(self, name: str, spec: dict[str, Any], *, author: str, now: datetime) -> int:
        query = select(func.max(CatalogRevision.revision)).where(CatalogRevision.kind == KIND, CatalogRevision.name == name)
        revision = (self._session.scalar(query) or 0) + 1
        self._session.add(CatalogRevision(kind=KIND, name=name, revision=revision, spec=spec, author=author, applied_at=now))
        return revision


class Findings:
    """Repository of findings, waivers and checks within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def unresolved(self, control: str) -> dict[str, Finding]:
        """Open and waived findings of a control, by fingerprint."""
        query = _findings().where(FindingRow.control == control, FindingRow.resolved_at.is_(None))
        return {row[0].fingerprint: _finding(row) for row in self._session.execute(query)}

    def unresolved_controls(self) -> set[str]:
        """Names of controls that have findings which are not resolved, also of those that are no longer declared."""
        return set(self._session.scalars(select(FindingRow.control).where(FindingRow.resolved_at.is_(None)).distinct()))

    def open(self, control: Control, deviation: Deviation, fingerprint: str, *, now: datetime) -> str:
        """A new finding; returns its id. Raises: ConflictError when another check found it at this very moment."""
        row = FindingRow(
            id=new_id(), fingerprint=fingerprint, open_key=fingerprint, control=control.name, subject=deviation.subject[:200],
            venture=deviation.venture, environment=deviation.environment, severity=control.spec.severity.value, owner=control.spec.owner,
            sentence=deviation.sentence, remediation=control.spec.remediation, evidence=dict(deviation.evidence), opened_at=now,
            seen_at=now,
        )  # fmt: skip
        self._session.add(row)
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError("another check of the controls runs at this very moment; repeat yours when it has ended") from error
        return str(row.id)

    def see(self, control: Control, deviation: Deviation, fingerprint: str, *, now: datetime) -> None:
        """It is still there, perhaps with other evidence."""
        values = {
            "sentence": deviation.sentence, "evidence": dict(deviation.evidence), "severity": control.spec.severity.value,
            "owner": control.spec.owner, "remediation": control.spec.remediation, "seen_at": now,
        }  # fmt: skip
        self._set(FindingRow.open_key == fingerprint, **values)

    def resolve(self, fingerprint: str, *, now: datetime) -> None:
        """It is gone; should it come back, that is a new finding."""
        self._set(FindingRow.open_key == fingerprint, open_key=None, resolved_at=now, waived_until=None)

    def lapsed(self, *, now: datetime) -> list[Finding]:
        """Findings whose waiver has expired and was not told yet."""
        query = _findings().where(FindingRow.resolved_at.is_(None), FindingRow.waived_until <= now)
        return [_finding(row) for row in self._session.execute(query)]

    def get(self, finding_id: str) -> Finding:
        """Raises: NotFoundError."""
        row = self._session.execute(_findings().where(FindingRow.id == _parse(finding_id))).first()
        if row is None:
            raise NotFoundError(f"there is no finding {finding_id[:80]!r}; list them with: productops compliance findings")
        return _finding(row)

    def newest(self, wanted: FindingFilter, *, now: datetime, before: str | None = None, limit: int = 50) -> list[Finding]:
        """Newest first; ``before`` is the id of the last one seen."""
        query = _findings().where(*_conditions(wanted, now)).order_by(FindingRow.id.desc()).limit(limit)
        if before:
            query = query.where(FindingRow.id < _parse(before))
        return [_finding(row) for row in self._session.execute(query)]

    def counts(self, *, now: datetime, ventures: frozenset[str] | None = None) -> dict[str, dict[str, int]]:
        """Control → how many findings are ``open`` and ``waived``."""
        row, found = FindingRow, dict[str, dict[str, int]]()
        for state in (FindingState.OPEN, FindingState.WAIVED):
            query = select(row.control, func.count()).where(*_conditions(FindingFilter(state, ventures=ventures), now))
            for control, number in self._session.execute(query.group_by(row.control)):
                found.setdefault(control, {"open": 0, "waived": 0})[state.value] = number
        return found

    def waive(self, finding: Finding, waiver: Waiver) -> None:
        """Bear a finding for a time, in place of an earlier waiver. Raises: ConflictError when it was resolved meanwhile."""
        if finding.waiver is not None:
            self.end_waiver(finding.waiver.id, now=waiver.given_at)
        self._session.add(
            WaiverRow(
                id=uuid.UUID(waiver.id), finding_id=uuid.UUID(finding.id), fingerprint=waiver.fingerprint, owner=waiver.owner,
                reason=waiver.reason, given_by=waiver.given_by, given_at=waiver.given_at, expires_at=waiver.expires_at,
            )
        )  # fmt: skip
        self._session.flush()
        unresolved = (FindingRow.id == uuid.UUID(finding.id), FindingRow.open_key.is_not(None))
        if not self._set(*unresolved, waiver_id=uuid.UUID(waiver.id), waived_until=waiver.expires_at):
            raise ConflictError(f"finding {finding.id} is resolved: there is nothing to waive")

    def end_waiver(self, waiver_id: str, *, now: datetime) -> bool:
        """It holds no more; false when it had ended."""
        found = uuid.UUID(waiver_id)
        query = update(WaiverRow).where(WaiverRow.id == found, WaiverRow.ended_at.is_(None)).values(ended_at=now)
        done = self._session.execute(query.execution_options(synchronize_session=False))
        self._set(FindingRow.waiver_id == found, waiver_id=None, waived_until=None)
        return bool(done.rowcount)  # type: ignore[attr-defined]

    def _set(self, *conditions: Any, **values: Any) -> bool:
        query = update(FindingRow).where(*conditions).values(**values).execution_options(synchronize_session=False)
        return bool(self._session.execute(query).rowcount)  # type: ignore[attr-defined]

    def waivers(self, finding_id: str) -> list[Waiver]:
        """Every waiver a finding ever had, newest first."""
        query = select(WaiverRow).where(WaiverRow.finding_id == _parse(finding_id)).order_by(WaiverRow.id.desc())
        return [_waiver(row) for row in self._session.scalars(query)]

    def add_check(self, check: ComplianceCheck) -> None:
        """Keep what a check found."""
        self._session.add(
            ComplianceCheckRow(
                id=uuid.UUID(check.id), at=check.at, by=check.by, origin=check.origin, duration_s=check.duration_s,
                results=[result.to_dict() for result in check.results],
            )
        )  # fmt: skip

    def checks(self, *, limit: int = 20) -> list[ComplianceCheck]:
        """Newest first."""
        rows = self._session.scalars(select(ComplianceCheckRow).order_by(ComplianceCheckRow.id.desc()).limit(limit))
        return [
            ComplianceCheck(str(r.id), r.at, r.by, r.origin, r.duration_s, tuple(ControlResult.from_dict(each) for each in r.results))
            for r in rows
        ]


def _parse(finding_id: str) -> uuid.UUID:
    """Raises: NotFoundError for a text that is no id."""
    try:
        return uuid.UUID(finding_id)
    except ValueError as error:
        raise NotFoundError(f"there is no finding {finding_id[:80]!r}; list them with: productops compliance findings") from error


def _conditions(wanted: FindingFilter, now: datetime) -> Sequence[Any]:
    row = FindingRow
    found: list[Any] = [
        column == value
        for column, value in ((row.control, wanted.control), (row.venture, wanted.venture), (row.owner, wanted.owner))
        if value is not None
    ]
    if wanted.severity is not None:
        found.append(row.severity == wanted.severity.value)
    if wanted.ventures is not None:
        found.append(row.venture.in_(sorted(wanted.ventures)))
    if wanted.state is not None:
        found += {
            FindingState.RESOLVED: (row.resolved_at.is_not(None),),
            FindingState.WAIVED: (row.resolved_at.is_(None), row.waived_until > now),
            FindingState.OPEN: (row.resolved_at.is_(None), or_(row.waived_until.is_(None), row.waived_until <= now)),
        }[wanted.state]
    return found


def _findings() -> Select[Any]:
    query = select(FindingRow, WaiverRow).outerjoin(WaiverRow, WaiverRow.id == FindingRow.waiver_id)
    return query.execution_options(populate_existing=True)


def _finding(found: Row[Any]) -> Finding:
    row, waiver = found
    return Finding(
        id=str(row.id), fingerprint=row.fingerprint, control=row.control, subject=row.subject, venture=row.venture,
        environment=row.environment, severity=Severity(row.severity), owner=row.owner, sentence=row.sentence, remediation=row.remediation,
        evidence=row.evidence, opened_at=row.opened_at, seen_at=row.seen_at, resolved_at=row.resolved_at,
        waiver=_waiver(waiver) if waiver is not None else None,
    )  # fmt: skip


def _waiver(row: WaiverRow) -> Waiver:
    return Waiver(
        id=str(row.id), fingerprint=row.fingerprint, owner=row.owner, reason=row.reason, given_by=row.given_by, given_at=row.given_at,
        expires_at=row.expires_at, ended_at=row.ended_at,
    )  # fmt: skip
