"""The seconds of a release in a form that lasts: what any judge, of today or of next year, may be fed again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from productops.domain.analysis import ArmSecond, LatencyHistogram, RatioCount, TrafficSecond
from productops.errors import InvalidInputError

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Recording:
    """``history`` is the baseline before the rollout (candidate ``None``), ``rollout`` both versions second by second."""

    history: tuple[TrafficSecond, ...]
    rollout: tuple[TrafficSecond, ...]
    schema: int = SCHEMA

    def pack(self) -> bytes:
        """JSON, compressed; about 100 bytes a second."""
        plain = {"history": [_plain(s) for s in self.history], "rollout": [_plain(s) for s in self.rollout]}
        return zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), level=9)

    @classmethod
    def unpack(cls, payload: bytes, *, schema: int) -> Recording:
        """Raises: InvalidInputError for a schema this version does not read."""
        if schema != SCHEMA:
            raise InvalidInputError(f"the recording has schema {schema}; this version reads {SCHEMA}: upgrade productops")
        plain = json.loads(zlib.decompress(payload))
        return cls(tuple(_second(s) for s in plain["history"]), tuple(_second(s) for s in plain["rollout"]))


def _plain(second: TrafficSecond) -> list[Any]:
    return [second.at_s, _plain_arm(second.baseline), _plain_arm(second.candidate)]


def _plain_arm(arm: ArmSecond | None) -> list[Any] | None:
    if arm is None:
        return None
    metrics = {name: [v.events, v.total] if isinstance(v, RatioCount) else v for name, v in arm.metrics.items()}
    return [arm.requests, arm.failures, list(arm.latency.upper_ms), list(arm.latency.counts), metrics]


def _second(plain: list[Any]) -> TrafficSecond:
    at_s, baseline, candidate = plain
    return TrafficSecond(at_s=at_s, baseline=_arm(baseline), candidate=_arm(candidate))


def _arm(plain: list[Any] | None) -> ArmSecond | None:
    if plain is None:
        return None
    requests, failures, upper_ms, counts, metrics = plain
    return ArmSecond(requests, failures, LatencyHistogram(tuple(upper_ms), tuple(counts)), _metrics(metrics))


def _metrics(plain: Mapping[str, Any]) -> dict[str, RatioCount | float]:
    return {name: RatioCount(*value) if isinstance(value, list) else float(value) for name, value in plain.items()}
