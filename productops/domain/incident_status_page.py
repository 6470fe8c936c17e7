"""What users see of a venture's health: components, published incidents, uptime. Only what was published goes in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from productops.domain.catalog_oncall_telling import StatusPageSpec
from productops.domain.incident_updates import Harm, PublicUpdate, Word, worst

UPTIME_DAYS: Final = 90
SHOWN_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class UptimeDay:
    """Minutes of a day (UTC) with traffic, by whether users were served. ``until_minute``: counted up to there, in Unix minutes."""

    service: str
    day: date
    minutes_up: int
    minutes_down: int
    until_minute: int


@dataclass(frozen=True, slots=True)
class PublicDay:
    """A day of a component. ``ratio`` None: there was no traffic to tell by."""

    day: date
    ratio: float | None
    minutes_down: int


@dataclass(frozen=True, slots=True)
class PublicComponent:
    """Something users know by name. ``uptime`` of the last 90 days from 0 to 1; None without traffic."""

    name: str
    harm: Harm
    uptime: float | None
    days: tuple[PublicDay, ...]


@dataclass(frozen=True, slots=True)
class PublicWords:
    """One published word."""

    id: str
    word: Word
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PublicIncident:
    """An incident as it was published; ``updates`` newest first."""

    id: str
    title: str
    word: Word
    harm: Harm
    components: tuple[str, ...]
    began_at: datetime
    ended_at: datetime | None
    updates: tuple[PublicWords, ...]


@dataclass(frozen=True, slots=True)
class PublicPage:
    """The whole page. ``said`` is its one sentence."""

    name: str
    title: str
    description: str
    url: str
    harm: Harm
    said: str
    components: tuple[PublicComponent, ...]
    current: tuple[PublicIncident, ...]
    past: tuple[PublicIncident, ...]
    changed_at: datetime | None


_SAID: Final[Mapping[Harm, str]] = {
    Harm.OPERATIONAL: "All systems operational",
    Harm.DEGRADED: "Degraded performance",
    Harm.PARTIAL: "Partial outage",
    Harm.MAJOR: "Major outage",
}


def make_page(
    name: str, spec: StatusPageSpec, updates: Sequence[PublicUpdate], uptime: Iterable[tuple[str, UptimeDay]], *, today: date
) -> PublicPage:
    """The page of published words and counted minutes; nothing else is looked at."""
    incidents = _incidents(updates)
    current = tuple(each for each in incidents if each.word is not Word.RESOLVED)
    by_place: dict[tuple[str, str], dict[date, UptimeDay]] = {}
    for environment, day in uptime:
        by_place.setdefault((day.service, environment), {})[day.day] = day
    components = tuple(
        _component(each.name, current, by_place.get((each.service, each.environment.value), {}), today=today) for each in spec.components
    )
    harm = worst([each.harm for each in components] + [each.harm for each in current])
    return PublicPage(
        name, spec.title, spec.description, spec.url, harm, _SAID[harm], components, current,
        tuple(each for each in incidents if each.word is Word.RESOLVED), max((each.at for each in updates), default=None),
    )  # fmt: skip


def _incidents(updates: Sequence[PublicUpdate]) -> list[PublicIncident]:
    """One for each incident, the newest first; its title, components and state are those of its last word."""
    by_incident: dict[str, list[PublicUpdate]] = {}
    for each in sorted(updates, key=lambda u: (u.at, u.id), reverse=True):
        by_incident.setdefault(each.incident_id, []).append(each)
    return [_incident(told) for told in by_incident.values()]


def _incident(told: list[PublicUpdate]) -> PublicIncident:
    last = told[0]
    words = tuple(PublicWords(each.id, each.word, each.text, each.at) for each in told)
    over = last.word is Word.RESOLVED
    # Its id is that of the first word: ids of incidents inside are nobody's business.
    return PublicIncident(
        told[-1].id, last.title, last.word, Harm.OPERATIONAL if over else last.harm, last.components, told[-1].at,
        last.at if over else None, words,
    )  # fmt: skip


def _component(name: str, current: Sequence[PublicIncident], days: Mapping[date, UptimeDay], *, today: date) -> PublicComponent:
    harm = worst([each.harm for each in current if name in each.components])
    shown = tuple(_day(today - timedelta(days=back), days) for back in range(UPTIME_DAYS - 1, -1, -1))
    within = [each for each in days.values() if each.day > today - timedelta(days=UPTIME_DAYS)]
    up, down = sum(each.minutes_up for each in within), sum(each.minutes_down for each in within)
    return PublicComponent(name, harm, up / (up + down) if up + down else None, shown)


def _day(day: date, days: Mapping[date, UptimeDay]) -> PublicDay:
    found = days.get(day)
    minutes = found.minutes_up + found.minutes_down if found else 0
    return PublicDay(day, found.minutes_up / minutes if found and minutes else None, found.minutes_down if found else 0)
