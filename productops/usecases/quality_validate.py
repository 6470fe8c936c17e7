"""Judge a version by what its tools have written: collect, judge every gate, keep the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from productops.domain.catalog import Service
from productops.domain.governance_access import Operation
from productops.domain.quality import Parsed
from productops.domain.quality_gates import Collected, figures_of, judge_gates, on_main_branch, read_diff
from productops.domain.quality_gates_figures import kept
from productops.domain.quality_gates_performance import name_of
from productops.domain.quality_runs import AppliedPolicy, QualityRun, QualitySource, SeriesRun
from productops.domain.quality_verdict import GateKind, GateState, QualityVerdict
from productops.errors import ConflictError, IdempotencyError, InvalidInputError
from productops.store import Unit
from productops.store.identity import new_id
from productops.store.quality_evidence import Part, digest, packed
from productops.store.quality_history import TestCount, counted
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import service_for
from productops.usecases.quality_collect import Handed, collect, policy_for

NAMES_MAX = 200
UNREAD_MAX = 50
CHANGED_MAX = 2_000
EARLIER_RUNS = 5
_WIDTHS = {"version": 128, "commit": 64, "branch": 255}


@dataclass(frozen=True, slots=True)
class ValidateRequest:
    """What is to be judged. ``policy`` names another than the service's; ``diff`` is a unified diff; ``inputs`` are the reports' names.

    ``links`` are pages that say more: the build, its logs.
    """

    service: str
    version: str
    commit: str = ""
    branch: str = ""
    source: QualitySource = QualitySource.CI
    policy: str | None = None
    idempotency_key: str | None = None
    links: tuple[str, ...] = ()
    diff: str | None = None
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """From plain values as JSON keeps them, too. Raises: ValueError for a source that is none."""
        object.__setattr__(self, "source", QualitySource(self.source))
        object.__setattr__(self, "links", tuple(self.links))
        object.__setattr__(self, "inputs", tuple(self.inputs))

    @property
    def request_key(self) -> str | None:
        """What makes a repetition the same run; None: every request is a run of its own."""
        if self.idempotency_key is None:
            return None
        told = json.dumps([self.service, self.version, self.commit, self.idempotency_key])
        return hashlib.sha256(told.encode()).hexdigest()

    def fingerprint(self, evidence: str) -> str:
        """SHA-256 of everything that was asked and handed in."""
        asked = [
            self.service, self.version, self.commit, self.branch, str(self.source), self.policy, list(self.links), list(self.inputs),
            evidence,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Judged:
    """A run that is ready to be kept, with what is kept beside it."""

    run: QualityRun
    parts: list[Part]
    counts: Mapping[str, TestCount]
    series: tuple[SeriesRun, ...]
    complete: bool
    collected: Collected


def validate_quality(context: Context, request: ValidateRequest, parsed: Parsed, actor: Actor) -> QualityRun:
    """Judge and keep a version. The same idempotency key with the same reports gives the first run again.

    Everything slow is done before the transaction that writes. Raises: NotFoundError, ForbiddenError, InvalidInputError,
    QualityInputError for a diff that cannot be read, IdempotencyError, StoreUnavailableError.
    """
    _check(request)
    diff = None if request.diff is None else read_diff(request.diff)
    parts = packed(parsed, diff)
    fingerprint = request.fingerprint(digest(parts))
    with context.store.read() as unit:
        service = service_for(unit, request.service, actor, Operation.QUALITY_VALIDATE, seen_by=Operation.QUALITY_READ)
        policy = policy_for(unit, service, request.policy)
        known = _replayed(unit, request, fingerprint)
        if known is not None:
            return known
        now = context.clock.now()
        handed = Handed(service, request.version, request.commit, parsed, diff)
        collected, baseline = collect(unit, handed, policy.policy, now=now)
    verdict = judge_gates(policy.policy, collected)
    run = _run(request, service, policy, verdict, collected, actor=actor, now=now)
    run = replace(run, baseline_id=baseline.id if baseline else None, fingerprint=fingerprint)
    complete = run.mainline and bool(collected.scanned) and _as_wide(collected, baseline)
    judged = _Judged(run, parts, counted(parsed.tests), series_runs(run, collected), complete, collected)
    try:
        return _keep(context, judged, request, actor=actor)
    except ConflictError:  # perhaps this very request, sent twice at the same moment
        with context.store.read() as unit:
            known = _replayed(unit, request, fingerprint)
        if known is None:
            raise
        return known


def _check(request: ValidateRequest) -> None:
    if not request.version.strip():
        raise InvalidInputError("version is empty: say which version the reports are of")
    for name, width in _WIDTHS.items():
        value = getattr(request, name)
        if len(value) > width or not value.isprintable():
            raise InvalidInputError(f"{name} has more than {width} characters, or some that cannot be printed")


def _replayed(unit: Unit, request: ValidateRequest, fingerprint: str) -> QualityRun | None:
    key = request.request_key
    known = unit.quality_runs.by_request(key) if key else None
    if known is not None and known.fingerprint != fingerprint:
        raise IdempotencyError(
            f"idempotency key {(request.idempotency_key or '')[:80]!r} was used for other reports of {known.title} (run {known.id}); "
            "use a new key for other reports"
        )
    return known


def _as_wide(collected: Collected, baseline: QualityRun | None) -> bool:
    """Whether it looked with every tool the baseline did: only then what is missing is gone."""
    before = set(baseline.inputs.get("formats", ())) if baseline else set()
    return before <= set(collected.parsed.formats)


def _run(
    request: ValidateRequest, service: Service, policy: AppliedPolicy, verdict: QualityVerdict, collected: Collected, *, actor: Actor,
    now: datetime,
) -> QualityRun:  # fmt: skip
    # A flow judges versions that are live or about to be; it knows no branch.
    ours = not request.branch and request.source is not QualitySource.CI
    return QualityRun(
        id=str(new_id()), venture=service.venture, service=service.name, version=request.version, commit=request.commit,
        branch=request.branch, source=request.source, by=actor.name, origin=actor.origin, at=now, verdict=verdict, policy=policy.name,
        policy_revision=policy.revision, mainline=ours or on_main_branch(policy.policy, request.branch), baseline_id=None,
        figures=kept(figures_of(collected)), inputs=_inputs(request, collected), links=request.links,
    )  # fmt: skip


def _inputs(request: ValidateRequest, collected: Collected) -> dict[str, Any]:
    parsed = collected.parsed
    unread = [f"{gap.where}: {gap.reason}" if gap.where else gap.reason for gap in parsed.skipped]
    changed = list(collected.diff.files) if collected.diff is not None else []
    return {
        "names": list(request.inputs[:NAMES_MAX]), "names_total": len(request.inputs), "formats": list(parsed.formats),
        "unread": unread[:UNREAD_MAX], "unread_total": len(unread), "changed": changed[:CHANGED_MAX], "changed_total": len(changed),
    }  # fmt: skip


def refused_series(verdict: QualityVerdict) -> frozenset[str]:
    """Names of series that a performance gate objects to and nobody excused: they are no level to compare with."""
    return frozenset(
        item.key
        for gate in verdict.gates
        if gate.kind is GateKind.PERFORMANCE and gate.state is GateState.FAILED
        for item in gate.items
        if not item.excused
    )


def series_runs(run: QualityRun, collected: Collected) -> tuple[SeriesRun, ...]:
    """The series of a run as they are kept."""
    refused = refused_series(run.verdict)
    return tuple(
        SeriesRun(
            name_of(each), run.id, run.commit, each.unit, "", each.higher_is_better, run.mainline, name_of(each) not in refused,
            each.values, run.at,
        )
        for each in collected.parsed.series
        if each.values
    )  # fmt: skip


def _keep(context: Context, judged: _Judged, request: ValidateRequest, *, actor: Actor) -> QualityRun:
    run = judged.run
    with context.store.write() as unit:
        unit.quality_runs.add(run, judged.parts, request_key=request.request_key)
        watched = unit.quality_tests.watched(run.service, now=run.at)
        fresh = unit.quality_tests.watch(run, judged.counts)
        unit.quality_tests.note(run, judged.counts, watched | set(fresh))
        _earlier(unit, run, fresh)
        if judged.collected.scanned or judged.collected.parsed.findings:
            unit.quality_findings.note(run, judged.collected.parsed.findings, complete=judged.complete)
        unit.quality_series.add(run, judged.series)
        failed = [gate.gate for gate in run.gates if gate.required and gate.state is not GateState.PASSED]
        detail = {
            "service": run.service, "version": run.version, "commit": run.commit, "branch": run.branch, "verdict": run.state.value,
            "policy": run.policy, "policy_revision": run.policy_revision, "against": failed, "venture": run.venture,
        }  # fmt: skip
        unit.audit.add(
            "quality.validated", f"quality-run/{run.id}", actor=actor.name, origin=actor.origin, now=run.at,
            reason=run.verdict.sentence, detail=detail,
        )  # fmt: skip
    return run


def _earlier(unit: Unit, run: QualityRun, fresh: list[str]) -> None:
    """Of tests that fail for the first time: what they did in earlier runs of the same code, which is what tells chance from a break."""
    if not fresh or not run.commit:
        return
    for earlier in unit.quality_runs.same_commit(run.service, run.commit, limit=EARLIER_RUNS + 1):
        if earlier.id != run.id:
            unit.quality_tests.note(earlier, counted(unit.quality_runs.tests(earlier.id)), fresh)
