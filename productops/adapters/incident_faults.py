"""Things broken on purpose, on this machine, for drills: each says beforehand what it will break, and mends exactly that.

What is written down before anything is broken is enough to mend it: the process that broke it may be killed at any moment.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psutil

from productops.errors import DependencyError, InvalidInputError, NotFoundError

STARTED_TOLERANCE_S = 1.0
FULL_DEVICE = Path("/dev/full")
PAUSE_S, RUN_S = 0.25, 0.05
KILLS = 3
BURNERS, BURNERS_MAX = 6, 100
_MARK = "PRODUCTOPS_DRILL"


class Doors(Protocol):
    """What a fault may ask of the installation."""

    def instances(self, service: str) -> Sequence[Mapping[str, Any]]:
        """Living instances of what users have: ``id``, ``pid``, ``started``, ``version``."""

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the API for something. Raises: ProductOpsError."""

    def get(self, path: str) -> Mapping[str, Any]:
        """Read from the API. Raises: ProductOpsError."""


class Fault(Protocol):
    """One kind of harm. ``cause``: the kind of hypothesis that is right about it."""

    cause: str

    def plan(self, doors: Doors, wanted: Mapping[str, str]) -> dict[str, Any]:
        """What will be broken, and what it takes to mend it. Breaks nothing. Raises: ProductOpsError."""

    def inject(self, doors: Doors, planned: dict[str, Any]) -> dict[str, Any]:
        """Break it; returns what is to be kept beside the plan."""

    def hold(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """Called some times a second while the drill lasts: what has to be broken again and again."""

    def undo(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """Mend it; any number of times, also what was never broken."""


class KilledInstance:
    """One instance ends three times in a row: a crash loop, one short of where whoever keeps instances gives the version up."""

    cause = "instance"

    def __init__(self) -> None:
        self._killed: set[tuple[int, float]] = set()

    def plan(self, doors: Doors, wanted: Mapping[str, str]) -> dict[str, Any]:
        """The first instance. Raises: NotFoundError when there is none."""
        self._killed.clear()
        found = _first(doors, wanted["service"])
        return {"service": wanted["service"], "instance": found["id"], "subject": found["id"]}

    def inject(self, doors: Doors, planned: dict[str, Any]) -> dict[str, Any]:
        """Kill it for the first time."""
        self.hold(doors, planned)
        return {}

    def hold(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """And again."""
        for each in doors.instances(str(planned["service"])):
            life = (int(each["pid"] or 0), float(each["started"] or 0))
            if each["id"] == planned["instance"] and (life in self._killed or len(self._killed) < KILLS):
                self._killed.add(life)
                _signal(each, signal.SIGKILL)

    def undo(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """Nothing is left behind: whoever keeps instances starts it again."""


class FrozenInstance:
    """One instance stops answering without ending."""

    cause = "instance"

    def plan(self, doors: Doors, wanted: Mapping[str, str]) -> dict[str, Any]:
        """The first instance. Raises: NotFoundError when there is none."""
        found = _first(doors, wanted["service"])
        return {"processes": [_process(found)], "subject": found["id"]}

    def inject(self, doors: Doors, planned: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - all faults are called alike
        """Stop its process."""
        for each in planned["processes"]:
            _signal(each, signal.SIGSTOP)
        return {}

    def hold(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """It stays stopped."""

    def undo(self, doors: Doors, planned: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Let it go on."""
        for each in planned["processes"]:
            _signal(each, signal.SIGCONT)


class SlowDependency:
    """The service that this one asks gets a sixth of its time: each of its processes is stopped five sixths of each moment."""

    cause = "dependency"

    def plan(self, doors: Doors, wanted: Mapping[str, str]) -> dict[str, Any]:
        """All instances of ``dependency``. Raises: InvalidInputError without one, NotFoundError when it has no instances."""
        name = wanted.get("dependency", "")
        if not name:
            raise InvalidInputError(f"{wanted['service']} depends on no service of the catalog: name one with --option dependency=…")
        _first(doors, name)
        return {"processes": [_process(each) for each in doors.instances(name)], "subject": name}

    def inject(self, doors: Doors, planned: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """A helper stops and continues them; it ends with the drill."""
        return {"helper": _helper("throttle", *(f"{each['pid']}:{each['started']}" for each in planned["processes"]))}

    def hold(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """The helper does it."""

    def undo(self, doors: Doors, planned: Mapping[str, Any]) -> None:  # noqa: ARG002
        """End the helper, let the processes go on."""
        _end(planned.get("helper"))
        for each in planned["processes"]:
            _signal(each, signal.SIGCONT)


class CpuHog:
    """Programs that take all processors, as a batch job at noon does. Their pids are in ``pid_file``, where an operator finds them."""

    cause = "host"

    def plan(self, doors: Doors, wanted: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002
        """``BURNERS`` for each processor, or ``burners``. Raises: InvalidInputError without a file for the pids."""
        if not wanted.get("pid_file"):
            raise InvalidInputError("name a file for the pids with --option pid_file=…")
        burners = wanted.get("burners") or str(BURNERS)
        if not burners.isdigit() or not 1 <= int(burners) <= BURNERS_MAX:
            raise InvalidInputError(f"burners={burners[:20]}: a number of programs for each processor, 1 to {BURNERS_MAX}")
        return {"processors": int(burners) * (os.cpu_count() or 1), "pid_file": wanted["pid_file"], "subject": "cpu"}

    def inject(self, doors: Doors, planned: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Start them; each ends with the drill's process."""
        hogs = [_helper("burn") for _ in range(planned["processors"])]
        Path(planned["pid_file"]).write_text("".join(f"{each['pid']}\n" for each in hogs), encoding="utf-8")
        return {"hogs": hogs}

    def hold(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """They burn by themselves."""

    def undo(self, doors: Doors, planned: Mapping[str, Any]) -> None:  # noqa: ARG002
        """End them."""
        for each in planned.get("hogs") or ():
            _end(each)
        Path(planned["pid_file"]).unlink(missing_ok=True)


class FullDisk:
    """A file that a service writes is on a device without room: every write gets the kernel's own ENOSPC."""

    cause = "host"

    def plan(self, doors: Doors, wanted: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002
        """``path`` is the file. Raises: InvalidInputError without one, DependencyError where there is no /dev/full."""
        if not wanted.get("path"):
            raise InvalidInputError("name the file that the service writes with --option path=…")
        if not FULL_DEVICE.exists():
            raise DependencyError("this system has no /dev/full: a full disk cannot be had without harm to others")
        path = Path(wanted["path"])
        return {"path": str(path), "aside": f"{path}.before-drill", "subject": "disk"}

    def inject(self, doors: Doors, planned: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Put the file aside and the full device in its place."""
        path = Path(planned["path"])
        if path.exists() and not path.is_symlink():
            path.replace(planned["aside"])
        link = path.with_name(path.name + ".full")
        link.unlink(missing_ok=True)
        link.symlink_to(FULL_DEVICE)
        link.replace(path)
        return {}

    def hold(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """It stays full."""

    def undo(self, doors: Doors, planned: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Give the file back, unless somebody has made room by another file."""
        path, aside = Path(planned["path"]), Path(planned["aside"])
        if path.is_symlink():
            path.unlink()
        if aside.exists() and not path.exists():
            aside.replace(path)
        aside.unlink(missing_ok=True)


class BadFlag:
    """A flag that nobody had is given to everybody."""

    cause = "flag"

    def plan(self, doors: Doors, wanted: Mapping[str, str]) -> dict[str, Any]:
        """``flag`` with its revision now. Raises: InvalidInputError without one, NotFoundError."""
        key = wanted.get("flag", "")
        if not key:
            raise InvalidInputError("name the flag with --option flag=…")
        found = doors.get(f"/flags/{key}")
        return {"flag": key, "environment": wanted["environment"], "revision": found["revision"], "subject": key}

    def inject(self, doors: Doors, planned: dict[str, Any]) -> dict[str, Any]:
        """To all users there."""
        body = {"environment": planned["environment"], "percent": 100, "reason": "drill: a bad flag"}
        doors.post(f"/flags/{planned['flag']}/ramp", body)
        return {}

    def hold(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """It stays on, unless somebody switches it off."""

    def undo(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """As it was before the drill."""
        found = doors.get(f"/flags/{planned['flag']}")
        if found["revision"] != planned["revision"]:
            body = {"revision": planned["revision"], "reason": "drill: as it was before"}
            doors.post(f"/flags/{planned['flag']}/restore", body)


class BadRelease:
    """A version that harms users some time after its rollout."""

    cause = "release"

    def plan(self, doors: Doors, wanted: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002
        """``version``. Raises: InvalidInputError without one."""
        if not wanted.get("version"):
            raise InvalidInputError("name the bad version with --option version=…")
        return {"service": wanted["service"], "environment": wanted["environment"], "version": wanted["version"]}

    def inject(self, doors: Doors, planned: dict[str, Any]) -> dict[str, Any]:
        """Release it and wait until users have it."""
        body = {"service": planned["service"], "environment": planned["environment"], "lift_quarantine": True, "note": "drill"}
        release_id = str(doors.post(f"/release/{planned['version']}", body)["id"])
        deadline = time.monotonic() + 180
        while (phase := str(doors.get(f"/releases/{release_id}")["phase"])) not in {"promoted", "rolled_back", "failed"}:
            if time.monotonic() > deadline:
                raise DependencyError(f"release {release_id} is {phase} after three minutes")
            time.sleep(0.2)
        return {"release_id": release_id, "subject": release_id, "phase": phase}

    def hold(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """It harms by itself."""

    def undo(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """The version before, where users have the bad one still."""
        release_id = planned.get("release_id")
        if release_id and str(doors.get(f"/releases/{release_id}")["phase"]) == "promoted":
            doors.post(f"/releases/{release_id}/rollback", {"reason": "the drill is over"})


class ReportedHarm:
    """Somebody reports what no instrument of this machine can be made to show: nothing is broken, people are exercised."""

    cause = "unknown"

    def plan(self, doors: Doors, wanted: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002
        """``kind`` and ``title`` of the report."""
        return {name: wanted[name] for name in ("service", "environment", "kind", "title")} | {"subject": ""}

    def inject(self, doors: Doors, planned: dict[str, Any]) -> dict[str, Any]:
        """Report it."""
        body = {name: planned[name] for name in ("service", "environment", "kind", "title")} | {"severity": "SEV3"}
        found = doors.post("/api/v1/deployment-ops/incidents", body)
        return {"incident_id": found["incident"]["incident_id"]}

    def hold(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """A report stays."""

    def undo(self, doors: Doors, planned: Mapping[str, Any]) -> None:
        """End the incident, where nobody has."""
        path = f"/api/v1/deployment-ops/incidents/{planned.get('incident_id')}"
        if planned.get("incident_id") and str(doors.get(path)["status"]) not in {"resolved", "closed"}:
            doors.post(f"{path}/resolution", {"steps": ["the drill is over"]})


FAULTS: dict[str, Fault] = {
    "bad-release": BadRelease(), "bad-flag": BadFlag(), "killed-instance": KilledInstance(), "frozen-instance": FrozenInstance(),
    "slow-dependency": SlowDependency(), "cpu-hog": CpuHog(), "full-disk": FullDisk(), "report": ReportedHarm(),
}  # fmt: skip


def fault(name: str) -> Fault:
    """Raises: NotFoundError that names those there are."""
    found = FAULTS.get(name)
    if found is None:
        raise NotFoundError(f"there is no fault {name[:40]!r}; there are {', '.join(sorted(FAULTS))}")
    return found


def _first(doors: Doors, service: str) -> Mapping[str, Any]:
    """Raises: NotFoundError."""
    found = doors.instances(service)
    if not found:
        raise NotFoundError(f"{service} has no instance on this machine")
    return found[0]


def _process(instance: Mapping[str, Any]) -> dict[str, Any]:
    return {"pid": instance["pid"], "started": instance["started"]}


def _signal(each: Mapping[str, Any], number: signal.Signals) -> None:
    """To that very process and its children; a recycled pid is left alone."""
    with suppress(psutil.Error):
        process = psutil.Process(int(each["pid"]))
        if abs(process.create_time() - float(each["started"])) < STARTED_TOLERANCE_S:
            for one in (*process.children(recursive=True), process):
                one.send_signal(number)


def _helper(*arguments: str) -> dict[str, Any]:
    """A process of ours that ends when we end, however we end."""
    command = [sys.executable, "-m", "productops.adapters.incident_faults", *arguments, f"{_MARK}={os.getpid()}"]
    nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    # A session of its own, as a job of cron or of somebody's shell has: systems that share the processor by session count it as one.
    pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=nothing, setsid=True)
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def _end(helper: Mapping[str, Any] | None) -> None:
    if helper:
        _signal(helper, signal.SIGKILL)
        with suppress(psutil.Error, ChildProcessError):
            os.waitpid(int(helper["pid"]), 0)


def _main(arguments: Sequence[str]) -> None:
    """``throttle PID:STARTED …`` or ``burn``, as long as whoever started this lives."""
    parent = int(arguments[-1].partition("=")[2])  # told, not asked: it may be gone already
    named = [dict(zip(("pid", "started"), each.split(":"), strict=True)) for each in arguments[1:] if ":" in each]
    if arguments[0] == "burn":
        _burn(parent)
    try:
        while os.getppid() == parent:
            for each in named:
                _signal(each, signal.SIGSTOP)
            time.sleep(PAUSE_S)
            for each in named:
                _signal(each, signal.SIGCONT)
            time.sleep(RUN_S)
    finally:
        for each in named:
            _signal(each, signal.SIGCONT)


def _burn(parent: int) -> None:
    while os.getppid() == parent:
        for _ in range(1_000_000):
            pass
    sys.exit(0)


if __name__ == "__main__":
    _main(sys.argv[1:])
