"""Incidents made by hand in a real database: traffic second by second, releases, flags, instances, and what was measured of hosts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.incident_cause import Ledger
from productops.domain.monitoring_series import Point, series_key
from productops.domain.monitoring_traces import EdgeCount
from productops.domain.release import Phase, Release, StepRecord
from productops.domain.strategies.names import Strategy
from productops.domain.traffic import Instance, InstanceState
from productops.store.identity import new_id
from productops.usecases.context import Actor, Clock, Context
from productops.usecases.incident_cause import find_cause
from productops.usecases.monitoring_series import put_points
from tests.support import PRODUCTION, SOMEBODY, add_service, make_context, service_spec, sqlite_url

NORMAL_MS, SLOW_MS = 20.0, 900.0


class SetClock(Clock):
    """Stands where it is put."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """Aware UTC."""
        return self.at


@dataclass
class CauseLab:
    """``onset`` is when the fault began, ``now`` 15 s later, the incident in between."""

    context: Context
    clock: SetClock
    now: datetime
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    @property
    def onset(self) -> datetime:
        """When it began."""
        return self.now - timedelta(seconds=15)

    def service(self, name: str, *, depends_on: tuple[str, ...] = ()) -> None:
        """One of venture apollo."""
        spec = service_spec()
        add_service(self.context, name, spec.model_copy(update={"depends_on": depends_on}))

    def traffic(
        self, service: str, shares: dict[str, float], *, bad: dict[str, float] | None = None, slow: dict[str, float] | None = None,
        rate: float = 60.0, rate_after: float | None = None, before_s: int = 90,
    ) -> None:  # fmt: skip
        """``shares`` by arm; from the onset on a share ``bad`` of the arm's requests fails and a share ``slow`` is slow."""
        onset_s, now_s = int(self.onset.timestamp()), int(self.now.timestamp())
        with self.context.store.write() as unit:
            for at_s in range(onset_s - before_s, now_s):
                since = at_s >= onset_s
                whole = rate_after if since and rate_after is not None else rate
                fails = {arm: (bad or {}).get(arm, 0.0) * since for arm in shares}
                waits = {arm: (slow or {}).get(arm, 0.0) * since for arm in shares}
                seconds = {(service, PRODUCTION, arm): self._second(whole * share, fails[arm], waits[arm]) for arm, share in shares.items()}
                unit.seconds.add(at_s, seconds)

    def _second(self, mean: float, bad: float, slow: float) -> ArmSecond:
        requests = int(self.rng.poisson(mean))
        failures = int(self.rng.binomial(requests, 0.002 + bad))
        late = int(self.rng.binomial(requests, slow))
        counts = {NORMAL_MS: requests - late, SLOW_MS: late}
        kept = {upper: count for upper, count in counts.items() if count}
        return ArmSecond(requests, failures, LatencyHistogram(tuple(kept), tuple(kept.values())))

    def release(
        self, version: str, *, baseline: str | None = "1.0.0", shifted: timedelta = timedelta(seconds=4), service: str = "shop",
        share: int = 20, phase: Phase = Phase.ROLLING_OUT, ended: timedelta | None = None,
    ) -> str:  # fmt: skip
        """One whose candidate got ``share`` percent ``shifted`` before the onset."""
        at = self.onset - shifted
        release = Release(
            id=str(new_id()), venture="apollo", service=service, environment=PRODUCTION, version=version, baseline_version=baseline,
            strategy=Strategy.CANARY, phase=phase, steps=(), plan={}, requested_by="tester", origin="cli", reason="", cause=None,
            step_index=0, fence=1, flow_run_id=None, created_at=at - timedelta(seconds=5), updated_at=at,
            ended_at=self.onset - ended if ended is not None else None,
        )  # fmt: skip
        with self.context.store.write() as unit:
            unit.releases.add(release)
            unit.releases.start_step(release.id, StepRecord(0, share, 60.0, header_only=False, started_at=at))
        return release.id

    def instance(self, *, version: str = "1.0.0", state: InstanceState = InstanceState.HEALTHY, service: str = "shop") -> str:
        """One of the fleet; an ailing one ails since the onset."""
        ailing = state is not InstanceState.HEALTHY
        made = Instance(
            str(new_id()), service, PRODUCTION, version, 1, state, 1, 1.0, 0, "/nowhere", "",
            self.onset + timedelta(seconds=1) if ailing else self.onset - timedelta(hours=1),
        )  # fmt: skip
        with self.context.store.write() as unit:
            unit.fleets.add_instance(made)
        return made.id

    def level(self, component: str, name: str, before: float, after: float, *, venture: str = "", **tags: str) -> None:
        """A series that stands at one level, and from two seconds before the onset at another."""
        key = series_key(venture, component, "infrastructure", name, tags)
        now_s = int(self.now.timestamp())
        rose_s = int(self.onset.timestamp()) - 2
        points = [
            Point(key, at_s, (after if at_s >= rose_s else before) + float(self.rng.normal(0, 0.5))) for at_s in range(now_s - 300, now_s)
        ]
        put_points(self.context, points, actor=SOMEBODY)

    def edges(self, callee: str, *, before_ms: float, after_ms: float, caller: str = "shop", kind: str = "database") -> None:
        """Calls by the minute, as traces count them; slower in the last minute."""
        onset_minute = int(self.onset.timestamp() // 60)
        counts = []
        for minute in range(onset_minute - 10, onset_minute + 1):
            mean = (after_ms if minute == onset_minute else before_ms) * float(self.rng.uniform(0.95, 1.05))
            counts.append(
                EdgeCount("apollo", PRODUCTION, caller, callee, kind, minute, 600, 0, int(600 * mean * 1000), int(mean * 2000), (600,) * 15)
            )
        with self.context.store.write() as unit:
            unit.traces.put_edges(counts, "lab")

    def incident(self, *, services: tuple[str, ...] = ("shop",), impact: dict[str, Any] | None = None) -> str:
        """Opened six seconds after the onset."""
        with self.context.store.write() as unit:
            return unit.incidents.open(
                venture_id=unit.catalog.venture_id("apollo"), kind="availability", severity="SEV2", title="Customers cannot pay",
                description="", services=list(services), detection="slo", impact={"environment": "production"} | (impact or {}),
                now=self.onset + timedelta(seconds=6),
            )  # fmt: skip

    def look(self, incident: str, *, actor: Actor = SOMEBODY) -> Ledger:
        """Find the cause."""
        return find_cause(self.context, incident, actor=actor)


def make_lab(folder: Path, *, url: str | None = None) -> CauseLab:
    """A database of its own with the service ``shop``; the onset is five seconds into a minute."""
    now = datetime.now(UTC).replace(microsecond=0, second=20)
    if now > datetime.now(UTC):
        now -= timedelta(minutes=1)
    clock = SetClock(now)
    context = replace(make_context(url or sqlite_url(folder)), clock=clock)
    lab = CauseLab(context, clock, now)
    lab.service("shop")
    return lab
