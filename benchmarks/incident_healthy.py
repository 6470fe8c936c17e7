"""A simulated day of healthy traffic through everything that opens incidents: how many it opens. A fault at its end must open one.

The store, the detectors, burn rates, rules, forecasts and the incidents are the product's; time is moved by hand, traffic and machine are
drawn. Nothing is broken, but much happens as it does on good days: shares and latency wander, versions change, a nightly
batch job uses the processors for twenty minutes, memory grows and is given back, disks fill slowly.
"""

from __future__ import annotations

import argparse
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.api_stack import PRODUCTION, make_context, service_spec
from benchmarks.detection_traffic import second
from benchmarks.figures import Figure, console, show, write
from productops.adapters.catalog_files import load_catalog
from productops.agent.watch import Deliverer
from productops.domain.incident import Incident, IncidentFilter
from productops.domain.monitoring_series import Point, series_key
from productops.store.incident_alerts import AlertFilter
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import OURSELVES, Clock, Context
from productops.usecases.incident_read import find_alerts, find_incidents
from productops.usecases.incident_start import start_due_incidents
from productops.usecases.incident_tend import tend_incidents
from productops.usecases.monitoring_detect_limits import LimitWatch
from productops.usecases.monitoring_detect_series import SeriesWatch
from productops.usecases.monitoring_detect_services import ServiceWatch
from productops.usecases.monitoring_detect_silence import SilenceWatch, VerdictWatch
from productops.usecases.monitoring_rules_evaluate import evaluate_rules
from productops.usecases.monitoring_series import put_points
from productops.usecases.monitoring_series_known import KnownSeries
from productops.usecases.monitoring_slo_evaluate import evaluate_objectives
from productops.usecases.monitoring_slo_forecast import BudgetWatch

STEP_S: Final = 10
BUDGETS_EVERY_S: Final = 60
RELEASE_EVERY_S: Final = 3 * 3600
CANARY_S: Final = 600
FALSE_MAX: Final = 1
FAULT_S: Final = 60
DAY_S: Final = 86_400
SERVICES: Final = {
    "storefront": (200.0, 0.0005, 30.0), "cart": (50.0, 0.002, 40.0), "search": (20.0, 0.02, 150.0), "payments": (5.0, 0.001, 20.0),
    "reports": (1.0, 0.01, 80.0),
}  # fmt: skip
"""Requests a second, share of failures, median latency in milliseconds."""
TARGETS: Final = {"storefront": 0.995, "cart": 0.99, "search": 0.95, "payments": 0.99, "reports": 0.95}
HOSTS: Final = ("web-1", "web-2")
SLO: Final = """
    apiVersion: openslo/v1
    kind: SLO
    metadata: {{name: {name}-availability}}
    spec:
      service: {name}
      indicator:
        metadata: {{name: {name}-errors}}
        spec:
          ratioMetric:
            counter: true
            bad: {{metricSource: {{type: productops, spec: {{metric: failures}}}}}}
            total: {{metricSource: {{type: productops, spec: {{metric: requests}}}}}}
      timeWindow: [{{duration: 28d, isRolling: true}}]
      budgetingMethod: Occurrences
      objectives: [{{target: {target}}}]
"""


@dataclass
class Moved(Clock):
    """Stands still between two steps."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0))

    def now(self) -> datetime:
        """The time it was moved to."""
        return self.at

    def monotonic(self) -> float:
        """The same, in seconds."""
        return self.at.timestamp()


class Day:
    """The shop, its machines, and all that looks at them."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.random, self.clock = np.random.default_rng(seed), Moved()
        made = make_context(f"sqlite:///{folder / 'productops.db'}", folder / "home")
        self.context: Context = replace(made, clock=self.clock, series=KnownSeries(1000))
        self.begin_s = int(self.clock.at.timestamp())
        self.memory, self.wander = dict.fromkeys(HOSTS, 45.0), dict.fromkeys(HOSTS, 0.0)
        with self.context.store.write() as unit:
            unit.catalog.put_venture("apollo", title="Apollo", description="", author="bench", now=self.clock.at)
            for name in SERVICES:
                unit.catalog.put_service(name, venture="apollo", spec=service_spec(), base=str(folder), author="bench", now=self.clock.at)
            term = unit.agents.take("envoy", "bench", seen=None, later_than=0, now=self.clock.at)
        assert term is not None
        self.term = term
        self._declare(folder / "catalog")
        self.parts: list[Callable[[], object]] = [
            ServiceWatch(self.context).turn, SilenceWatch(self.context).turn, VerdictWatch(self.context).turn,
            Deliverer(self.context, evaluate_objectives).turn, Deliverer(self.context, evaluate_rules).turn,
            SeriesWatch(self.context).turn, LimitWatch(self.context).turn, partial(tend_incidents, self.context),
            partial(start_due_incidents, self.context, None),
        ]  # fmt: skip
        self.budgets = BudgetWatch(self.context)

    def _declare(self, folder: Path) -> None:
        documents = ["apiVersion: productops/v1\nkind: Venture\nmetadata: {name: apollo}"]
        documents += [textwrap.dedent(SLO.format(name=name, target=target)).strip() for name, target in TARGETS.items()]
        folder.mkdir()
        (folder / "slo.yaml").write_text("\n---\n".join(documents) + "\n", encoding="utf-8")
        apply_catalog(self.context, load_catalog(folder), actor=OURSELVES)

    def incidents(self) -> list[Incident]:
        """All so far."""
        return find_incidents(self.context, IncidentFilter(), limit=200, actor=OURSELVES)

    def alerts(self) -> Counter[str]:
        """All so far, by what became of them."""
        found = find_alerts(self.context, AlertFilter(), limit=20_000, actor=OURSELVES)
        return Counter(f"{x.state.value} {x.alert.source} {x.alert.name} of {x.alert.service or x.alert.component}" for x in found)

    def go(self, seconds: int, *, step_s: int = STEP_S, failing: str = "") -> None:
        """Let time pass; half of the requests to ``failing`` fail."""
        for _ in range(seconds // step_s):
            start_s = int(self.clock.at.timestamp())
            self.clock.at += timedelta(seconds=step_s)
            self._traffic(range(start_s, start_s + step_s), failing)
            put_points(self.context, list(self._machines(start_s)), actor=OURSELVES)
            for part in self.parts:
                part()
            if start_s // BUDGETS_EVERY_S != (start_s + step_s) // BUDGETS_EVERY_S:
                self.budgets.turn()

    def _traffic(self, seconds: range, failing: str) -> None:
        with self.context.store.write() as unit:
            unit.agents.beat(self.term, now=self.clock.at)
            for at_s in seconds:
                since_s = at_s - self.begin_s
                day = np.sin(2 * np.pi * since_s / DAY_S)
                rows = {}
                for name, (rate, share, median_ms) in SERVICES.items():
                    now_rate = rate * (1 + 0.8 * day) * np.exp(0.1 * np.sin(since_s / 300))
                    now_share = 0.5 if name == failing else share * np.exp(0.3 * np.sin(since_s / 700))
                    for version, part in _versions(since_s):
                        rows[name, PRODUCTION, version] = second(self.random, now_rate * part, now_share, median_ms * (1 + 0.2 * day))
                unit.seconds.add(at_s, rows)

    def _machines(self, at_s: int) -> Iterator[Point]:
        """Each ten seconds: processors follow the traffic and the batch job at two, memory is given back at times, disks fill."""
        if at_s % 10:
            return
        since_s = at_s - self.begin_s
        for host in HOSTS:
            self.wander[host] = 0.95 * self.wander[host] + float(self.random.normal(0, 1.5))
            self.memory[host] += 0.004 if self.memory[host] < 62 else -15.0
            job = 45.0 if 7200 <= since_s % DAY_S < 8400 else 0.0
            cpu = min(97.0, max(1.0, 30 + 18 * np.sin(2 * np.pi * since_s / DAY_S) + self.wander[host] + job))
            disk = 40 + 4.0 * since_s / DAY_S
            levels = {"host.cpu_pct": cpu, "host.load1": cpu / 25, "host.memory_pct": self.memory[host], "host.disk_pct": disk}
            for name, value in levels.items():
                labels = {"mount": "/"} if name == "host.disk_pct" else {}
                yield Point(series_key("apollo", f"host/{host}", "infrastructure", name, labels), float(at_s), float(value))


def _versions(since_s: int) -> list[tuple[str, float]]:
    """A new version every three hours, ten minutes of them beside the one before with a tenth of the requests."""
    number, into_s = divmod(since_s, RELEASE_EVERY_S)
    if number and into_s < CANARY_S:
        return [(f"1.{number - 1}.0", 0.9), (f"1.{number}.0", 0.1)]
    return [(f"1.{number}.0", 1.0)]


def suite(*, hours: float, seed: int = 7) -> list[Figure]:
    """Live through it and count."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="po-healthy-") as folder:
        day = Day(Path(folder), seed=seed)
        try:
            day.go(int(hours * 3600))
            false = day.incidents()
            for each in false:
                console.print(f"  {each.detected_at:%H:%M:%S} {each.severity} {each.title}", soft_wrap=True)
            for words, count in sorted(day.alerts().items()):
                console.print(f"    {count} × {words}", soft_wrap=True)
            seen_s = _until_seen(day, {each.id for each in false})
        finally:
            day.context.store.close()
    how = f"{hours:g} h of {len(SERVICES)} services with objectives on {len(HOSTS)} machines, lived in {time.monotonic() - began:.0f} s"
    return [
        Figure("incidents in a day of healthy traffic", len(false), "", FALSE_MAX, detail=how),
        Figure("  then half of the shop's requests fail: seconds until an incident", seen_s, "s", 10.0, detail="the same watch"),
    ]


def _until_seen(day: Day, known: set[str]) -> float:
    for number in range(1, FAULT_S + 1):
        day.go(1, step_s=1, failing="storefront")
        if any(each.id not in known for each in day.incidents()):
            return float(number)
    return float("inf")


def main() -> None:
    """Print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    figures = suite(hours=arguments.hours, seed=arguments.seed)
    show("incident-healthy", figures)
    write("incident-healthy", "day", figures, [])


if __name__ == "__main__":
    main()
