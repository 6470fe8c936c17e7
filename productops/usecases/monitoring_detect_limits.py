"""Every minute: which limits will be crossed soon? Disks, memory, quotas, certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from productops.domain.incident_alert import Alert
from productops.domain.monitoring_detect import Findings
from productops.domain.monitoring_series import SeriesData
from productops.stats.limit_forecast import Crossing, forecast_crossing
from productops.usecases.context import Context
from productops.usecases.monitoring_detect import AlertBook
from productops.usecases.monitoring_detect_series import newest, place_labels, ventures_of

KIND: Final = "limits"
PAST: Final = timedelta(hours=24)
STEP_S: Final = 120
FORECAST_S: Final = 60.0
LIMITS: Final = {"host.disk_pct": 100.0, "host.memory_pct": 98.0, "dependency.quota_pct": 100.0}
FULL: Final = {"host.disk_pct": 95.0, "host.memory_pct": 97.0, "dependency.quota_pct": 98.0}
"""From here on it is as good as crossed, however slowly it grows."""
CERTIFICATE_WARN: Final = timedelta(days=14)
CERTIFICATE_CRITICAL: Final = timedelta(days=2)


@dataclass(slots=True)
class LimitWatch:
    """``turn`` every few seconds: what is full is seen at once, forecasts are made once a minute.

    ``warn`` and ``critical``: lead times that alert; ``certificates``: PEM files to keep an eye on.
    """

    context: Context
    warn: timedelta = timedelta(hours=24)
    critical: timedelta = timedelta(hours=2)
    certificates: Sequence[Path] = ()
    book: AlertBook = field(init=False)
    _forecast_at: float = float("-inf")

    def __post_init__(self) -> None:
        self.book = AlertBook(self.context, KIND)

    def turn(self) -> int:
        """Returns how many alerts were told. Raises: StoreUnavailableError."""
        now = self.context.clock.now()
        if self.context.clock.monotonic() - self._forecast_at >= FORECAST_S:
            told = self._forecast(now=now)
            self._forecast_at = self.context.clock.monotonic()
            return told
        return self._look_at_full(now=now)

    def _look_at_full(self, *, now: datetime) -> int:
        """Whatever is as good as full, without a look at the past; what is not stays as the last forecast said."""
        ventures, firing, ignored = ventures_of(self.context), list[Alert](), set[str]()
        for name, full in FULL.items():
            for data in newest(self.context, since=now - timedelta(seconds=15), until=now, step_s=1, name=name):
                if len(data.value) and float(data.value[-1]) >= full:
                    self._sort(data, None, ventures, firing, ignored, now=now)
        return self.book.settle(Findings(tuple(firing)))

    def _forecast(self, *, now: datetime) -> int:
        ventures = ventures_of(self.context)
        firing: list[Alert] = []
        calm: set[str] = set()
        for name, limit in LIMITS.items():
            for data in newest(self.context, since=now - PAST, until=now, step_s=STEP_S, name=name):
                crossing = forecast_crossing(data.at, data.value, limit, horizon_s=2 * self.warn.total_seconds())
                self._sort(data, crossing, ventures, firing, calm, now=now)
        for path in self.certificates:
            self._certificate(path, ventures, firing, calm, now=now)
        return self.book.settle(Findings(tuple(firing), frozenset(calm)))

    def _sort(
        self, data: SeriesData, crossing: Crossing | None, ventures: Sequence[str], firing: list[Alert], calm: set[str], *, now: datetime
    ) -> None:  # fmt: skip
        full = float(data.value[-1]) >= FULL[data.key.name]
        lead_s = 0.0 if full else crossing.lead_s if crossing is not None else float("inf")
        critical = lead_s <= self.critical.total_seconds()
        for venture in [data.key.venture] if data.key.venture else ventures:
            alert = self._alert(data, crossing, venture, lead_s=lead_s, critical=critical, now=now)
            if lead_s <= self.warn.total_seconds():
                firing.append(alert)
            elif crossing is None or crossing.lead_s > 1.25 * self.warn.total_seconds():  # not back and forth around the line
                calm.add(alert.fingerprint)

    def _alert(self, data: SeriesData, crossing: Crossing | None, venture: str, *, lead_s: float, critical: bool, now: datetime) -> Alert:
        key, limit = data.key, LIMITS[data.key.name]
        service, labels = place_labels(key)
        value = float(data.value[-1])
        when = f"in {_told(lead_s)}" if 0 < lead_s < float("inf") else "now"
        interval = f" ({_told(crossing.early_s)} to {_told(crossing.late_s)})" if crossing is not None and lead_s > 0 else ""
        return Alert(
            source="forecast", name=f"{key.name} at its limit", venture=venture, service=service, environment=key.environment,
            component=key.component, severity="SEV2" if critical else "SEV3", labels=labels, value=value,
            summary=f"{key} is {value:.4g} and reaches {limit:g} {when}{interval}",
            evidence={
                "series": str(key), "seen": value, "limit": limit, "lead_s": _number(lead_s), "since": now.isoformat(),
                "early_s": _number(crossing.early_s) if crossing else None, "late_s": _number(crossing.late_s) if crossing else None,
                "per_hour": round(crossing.per_hour, 4) if crossing else None,
            },
            starts_at=now,
        )  # fmt: skip

    def _certificate(
        self, path: Path, ventures: Sequence[str], firing: list[Alert], calm: set[str], *, now: datetime
    ) -> None:  # fmt: skip
        """The first certificate of the file that ends; a file that cannot be read is told as well."""
        try:
            ends = min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(path.read_bytes()))
            left, words = ends - now, f"{path.name} ends at {ends:%Y-%m-%d %H:%M} UTC"
        except (OSError, ValueError) as error:
            left, words = timedelta(0), f"{path.name} cannot be read as a certificate: {error}"
        for venture in ventures:
            alert = Alert(
                source="forecast", name="certificate ends", venture=venture, component=f"certificate/{path.name}", starts_at=now,
                severity="SEV2" if left < CERTIFICATE_CRITICAL else "SEV3", labels={"certificate": path.name}, summary=words,
                evidence={"file": str(path), "lead_s": left.total_seconds(), "since": now.isoformat()}, value=left.total_seconds(),
            )  # fmt: skip
            if left < CERTIFICATE_WARN:
                firing.append(alert)
            else:
                calm.add(alert.fingerprint)


def _told(seconds: float) -> str:
    if seconds == float("inf"):
        return "never"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _number(seconds: float) -> float | None:
    return round(seconds, 1) if seconds < float("inf") else None
