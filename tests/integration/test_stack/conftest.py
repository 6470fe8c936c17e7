"""Every stack that a test starts is gone when the test is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from productops.cli.stack.processes import HomeProcesses
from tests.integration.test_stack.lab import Part, Running, start_stack


class StartStack(Protocol):
    """Starts a stack in the test's home."""

    def __call__(self, *parts: Part, port_base: int | None = None, ready: bool = True) -> Running: ...


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def start(home: Path) -> Iterator[StartStack]:
    started: list[Running] = []

    def start(*parts: Part, port_base: int | None = None, ready: bool = True) -> Running:
        chosen: Sequence[Part] = parts or (Part("worker"),)
        started.append(start_stack(home, chosen, port_base=port_base, ready=ready))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.communicate()
    for each in HomeProcesses(home).find():
        os.kill(each.pid, signal.SIGKILL)
