"""Which alerts are held back, and why: silences, maintenance, flapping, too little traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from productops.domain.catalog_incident import MaintenanceWindowSpec, Matcher, SeverityPolicySpec
from productops.domain.incident_alert import Alert, AlertState

VALUE_MAX = 2000
STEADY = timedelta(seconds=15)
"""What fires for so long does not come and go: users may be suffering all the time."""


def is_steady(alert: Alert, *, now: datetime) -> bool:
    """Whether it has fired without a break for long enough to be believed, however often it began."""
    return alert.firing and now - alert.starts_at >= STEADY


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that fit all of ``matchers`` are held back from ``starts_at`` to ``ends_at``."""

    id: str
    venture: str
    matchers: tuple[Matcher, ...]
    reason: str
    author: str
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    ended_by: str | None = None

    def active(self, now: datetime) -> bool:
        """Whether it holds now."""
        return self.starts_at <= now < self.ends_at


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A declared window."""

    name: str
    venture: str
    spec: MaintenanceWindowSpec


@dataclass(frozen=True, slots=True)
class Held:
    """An alert is held back."""

    state: AlertState
    reason: str


def fits(matchers: Sequence[Matcher], alert: Alert) -> bool:
    """Whether all of them fit; no matchers fit nothing."""
    return bool(matchers) and all(_fits(each, alert) for each in matchers)


def _fits(matcher: Matcher, alert: Alert) -> bool:
    value = _value(matcher.field, alert)
    if matcher.how == "like":
        return fnmatchcase(value[:VALUE_MAX], matcher.value.replace("[", "[[]"))
    return (value == matcher.value) is (matcher.how == "is")


def _value(field: str, alert: Alert) -> str:
    if field.startswith("labels."):
        return str(alert.labels.get(field.removeprefix("labels."), ""))
    found = getattr(alert, field)
    return "" if found is None else str(found)


@dataclass(frozen=True, slots=True)
class Suppression:
    """What holds alerts of a venture back now."""

    policy: SeverityPolicySpec
    silences: tuple[Silence, ...]
    maintenance: tuple[Maintenance, ...]

    def of(self, alert: Alert, *, began: Sequence[float], now: datetime) -> Held | None:
        """Why an alert is held back; None: it is not. ``began``: Unix seconds at which it began to fire, this time included."""
        return self._silenced(alert, now) or self._maintained(alert, now) or self._too_little(alert) or self._flaps(alert, began, now)

    def _silenced(self, alert: Alert, now: datetime) -> Held | None:
        for silence in self.silences:
            if silence.active(now) and fits(silence.matchers, alert):
                until = silence.ends_at.strftime("%Y-%m-%d %H:%M UTC")
                return Held(AlertState.SILENCED, f"silence {silence.id} of {silence.author} until {until}: {silence.reason}")
        return None

    def _maintained(self, alert: Alert, now: datetime) -> Held | None:
        for window in self.maintenance:
            until = window.spec.open_until(now)
            if until is not None and fits(window.spec.match, alert):
                reason = f"maintenance window {window.name} until {until:%Y-%m-%d %H:%M UTC}: {window.spec.reason}"
                return Held(AlertState.MAINTENANCE, reason)
        return None

    def _too_little(self, alert: Alert) -> Held | None:
        requests = alert.evidence.get("requests")
        if isinstance(requests, bool) or not isinstance(requests, int | float) or requests >= self.policy.requests_min:
            return None
        return Held(AlertState.LOW_TRAFFIC, f"it rests on {requests:g} requests; fewer than {self.policy.requests_min} are no evidence")

    def _flaps(self, alert: Alert, began: Sequence[float], now: datetime) -> Held | None:
        rule = self.policy.flapping
        since = (now - timedelta(seconds=rule.window_s)).timestamp()
        times = sum(at >= since for at in began)
        if alert.severity in rule.exempt or times < rule.times or is_steady(alert, now=now):
            return None
        return Held(AlertState.DAMPED, f"it began {times} times within {rule.window_s / 60:g} min; held back until it is steady")
