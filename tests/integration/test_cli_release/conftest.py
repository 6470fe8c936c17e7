"""The program ``productops`` beside a served API whose flows are threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from productops.cli.main import main
from productops.errors import ProductOpsError
from productops.settings import Settings
from productops.usecases.context import Context
from tests.integration.test_api.conftest import Installation, Serve, fresh, plain_logs, serve, template, unchanged
from tests.integration.test_api.support import TOKEN, HandMadeOrchestrator, carry_out, free_ports, serving
from tests.support import HandMadeAgent, running

__all__ = ["fresh", "plain_logs", "serve", "template", "unchanged"]


@dataclass
class CarryingOut(HandMadeOrchestrator):
    """Carries each release out in a thread, as a flow would."""

    context: Context | None = None
    carrying: bool = True
    threads: list[threading.Thread] = field(default_factory=list)

    def start_release(self, release_id: str, parameters: Mapping[str, object], *, attempt: int = 0) -> str:
        run = super().start_release(release_id, parameters, attempt=attempt)
        if self.carrying:
            self.threads.append(threading.Thread(target=self._carry_out, args=(release_id,), daemon=True))
            self.threads[-1].start()
        return run

    def _carry_out(self, release_id: str) -> None:
        assert self.context is not None
        try:
            carry_out(self.context, release_id)
        except ProductOpsError:
            return  # the release tells how it ended


@dataclass(frozen=True)
class Result:
    """What a shell learns of a command."""

    code: int
    out: str
    err: str


@dataclass
class Cli:
    """The program in this process, or as one of its own; and the API, which can be ended and begun again."""

    context: Context
    settings: Settings
    orchestrator: CarryingOut
    agent: HandMadeAgent
    versions: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    server: ExitStack = field(default_factory=ExitStack)

    @property
    def env(self) -> dict[str, str]:
        return {
            "PRODUCTOPS_HOME": str(self.settings.home), "PRODUCTOPS_PORT_BASE": str(self.settings.port_base),
            "PRODUCTOPS_DATABASE_URL": self.settings.database_url, "PRODUCTOPS_API_TOKEN": TOKEN, "COLUMNS": "200",
        }  # fmt: skip

    def serve(self) -> None:
        self.server.enter_context(serving(self.context, self.settings))

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> Result:
        for name, value in (self.env | (env or {})).items():
            self.monkeypatch.setenv(name, value)
        self.monkeypatch.setattr(sys, "argv", ["productops", *arguments])
        self.capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as error:
            code = error.code or 0
        said = self.capsys.readouterr()
        return Result(code, said.out, said.err)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """A process of its own."""
        command = [sys.executable, "-m", "productops.cli.main", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.Popen(command, env=os.environ | self.env, text=True, **pipes)


@pytest.fixture
def carried(fresh: Installation) -> Installation:
    """The installation with an orchestrator that carries releases out."""
    orchestrator = CarryingOut(carrying=False)
    context = replace(fresh.context, orchestrator=orchestrator)
    orchestrator.context = context
    return Installation(context, fresh.settings, orchestrator)


def _cli(installation: Installation, template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    orchestrator = installation.orchestrator
    assert isinstance(orchestrator, CarryingOut)
    agent = HandMadeAgent(installation.context)
    return Cli(installation.context, installation.settings, orchestrator, agent, template / "versions", monkeypatch, capsys)


@pytest.fixture
def cli(
    carried: Installation, serve: Serve, template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    serve(carried)
    made = _cli(carried, template, monkeypatch, capsys)
    yield made
    for thread in made.orchestrator.threads:
        thread.join(timeout=10)


@pytest.fixture
def alone(carried: Installation, template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    """With a server of its own, which the test may end."""
    own = replace(carried, settings=carried.settings.model_copy(update={"port_base": free_ports()}))
    made = _cli(own, template, monkeypatch, capsys)
    with made.server:
        made.serve()
        yield made


@pytest.fixture
def flows(cli: Cli) -> Iterator[Cli]:
    """The same with flows that are carried out and an agent."""
    cli.orchestrator.carrying = True
    with running(cli.agent):
        yield cli
        for thread in cli.orchestrator.threads:
            thread.join(timeout=20)
