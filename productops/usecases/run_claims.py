"""Who executes a flow run: claimed once, its process watched, its end known."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
from datetime import timedelta
from pathlib import Path

import psutil

from productops.domain.governance_access import MACHINE
from productops.domain.release import Cause
from productops.errors import NotFoundError
from productops.store.runs import OpenRun
from productops.usecases.context import Actor, Context
from productops.usecases.release_rollback import give_baseline_back
from productops.usecases.run_processes import lives

PREFECT = Actor(name="somebody in Prefect", origin="prefect", principal=MACHINE)
STARTED_WITHIN = timedelta(seconds=15)
"""A claim without a process after this long is anybody's: whoever made it is dead or too slow, and will find that out."""
_LOOK_S = 0.5
_PLACE_MAX = 40


def claim_run(context: Context, flow_run_id: str, attempt: int, *, owner: str, pid: int | None = None) -> bool:
    """True for exactly one caller per flow run and attempt. ``pid``: the process that executes it, when that is known already."""
    created = psutil.Process(pid).create_time() if pid is not None else None
    now = context.clock.now()
    with context.store.write() as unit:
        return unit.runs.claim(
            flow_run_id, attempt, owner=owner, now=now, pid=pid, created=created, stale_before=now - STARTED_WITHIN
        )  # fmt: skip


def claim_patiently(context: Context, flow_run_id: str, attempt: int, *, owner: str, pid: int) -> bool:
    """``claim_run`` for a process that is to execute the run: where the claim of another has no process yet, wait until it has.

    False: another process has the run, or had it.
    """
    deadline = context.clock.monotonic() + STARTED_WITHIN.total_seconds() + _LOOK_S
    while not claim_run(context, flow_run_id, attempt, owner=owner, pid=pid):
        with context.store.read() as unit:
            if unit.runs.has_process(flow_run_id, attempt):
                return False
        if context.clock.monotonic() > deadline:
            return False
        context.clock.sleep(_LOOK_S)
    return True


def owner_of(home: Path, pid: int) -> str:
    """The name of a process that claims runs: host, home, pid; at most 120 characters."""
    place = str(home)
    if len(place) > _PLACE_MAX:
        place = hashlib.sha256(place.encode()).hexdigest()[:16]
    return f"{socket.gethostname()}:{place}#{pid}"


def note_process(context: Context, flow_run_id: str, attempt: int, *, pid: int, owner: str | None = None) -> bool:
    """The process that is to execute a claimed run. False: another one does, or the claim was given up; it must end."""
    with context.store.write() as unit:
        return unit.runs.started(flow_run_id, attempt, pid=pid, created=psutil.Process(pid).create_time(), owner=owner)


def forget_unstarted(context: Context, owner: str) -> None:
    """Give up claims of dead dispatchers of this host that never got a process: they are free to be claimed again."""
    with context.store.read() as unit:
        owners = unit.runs.unstarted_owners(host_of(owner))
    dead = [each for each in owners if each != owner and not psutil.pid_exists(_pid_of(each))]
    if dead:
        with context.store.write() as unit:
            for each in dead:
                unit.runs.forget_unstarted_of(each)


def host_of(owner: str) -> str:
    """The part of an owner's name that stays when the dispatcher restarts."""
    return owner.rsplit("#", 1)[0]


def _pid_of(owner: str) -> int:
    number = owner.rsplit("#", 1)[-1]
    return int(number) if number.isdecimal() else 0


def dead_runs(context: Context, owner: str) -> list[OpenRun]:
    """Executions on this host whose process is gone and whose end nobody has looked at."""
    with context.store.read() as unit:
        open_runs = unit.runs.open_runs(host_of(owner))
    return [run for run in open_runs if not lives(run.pid, run.created)]


def mark_buried(context: Context, flow_run_id: str, attempt: int | None = None) -> None:
    """The end of the process of an attempt (``None``: of all) has been looked at."""
    with context.store.write() as unit:
        unit.runs.close(flow_run_id, now=context.clock.now(), attempt=attempt)


def give_up_claim(context: Context, run: OpenRun) -> None:
    """Free a run whose process ended before it did anything; somebody claims it again."""
    with context.store.write() as unit:
        unit.runs.forget(run.flow_run_id, run.attempt, pid=run.pid)


def kill_run(context: Context, flow_run_id: str) -> None:
    """End the process of a run that does not end by itself; its lease, if any, lapses."""
    with context.store.read() as unit:
        found = [(pid, created) for run, pid, created in unit.runs.open_processes("") if run == flow_run_id]
    for pid, created in found:
        if lives(pid, created):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def has_begun(context: Context, flow_run_id: str) -> bool:
    """Whether the run carries a release out, of which Prefect hears only later."""
    with context.store.read() as unit:
        return unit.releases.of_run(flow_run_id) is not None


def cancel_release(context: Context, flow_run_id: str, release_id: str | None) -> None:
    """Give the baseline back for the release that a cancelled run carried out, if there is one."""
    with context.store.read() as unit:
        found = unit.releases.of_run(flow_run_id)
    if found is None and (release_id is None or _is_carried_by_another(context, release_id)):
        return
    with contextlib.suppress(NotFoundError):
        give_baseline_back(
            context,
            found.id if found else release_id or "",
            cause=Cause.CANCELLED,
            reason="the run was cancelled in Prefect",
            actor=PREFECT,
        )


def _is_carried_by_another(context: Context, release_id: str) -> bool:
    """Whether a run that is dead was cancelled whose release another run has taken over."""
    with context.store.read() as unit, contextlib.suppress(NotFoundError):
        return unit.releases.get(release_id).flow_run_id is not None
    return True
