"""Ask the supervisor of a running stack for a successor of its router, and see it take over."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from productops.adapters.envoy import EnvoyRouter
from productops.adapters.envoy.succession import END_S, SUPPORTED
from productops.cli.stack.state import ProcessRecord, StackRecord, read_state
from productops.cli.stack.supervisor import follow_request
from productops.errors import NotRunningError, StackError
from productops.settings import load_settings

_LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Process ids of the routers, and the seconds until the new one took requests."""

    old_pid: int
    new_pid: int
    took_s: float


def follow_router(home: Path, *, timeout_s: float) -> TakenOver:
    """Have the router of the stack in ``home`` followed by another.

    Raises: NotRunningError, StackError when it cannot be followed on this system or the successor does not take over in time.
    """
    if not SUPPORTED:
        raise StackError("a router can be followed by another on Linux only; `productops down` and `up` start it anew")
    record = _running(home)
    before = _router(record)
    if before is None or before.state != "running":
        raise NotRunningError(f"the router of the stack in {home} does not run; see `productops status`")
    settings = load_settings(home=home, port_base=int(record.settings["port_base"]))
    router = EnvoyRouter(home / "router", port=settings.router_port, admin_port=settings.router_admin_port)
    began = time.monotonic()
    follow_request(home, "router").touch()
    os.kill(record.pid, signal.SIGCHLD)  # wakes the supervisor, and would not end any other program
    while time.monotonic() - began < timeout_s:
        now = _router(_running(home))
        if now is not None and now.pid != before.pid and now.state == "running" and router.successor_serves():
            router.close()
            return TakenOver(before.pid, now.pid, time.monotonic() - began)
        time.sleep(_LOOK_S)
    follow_request(home, "router").unlink(missing_ok=True)
    raise StackError(
        f"no other router took over within {timeout_s:g} s; its log says why: {before.log}. "
        f"The one before may still be ending: try again in {END_S} s"
    )


def _running(home: Path) -> StackRecord:
    record = read_state(home)
    if record is None:
        raise NotRunningError(f"no stack runs in {home}; start one with `productops up`")
    try:
        os.kill(record.pid, 0)
    except (ProcessLookupError, PermissionError) as error:
        raise NotRunningError(f"the stack in {home} was killed; `productops up` starts it again") from error
    return record


def _router(record: StackRecord) -> ProcessRecord | None:
    return next((each for each in record.processes if each.name == "router"), None)
