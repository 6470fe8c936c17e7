"""Traffic by version and second, as the router counted it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from productops.domain.analysis import ArmSecond, LatencyHistogram, RatioCount
from productops.domain.release import Environment
from productops.domain.routing import VersionKey
from productops.store.tables import MetricSecondRow, SecondRow


def _arm(row: SecondRow) -> ArmSecond | None:
    if row.missed:
        return None
    return ArmSecond(
        requests=row.requests, failures=row.failures, latency=LatencyHistogram(upper_ms=tuple(row.upper_ms), counts=tuple(row.counts))
    )


class Seconds:
    """Repository of per-second traffic within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, at_s: int, arms: Mapping[VersionKey, ArmSecond | None]) -> None:
        """Store the second that began at ``at_s``; ``None`` is a second that could not be measured."""
        for (service, environment, version), arm in arms.items():
            known = arm or ArmSecond()
            self._session.merge(
                SecondRow(
                    service=service, environment=environment.value, version=version, at_s=at_s,
                    requests=known.requests, failures=known.failures,
                    upper_ms=list(known.latency.upper_ms), counts=list(known.latency.counts), missed=arm is None,
                )
            )  # fmt: skip

    def between(
        self, service: str, environment: Environment, versions: list[str], *, after_s: int, until_s: int | None = None
    ) -> dict[int, dict[str, ArmSecond | None]]:
        """Seconds after ``after_s`` (and before ``until_s``) in order: second → version → traffic."""
        query = select(SecondRow).where(
            SecondRow.service == service, SecondRow.environment == environment.value,
            SecondRow.version.in_(versions), SecondRow.at_s > after_s,
        )  # fmt: skip
        if until_s is not None:
            query = query.where(SecondRow.at_s < until_s)
        seconds: dict[int, dict[str, ArmSecond | None]] = {}
        for row in self._session.scalars(query.order_by(SecondRow.at_s)):
            seconds.setdefault(row.at_s, {})[row.version] = _arm(row)
        return seconds

    def add_metrics(self, key: VersionKey, at_s: int, values: Mapping[str, RatioCount | float]) -> None:
        """Store metrics of one's own of one version in one second; a value that is there already is replaced."""
        service, environment, version = key
        for name, value in values.items():
            row = MetricSecondRow(service=service, environment=environment.value, version=version, name=name, at_s=at_s)
            if isinstance(value, RatioCount):
                row.events, row.total, row.level = value.events, value.total, None
            else:
                row.events, row.total, row.level = None, None, float(value)
            self._session.merge(row)

    def metrics_between(
        self, service: str, environment: Environment, versions: list[str], *, after_s: int, until_s: int
    ) -> dict[int, dict[str, dict[str, RatioCount | float]]]:
        """Metrics of one's own in (after_s, until_s]: second → version → name → value."""
        query = select(MetricSecondRow).where(
            MetricSecondRow.service == service, MetricSecondRow.environment == environment.value,
            MetricSecondRow.version.in_(versions), MetricSecondRow.at_s > after_s, MetricSecondRow.at_s <= until_s,
        )  # fmt: skip
        found: dict[int, dict[str, dict[str, RatioCount | float]]] = {}
        for row in self._session.scalars(query):
            value = RatioCount(row.events, row.total or 0) if row.events is not None else float(row.level or 0.0)
            found.setdefault(row.at_s, {}).setdefault(row.version, {})[row.name] = value
        return found

    def traffic_of(self, service: str, environment: Environment, version: str, *, after_s: int) -> tuple[int | None, int, int]:
        """(first second with traffic, requests, failures) of a version after ``after_s``; no first second: no traffic."""
        query = select(func.min(SecondRow.at_s), func.sum(SecondRow.requests), func.sum(SecondRow.failures)).where(
            SecondRow.service == service, SecondRow.environment == environment.value, SecondRow.version == version,
            SecondRow.at_s > after_s, SecondRow.missed.is_(False), SecondRow.requests > 0,
        )  # fmt: skip
        first_s, requests, failures = self._session.execute(query).one()
        return (int(first_s) if first_s is not None else None), int(requests or 0), int(failures or 0)

    def forget(self, *, before_s: int) -> None:
        """Drop seconds older than ``before_s``."""
        self._session.execute(delete(SecondRow).where(SecondRow.at_s < before_s))
        self._session.execute(delete(MetricSecondRow).where(MetricSecondRow.at_s < before_s))
