"""Teams as the catalog declares them, and copies of the calendars of their absences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from productops.domain.catalog_team import TeamEntry
from productops.domain.catalog_windows import Effect, FileSource, UrlSource
from productops.domain.development_plan_facts import HOLIDAYS, CalendarCopy, Team
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.release_windows import AHEAD, BEHIND, CalendarState, ChangeCalendar, Interval
from productops.errors import CalendarError, CalendarSourceError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.release_windows_refresh import Sources

KIND: Final = "Team"
FILES_EVERY: Final = timedelta(minutes=1)
RETRY_AFTER: Final = timedelta(minutes=1)
FileOrUrl = FileSource | UrlSource


@dataclass(frozen=True, slots=True)
class DeclaredTeam:
    """A catalog entry and the folder it came from."""

    entry: TeamEntry
    base: str


def put_teams(
    unit: Unit, declared: Sequence[DeclaredTeam], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:  # fmt: skip
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Raises: NotFoundError for a venture that does not exist.
    """
    outcomes: list[tuple[str, str, str]] = []
    for each in declared:
        name, venture = each.entry.metadata.name, each.entry.metadata.venture
        unit.catalog.venture_id(venture)
        before = _stored(unit, name)
        outcome = unit.development_teams.put(name, venture=venture, spec=each.entry.spec, base=each.base, now=now)
        outcomes.append((KIND, name, outcome))
        if outcome != "unchanged":
            _audit(unit, f"catalog.{outcome}", name, before=before, actor=actor, now=now)
    kept = {name for _, name, _ in outcomes}
    for name in unit.development_teams.declared_in(bases):
        if name not in kept:
            before = _stored(unit, name)
            unit.development_teams.remove(name)
            outcomes.append((KIND, name, "removed"))
            _audit(unit, "catalog.removed", name, before=before, actor=actor, now=now)
    return outcomes


def _stored(unit: Unit, name: str) -> dict[str, Any] | None:
    found = unit.development_teams.find(name)
    return {"venture": found.venture} | found.spec.model_dump(mode="json") if found else None


def _audit(unit: Unit, action: str, name: str, *, before: dict[str, Any] | None, actor: Actor, now: datetime) -> None:
    unit.audit.add(action, f"{KIND}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=_stored(unit, name))


def list_teams(context: Context, *, actor: Actor, venture: str | None = None) -> list[Team]:
    """Those the caller may see, by name. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.DEVELOPMENT_READ)
    with context.store.read() as unit:
        found = unit.development_teams.all(ventures=seen)
    return [team for team in found if venture in {None, team.venture}]


def refresh_absences(context: Context, venture: str, *, sources: Sources | None, actor: Actor) -> list[str]:
    """Look at the calendars of a venture's teams whose time has come; returns what could not be had. The last good copies stay.

    Without ``sources`` (a program that must not fetch) nothing is read. Raises: ForbiddenError, StoreUnavailableError.
    """
    actor.check(Operation.DEVELOPMENT_PLAN, venture=venture)
    if sources is None:
        return []
    with context.store.read() as unit:
        teams = unit.development_teams.all(ventures=[venture])
    failed: list[str] = []
    for team in teams:
        wanted = calendars_of(team)
        now = context.clock.now()
        copies = {name: copy for name, copy in team.calendars.items() if name in wanted}
        for name, source in wanted.items():
            if _is_due(copies.get(name), source, now):
                copies[name] = _read(team, name, source, sources, now=now)
        failed += [f"team {team.name}, {name}: {copy.error}" for name, copy in copies.items() if copy.error]
        if copies != dict(team.calendars):
            _keep(context, team, copies, actor=actor, now=now)
    return failed


def calendars_of(team: Team) -> dict[str, FileOrUrl]:
    """The iCalendar sources of a team by their name in its copies."""
    found = {f"person/{person.id}": person.absence_calendar for person in team.spec.people}
    found[HOLIDAYS] = team.spec.holiday_calendar
    return {name: source for name, source in found.items() if source is not None}


def _is_due(copy: CalendarCopy | None, source: FileOrUrl, now: datetime) -> bool:
    if copy is None or copy.checked_at is None:
        return True
    if copy.error:
        return now - copy.checked_at >= RETRY_AFTER
    every = timedelta(seconds=source.refresh_s) if isinstance(source, UrlSource) else FILES_EVERY
    return now - copy.checked_at >= every


def _read(team: Team, name: str, source: FileOrUrl, sources: Sources, *, now: datetime) -> CalendarCopy:
    """A new copy, or the last one with what went wrong. No ETag is sent: times are worked out anew from the whole calendar."""
    from productops.adapters.calendar_files import read_occurrences  # its libraries take 0.2 s to load

    before = team.calendars.get(name, CalendarCopy())
    title, zone = f"{team.name} {name}", team.spec.timezone
    asked = ChangeCalendar(
        title, "Calendar", team.venture, Effect.FREEZE, (), (), zone, {}, {"source": source.model_dump(mode="json")}, team.base, 1,
        CalendarState(),
    )  # fmt: skip
    try:
        content = sources.read(asked).content
        if content is None:
            raise CalendarSourceError("its address says that nothing changed, but nothing was asked that could have")
        found = read_occurrences(content, name=title, effect=Effect.FREEZE, timezone=zone, starts_at=now - BEHIND, ends_at=now + AHEAD)
    except (CalendarSourceError, CalendarError) as error:
        return replace(before, checked_at=now, error=str(error).replace("\x00", "")[:2000])
    return CalendarCopy(now, now, "", "", tuple(Interval(each.starts_at, each.ends_at) for each in found))


def _keep(context: Context, team: Team, copies: Mapping[str, CalendarCopy], *, actor: Actor, now: datetime) -> None:
    """Only other times, and the first of several failures, are news for the audit log."""
    with context.store.write() as unit:
        if not unit.development_teams.keep_calendars(team, copies):
            return
        before, after = _told(team.calendars), _told(copies)
        if before != after:
            unit.audit.add(
                "development.absences_read", f"{KIND}/{team.name}", actor=actor.name, origin=actor.origin, now=now,
                detail={"venture": team.venture}, before=before, after=after,
            )  # fmt: skip


def _told(copies: Mapping[str, CalendarCopy]) -> dict[str, Any]:
    return {name: {"times": len(copy.times), "error": copy.error} for name, copy in sorted(copies.items())}
