"""A service with something wrong, an incident about it, and a ledger made by hand; playbooks come from real YAML."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from productops.adapters.catalog_files import load_catalog
from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.incident_cause import CauseKind, Evidence, Hypothesis, Ledger
from productops.domain.incident_playbook import Response
from productops.domain.traffic import InstanceState
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Context
from productops.usecases.incident_respond import advance_response
from productops.usecases.incident_respond_doing import RESPONDER
from productops.usecases.incident_respond_plan import Wish, plan_response
from tests.support import PRODUCTION, SOMEBODY, HandMadeAgent

LATENCY = LatencyHistogram((5.0, 50.0), (95, 5))


def declare(context: Context, folder: Path, text: str, *, name: str = "playbooks.yaml") -> None:
    """Apply a catalog file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    apply_catalog(context, load_catalog(folder), actor=SOMEBODY)


def playbook(name: str, *, when: str = "{}", steps: str, more: str = "") -> str:
    """One entry."""
    return (
        "apiVersion: productops/v1\nkind: Playbook\nmetadata: {name: " + name + "}\nspec:\n  when: " + when + "\n" + more
        + "  steps:\n" + "".join(f"    - {{{line}}}\n" for line in steps.strip().splitlines())
    )  # fmt: skip


def open_incident(context: Context, *, severity: str = "SEV2", kind: str = "availability") -> str:
    """About the shop in production, seen now."""
    with context.store.write() as unit:
        return unit.incidents.open(
            venture_id=unit.catalog.venture_id("apollo"), kind=kind, severity=severity, title="Customers cannot pay", description="",
            services=["shop"], detection="alert", impact={"environment": "production"}, now=context.clock.now(),
        )  # fmt: skip


def ledger(
    incident_id: str, context: Context, kind: CauseKind, subject: str, remedy: Mapping[str, Any], *, probability: float = 0.9
) -> Ledger:
    """One hypothesis and the rest unknown."""
    seen = (Evidence("it was seen of this very thing", 5.0, direct=True),)
    top = Hypothesis(kind, subject, "shop", PRODUCTION, probability, seen, remedy=remedy)
    other = Hypothesis(CauseKind.UNKNOWN, "", "shop", PRODUCTION, 1.0 - probability)
    ranked = tuple(sorted((top, other), key=lambda each: -each.probability))
    return Ledger(incident_id, context.clock.now(), ranked)


def begin(context: Context, found: Ledger | None, incident_id: str, **wish: Any) -> Response:
    """As the product does it by itself."""
    return plan_response(context, Wish(incident_id, **wish), found, actor=RESPONDER)


def carry_out(context: Context, response_id: str, *, holder: str = "one", within_s: float = 15.0) -> Response:
    """Until it has ended."""
    deadline = time.monotonic() + within_s
    while True:
        found = advance_response(context, response_id, holder=holder, keep=True)
        if found.ended:
            return found
        assert time.monotonic() < deadline, [(s.do, s.state, s.memory, s.result) for s in found.steps]
        time.sleep(0.02)


def read(context: Context, response_id: str) -> Response:
    """As stored."""
    with context.store.read() as unit:
        return unit.responses.get(response_id)


def wait_until(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Until it holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def had_traffic(context: Context, version: str, *, ago_s: int, seconds: int, failures: int = 1) -> None:
    """Seconds of the past: a hundred requests each."""
    now_s = int(context.clock.now().timestamp())
    with context.store.write() as unit:
        for at_s in range(now_s - ago_s, now_s - ago_s + seconds):
            unit.seconds.add(at_s, {("shop", PRODUCTION, version): ArmSecond(100, failures, LATENCY)})


@dataclass(slots=True)
class CarefulAgent(HandMadeAgent):
    """Ends what ails first, as the real one does."""

    def _start_instances(self) -> None:
        with self.context.store.write() as unit:
            now = self.context.clock.now()
            for fleet in unit.fleets.all():
                have = unit.fleets.instances_of(fleet.service, fleet.environment, fleet.version)
                surplus = sorted(have, key=lambda each: each.state is not InstanceState.HEALTHY, reverse=True)
                for instance in surplus[: max(0, len(have) - fleet.desired)]:
                    unit.fleets.set_instance(instance.id, now=now, state=InstanceState.STOPPED)
        HandMadeAgent._start_instances(self)
