"""A stack of small processes, run as a program of its own: ``python -m tests.integration.test_stack.lab HOME PORT_BASE PARTS``."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from productops.cli.stack.environment import our_environment
from productops.cli.stack.ports import is_free, stack_ports
from productops.cli.stack.probes import Probe, file_probe, http_probe
from productops.cli.stack.specs import Backoff, ProcessSpec, StopStage
from productops.cli.stack.start import Stack
from productops.cli.stack.state import StackRecord, read_state
from productops.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
READY = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); "
SLEEPER = READY + "time.sleep(600)"
STUBBORN = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGINT)]; " + SLEEPER
BROKEN = "import sys; sys.exit('cannot find my own feet')"
# Answers every GET with 200 on the port given as second argument.
SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Answer).serve_forever()
"""


@dataclass
class Part:
    """One process of such a stack; ``port`` makes its readiness an HTTP answer."""

    name: str
    code: str = SLEEPER
    stage: int = int(StopStage.CONTROL)
    grace_s: float = 1.0
    port: int = 0
    early: bool = False
    backoff: dict[str, Any] = field(default_factory=dict)


def free_port_base() -> int:
    """Ports nobody uses, below those that outgoing connections take."""
    while True:
        settings = Settings(port_base=random.randrange(20_000, 32_000, 10))
        if all(is_free(port) for port in stack_ports(settings)):
            return settings.port_base


def make_specs(parts: Sequence[Part], settings: Settings) -> list[ProcessSpec]:
    """Parts as the stack wants them."""
    specs = []
    for part in parts:
        ready = settings.home / "run" / f"{part.name}.ready"
        probe: Probe = http_probe(f"http://127.0.0.1:{part.port}/") if part.port else file_probe(ready)
        command = (sys.executable, "-S", "-c", part.code, str(ready), str(part.port), str(settings.home))
        specs.append(
            ProcessSpec(
                name=part.name,
                purpose="for a test",
                command=lambda command=command: command,  # type: ignore[misc]
                environment=our_environment(settings),
                folder=settings.home,
                probe=probe,
                stop_stage=StopStage(part.stage),
                grace_s=part.grace_s,
                early=part.early,
                backoff=Backoff(**part.backoff),
            )
        )
    return specs


@dataclass
class Running:
    """A stack that a test started."""

    process: subprocess.Popen[str]
    home: Path
    port_base: int
    said: list[str] = field(default_factory=list)

    def record(self) -> StackRecord:
        """What it wrote about itself."""
        found = read_state(self.home)
        assert found is not None
        return found

    def pid(self, name: str) -> int:
        """Of one of its processes."""
        return next(each.pid for each in self.record().processes if each.name == name)

    def until_said(self, pattern: str) -> str:
        """Read on until a line matches."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"never said {pattern!r}: {''.join(self.said)}")

    def signal(self, number: signal.Signals) -> None:
        """To the supervisor alone."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 20.0) -> int:
        """Its exit code; what it said last is in ``said``."""
        rest, _ = self.process.communicate(timeout=timeout_s)
        self.said.append(rest)
        return self.process.returncode

    @property
    def text(self) -> str:
        """All it said."""
        return "".join(self.said)


def start_stack(home: Path, parts: Sequence[Part], *, port_base: int | None = None, ready: bool = True) -> Running:
    """Start a stack of ``parts`` and wait until it says it is ready."""
    base = port_base or free_port_base()
    arguments = [str(home), str(base), json.dumps([vars(part) for part in parts])]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.test_stack.lab", *arguments],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    running = Running(process, home, base)
    if ready:
        running.until_said("^Ctrl-C or")
    return running


def until(condition: Callable[[], Any], *, timeout_s: float = 10.0) -> Any:
    """The condition's first true value, waited for four times as long as a machine with nothing else to do would need."""
    deadline = time.monotonic() + 4 * timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.01)
    return value


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def main() -> None:
    """Be the stack."""
    home, base, parts = sys.argv[1:]
    made = [Part(**each) for each in json.loads(parts)]
    settings = Settings(home=Path(home), port_base=int(base), catalog=Path(home) / "catalog")
    Stack(settings, make_specs=lambda in_effect: make_specs(made, in_effect), begin_migration=lambda _: lambda: None).run()


if __name__ == "__main__":
    os.environ.pop("PRODUCTOPS_HOME", None)
    main()
