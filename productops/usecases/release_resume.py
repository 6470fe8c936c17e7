"""Who carries a release out: claimed by one flow run, taken over by another when that one is dead, ended when it cannot go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.governance_access import MACHINE
from productops.domain.release import EXPOSED, Cause, Phase, Release
from productops.errors import ConflictError, LeaseLostError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_approvals_release import check_cleared, cleared
from productops.usecases.governance_audit_note import note
from productops.usecases.release_request import start_run
from productops.usecases.release_rollback import give_baseline_back
from productops.usecases.run_processes import another_lives, surely_dead

RESUMES_MAX = 3
"""A release whose flow dies again and again is given up: something is wrong that starting it once more does not mend."""
SILENT_BEFORE_LEASE = timedelta(seconds=20)
"""While the candidate starts the flow gives a sign every five seconds."""
SILENT_SHARE = 0.5
"""A holder that has not renewed for this share of the lease's time is taken for dead; its fence makes that safe if it is not."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A release in flight that nobody carries on. ``resumes`` is how often it was taken over before."""

    release: Release
    resumes: int


def claim_release(context: Context, release_id: str, flow_run_id: str) -> Release:
    """Make this flow run the only one that carries the release out, from where it stands.

    A release that another run holds is taken over when that run is dead or silent; its fence keeps the other one out for good.
    Raises: ConflictError when it ended or another run carries it out, ApprovalNeededError when it is not signed, LeaseLostError when its
        lease lapsed meanwhile.
    """
    with context.store.read() as unit:
        known = unit.releases.get(release_id)
    if known.phase is Phase.REQUESTED:
        cleared(context, known)
    with context.store.write() as unit:
        now = context.clock.now()
        release = unit.releases.get(release_id)
        if release.ended:
            raise ConflictError(f"release {release_id} has ended as {release.phase}; request a new one to try again")
        if release.phase is Phase.ROLLING_BACK:
            raise ConflictError(f"release {release_id} is being rolled back; request a new one when that is done")
        check_cleared(unit, release, context)
        if not _may_claim(unit, release, flow_run_id, context, now=now):
            raise ConflictError(f"release {release_id} is carried out by flow run {release.flow_run_id}")
        if not unit.releases.claim(release_id, flow_run_id, instead_of=release.flow_run_id, now=now):
            raise ConflictError(f"release {release_id} was claimed by another flow run at this moment")
        if release.flow_run_id is None:
            who = Actor(f"flow run {flow_run_id}", "prefect", MACHINE)
            note(unit, who, "release.claimed", f"release/{release_id}", now=now, after={"flow_run": flow_run_id})
        elif (release.flow_run_id, release.phase) != (flow_run_id, Phase.REQUESTED):
            _take_over(unit, release, context, flow_run_id=flow_run_id, now=now)
        return unit.releases.get(release_id)


def _may_claim(unit: Unit, release: Release, flow_run_id: str, context: Context, *, now: datetime) -> bool:
    if release.flow_run_id is None:
        return True
    if release.flow_run_id == flow_run_id:  # the run itself, tried again: its earlier process must be gone
        return not another_lives(unit.runs.processes_of(flow_run_id))
    return _is_orphan(unit, release, context, now=now)


def _take_over(unit: Unit, release: Release, context: Context, *, flow_run_id: str, now: datetime) -> None:
    """Fence the earlier run off and keep the lease alive. Raises: LeaseLostError when there is none to keep."""
    if release.phase in EXPOSED:
        target = unit.traffic.get(release.service, release.environment)
        if target.release_id != release.id or target.lease is None or target.lease.deadline <= now:
            raise LeaseLostError(f"release {release.id} cannot go on: its lease lapsed, users are given {release.baseline_version}")
        fence = unit.traffic.take(release.service, release.environment, release.id)
        unit.traffic.renew(release.service, release.environment, fence=fence, ttl_s=context.lease_ttl_s, now=now)
        unit.releases.note(release.id, fence=fence)
    detail = {"phase": release.phase.value, "step": release.step_index, "before": release.flow_run_id, "now": flow_run_id}
    unit.releases.tell(release.id, "resumed", detail, now=now)
    unit.audit.add("release.resumed", f"release/{release.id}", actor=f"flow run {flow_run_id}", origin="prefect", now=now, detail=detail)


def resume_orphans(context: Context, *, actor: Actor) -> list[str]:
    """Start a new flow run for every release whose run is dead; ids of those it was asked for. Raises: StoreUnavailableError.

    Asking twice starts one run. Where the orchestrator does not answer the lease lapses and the agent gives the baseline back.
    """
    started = []
    for orphan in find_orphans(context):
        release = orphan.release
        if orphan.resumes >= RESUMES_MAX:
            _give_up(context, orphan, actor=actor)
            continue
        if start_run(context, release, attempt=orphan.resumes + 1) is not None:
            started.append(release.id)
    return started


def _give_up(context: Context, orphan: Orphan, *, actor: Actor) -> None:
    reason = f"its flow died {orphan.resumes + 1} times, last in {orphan.release.phase.value.replace('_', ' ')}"
    give_baseline_back(context, orphan.release.id, cause=Cause.ERROR, reason=reason, actor=actor)


def find_orphans(context: Context) -> list[Orphan]:
    """Releases in flight that were claimed and that nobody carries on."""
    now = context.clock.now()
    with context.store.read() as unit:
        candidates = [r for r in unit.releases.all_active() if r.flow_run_id is not None and r.phase is not Phase.ROLLING_BACK]
        orphans = [r for r in candidates if _is_orphan(unit, r, context, now=now)]
        return [Orphan(r, len(unit.releases.events(r.id, after=0, kind="resumed"))) for r in orphans]


def _is_orphan(unit: Unit, release: Release, context: Context, *, now: datetime) -> bool:
    """Its process is known to be gone, or it has been silent for too long."""
    beat = release.heartbeat_at or release.created_at
    patience = timedelta(seconds=SILENT_SHARE * context.lease_ttl_s) if release.phase in EXPOSED else SILENT_BEFORE_LEASE
    if now - beat > patience:
        return True
    return surely_dead(unit.runs.processes_of(release.flow_run_id or ""))
