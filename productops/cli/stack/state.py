"""What a running stack writes down about itself, and the lock that makes it the only one in its home."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from productops.cli.stack.prefect_environment import shown_url
from productops.cli.stack.probes import Probe
from productops.errors import AlreadyRunningError, StackError
from productops.settings import Settings

FORMAT = 1
ProcessState = Literal["waiting", "starting", "running", "restarting", "stopped"]
Phase = Literal["starting", "running", "stopping"]


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process as the supervisor sees it. ``pid`` 0: none at present. ``started``: Unix seconds, steady over steps of the clock."""

    name: str
    purpose: str
    state: ProcessState
    pid: int
    started: float
    restarts: int
    last_exit: str
    address: str
    log: str
    probe: Probe


@dataclass(frozen=True, slots=True)
class StackRecord:
    """A stack: its supervisor, its settings (no secrets) and its processes."""

    pid: int
    started: float
    phase: Phase
    home: str
    urls: dict[str, str]
    settings: dict[str, str]
    processes: list[ProcessRecord] = field(default_factory=list)


def state_path(home: Path) -> Path:
    """Where the record of the stack in ``home`` lies."""
    return home / "run" / "stack.json"


def log_path(home: Path, name: str) -> Path:
    """Where a process's output goes."""
    return home / "logs" / f"{name}.log"


def write_state(record: StackRecord) -> None:
    """Replace the record in one step."""
    path = state_path(Path(record.home))
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"format": FORMAT, **asdict(record)}, indent=1), encoding="utf-8")
    fresh.replace(path)


def read_state(home: Path) -> StackRecord | None:
    """The record in ``home``; ``None`` when there is none.

    Nor is there one when a crash of the machine cut it short or another version wrote it: processes are then found by their mark alone.
    Raises: StackError when the file is there and may not be read.
    """
    try:
        data = json.loads(state_path(home).read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            return None
        return StackRecord(**{**data, "processes": [_process(each) for each in data["processes"]]})
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return None
    except OSError as error:
        raise StackError(f"{state_path(home)} cannot be read: {error.strerror}") from error


def remove_state(home: Path) -> None:
    """After the end of everything."""
    state_path(home).unlink(missing_ok=True)


def shown_settings(settings: Settings) -> dict[str, str]:
    """The settings in effect without secrets."""
    shown = {name: str(getattr(settings, name)) for name in Settings.model_fields if name != "api_token"}
    urls = {"database_url": settings.sqlalchemy_url, "prefect_database_url": settings.prefect_database_url}
    return shown | {name: shown_url(url) for name, url in urls.items()}


def stack_urls(settings: Settings) -> dict[str, str]:
    """What people open."""
    return {
        "api": settings.api_url,
        "docs": f"{settings.api_url}/docs",
        "prefect": settings.prefect_ui_url,
        "router": f"http://127.0.0.1:{settings.router_port}",
    }


def take_lock(home: Path) -> IO[str]:
    """Be the only stack in ``home`` until the file is closed or this process ends, however it ends.

    Raises: AlreadyRunningError with the pid and the addresses of the other one.
    """
    handle = (home / "run" / "lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.seek(0)
        pid = handle.read().strip() or "unknown"
        handle.close()
        record = read_state(home)
        where = "; ".join(f"{name} {url}" for name, url in record.urls.items()) if record else "it is still starting"
        raise AlreadyRunningError(
            f"a stack runs in {home} already (pid {pid}): {where}. "
            f"End it with `productops down --home {home}`, or choose another home and other ports with --home and --port-base"
        ) from error
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle


def is_locked(home: Path) -> bool:
    """Whether a stack holds the lock of ``home`` now."""
    try:
        with (home / "run" / "lock").open("r+", encoding="ascii") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _process(data: dict[str, Any]) -> ProcessRecord:
    return ProcessRecord(**{**data, "probe": Probe(**data["probe"])})
