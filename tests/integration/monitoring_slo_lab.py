"""Objectives on a real database: OpenSLO files, seconds of the router, moments that tests choose."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from productops.adapters.catalog_files import load_catalog
from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.usecases.catalog import Change, apply_catalog
from productops.usecases.context import Actor, Clock, Context
from tests.support import PRODUCTION, SOMEBODY, add_service, make_context, sqlite_url

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AVAILABILITY = """
    apiVersion: openslo/v1
    kind: SLO
    metadata:
      name: shop-availability
    spec:
      service: shop
      indicator:
        metadata: {name: shop-errors}
        spec:
          ratioMetric:
            counter: true
            bad: {metricSource: {type: productops, spec: {metric: failures}}}
            total: {metricSource: {type: productops, spec: {metric: requests}}}
      timeWindow: [{duration: 28d, isRolling: true}]
      budgetingMethod: Occurrences
      objectives: [{target: 0.999}]
"""
OWN = """
    apiVersion: productops/v1
    kind: Venture
    metadata: {name: apollo}
"""


@dataclass
class Moved(Clock):
    """A clock that only tests move."""

    at: datetime = field(default=START)

    def now(self) -> datetime:
        return self.at


def make(folder: Path, url: str | None = None) -> tuple[Context, Moved]:
    """A house with service shop 1.0 live, and its clock."""
    clock = Moved()
    context = make_context(url or sqlite_url(folder))
    add_service(context, "shop", live="1.0")
    return replace(context, clock=clock), clock


def declare(context: Context, folder: Path, *documents: str, actor: Actor = SOMEBODY) -> list[Change]:
    """Apply these documents as one catalog file."""
    catalog = folder / "catalog"
    catalog.mkdir(exist_ok=True)
    text = "\n---\n".join(textwrap.dedent(each).strip() for each in (OWN, *documents))
    (catalog / "slo.yaml").write_text(text + "\n", encoding="utf-8")
    return apply_catalog(context, load_catalog(catalog), actor=actor)


def second(requests: int, failures: int = 0, *, slow: int = 0) -> ArmSecond:
    """Requests of one second, ``slow`` of them above 300 ms."""
    latency = LatencyHistogram((100.0, 300.0, 900.0), (requests - slow, 0, slow))
    return ArmSecond(requests=requests, failures=failures, latency=latency)


def traffic(context: Context, first: datetime, seconds: int, versions: Mapping[str, ArmSecond]) -> None:
    """The same second, again and again from ``first`` on."""
    begin = int(first.timestamp())
    with context.store.write() as unit:
        for at_s in range(begin, begin + seconds):
            unit.seconds.add(at_s, {("shop", PRODUCTION, version): arm for version, arm in versions.items()})


def minutes(context: Context, name: str, first: datetime, count: int, *, good: float, total: float, version: str = "1.0") -> None:
    """Minutes of an objective, as if they had been counted."""
    from productops.domain.monitoring_slo import Counts

    begin = int(first.timestamp())
    with context.store.write() as unit:
        unit.objectives.put_minutes(name, {(begin + 60 * n, version): Counts(good, total) for n in range(count)})


def ago(**length: float) -> datetime:
    """Before the start."""
    return START - timedelta(**length)
