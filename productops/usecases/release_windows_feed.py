"""The feed of a venture's environment: freezes, windows, and releases that are planned, run, or were lately."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from productops.domain.release import Environment, Phase, Release
from productops.domain.release_windows import BEHIND, Occurrence
from productops.domain.release_windows_feed import FeedEntry
from productops.usecases.context import Context
from productops.usecases.release_windows import find_opening, is_planned

AHEAD = timedelta(days=180)
RELEASES_MAX = 200
EVENTS_MAX = 2_000
_LONGEST = timedelta(hours=1)
_STATUS = {Phase.REQUESTED: "TENTATIVE", Phase.FAILED: "CANCELLED"}


def make_feed(context: Context, venture: str, environment: Environment) -> bytes:
    """The feed as an iCalendar file. Raises: NotFoundError, StoreUnavailableError."""
    from productops.adapters.calendar_writing import write_feed  # its library takes 0.1 s to load

    return write_feed(f"{venture} {environment}: changes", feed_entries(context, venture, environment))


def feed_entries(context: Context, venture: str, environment: Environment) -> list[FeedEntry]:
    """In order of time. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        unit.catalog.venture_id(venture)
        now = context.clock.now()
        calendars = unit.calendars.covering(venture, None, environment)
        changed_at = {c.name: c.state.changed_at or now for c in calendars}
        scopes = {c.name: ", ".join(c.services) or "all services" for c in calendars}
        events = unit.calendars.occurrences([c.name for c in calendars], after=now - BEHIND, before=now + AHEAD, limit=EVENTS_MAX)
        found = [_event(o, scopes[o.calendar], changed_at=changed_at[o.calendar]) for o in events]
        for release in unit.releases.newest(service=None, environment=environment, before=None, limit=RELEASES_MAX):
            if release.venture == venture and (release.ended_at or now) > now - BEHIND:
                opening = find_opening(unit, venture, release.service, environment, now=now).next_at if is_planned(release) else None
                found.append(_release(release, planned_at=opening, now=now))
    return sorted(found, key=lambda entry: (entry.starts_at, entry.uid))


def _event(occurrence: Occurrence, scope: str, *, changed_at: datetime) -> FeedEntry:
    stamp = f"{occurrence.starts_at:%Y%m%dT%H%M%SZ}"
    return FeedEntry(
        uid=f"{stamp}-{occurrence.calendar}-{occurrence.uid}@productops",
        title=f"{occurrence.effect.capitalize()}: {occurrence.title}",
        description=f"Calendar {occurrence.calendar}, for {scope}.",
        starts_at=occurrence.starts_at, ends_at=occurrence.ends_at, changed_at=changed_at,
        categories=(occurrence.effect.value, *occurrence.labels), status="CONFIRMED",
    )  # fmt: skip


def _release(release: Release, *, planned_at: datetime | None, now: datetime) -> FeedEntry:
    planned = is_planned(release)
    begins = planned_at or release.created_at
    longest = timedelta(seconds=sum(s.hold_s for s in release.steps) + float(release.plan.get("validate_s", 0.0)))
    ends = release.ended_at or max(begins + max(min(longest, _LONGEST * 24), timedelta(minutes=5)), begins if planned else now)
    return FeedEntry(
        uid=f"{release.id}@productops",
        title=" ".join(_title(release, planned=planned)),
        description=f"{release.title}, asked for by {release.requested_by}. Release {release.id}.",
        starts_at=begins, ends_at=max(ends, begins + timedelta(minutes=1)), changed_at=release.updated_at,
        categories=("release", release.phase.value), status=_STATUS.get(release.phase, "CONFIRMED"),
    )  # fmt: skip


def _title(release: Release, *, planned: bool) -> Iterator[str]:
    yield "Planned release:" if planned else "Release:"
    yield f"{release.service} {release.version}"
    if not planned:
        yield f"({release.phase.value.replace('_', ' ')})"
