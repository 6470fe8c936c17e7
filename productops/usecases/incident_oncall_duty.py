"""Who takes calls by a schedule, and how a person is reached: for those who are within a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from productops.domain.incident_oncall import OnDuty, Schedule, on_duty, shifts_of
from productops.store import Unit

_YEAR: Final = timedelta(days=365)


def duty_of(unit: Unit, schedule: Schedule, at: datetime) -> OnDuty:
    """Who takes calls by a schedule, since when, and who is next."""
    overrides = unit.oncall.overrides(schedule.name, since=at - timedelta(days=30), until=at + _YEAR)
    now = on_duty(schedule.spec, overrides, at=at)
    for reach in (timedelta(days=15), _YEAR):
        ahead = shifts_of(schedule.spec, overrides, since=at, until=at + reach)
        mine = ahead[0] if ahead and now is not None else None
        later = next((shift for shift in ahead if shift.starts_at > at and (mine is None or shift.person != mine.person)), None)
        if later is not None:
            break
    back = shifts_of(schedule.spec, overrides, since=at - timedelta(days=15), until=at + timedelta(seconds=1))
    person = schedule.spec.person(now.person) if now else None
    until = mine.ends_at if mine else (ahead[0].starts_at if ahead else None)
    return OnDuty(
        schedule.name, now.person if now else None, person.called if person else "", now.layer if now else "",
        back[-1].starts_at if now and back else at, until if until is None or until < at + _YEAR else None, later.person if later else None,
    )  # fmt: skip


def people_reached(unit: Unit, venture: str, person: str) -> tuple[str, Sequence[str]]:
    """What somebody is called, and the channels that reach them, by any schedule of the venture."""
    for schedule in unit.oncall.all(Schedule, ventures={venture}):
        found = schedule.spec.person(person)
        if found is not None and found.channels:
            return found.called, found.channels
    return person, ()
