"""An instance that ends as soon as it is started: tried soon, then slowly for ever, and seen by everybody."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from productops.agent.fleets import FleetLoop
from productops.agent.state import AgentState
from productops.domain.catalog import Service
from productops.domain.release import Environment
from productops.domain.routing import Endpoint
from productops.domain.traffic import InstanceState
from productops.ports import Process
from productops.usecases.context import Context
from tests.integration.test_monitoring_detect import Moved
from tests.support import PRODUCTION, Silent, add_service, make_context, sqlite_url


@dataclass(frozen=True)
class Started:
    """A process."""

    pid: int
    started: float = 1.0


@dataclass
class Deadly:
    """A place where everything ends at once, until it is ``mended``."""

    mended: bool = False
    started: list[float] = field(default_factory=list)
    clock: Moved = field(default_factory=Moved)

    def prepare(self, service: Service, version: str) -> Path:
        return Path("/nowhere")

    def exists(self, service: Service, version: str) -> bool:
        return True

    def start(self, service: Service, environment: Environment, version: str, *, instance_id: str, port: int) -> Process:
        self.started.append(self.clock.monotonic())
        return Started(1000 + len(self.started))

    def free_port(self, first: int, count: int, taken: Collection[int]) -> int:
        return first

    def find(self) -> Mapping[str, Process]:
        return {}

    def alive(self, pid: int, started: float) -> bool:
        return self.mended

    def stop(self, pid: int, started: float, *, kill: bool = False) -> None:
        pass

    def healthy(self, service: Service, endpoint: Endpoint) -> bool:
        return self.mended

    def log_path(self, service: str, environment: Environment, version: str, instance_id: str) -> Path:
        return Path("/nowhere")

    def trim_logs(self, max_bytes: int) -> int:
        return 0

    def last_output(self, path: Path, lines: int = 20) -> str:
        return "ImportError: no module named shop"


@pytest.fixture
def house(tmp_path: Path) -> tuple[Context, Deadly, FleetLoop]:
    target = Deadly()
    context = replace(make_context(sqlite_url(tmp_path)), clock=target.clock)
    add_service(context, "shop", live="1.0")
    with context.store.write() as unit:
        unit.fleets.want("shop", PRODUCTION, "1.0", 1, now=context.clock.now())
    loop = FleetLoop(AgentState(context, Silent(), target), port_first=1, port_count=9, drain_timeout_s=1.0, stop_grace_s=1.0)
    loop._prepared["shop", "1.0"] = "/nowhere"
    return context, target, loop


def passes(loop: FleetLoop, target: Deadly, seconds: int) -> None:
    for _ in range(4 * seconds):
        target.clock.go(0.25)
        loop.turn()


def fleet(context: Context):
    with context.store.read() as unit:
        return unit.fleets.find("shop", PRODUCTION, "1.0"), unit.fleets.instances_of("shop", PRODUCTION, "1.0")


def test_what_ends_at_once_is_tried_again_every_thirty_seconds_with_a_line_in_the_log_and_a_state_that_says_so(
    house: tuple[Context, Deadly, FleetLoop],
) -> None:
    context, target, loop = house
    with capture_logs() as logs:
        passes(loop, target, 300)
    found, (instance,) = fleet(context)
    assert "ended 4 times before it was healthy; it is tried again every 30 s" in found.failure
    assert (instance.state, instance.last_output) == (InstanceState.CRASHED, "ImportError: no module named shop")
    pauses = [round(after - before) for before, after in zip(target.started, target.started[1:], strict=False)]
    assert len(target.started) >= 12
    assert set(pauses[4:]) <= {30, 31}
    slow = [line for line in logs if line["event"] == "instance ended by itself" and line["again_in_s"] == 30.0]
    assert len(slow) >= 8
    assert sum(line["event"] == "fleet failed" for line in logs) == 1


def test_what_lives_again_after_many_deaths_is_no_failure_any_more(house: tuple[Context, Deadly, FleetLoop]) -> None:
    context, target, loop = house
    passes(loop, target, 60)
    assert fleet(context)[0].failure
    target.mended = True
    passes(loop, target, 120)
    found, (instance,) = fleet(context)
    assert (found.failure, instance.state, instance.restarts) == ("", InstanceState.HEALTHY, 0)
