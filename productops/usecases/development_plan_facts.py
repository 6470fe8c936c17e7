"""Stored work of a venture, gathered for a plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from productops.domain.development import Feature, Link, Move, Person, Read, Sprint, Stage, WorkItem
from productops.domain.development_plan_facts import Facts, Team
from productops.errors import InvalidInputError
from productops.store import Unit

R = TypeVar("R", bound=Read)
HISTORY: Final = timedelta(days=730)
PAST_MAX: Final = 5_000
AT_ONCE: Final = 1_000


def gather(unit: Unit, venture: str, *, team: str = "", now: datetime) -> Facts:
    """All that is open, and what was done in two years. ``team``: the only one whose work it is.

    Raises: NotFoundError for an unknown team, InvalidInputError for one of another venture.
    """
    items = _all(unit, WorkItem, venture, stage=[stage for stage in Stage if stage is not Stage.DONE])
    done = [item for item in _all(unit, WorkItem, venture, since=now - HISTORY, stage=[Stage.DONE]) if item.done_at is not None]
    done = sorted(done, key=lambda item: item.done_at or now)[-PAST_MAX:]
    features = _all(unit, Feature, venture)
    links = [link for link in _all(unit, Link, venture) if link.kind == "blocks"]
    return Facts(
        venture=venture, now=now, items=tuple(items), done=tuple(done), features=tuple(features), links=tuple(links),
        moves=tuple(_all(unit, Move, venture, since=now - HISTORY, field="blocked")), people=tuple(_all(unit, Person, venture)),
        sprints=tuple(_all(unit, Sprint, venture, state=["future", "active"])), teams=_teams(unit, venture, team),
        renamed=_renamed(unit, items, done, features, links),
    )  # fmt: skip


def _all(unit: Unit, kind: type[R], venture: str, *, since: datetime | None = None, **equal: Any) -> list[R]:
    found: list[R] = []
    while True:
        after = found[-1].id if found else None
        page = unit.development.of(kind, ventures=[venture], changed_since=since, after=after, limit=AT_ONCE, **equal)
        found += page
        if len(page) < AT_ONCE:
            return found


def _teams(unit: Unit, venture: str, team: str) -> tuple[Team, ...]:
    if not team:
        return tuple(unit.development_teams.all(ventures=[venture]))
    found = unit.development_teams.get(team)
    if found.venture != venture:
        raise InvalidInputError(f"team {team} is of venture {found.venture}, not of {venture}")
    return (found,)


def _renamed(
    unit: Unit, items: Iterable[WorkItem], done: Iterable[WorkItem], features: Iterable[Feature], links: Iterable[Link]
) -> dict[tuple[str, str], str]:
    """What references lead to that are neither an id nor a key of now: things had other keys once."""
    items, done = list(items), list(done)
    known = {(t.source, name) for t in (*items, *done) for name in (t.key, t.external_id)}
    known_features = {(f.source, name) for f in features for name in (f.key, f.external_id)}
    work = {(i.source, i.parent) for i in items if i.parent} | {(k.source, end) for k in links for end in (k.item, k.to)}
    of_features = {(i.source, i.feature) for i in items if i.feature}
    return _led(unit, WorkItem, work - known) | _led(unit, Feature, of_features - known_features)


def _led(unit: Unit, kind: type[WorkItem | Feature], references: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    by_source: dict[str, list[str]] = defaultdict(list)
    for source, reference in references:
        by_source[source].append(reference)
    return {
        (source, reference): thing.external_id
        for source, wanted in by_source.items()
        for reference, thing in unit.development.referred(kind, source, wanted).items()
    }
