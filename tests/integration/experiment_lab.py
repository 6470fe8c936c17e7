"""An experiment's surroundings: a venture with a flag on a real SQLite file, and events in real Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from productops.adapters.analytics_events_table import table_of
from productops.adapters.catalog_files import LoadedEntry
from productops.domain.analytics_events import ROW, event_id, microseconds
from productops.domain.catalog_experiment import ExperimentEntry
from productops.domain.catalog_flags import FlagSpec
from productops.domain.release import Environment
from productops.usecases.analytics_events_read import put_events
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Clock, Context
from productops.usecases.release_flags_change import create_flag, ramp_flag
from tests.support import SOMEBODY, make_context, sqlite_url

START = datetime(2026, 3, 2, tzinfo=UTC)
SPEC: dict[str, Any] = {
    "hypothesis": "One page instead of three raises sign-ups.",
    "flag": "one-page",
    "control": "off",
    "variants": ["on"],
    "owner": "growth",
    "planned_days": 3,
    "metrics": [{"name": "sign-ups", "kind": "conversion", "event": "signed_up", "window_days": 1, "minimum_effect": 0.1}],
    "guardrails": [
        {"name": "errors", "kind": "ratio", "event": "request", "value": "failed", "per": {"event": "request"}, "better": "lower"}
    ],
}


@dataclass
class ByHand(Clock):
    """A clock that a test sets."""

    at: datetime = field(default=START)

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True)
class Lab:
    """The context, and the clock it goes by."""

    context: Context
    clock: ByHand

    def declare(self, name: str = "checkout", **changes: Any) -> None:
        """Apply ``kind: Experiment`` as the catalog would."""
        document = {
            "apiVersion": "productops/v1",
            "kind": "Experiment",
            "metadata": {"name": name, "venture": "apollo"},
            "spec": SPEC | changes,
        }
        entry = ExperimentEntry.model_validate(document)
        apply_catalog(self.context, [LoadedEntry(entry, Path("/catalog/experiment.yaml"), 1, Path(f"/catalog/{name}"))], actor=SOMEBODY)

    def put(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write events."""
        put_events(self.context, "apollo", table_of("apollo", [[row[name] for name in ROW] for row in rows]))


def make_lab(folder: Path) -> Lab:
    """With flag ``one-page``, half of all users on it."""
    clock = ByHand()
    context = replace(make_context(sqlite_url(folder)), clock=clock, analytics_folder=folder / "analytics")
    spec = FlagSpec.model_validate({"variants": {"on": True, "off": False}, "default_variant": "off", "owner": "growth"})
    create_flag(context, "one-page", venture="apollo", spec=spec, actor=SOMEBODY)
    ramp_flag(context, "one-page", Environment.PRODUCTION, percent=50, actor=SOMEBODY, reason="an experiment")
    return Lab(context, clock)


def visitors(
    count: int, *, rates: Mapping[str, float], failures: Mapping[str, float] | None = None, seed: int = 1, start: datetime = START,
    hours: float = 60, prefix: str = "p", platforms: tuple[str, ...] = ("web",),
) -> list[dict[str, Any]]:  # fmt: skip
    """People who meet a variant at random, some of whom sign up an hour later, each with three requests."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    arms = list(rates)
    for number in range(count):
        who, arm = f"{prefix}{number}", arms[int(random.integers(len(arms)))]
        met = start + timedelta(hours=float(random.uniform(0, hours)))
        platform = platforms[number % len(platforms)]
        shown = f'{{"flag":"one-page","variant":"{arm}"}}'
        rows.append(event(who, "$exposure", met, properties=shown, platform=platform))
        if random.random() < rates[arm]:
            rows.append(event(who, "signed_up", met + timedelta(hours=1), value=float(random.lognormal(3, 0.5))))
        for step in range(3):
            failed = random.random() < (failures or {}).get(arm, 0.01)
            rows.append(event(who, "request", met + timedelta(minutes=1 + step), failed=failed, duration_ms=float(random.gamma(2, 50))))
    return rows


def event(who: str, name: str, at: datetime, **more: Any) -> dict[str, Any]:
    """One event as the ingestion leaves it."""
    row: dict[str, Any] = {
        "event_id": event_id(f"{who} {name} {at}"), "person_key": who, "name": name, "feature": "", "service": "", "version": "",
        "environment": "production", "platform": "", "country": "", "session": "", "at": microseconds(at), "received_at": microseconds(at),
        "duration_ms": None, "failed": None, "value": None, "properties": "{}",
    }  # fmt: skip
    return row | more
