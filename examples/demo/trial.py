"""One release of the demo and what its users had of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from examples.demo.stack import DemoError, Stack
from examples.load import Response


@dataclass(frozen=True, slots=True)
class Trial:
    """What is released, what must come of it, and why."""

    version: str
    expected: str
    about: str
    slow: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """``seconds`` from the first bad answer to the baseline confirmed by the router; ``harmed`` bad answers by the candidate."""

    trial: Trial
    phase: str
    reason: str
    seconds: float | None
    harmed: int
    share: float
    took_s: float

    @property
    def as_expected(self) -> bool:
        """Whether it came out as promised."""
        return self.phase == self.trial.expected


def carry_out(stack: Stack, trial: Trial, responses: Sequence[Response]) -> Result:
    """Release by the command line, live view and all, then look at what the users met."""
    began, first = time.time(), len(responses)
    stack.productops("release", "storefront", trial.version, "--wait", *trial.options)
    with stack.client() as client:
        found = client.get("/releases", params={"service": "storefront", "limit": 1}).json()["items"][0]
        release = client.get(f"/releases/{found['id']}").json()
    if release["version"] != trial.version:
        raise DemoError(f"the release of {trial.version} was never written down")
    time.sleep(0.5)  # answers under way
    met = list(responses[first:])
    bad = bad_answers(met, trial, before=began)
    confirmed = baseline_confirmed(release)
    seconds = confirmed - min(r.ended_unix_s for r in bad) if bad and confirmed else None
    return Result(
        trial=trial,
        phase=release["phase"],
        reason=release["reason"],
        seconds=seconds,
        harmed=len(bad) if trial.expected == "rolled_back" else 0,
        share=len(bad) / len(met) if met and trial.expected == "rolled_back" else 0.0,
        took_s=time.time() - began,
    )


def bad_answers(met: Sequence[Response], trial: Trial, *, before: float) -> list[Response]:
    """The candidate's failures; of a slow candidate also its answers slower than 99 % of the baseline's."""
    mine = [r for r in met if r.version == trial.version and r.arrived_unix_s >= before]
    if not trial.slow:
        return [r for r in mine if r.failed]
    others = sorted(r.latency_ms for r in met if r.version != trial.version)
    limit = others[int(0.99 * len(others))] if others else float("inf")
    return [r for r in mine if r.failed or r.latency_ms > limit]


def baseline_confirmed(release: dict[str, Any]) -> float | None:
    """When the router confirmed the baseline (Unix seconds); None when it never had to."""
    for move in release["transitions"]:
        if at := move["evidence"].get("baseline_confirmed_at"):
            return datetime.fromisoformat(at).timestamp()
    return None
