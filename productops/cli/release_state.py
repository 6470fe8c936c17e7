"""What is known of a rollout that is being followed, built from its events; nothing here prints."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from productops.cli.release_text import line_of

RECENT_S = 5
STORY_LINES = 8


@dataclass(slots=True)
class Arm:
    """The last seconds of one version's traffic; a second that was not measured is left out."""

    seconds: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=RECENT_S))

    @property
    def rate(self) -> float | None:
        """Requests a second; None before the first measured one."""
        return sum(s["requests"] for s in self.seconds) / len(self.seconds) if self.seconds else None

    @property
    def failure_ratio(self) -> float | None:
        """Failures per request; None without requests."""
        requests = sum(s["requests"] for s in self.seconds)
        return sum(s["failures"] for s in self.seconds) / requests if requests else None

    @property
    def p99_ms(self) -> float | None:
        """Of the newest second that has one."""
        return next((s["p99_ms"] for s in reversed(self.seconds) if s["p99_ms"] is not None), None)


@dataclass(slots=True)
class Rollout:
    """A release as far as its events were read. ``threshold`` is log(1/alpha): evidence of harm beyond it rolls back."""

    release: Mapping[str, Any]
    phase: str
    threshold: float
    step: int = -1
    step_began: datetime | None = None
    weight_pct: int = 0
    log_e: float = 0.0
    certified: bool = False
    verdicts: dict[int, str] = field(default_factory=dict)
    arms: dict[str, Arm] = field(default_factory=lambda: {"candidate": Arm(), "baseline": Arm()})
    story: deque[str] = field(default_factory=lambda: deque(maxlen=STORY_LINES))

    @classmethod
    def of(cls, release: Mapping[str, Any]) -> Rollout:
        """Before any event."""
        alpha = float(release["plan"].get("analysis", {}).get("alpha", 0.05))
        return cls(release=release, phase="requested", threshold=math.log(1 / alpha))

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take the next event."""
        payload = event["payload"]
        match event["type"]:
            case "phase":
                self._enter(str(payload["to"]))
            case "shift":
                self.step, self.weight_pct, self.step_began = payload["step"], payload["weight_pct"], datetime.fromisoformat(event["at"])
            case "step_ended":
                self.verdicts[payload["step"]] = payload["verdict"]
            case "look":
                self._look(payload)
        line = line_of(event)
        if line is not None:
            self.story.append(line)

    def _enter(self, phase: str) -> None:
        self.phase = phase
        if phase in {"promoting", "validating", "promoted"}:
            self.weight_pct = 100
        elif phase in {"passed", "rolling_back", "rolled_back", "failed"}:
            self.weight_pct = 0

    def _look(self, payload: Mapping[str, Any]) -> None:
        self.log_e, self.certified = payload["log_e"], payload["certified"]
        for name, arm in self.arms.items():
            if payload[name] is not None:
                arm.seconds.append(payload[name])
