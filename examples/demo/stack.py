"""The demo's own stack: its home lies in the project, its ports are free ones."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

PROJECT = Path(__file__).resolve().parents[2]
CATALOG = Path(__file__).resolve().parent / "catalog"
API = "/api/v1/product-ops"


class DemoError(Exception):
    """The demo did not go as promised; the text says what and where to look."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the demo's processes listen."""

    home: Path
    port_base: int

    @property
    def environment(self) -> dict[str, str]:
        """What every command of the demo is given: ours instead of anybody's PREFECT_* and PRODUCTOPS_*."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PRODUCTOPS_"))}
        return kept | {
            "PRODUCTOPS_HOME": str(self.home),
            "PRODUCTOPS_PORT_BASE": str(self.port_base),
            "PRODUCTOPS_CATALOG": str(CATALOG),
            "PRODUCTOPS_LEASE_TTL_S": "10",
        }

    @property
    def router_url(self) -> str:
        """Where users enter."""
        return f"http://127.0.0.1:{self.port_base + 2}"

    @property
    def prefect_url(self) -> str:
        """The Prefect UI, behind the API's door."""
        return f"{self.api_url}/prefect"

    @property
    def api_url(self) -> str:
        """The REST interface."""
        return f"http://127.0.0.1:{self.port_base}"

    def log_in_link(self) -> str:
        """Opens Prefect's pages in a browser, once, for 60 s."""
        command = [sys.executable, "-m", "productops.cli.main", "login"]
        said = subprocess.run(command, env=self.environment, cwd=PROJECT, capture_output=True, text=True, check=False)
        link = said.stdout.strip()
        return f"{link}&next=/prefect/runs" if said.returncode == 0 and link else f"{self.prefect_url}/runs"

    def productops(self, *arguments: str, quiet: bool = False) -> int:
        """Run our own command line, as a user would; returns its exit code."""
        output = subprocess.DEVNULL if quiet else None
        command = [sys.executable, "-m", "productops.cli.main", *arguments]
        return subprocess.run(command, env=self.environment, cwd=PROJECT, stdout=output, check=False).returncode

    def client(self) -> httpx.Client:
        """A client of the API with the stack's token."""
        token = (self.home / "token").read_text(encoding="utf-8").strip()
        return httpx.Client(base_url=self.api_url + API, headers={"Authorization": f"Bearer {token}"}, timeout=10)


def start(home: Path, *, port_base: int | None) -> Stack:
    """End what an earlier demo left, then start anew. Raises: DemoError."""
    old = Stack(home, port_base or 8700)
    if home.exists():
        old.productops("down", quiet=True)
        shutil.rmtree(home, ignore_errors=True)
    stack = Stack(home, port_base or free_port_base())
    if code := stack.productops("up", "--detach"):
        raise DemoError(f"productops up ended with {code}; its logs are in {home / 'logs'}, and productops doctor may know more")
    if code := stack.productops("apply", str(CATALOG), quiet=True):
        raise DemoError(f"productops apply ended with {code}")
    return stack


def free_port_base() -> int:
    """The first of 8700, 9000, 9300 … where the demo's first twenty ports are free. Raises: DemoError."""
    for base in range(8700, 60_000, 300):
        if all(_is_free(base + offset) for offset in range(20)):
            return base
    raise DemoError("no twenty free ports in a row between 8700 and 60000")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
