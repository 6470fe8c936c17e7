"""Whether the process of a flow run still runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

import psutil

from productops.store.runs import RunProcess


def lives(pid: int, created: float) -> bool:
    """Whether that very process runs; a zombie does not."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_here(process: RunProcess) -> bool:
    """Whether it runs, or ran, on this machine."""
    return process.host.startswith(f"{socket.gethostname()}:")


def surely_dead(processes: Sequence[RunProcess]) -> bool:
    """Whether the newest execution of a run is known to have ended; what runs elsewhere is not known."""
    if not processes or processes[-1].pid is None:
        return False
    newest = processes[-1]
    return newest.closed or (is_here(newest) and newest.pid is not None and not lives(newest.pid, newest.created))


def another_lives(processes: Sequence[RunProcess]) -> bool:
    """Whether an execution of the run other than this process runs on this machine."""
    return any(p.pid not in {None, os.getpid()} and is_here(p) and lives(p.pid or 0, p.created) for p in processes)
