"""Desired traffic, leases and fences: every write is a compare-and-set."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from productops.domain.release import Environment
from productops.domain.strategies.step import Mirror, Segment, mirror_from, segments_from
from productops.domain.traffic import Lease, TrafficTarget
from productops.errors import ConflictError, LeaseLostError
from productops.store.tables import TrafficRow


def _target(row: TrafficRow) -> TrafficTarget:
    lease = None
    if row.lease_holder is not None and row.lease_deadline is not None:
        lease = Lease(holder=row.lease_holder, ttl_s=row.lease_ttl_s or 0.0, deadline=row.lease_deadline, beat=row.lease_beat)
    return TrafficTarget(
        service=row.service,
        environment=Environment(row.environment),
        generation=row.generation,
        applied_generation=row.applied_generation,
        baseline_version=row.baseline_version,
        candidate_version=row.candidate_version,
        candidate_pct=row.candidate_pct,
        header_only=row.header_only,
        release_id=str(row.release_id) if row.release_id else None,
        fence=row.fence,
        lease=lease,
        applied_at=row.applied_at,
        segments=segments_from(row.segments),
        mirror=mirror_from(row.mirror),
    )


_NO_CANDIDATE: dict[str, Any] = {
    "candidate_version": None,
    "candidate_pct": 0,
    "header_only": False,
    "segments": None,
    "mirror": None,
    "release_id": None,
    "lease_holder": None,
    "lease_ttl_s": None,
    "lease_deadline": None,
}


class Traffic:
    """Repository of desired traffic within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[TrafficTarget]:
        """Every service and environment that has, or had, traffic."""
        return [_target(r) for r in self._session.scalars(select(TrafficRow).order_by(TrafficRow.service, TrafficRow.environment))]

    def of_services(self, services: Sequence[str]) -> list[TrafficTarget]:
        """Targets of these services."""
        return [_target(r) for r in self._session.scalars(select(TrafficRow).where(TrafficRow.service.in_(services)))]

    def find(self, service: str, environment: Environment) -> TrafficTarget | None:
        """The target, or None before the first release."""
        row = self._session.get(TrafficRow, (service, environment.value), populate_existing=True)
        return _target(row) if row else None

    def get(self, service: str, environment: Environment) -> TrafficTarget:
        """The target; made empty when there is none yet."""
        if (found := self.find(service, environment)) is not None:
            return found
        row = TrafficRow(
            service=service, environment=environment.value, generation=0, applied_generation=0, candidate_pct=0,
            header_only=False, fence=0, lease_beat=0,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return _target(row)

    def _change(self, service: str, environment: Environment, *conditions: Any, **values: Any) -> bool:
        changed = self._session.execute(
            update(TrafficRow)
            .where(TrafficRow.service == service, TrafficRow.environment == environment.value, *conditions)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def take(self, service: str, environment: Environment, release_id: str) -> int:
        """Give a release the right to move this traffic; returns the new fence. Earlier holders are fenced off.

        Raises: ConflictError when another release has it.
        """
        target = self.get(service, environment)
        if target.release_id not in (None, release_id):
            raise ConflictError(f"traffic of {service} in {environment} belongs to release {target.release_id}")
        fence = target.fence + 1
        if not self._change(service, environment, TrafficRow.fence == target.fence, release_id=uuid.UUID(release_id), fence=fence):
            raise ConflictError(f"traffic of {service} in {environment} was taken by somebody else")
        return fence

    def shift(
        self, service: str, environment: Environment, *, fence: int, candidate_version: str | None, candidate_pct: int,
        header_only: bool, holder: str, ttl_s: float, now: datetime, segments: Sequence[Segment] = (), mirror: Mirror | None = None,
    ) -> int:  # fmt: skip
        """Put traffic on the candidate under a lease; returns the new generation. Raises: LeaseLostError.

        Without a ``candidate_version`` the lease is on a flag that the release ramps; the router is told nothing new.
        """
        changed = self._change(
            service, environment, TrafficRow.fence == fence, TrafficRow.release_id.is_not(None),
            candidate_version=candidate_version, candidate_pct=candidate_pct, header_only=header_only,
            segments=[asdict(s) for s in segments] or None, mirror=asdict(mirror) if mirror is not None else None,
            generation=TrafficRow.generation + 1, lease_holder=holder, lease_ttl_s=ttl_s,
            lease_deadline=now + timedelta(seconds=ttl_s), lease_beat=TrafficRow.lease_beat + 1,
        )  # fmt: skip
        if not changed:
            raise LeaseLostError(f"{holder} no longer holds the traffic of {service} in {environment}")
        return self.get(service, environment).generation

    def renew(self, service: str, environment: Environment, *, fence: int, ttl_s: float, now: datetime) -> None:
        """Prolong the lease. Raises: LeaseLostError when it was revoked, lapsed or taken."""
        changed = self._change(
            service, environment, TrafficRow.fence == fence, TrafficRow.lease_holder.is_not(None),
            lease_deadline=now + timedelta(seconds=ttl_s), lease_beat=TrafficRow.lease_beat + 1,
        )  # fmt: skip
        if not changed:
            raise LeaseLostError(f"the lease on the traffic of {service} in {environment} is gone")

    def give_back(self, service: str, environment: Environment, *, release_id: str) -> int | None:
        """The baseline gets everything; the release and its fence are out. Returns the generation, None when it was done before."""
        changed = self._change(
            service, environment, TrafficRow.release_id == uuid.UUID(release_id),
            **_NO_CANDIDATE, generation=TrafficRow.generation + 1, fence=TrafficRow.fence + 1,
        )  # fmt: skip
        return self.get(service, environment).generation if changed else None

    def lapse(self, service: str, environment: Environment, *, beat: int) -> bool:
        """Like ``give_back``, only if the lease was not renewed since ``beat``; true when this call did it."""
        return self._change(
            service, environment, TrafficRow.lease_beat == beat, TrafficRow.lease_holder.is_not(None),
            **_NO_CANDIDATE, generation=TrafficRow.generation + 1, fence=TrafficRow.fence + 1,
        )  # fmt: skip

    def promote(self, service: str, environment: Environment, *, fence: int, version: str) -> int:
        """The candidate becomes the baseline; returns the generation. Raises: LeaseLostError."""
        changed = self._change(
            service, environment, TrafficRow.fence == fence, TrafficRow.release_id.is_not(None),
            **_NO_CANDIDATE, baseline_version=version, generation=TrafficRow.generation + 1, fence=TrafficRow.fence + 1,
        )  # fmt: skip
        if not changed:
            raise LeaseLostError(f"{version} cannot become the baseline of {service} in {environment}: the lease is gone")
        return self.get(service, environment).generation

    def restore(self, service: str, environment: Environment, *, expected: str, version: str) -> int:
        """Make an earlier version the baseline again. Raises: ConflictError when the baseline or its holder changed."""
        changed = self._change(
            service, environment, TrafficRow.baseline_version == expected, TrafficRow.release_id.is_(None),
            **_NO_CANDIDATE, baseline_version=version, generation=TrafficRow.generation + 1, fence=TrafficRow.fence + 1,
        )  # fmt: skip
        if not changed:
            raise ConflictError(f"{service} in {environment} no longer has {expected} as its baseline, or a release is in flight")
        return self.get(service, environment).generation

    def confirm(self, service: str, environment: Environment, *, generation: int, now: datetime) -> bool:
        """Note what the router serves; false when the target moved on meanwhile."""
        return self._change(
            service, environment, TrafficRow.generation == generation, TrafficRow.applied_generation < generation,
            applied_generation=generation, applied_at=now,
        )  # fmt: skip
