"""Services, programs and waiting, for the tests of local processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from productops.adapters.local_process import LocalProcess, LocalProcessTarget
from productops.domain.catalog import Service, ServiceSpec
from productops.domain.release import Environment
from productops.ports import InstanceTarget

SLEEP = "import time; print('up'); time.sleep(600)"
PRODUCTION = Environment.PRODUCTION


def service(base: Path, *command: str, versions: dict[str, Any] | None = None, **run: Any) -> Service:
    """A service that runs ``command``; without ``versions``, folders ``v<version>`` below ``base``."""
    spec = {"run": {"command": command or ("{python}", "app.py"), "versions": versions or {"kind": "folder", "path": "v{version}"}, **run}}
    return Service(name="shop", venture="acme", spec=ServiceSpec.model_validate(spec), base=str(base), revision=1)


def program(base: Path, code: str, version: str = "1") -> Path:
    """A folder version that runs ``code``."""
    folder = base / f"v{version}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(code)
    return folder


def eventually(question: Callable[[], object], within_s: float = 5.0) -> None:
    """Wait until ``question`` is true, four times as long as a machine with nothing else to do would need."""
    end = time.monotonic() + 4 * within_s
    while not question():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.01)


def end(target: InstanceTarget, process: Any) -> None:
    """End an instance for good."""
    target.stop(process.pid, process.started, kill=True)
    eventually(lambda: not target.alive(process.pid, process.started))


def start(target: LocalProcessTarget, what: Service, version: str = "1", instance_id: str = "i1", port: int = 0) -> LocalProcess:
    """Start an instance in production."""
    return target.start(what, PRODUCTION, version, instance_id=instance_id, port=port)


def output(target: LocalProcessTarget, version: str = "1", instance_id: str = "i1", lines: int = 20) -> str:
    """What it said last."""
    return target.last_output(target.log_path("shop", PRODUCTION, version, instance_id), lines)


def timed(call: Callable[[], object]) -> float:
    """Seconds that ``call`` takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def runs(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
