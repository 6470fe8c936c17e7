"""What names and properties a batch of usage events has: worked out once for many events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from productops.domain.analytics_events import AT, DAY_US, NAME, PROPERTIES, Row, day_of, moment

TYPES: Final[dict[type, str]] = {
    str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null", list: "array", dict: "object",
}  # fmt: skip
KEY_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Sighting:
    """How often something was seen, and from when to when."""

    events: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Sightings:
    """``names`` by name, ``days`` by name and day, ``properties`` by name, key and type."""

    names: Mapping[str, Sighting] = field(default_factory=dict)
    days: Mapping[tuple[str, date], int] = field(default_factory=dict)
    properties: Mapping[tuple[str, str, str], Sighting] = field(default_factory=dict)

    def renamed(self, known: Collection[str], other: str, names_max: int) -> Sightings:
        """With names that are too many as ``other``, without their properties."""
        room = max(0, names_max - len(known) - 1)
        kept = set(known) | set(sorted(set(self.names) - set(known))[:room])
        names: dict[str, Sighting] = {}
        for name, seen in self.names.items():
            place = name if name in kept else other
            names[place] = _both(names[place], seen) if place in names else seen
        days: Counter[tuple[str, date]] = Counter()
        for (name, day), events in self.days.items():
            days[name if name in kept else other, day] += events
        return Sightings(names, days, {place: seen for place, seen in self.properties.items() if place[0] in kept})

    def with_properties(self, known: Collection[tuple[str, str, str]], properties_max: int) -> Sightings:
        """Without properties that are too many."""
        room = max(0, properties_max - len(known))
        kept = set(known) | set(sorted(set(self.properties) - set(known))[:room])
        return Sightings(self.names, self.days, {place: seen for place, seen in self.properties.items() if place in kept})


def _both(one: Sighting, other: Sighting) -> Sighting:
    return Sighting(one.events + other.events, min(one.first_at, other.first_at), max(one.last_at, other.last_at))


def sightings_of(rows: Iterable[Row], loads: Callable[[str], Any]) -> Sightings:
    """What is in rows of one venture. ``loads`` reads JSON; all properties are one text for it, since a call for each takes longer."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    named, texts = [], []
    for row in rows:
        times[row[NAME]].append(row[AT])
        if row[PROPERTIES] != "{}":
            named.append(row[NAME])
            texts.append(row[PROPERTIES])
    names: dict[str, Sighting] = {}
    by_day: dict[tuple[str, date], int] = {}
    for name, all_at in times.items():
        names[name] = Sighting(len(all_at), moment(min(all_at)), moment(max(all_at)))
        for day, events in Counter(at // DAY_US for at in all_at).items():
            by_day[name, day_of(day * DAY_US)] = events
    properties = {
        (name, key[:KEY_CHARACTERS_MAX], kind): Sighting(events, names[name].first_at, names[name].last_at)
        for (name, key, kind), events in _kinds(named, loads(f"[{','.join(texts)}]")).items()
    }
    return Sightings(names, by_day, properties)


def _kinds(names: Sequence[str], objects: Sequence[dict[str, Any]]) -> Counter[tuple[str, str, str]]:
    """Events by name, property and its type. Events of a name mostly have the same properties, so those with the same are counted first."""
    shapes = Counter((name, tuple(found), tuple(map(type, found.values()))) for name, found in zip(names, objects, strict=True))
    kinds: Counter[tuple[str, str, str]] = Counter()
    for (name, keys, types), events in shapes.items():
        for key, kind in zip(keys, types, strict=True):
            kinds[name, key, TYPES.get(kind, "object")] += events
    return kinds
