"""The store: one object per process, one unit per transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from sqlalchemy.orm import Session

from productops.store.catalog import Catalog
from productops.store.database import make_engine, session_scope
from productops.store.governance import Audit, Quarantine
from productops.store.incident import Incidents
from productops.store.monitoring import Seconds
from productops.store.release import Releases
from productops.store.release_agents import Agents
from productops.store.release_flags import FlagChanges, Flags
from productops.store.release_flags_counts import FlagCounts
from productops.store.release_fleet import Fleets
from productops.store.release_record import Deployments
from productops.store.release_recordings import Recordings
from productops.store.release_traffic import Traffic
from productops.store.release_train import Trains
from productops.store.release_windows import Bypasses, Calendars
from productops.store.runs import Runs


class Unit:
    """All repositories of one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def undo(self) -> None:
        """Let nothing of this transaction remain; for plans that only look."""
        self.audit.forget()
        self._session.rollback()

    def seal(self) -> None:
        """Chain what the audit was given. The last act of a transaction: until it ends, other writers of the audit wait."""
        if "audit" in self.__dict__:
            self.audit.seal()

    @cached_property
    def catalog(self) -> Catalog:
        """Ventures and services."""
        return Catalog(self._session)

    @cached_property
    def releases(self) -> Releases:
        """Releases, steps, looks, events."""
        return Releases(self._session)

    @cached_property
    def traffic(self) -> Traffic:
        """Desired traffic and leases."""
        return Traffic(self._session)

    @cached_property
    def fleets(self) -> Fleets:
        """Fleets and instances."""
        return Fleets(self._session)

    @cached_property
    def seconds(self) -> Seconds:
        """Traffic by second."""
        return Seconds(self._session)

    @cached_property
    def deployments(self) -> Deployments:
        """deployment_ops_events."""
        return Deployments(self._session)

    @cached_property
    def recordings(self) -> Recordings:
        """The seconds releases were judged by."""
        return Recordings(self._session)

    @cached_property
    def incidents(self) -> Incidents:
        """incident_management."""
        return Incidents(self._session)

    @cached_property
    def agents(self) -> Agents:
        """Which agent writes a router."""
        return Agents(self._session)

    @cached_property
    def runs(self) -> Runs:
        """Claims of flow runs."""
        return Runs(self._session)

    @cached_property
    def flags(self) -> Flags:
        """Feature flags, their revisions, their version rows."""
        return Flags(self._session)

    @cached_property
    def flag_changes(self) -> FlagChanges:
        """Changes of flags that wait for approval or their time."""
        return FlagChanges(self._session)

    @cached_property
    def flag_counts(self) -> FlagCounts:
        """Evaluations of flags."""
        return FlagCounts(self._session)

    @cached_property
    def calendars(self) -> Calendars:
        """Freezes and change windows."""
        return Calendars(self._session)

    @cached_property
    def trains(self) -> Trains:
        """Services that are released together."""
        return Trains(self._session)

    @cached_property
    def bypasses(self) -> Bypasses:
        """Permissions to start during a freeze."""
        return Bypasses(self._session)

    @cached_property
    def audit(self) -> Audit:
        """The audit log."""
        return Audit(self._session)

    @cached_property
    def quarantine(self) -> Quarantine:
        """Barred versions."""
        return Quarantine(self._session)


class Store:
    """A database, opened lazily. Both contexts raise StoreUnavailableError when it does not answer."""

    def __init__(self, url: str) -> None:
        self._engine = make_engine(url)

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """One transaction that may write; commits at the end, undoes all on an error."""
        with session_scope(self._engine, read_only=False) as session:
            unit = Unit(session)
            yield unit
            unit.seal()

    @contextmanager
    def read(self) -> Iterator[Unit]:
        """One consistent view."""
        with session_scope(self._engine, read_only=True) as session:
            yield Unit(session)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()
