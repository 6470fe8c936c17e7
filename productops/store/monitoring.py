"""Traffic by version and second, as the router counted it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.release import Environment
from productops.domain.routing import VersionKey
from productops.store.tables import SecondRow


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

    def forget(self, *, before_s: int) -> None:
        """Drop seconds older than ``before_s``."""
        self._session.execute(delete(SecondRow).where(SecondRow.at_s < before_s))
