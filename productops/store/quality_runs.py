"""Quality runs with their gates and evidence: rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.quality import CaseResult, Finding, Parsed
from productops.domain.quality_gates_diff import ChangedLines
from productops.domain.quality_runs import QualityRun, QualitySource
from productops.domain.quality_verdict import GateItem, GateKind, GateResult, GateState, QualityVerdict
from productops.errors import ConflictError, NotFoundError
from productops.store.quality_evidence import FINDINGS, SUPPRESSED, TESTS, Part, findings_of, tests_of, unpacked
from productops.store.tables import QualityEvidenceRow, QualityGateRow, QualityRunRow, ReleaseRow

_HINT = "list them with: productops quality runs"


@dataclass(frozen=True, slots=True)
class QualityRunFilter:
    """Which runs. ``ventures`` None: all."""

    service: str | None = None
    version: str | None = None
    commit: str | None = None
    branch: str | None = None
    state: GateState | None = None
    source: QualitySource | None = None
    policy: str | None = None
    venture: str | None = None
    ventures: frozenset[str] | None = None


class QualityRuns:
    """Repository of runs within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, run: QualityRun, parts: Sequence[Part], *, request_key: str | None) -> None:
        """Keep a run, its gates and its evidence. Raises: ConflictError when its request made one already."""
        row = QualityRunRow(
            id=uuid.UUID(run.id), venture=run.venture, service=run.service, version=run.version, commit=run.commit, branch=run.branch,
            source=run.source.value, by=run.by, origin=run.origin, at=run.at, state=run.state.value, sentence=run.verdict.sentence,
            policy=run.policy, policy_revision=run.policy_revision, mainline=run.mainline, baseline_id=_id(run.baseline_id),
            figures=dict(run.figures), inputs=dict(run.inputs), links=list(run.links), request_key=request_key,
            fingerprint=run.fingerprint,
        )  # fmt: skip
        self._session.add(row)
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError("this request was judged at this very moment by somebody else; ask again") from error
        self._session.add_all(_gates(run))
        self._session.add_all(QualityEvidenceRow(run_id=row.id, part=part.name, count=part.count, data=part.data) for part in parts)
        self._session.flush()

    def judged_again(self, run: QualityRun, before: GateState) -> bool:
        """Put another verdict in its place, when it still is ``before``; False when somebody was quicker."""
        row = QualityRunRow
        values: dict[str, Any] = {
            "state": run.state.value, "sentence": run.verdict.sentence, "policy": run.policy, "policy_revision": run.policy_revision,
        }  # fmt: skip
        query = update(row).where(row.id == uuid.UUID(run.id), row.state == before.value).values(**values)
        changed: Any = self._session.execute(query.execution_options(synchronize_session="fetch"))
        if changed.rowcount != 1:
            return False
        self._session.execute(delete(QualityGateRow).where(QualityGateRow.run_id == uuid.UUID(run.id)))
        self._session.add_all(_gates(run))
        self._session.flush()
        return True

    def get(self, run_id: str) -> QualityRun:
        """Raises: NotFoundError."""
        missing = f"there is no quality run {run_id[:80]!r}; {_HINT}"
        try:
            row = self._session.get(QualityRunRow, uuid.UUID(run_id), populate_existing=True)
        except ValueError as error:
            raise NotFoundError(missing) from error
        if row is None:
            raise NotFoundError(missing)
        return self._read([row])[0]

    def by_request(self, request_key: str) -> QualityRun | None:
        """The run that an idempotency key stands for."""
        return self._first(select(QualityRunRow).where(QualityRunRow.request_key == request_key))

    def page(self, wanted: QualityRunFilter, *, before: str | None = None, limit: int = 50) -> list[QualityRun]:
        """Newest first; ``before`` is the id of the last one seen. Raises: NotFoundError for a ``before`` that is no id."""
        row = QualityRunRow
        query = _filtered(select(row), wanted).order_by(row.id.desc()).limit(limit)
        if before is not None:
            try:
                query = query.where(row.id < uuid.UUID(before))
            except ValueError as error:
                raise NotFoundError(f"{before[:80]!r} is no id of a quality run") from error
        return self._read(list(self._session.scalars(query)))

    def newest_of_version(self, service: str, version: str) -> QualityRun | None:
        """The newest run of a version."""
        row = QualityRunRow
        return self._first(select(row).where(row.service == service, row.version == version).order_by(row.id.desc()).limit(1))

    def newest(self, service: str) -> QualityRun | None:
        """The newest run of a service."""
        return self._first(select(QualityRunRow).where(QualityRunRow.service == service).order_by(QualityRunRow.id.desc()).limit(1))

    def baseline(self, service: str, *, live: str | None, before: str | None = None) -> QualityRun | None:
        """What others are compared with: the last passed run of the main branch, else of the ``live`` version.

        ``before``: only runs older than this one.
        """
        row = QualityRunRow
        passed = select(row).where(row.service == service, row.state == GateState.PASSED.value).order_by(row.id.desc()).limit(1)
        if before is not None:
            passed = passed.where(row.id < uuid.UUID(before))
        found = self._first(passed.where(row.mainline.is_(True)))
        if found is not None or live is None:
            return found
        return self._first(passed.where(row.version == live))

    def versions(self, service: str, *, limit: int) -> list[str]:
        """Versions that were judged, the newest first."""
        row = QualityRunRow
        query = select(row.version).where(row.service == service).order_by(row.id.desc()).limit(limit * 10)
        return list(dict.fromkeys(self._session.scalars(query)))[:limit]

    def releases(self, service: str, version: str) -> tuple[str, ...]:
        """Ids of the releases of a version, the newest first."""
        row = ReleaseRow
        query = select(row.id).where(row.service == service, row.version == version).order_by(row.id.desc()).limit(20)
        return tuple(str(found) for found in self._session.scalars(query))

    def same_commit(self, service: str, commit: str, *, limit: int) -> list[QualityRun]:
        """Runs of one commit, the newest first; none for an unknown commit."""
        row = QualityRunRow
        if not commit:
            return []
        query = select(row).where(row.service == service, row.commit == commit).order_by(row.id.desc()).limit(limit)
        return self._read(list(self._session.scalars(query)))

    def evidence(self, run_id: str) -> tuple[Parsed, ChangedLines | None]:
        """What the run was judged by."""
        return unpacked(self._parts(run_id))

    def tests(self, run_id: str) -> tuple[CaseResult, ...]:
        """Every test of the run, in the order of the reports."""
        return tests_of(self._parts(run_id, TESTS).get(TESTS))

    def findings(self, run_id: str, *, suppressed: bool = False) -> tuple[Finding, ...]:
        """Every finding of the run, in the order of the reports."""
        part = SUPPRESSED if suppressed else FINDINGS
        return findings_of(self._parts(run_id, part).get(part))

    def counts(self, run_id: str) -> dict[str, int]:
        """How many things each part of the evidence has."""
        row = QualityEvidenceRow
        query = select(row.part, row.count).where(row.run_id == uuid.UUID(run_id))
        return {part: int(count) for part, count in self._session.execute(query)}

    def _parts(self, run_id: str, *names: str) -> Mapping[str, bytes]:
        row = QualityEvidenceRow
        query = select(row.part, row.data).where(row.run_id == uuid.UUID(run_id))
        found = self._session.execute(query.where(row.part.in_(names)) if names else query)
        return {part: bytes(data) for part, data in found}

    def _first(self, query: Select[tuple[QualityRunRow]]) -> QualityRun | None:
        row = self._session.scalars(query.execution_options(populate_existing=True)).first()
        return None if row is None else self._read([row])[0]

    def _read(self, rows: Collection[QualityRunRow]) -> list[QualityRun]:
        gates: dict[uuid.UUID, list[GateResult]] = {row.id: [] for row in rows}
        found = (
            select(QualityGateRow).where(QualityGateRow.run_id.in_(list(gates))).order_by(QualityGateRow.run_id, QualityGateRow.position)
        )
        for gate in self._session.scalars(found.execution_options(populate_existing=True)):
            gates[gate.run_id].append(_gate(gate))
        return [_run(row, tuple(gates[row.id])) for row in rows]


def _filtered(query: Select[tuple[QualityRunRow]], wanted: QualityRunFilter) -> Select[tuple[QualityRunRow]]:
    row = QualityRunRow
    named = (
        (row.service, wanted.service), (row.version, wanted.version), (row.commit, wanted.commit), (row.branch, wanted.branch),
        (row.state, wanted.state), (row.source, wanted.source), (row.policy, wanted.policy), (row.venture, wanted.venture),
    )  # fmt: skip
    for column, value in named:
        query = query if value is None else query.where(column == str(value))
    return query if wanted.ventures is None else query.where(row.venture.in_(sorted(wanted.ventures)))


def _id(text: str | None) -> uuid.UUID | None:
    return uuid.UUID(text) if text else None


def _gates(run: QualityRun) -> list[QualityGateRow]:
    return [
        QualityGateRow(
            run_id=uuid.UUID(run.id), position=position, gate=gate.gate, kind=gate.kind.value, required=gate.required,
            state=gate.state.value, sentence=gate.sentence,
            result={
                "reasons": list(gate.reasons), "items": [asdict(item) for item in gate.items], "items_total": gate.items_total,
                "to_pass": gate.to_pass, "figures": dict(gate.figures), "links": list(gate.links),
            },
        )
        for position, gate in enumerate(run.gates)
    ]  # fmt: skip


def _gate(row: QualityGateRow) -> GateResult:
    more = row.result
    return GateResult(
        gate=row.gate, kind=GateKind(row.kind), required=row.required, state=GateState(row.state), sentence=row.sentence,
        reasons=tuple(more["reasons"]), items=tuple(GateItem(**item) for item in more["items"]), items_total=more["items_total"],
        to_pass=more["to_pass"], figures=more["figures"], links=tuple(more["links"]),
    )  # fmt: skip


def _run(row: QualityRunRow, gates: tuple[GateResult, ...]) -> QualityRun:
    return QualityRun(
        id=str(row.id), venture=row.venture, service=row.service, version=row.version, commit=row.commit, branch=row.branch,
        source=QualitySource(row.source), by=row.by, origin=row.origin, at=row.at,
        verdict=QualityVerdict(GateState(row.state), row.sentence, gates), policy=row.policy, policy_revision=row.policy_revision,
        mainline=row.mainline, baseline_id=str(row.baseline_id) if row.baseline_id else None, figures=row.figures, inputs=row.inputs,
        links=tuple(row.links), fingerprint=row.fingerprint,
    )  # fmt: skip
