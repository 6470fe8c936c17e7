"""Fleets and instances: how many should run, and which do."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from productops.domain.release import Environment
from productops.domain.traffic import Fleet, Instance, InstanceState
from productops.store.tables import FleetRow, InstanceRow


def _fleet(row: FleetRow) -> Fleet:
    return Fleet(
        service=row.service,
        environment=Environment(row.environment),
        version=row.version,
        desired=row.desired,
        keep_until=row.keep_until,
        failure=row.failure,
        failed_at=row.failed_at,
    )


def _instance(row: InstanceRow) -> Instance:
    return Instance(
        id=str(row.id),
        service=row.service,
        environment=Environment(row.environment),
        version=row.version,
        port=row.port,
        state=InstanceState(row.state),
        pid=row.pid,
        started=row.started,
        restarts=row.restarts,
        log_path=row.log_path,
        last_output=row.last_output,
        updated_at=row.updated_at,
    )


class Fleets:
    """Repository of fleets and instances within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def want(
        self, service: str, environment: Environment, version: str, desired: int, *, now: datetime, keep_until: datetime | None = None
    ) -> None:
        """Say how many instances should run; forgets an earlier failure. ``keep_until``: then stop them."""
        row = self._session.get(FleetRow, (service, environment.value, version))
        if row is None:
            row = FleetRow(service=service, environment=environment.value, version=version)
            self._session.add(row)
        row.desired, row.keep_until, row.failure, row.failed_at, row.updated_at = desired, keep_until, "", None, now
        self._session.flush()

    def find(self, service: str, environment: Environment, version: str) -> Fleet | None:
        """One fleet."""
        row = self._session.get(FleetRow, (service, environment.value, version), populate_existing=True)
        return _fleet(row) if row else None

    def all(self) -> list[Fleet]:
        """Every fleet, also those that should have no instances."""
        return [_fleet(r) for r in self._session.scalars(select(FleetRow))]

    def fail(self, fleet: Fleet, failure: str, *, now: datetime) -> None:
        """Note why the version cannot run."""
        self._set_fleet(fleet, failure=failure, failed_at=now, updated_at=now)

    def works(self, fleet: Fleet, *, now: datetime) -> None:
        """Its instances are well again."""
        self._set_fleet(fleet, failure="", failed_at=None, updated_at=now)

    def expire(self, fleet: Fleet, *, now: datetime) -> None:
        """A warm fleet's time is over."""
        self._set_fleet(fleet, desired=0, keep_until=None, updated_at=now)

    def forget(self, fleet: Fleet) -> None:
        """Remove a fleet that has no instances and should have none."""
        self._session.execute(
            delete(FleetRow).where(
                FleetRow.service == fleet.service, FleetRow.environment == fleet.environment.value,
                FleetRow.version == fleet.version, FleetRow.desired == 0,
            )
        )  # fmt: skip

    def _set_fleet(self, fleet: Fleet, **values: Any) -> None:
        self._session.execute(
            update(FleetRow)
            .where(
                FleetRow.service == fleet.service, FleetRow.environment == fleet.environment.value, FleetRow.version == fleet.version
            )
            .values(**values)
            .execution_options(synchronize_session=False)
        )  # fmt: skip

    def instances(self) -> list[Instance]:
        """Every instance that has not stopped."""
        rows = self._session.scalars(select(InstanceRow).where(InstanceRow.state != InstanceState.STOPPED.value).order_by(InstanceRow.id))
        return [_instance(r) for r in rows]

    def instances_of_services(self, services: Sequence[str]) -> list[Instance]:
        """Instances of these services that have not stopped, in the order they were made."""
        query = select(InstanceRow).where(InstanceRow.service.in_(services), InstanceRow.state != InstanceState.STOPPED.value)
        return [_instance(r) for r in self._session.scalars(query.order_by(InstanceRow.id))]

    def instances_of(self, service: str, environment: Environment, version: str) -> list[Instance]:
        """Instances of one version that have not stopped."""
        rows = self._session.scalars(
            select(InstanceRow).where(
                InstanceRow.service == service, InstanceRow.environment == environment.value,
                InstanceRow.version == version, InstanceRow.state != InstanceState.STOPPED.value,
            )
        )  # fmt: skip
        return [_instance(r) for r in rows]

    def add_instance(self, instance: Instance) -> None:
        """Write the intent to start an instance, before it is started."""
        self._session.add(
            InstanceRow(
                id=uuid.UUID(instance.id), service=instance.service, environment=instance.environment.value, version=instance.version,
                port=instance.port, state=instance.state.value, pid=instance.pid, started=instance.started, restarts=instance.restarts,
                log_path=instance.log_path, last_output=instance.last_output, updated_at=instance.updated_at,
            )
        )  # fmt: skip

    def set_instance(self, instance_id: str, *, now: datetime, **values: Any) -> None:
        """Set ``state``, ``pid``, ``started``, ``restarts`` or ``last_output`` of an instance."""
        if isinstance(state := values.get("state"), InstanceState):
            values["state"] = state.value
        self._session.execute(
            update(InstanceRow)
            .where(InstanceRow.id == uuid.UUID(instance_id))
            .values(updated_at=now, **values)
            .execution_options(synchronize_session=False)
        )
