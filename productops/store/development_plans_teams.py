"""Declared teams and copies of their calendars: rows in and out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from productops.domain.catalog_team import TeamSpec
from productops.domain.development_plan_facts import CalendarCopy, Team
from productops.domain.release_windows import Interval
from productops.errors import NotFoundError
from productops.store.tables import DevelopmentTeamRow


class DevelopmentTeams:
    """Repository of teams within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, *, ventures: Collection[str] | None = None) -> list[Team]:
        """By name; ``ventures`` None: of all."""
        row = DevelopmentTeamRow
        query = select(row).order_by(row.name).execution_options(populate_existing=True)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        return [_team(each) for each in self._session.scalars(query)]

    def find(self, name: str) -> Team | None:
        """None when there is none of that name."""
        row = self._session.get(DevelopmentTeamRow, name, populate_existing=True)
        return _team(row) if row is not None else None

    def get(self, name: str) -> Team:
        """Raises: NotFoundError."""
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"there is no team {name[:80]!r}; declare it in the catalog (kind: Team) and apply it")
        return found

    def declared_in(self, bases: Collection[str]) -> list[str]:
        """Names of those that catalog files of these folders declared."""
        return list(self._session.scalars(select(DevelopmentTeamRow.name).where(DevelopmentTeamRow.base.in_(sorted(bases)))))

    def put(self, name: str, *, venture: str, spec: TeamSpec, base: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'. Copies of calendars that it still names stay."""
        document = spec.model_dump(mode="json")
        row = self._session.get(DevelopmentTeamRow, name)
        if row is None:
            self._session.add(
                DevelopmentTeamRow(
                    name=name, venture=venture, spec=document, base=base, revision=1, updated_at=now, calendars={}, calendars_revision=0
                )
            )
            self._session.flush()
            return "created"
        if (row.venture, row.spec, row.base) == (venture, document, base):
            return "unchanged"
        row.venture, row.spec, row.base, row.revision, row.updated_at = venture, document, base, row.revision + 1, now
        self._session.flush()
        return "changed"

    def remove(self, name: str) -> None:
        """Its plans stay."""
        self._session.execute(delete(DevelopmentTeamRow).where(DevelopmentTeamRow.name == name))

    def keep_calendars(self, team: Team, calendars: Mapping[str, CalendarCopy]) -> bool:
        """Put copies in the place of those ``team`` was read with. False when another did, or the team changed."""
        row = DevelopmentTeamRow
        found = self._session.get(row, team.name, populate_existing=True)
        if found is None or _copies(found.calendars) != dict(team.calendars):
            return False
        same = (row.name == team.name, row.revision == team.revision, row.calendars_revision == found.calendars_revision)
        values = {"calendars": _document(calendars), "calendars_revision": found.calendars_revision + 1}
        done: Any = self._session.execute(update(row).where(*same).values(**values).execution_options(synchronize_session=False))
        return bool(done.rowcount == 1)


def _team(row: DevelopmentTeamRow) -> Team:
    return Team(row.name, row.venture, TeamSpec.model_validate(row.spec), row.base, row.revision, _copies(row.calendars))


def _copies(document: Mapping[str, Any]) -> dict[str, CalendarCopy]:
    return {
        name: CalendarCopy(
            _at(each["read_at"]), _at(each["checked_at"]), each["etag"], each["error"],
            tuple(Interval(datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in each["times"]),
        )
        for name, each in document.items()
    }  # fmt: skip


def _document(calendars: Mapping[str, CalendarCopy]) -> dict[str, Any]:
    return {
        name: {
            "read_at": each.read_at.isoformat() if each.read_at else None,
            "checked_at": each.checked_at.isoformat() if each.checked_at else None, "etag": each.etag, "error": each.error,
            "times": [[time.starts_at.isoformat(), time.ends_at.isoformat()] for time in each.times],
        }
        for name, each in calendars.items()
    }  # fmt: skip


def _at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
