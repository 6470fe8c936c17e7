"""Who executes a flow run: claimed once, its process watched, its end known."""

from __future__ import annotations

import contextlib
import os
import signal

import psutil

from productops.domain.release import Cause
from productops.errors import NotFoundError
from productops.usecases.context import Actor, Context
from productops.usecases.release_rollback import give_baseline_back

PREFECT = Actor(name="somebody in Prefect", origin="prefect")


def claim_run(context: Context, flow_run_id: str, attempt: int, *, owner: str) -> bool:
    """True for exactly one caller per flow run and attempt."""
    with context.store.write() as unit:
        return unit.runs.claim(flow_run_id, attempt, owner=owner, now=context.clock.now())


def note_process(context: Context, flow_run_id: str, attempt: int, *, pid: int) -> None:
    """The process that executes a claimed run."""
    with context.store.write() as unit:
        unit.runs.started(flow_run_id, attempt, pid=pid, created=psutil.Process(pid).create_time())


def forget_unstarted(context: Context, owner: str) -> None:
    """Give up claims of an earlier dispatcher of this host that never got a process: they are free to be claimed again."""
    with context.store.write() as unit:
        unit.runs.forget_unstarted(host_of(owner), except_owner=owner)


def host_of(owner: str) -> str:
    """The part of an owner's name that stays when the dispatcher restarts."""
    return owner.rsplit("#", 1)[0]


def dead_runs(context: Context, owner: str) -> list[str]:
    """Flow runs of this host whose process is gone and whose end nobody has looked at."""
    with context.store.read() as unit:
        open_runs = unit.runs.open_processes(host_of(owner))
    return [run for run, pid, created in open_runs if not _lives(pid, created)]


def mark_buried(context: Context, flow_run_id: str) -> None:
    """The end of a run's process has been looked at."""
    with context.store.write() as unit:
        unit.runs.close(flow_run_id, now=context.clock.now())


def kill_run(context: Context, flow_run_id: str) -> None:
    """End the process of a run that does not end by itself; its lease, if any, lapses."""
    with context.store.read() as unit:
        found = [(pid, created) for run, pid, created in unit.runs.open_processes("") if run == flow_run_id]
    for pid, created in found:
        if _lives(pid, created):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def cancel_release(context: Context, flow_run_id: str, release_id: str | None) -> None:
    """Give the baseline back for the release that a cancelled run carried out, if there is one."""
    with context.store.read() as unit:
        found = unit.releases.of_run(flow_run_id)
    if found is None and release_id is None:
        return
    with contextlib.suppress(NotFoundError):
        give_baseline_back(
            context,
            found.id if found else release_id or "",
            cause=Cause.CANCELLED,
            reason="the run was cancelled in Prefect",
            actor=PREFECT,
        )


def _lives(pid: int, created: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
