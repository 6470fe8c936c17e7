"""The bench's own stack, with a home and ports of its own; what an earlier, killed bench left is ended first."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import console
from examples.demo.stack import free_port_base

PROJECT = Path(__file__).resolve().parents[2]
CATALOG = Path(__file__).resolve().parent / "catalog"
COMMAND_S = 180.0
MARK = ".productops-bench"


class BenchError(Exception):
    """The bench cannot go on; the text says why and where to look."""


@dataclass(frozen=True, slots=True)
class BenchStack:
    """Where the bench's processes listen and keep their state."""

    home: Path
    port_base: int

    @property
    def environment(self) -> dict[str, str]:
        """Ours instead of anybody's PREFECT_* and PRODUCTOPS_*."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PRODUCTOPS_"))}
        ours = {"HOME": str(self.home), "PORT_BASE": str(self.port_base), "CATALOG": str(CATALOG)}
        return kept | {f"PRODUCTOPS_{name}": value for name, value in ours.items()}

    @property
    def api_url(self) -> str:
        """The REST interface."""
        return f"http://127.0.0.1:{self.port_base}/api/v1/product-ops"

    @property
    def prefect_url(self) -> str:
        """Prefect's REST interface."""
        return f"http://127.0.0.1:{self.port_base + 1}/api"

    @property
    def router_url(self) -> str:
        """Where users enter."""
        return f"http://127.0.0.1:{self.port_base + 2}"

    def command(self, *arguments: str) -> float:
        """Run our command line; returns the seconds it took. Raises: BenchError when it fails or takes three minutes."""
        began = time.monotonic()
        command = [sys.executable, "-m", "productops.cli.main", *arguments]
        try:
            done = subprocess.run(
                command, env=self.environment, cwd=PROJECT, check=False, timeout=COMMAND_S,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"productops {arguments[0]} did not end within {COMMAND_S:.0f} s; see {self.home / 'logs'}") from error
        if done.returncode:
            raise BenchError(f"productops {arguments[0]} ended with {done.returncode}: {done.stdout[-2000:]}")
        return time.monotonic() - began


def default_home() -> Path:
    """The same folder every time, so that the next bench can end what a killed one left."""
    return Path(tempfile.gettempdir()) / f"productops-bench-{getpass.getuser()}"


@contextmanager
def prepared(home: Path, *, port_base: int | None) -> Iterator[BenchStack]:
    """A stack that is not up yet, in an empty home; whatever runs in it is ended at the end. Raises: BenchError."""
    stack = BenchStack(home, port_base or free_port_base())
    _empty(stack)
    try:
        yield stack
    finally:
        if home.exists():
            console.print(f"ending the stack in {home}")
            stack.command("down")


def _empty(stack: BenchStack) -> None:
    """End what an earlier bench left and empty its folder; a folder of anybody else is not touched. Raises: BenchError."""
    home, mark = stack.home, stack.home / MARK
    if home.exists() and any(home.iterdir()):
        if not mark.exists():
            raise BenchError(f"{home} is not empty and no home of a bench: name another folder with --home")
        stack.command("down")
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.touch()
