"""What is asked about quality: runs, their tests and findings, the policy of a service, and what the gates say of a version now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.quality import CaseResult, Finding, Outcome, Severity
from productops.domain.quality_gates import judge_gates
from productops.domain.quality_runs import AppliedPolicy, KnownFinding, QualityRun, SeriesRun, Waiver
from productops.domain.quality_verdict import QualityVerdict
from productops.store import Unit
from productops.store.quality_runs import QualityRunFilter
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand, service_for
from productops.usecases.quality_collect import Handed, collect, live_version, policy_for

__all__ = [
    "QualityRunFilter", "Standing", "judge_again", "known_findings", "list_runs", "list_waivers", "live_version", "policy_for",
    "quality_verdict_for", "run_findings", "run_tests", "series_runs_of", "show_policy", "show_run",
]  # fmt: skip

_BADNESS = (Outcome.ERROR, Outcome.FAILED, Outcome.PASSED, Outcome.SKIPPED)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the gates say of a version now, with what is waived and signed by now. No run: nobody has handed in anything yet."""

    service: str
    version: str
    policy: AppliedPolicy
    run: QualityRun | None = None
    verdict: QualityVerdict | None = None

    @property
    def may_go_out(self) -> bool:
        """Only a pass may."""
        return self.verdict is not None and self.verdict.may_go_out


def list_runs(
    context: Context, wanted: QualityRunFilter, *, actor: Actor, before: str | None = None, limit: int = 50
) -> list[QualityRun]:  # fmt: skip
    """Newest first, those the caller may see. Raises: NotFoundError for a ``before`` that is no id, ForbiddenError."""
    ventures = _visible(actor)
    with context.store.read() as unit:
        return unit.quality_runs.page(replace(wanted, ventures=ventures), before=before, limit=limit)


def _visible(actor: Actor) -> frozenset[str] | None:
    ventures = visible_ventures(actor.principal, Operation.QUALITY_READ)
    if ventures is not None and not ventures:
        actor.check(Operation.QUALITY_READ)
    return ventures


def run_for(unit: Unit, run_id: str, actor: Actor, operation: Operation = Operation.QUALITY_READ) -> QualityRun:
    """A run by id. Raises: NotFoundError, also for what the caller may not see; ForbiddenError."""
    found = unit.quality_runs.get(run_id)
    missing = f"there is no quality run {run_id[:80]!r}; list them with: productops quality runs"
    demand(actor, operation, seen_by=Operation.QUALITY_READ, venture=found.venture, missing=missing)
    return found


def show_run(context: Context, run_id: str, *, actor: Actor) -> QualityRun:
    """One run with its gates. Raises: NotFoundError."""
    with context.store.read() as unit:
        return run_for(unit, run_id, actor)


def run_tests(context: Context, run_id: str, *, actor: Actor, outcome: Outcome | None = None) -> list[CaseResult]:
    """Tests of a run, those that failed first, else in the order of the reports. Raises: NotFoundError."""
    with context.store.read() as unit:
        run = run_for(unit, run_id, actor)
        tests = unit.quality_runs.tests(run.id)
    wanted = [case for case in tests if outcome is None or case.outcome is outcome]
    return sorted(wanted, key=lambda case: (_BADNESS.index(case.outcome), not case.flaky))


def run_findings(context: Context, run_id: str, *, actor: Actor, severity: Severity | None = None) -> list[Finding]:
    """Findings of a run, the worst first. Raises: NotFoundError."""
    with context.store.read() as unit:
        run = run_for(unit, run_id, actor)
        found = unit.quality_runs.findings(run.id)
    return sorted((each for each in found if severity is None or each.severity is severity), key=lambda each: -each.severity.rank)


def known_findings(context: Context, service: str, *, actor: Actor, gone: bool = False) -> list[KnownFinding]:
    """Findings of a service with when they were first and last seen, the worst first. Raises: NotFoundError."""
    with context.store.read() as unit:
        found = service_for(unit, service, actor, Operation.QUALITY_READ, seen_by=Operation.QUALITY_READ)
        return unit.quality_findings.all(found.name, gone=gone)


def series_runs_of(context: Context, service: str, series: str, *, actor: Actor, limit: int = 60) -> list[SeriesRun]:
    """One performance series over all runs, oldest first. Raises: NotFoundError."""
    with context.store.read() as unit:
        found = service_for(unit, service, actor, Operation.QUALITY_READ, seen_by=Operation.QUALITY_READ)
        return unit.quality_series.runs(found.name, series, compared=False, limit=limit)


def show_policy(context: Context, service: str, *, actor: Actor) -> AppliedPolicy:
    """The policy that holds for a service; revision 0 is the built-in one. Raises: NotFoundError."""
    with context.store.read() as unit:
        return policy_for(unit, service_for(unit, service, actor, Operation.QUALITY_READ, seen_by=Operation.QUALITY_READ))


def list_waivers(
    context: Context, *, actor: Actor, service: str | None = None, holding: bool = False, before: str | None = None, limit: int = 50
) -> list[Waiver]:
    """Newest first, those the caller may see. ``holding``: only those that count now. Raises: NotFoundError, ForbiddenError."""
    ventures = _visible(actor)
    with context.store.read() as unit:
        at = context.clock.now() if holding else None
        return unit.quality_waivers.page(ventures=ventures, service=service, holding_at=at, before=before, limit=limit)


def quality_verdict_for(unit: Unit, service: str, version: str, *, now: datetime) -> Standing:
    """What the gates say of a version now: its newest run, judged again by the present policy with present waivers and signatures.

    Raises: NotFoundError for an unknown service.
    """
    found = unit.catalog.service(service)
    run = unit.quality_runs.newest_of_version(service, version)
    policy = policy_for(unit, found)
    if run is None:
        return Standing(service, version, policy)
    return Standing(service, version, policy, run, judge_again(unit, run, policy, now=now))


def judge_again(unit: Unit, run: QualityRun, policy: AppliedPolicy, *, now: datetime) -> QualityVerdict:
    """The verdict by a policy of what a run was judged by, compared with what was there before it. Raises: NotFoundError."""
    parsed, diff = unit.quality_runs.evidence(run.id)
    handed = Handed(unit.catalog.service(run.service), run.version, run.commit, parsed, diff, before=run.id)
    collected, _ = collect(unit, handed, policy.policy, now=now)
    return judge_gates(policy.policy, collected)
