"""Every ten seconds: are hosts, instances and other measured series as they usually are? And which limits will be crossed?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from productops.domain.incident_alert import Alert
from productops.domain.monitoring_detect import Findings, pack, unpack
from productops.domain.monitoring_series import INSTALLATION, SeriesData, SeriesKey
from productops.errors import NotFoundError, StoreUnavailableError
from productops.stats.anomaly import HORIZONS, STATE, AnomalyBank, Look
from productops.store.monitoring_detect import Learned
from productops.usecases.context import OURSELVES, Context
from productops.usecases.monitoring_detect import AlertBook
from productops.usecases.monitoring_series_read import read_series

KIND: Final = "series"
STEP_S: Final = 10
SAVE_S: Final = 600.0
SERIES_MAX: Final = 10_000
MARGIN: Final = 2.0
"""So many powers of ten beyond the benchmark's threshold: thousands of series are looked at 8,640 times a day."""
HELD: Final = 3
CALM: Final = 12
POINTS_MIN: Final = 360
WATCHED: Final = frozenset(
    {"host.cpu_pct", "host.load1", "host.memory_pct", "instance.cpu_pct", "instance.memory_bytes"}
)  # fmt: skip
WATCHED_PREFIXES: Final = ("dependency.",)


@dataclass(slots=True)
class SeriesWatch:
    """One bank for all series. ``turn`` every ``STEP_S`` seconds."""

    context: Context
    book: AlertBook = field(init=False)
    _bank: AnomalyBank = field(default_factory=lambda: AnomalyBank(0, STEP_S))
    _keys: list[SeriesKey] = field(default_factory=list)
    _held: dict[SeriesKey, int] = field(default_factory=dict)
    _calm: dict[SeriesKey, int] = field(default_factory=dict)
    _learned: dict[str, bytes] | None = None
    _last_s: int = 0
    _saved: float = 0.0

    def __post_init__(self) -> None:
        self.book = AlertBook(self.context, KIND)

    def turn(self) -> int:
        """Look at the newest whole step; returns how many alerts were told. Raises: StoreUnavailableError."""
        now = self.context.clock.now()
        at_s = int(now.timestamp()) // STEP_S * STEP_S - STEP_S
        if at_s <= self._last_s:
            return 0
        if self._learned is None:
            with self.context.store.read() as unit:
                self._learned = {each.key: each.data for each in unit.detectors.learned(KIND)}
            self._saved = self.context.clock.monotonic()
        values = self._values(at_s)
        self._last_s = at_s
        self._grow(values)
        look = self._bank.update(float(at_s), np.array([values.get(key, np.nan) for key in self._keys]))
        told = self.book.settle(self._findings(look, at_s, values))
        if self.context.clock.monotonic() - self._saved >= SAVE_S:
            self.save()
        return told

    def _values(self, at_s: int) -> dict[SeriesKey, float]:
        since = datetime.fromtimestamp(at_s, UTC)
        found: dict[SeriesKey, float] = {}
        for data in newest(self.context, since=since, until=since + timedelta(seconds=STEP_S), step_s=STEP_S):
            if watched(data.key.name) and len(data.value) and len(found) < SERIES_MAX:
                found[data.key] = float(data.value[-1])
        return found

    def _grow(self, values: dict[SeriesKey, float]) -> None:
        known = {key: row for row, key in enumerate(self._keys)}
        fresh = [key for key in values if key not in known]
        if not fresh:
            return
        keep = np.array([*range(len(self._keys)), *([-1] * len(fresh))], np.int64)
        self._bank = self._bank.resize(keep, np.full(len(keep), float(STEP_S)))
        self._keys += fresh
        shapes = _shapes(self._bank)
        for row in range(len(self._keys) - len(fresh), len(self._keys)):
            data = (self._learned or {}).pop(self._keys[row].digest, None)
            state = unpack(data, shapes) if data is not None else None
            for name, value in (state or {}).items():
                getattr(self._bank, name)[row] = value

    def _findings(self, look: Look, at_s: int, values: dict[SeriesKey, float]) -> Findings:
        firing, calm = [], set()
        ventures = ventures_of(self.context)
        for row, key in enumerate(self._keys):
            if key not in values or self._bank.points[row] < POINTS_MIN:
                continue
            strange = look.margin[row] >= MARGIN and bool(look.up[row])
            self._held[key] = self._held.get(key, 0) + 1 if strange else 0
            self._calm[key] = 0 if strange else self._calm.get(key, CALM) + 1
            for venture in [key.venture] if key.venture else ventures:
                alert = _alert(key, venture, look, row, at_s, values[key])
                if self._held[key] >= HELD:
                    firing.append(alert)
                elif self._calm[key] >= CALM:
                    calm.add(alert.fingerprint)
        return Findings(tuple(firing), frozenset(calm))

    def save(self) -> None:
        """Keep what was learned; what nobody has measured for a month is forgotten. Raises: StoreUnavailableError."""
        now = self.context.clock.now()
        learned = [
            Learned(key.digest, KIND, str(key), pack({name: getattr(self._bank, name)[row] for name in STATE}))
            for row, key in enumerate(self._keys)
        ]
        for start in range(0, len(learned), 200):  # the lock of SQLite is everybody's
            with self.context.store.write() as unit:
                unit.detectors.keep(learned[start : start + 200], now=now)
        with self.context.store.write() as unit:
            unit.detectors.forget(before=now - timedelta(days=30))
        self._saved = self.context.clock.monotonic()

    def close(self) -> None:
        """Keep what was learned, where the store answers."""
        try:
            self.save()
        except StoreUnavailableError:
            return


def watched(name: str) -> bool:
    """Whether a series is looked at; services are, second by second, elsewhere."""
    return name in WATCHED or name.startswith(WATCHED_PREFIXES)


def newest(context: Context, *, since: datetime, until: datetime, step_s: int, name: str | None = None) -> list[SeriesData]:
    """Series of all ventures and of hosts in [since, until). Raises: StoreUnavailableError."""
    found: list[SeriesData] = []
    for venture in (INSTALLATION, *ventures_of(context)):
        try:
            found += read_series(context, venture=venture, name=name, since=since, until=until, step_s=step_s, actor=OURSELVES)
        except NotFoundError:
            continue  # removed since it was listed
    return found


def ventures_of(context: Context) -> Sequence[str]:
    """Ventures that have services: what happens to a host happens to them. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return sorted({service.venture for service in unit.catalog.services()})


def place_labels(key: SeriesKey) -> tuple[str | None, dict[str, str]]:
    """The service a series belongs to, and labels that name its host or instance."""
    first, _, rest = key.component.partition("/")
    labels: dict[str, Any] = {"series": key.name} | {name: value for name, value in key.tags if name != "environment"}
    if first == "host":
        return None, labels | {"host": rest}
    return first, labels | ({"instance_id": rest} if rest else {})


def _alert(key: SeriesKey, venture: str, look: Look, row: int, at_s: int, value: float) -> Alert:
    service, labels = place_labels(key)
    expected = float(look.expected[row]) if np.isfinite(look.expected[row]) else 0.0
    rarity = float(look.rarity[row]) if np.isfinite(look.rarity[row]) else 0.0
    return Alert(
        source="anomaly", name=f"unusual {key.name}", venture=venture, service=service, environment=key.environment,
        component=key.component, severity="SEV4", labels=labels, value=value,
        summary=f"{key} is {value:.4g}; {expected:.4g} was expected",
        evidence={
            "series": str(key), "seen": value, "expected": expected, "rarity_log10": round(rarity, 1),
            "horizon": HORIZONS[int(look.horizon[row])], "since": datetime.fromtimestamp(at_s, UTC).isoformat(),
        },
        starts_at=datetime.fromtimestamp(at_s, UTC),
    )  # fmt: skip


def _shapes(bank: AnomalyBank) -> dict[str, tuple[int, ...]]:
    return {name: tuple(getattr(bank, name).shape[1:]) for name in STATE}
