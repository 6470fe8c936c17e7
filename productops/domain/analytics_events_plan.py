"""A tracking plan ready to be asked for each event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from productops.domain.catalog_analytics_events import PlannedEvent, PlannedProperty, TrackingPlanSpec

_KINDS: Final[dict[str, frozenset[type]]] = {
    "string": frozenset({str}), "number": frozenset({int, float}), "integer": frozenset({int}), "boolean": frozenset({bool}),
    "object": frozenset({dict}), "array": frozenset({list}), "time": frozenset({str, int, float}),
}  # fmt: skip


class RefusedEventError(Exception):
    """An event is not taken; the text says why, without what it holds."""


@dataclass(frozen=True, slots=True)
class _Property:
    kinds: frozenset[type] | None
    is_time: bool
    values: frozenset[Any] | None
    wanted: str


@dataclass(frozen=True, slots=True)
class ReadyEvent:
    """One event of the plan."""

    feature: str
    required: tuple[str, ...]
    known: Mapping[str, _Property]
    allowed: frozenset[str]
    personal: Mapping[str, Literal["hash", "drop"]]
    unknown: str


@dataclass(frozen=True, slots=True)
class ReadyPlan:
    """All of it. Without a plan everything is accepted, and texts are guarded."""

    spec: TrackingPlanSpec = field(default_factory=TrackingPlanSpec)
    events: Mapping[str, ReadyEvent] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: TrackingPlanSpec) -> ReadyPlan:
        """The plan of a spec."""
        return cls(spec, {each.name: _ready(each, spec) for each in spec.events})

    def check(self, name: str, properties: dict[str, Any]) -> ReadyEvent | None:
        """What the plan says of an event that is in it, after a look at its properties; those that are dropped are taken out.

        Raises: RefusedEventError.
        """
        event = self.events.get(name)
        if event is None:
            if self.spec.unknown_events == "refuse" and name[0] != "$":
                raise RefusedEventError(f"the tracking plan has no event {name[:80]!r}")
            return None
        for key in event.required:
            if properties.get(key) is None:
                raise RefusedEventError(f"the property {key!r} is missing")
        if event.known or event.unknown != "accept":
            _check_properties(event, properties)
        return event

    def drops(self, name: str) -> bool:
        """Whether an event is answered as accepted and not kept."""
        return self.spec.unknown_events == "drop" and name not in self.events and name[0] != "$"


def _check_properties(event: ReadyEvent, properties: dict[str, Any]) -> None:
    for key in list(properties):
        known = event.known.get(key)
        if known is not None:
            _check_value(key, properties[key], known)
        elif event.unknown == "refuse":
            raise RefusedEventError(f"the tracking plan has no property {key[:80]!r}")
        elif event.unknown == "drop":
            del properties[key]


def _check_value(key: str, value: Any, known: _Property) -> None:
    if value is None:
        return
    if known.kinds is not None and type(value) not in known.kinds and not (known.wanted == "integer" and _is_whole(value)):
        raise RefusedEventError(f"the property {key!r} has to be of type {known.wanted}")
    if known.is_time and isinstance(value, str) and not _is_time(value):
        raise RefusedEventError(f"the property {key!r} has to be a time in ISO 8601")
    if known.values is not None and (type(value) not in {str, int, float, bool} or (type(value) is bool, value) not in known.values):
        raise RefusedEventError(f"the property {key!r} has none of the values of the tracking plan")


def _is_whole(value: Any) -> bool:
    return type(value) is float and value.is_integer()


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _ready(event: PlannedEvent, spec: TrackingPlanSpec) -> ReadyEvent:
    return ReadyEvent(
        feature=event.feature,
        required=tuple(each.name for each in event.properties if each.required),
        known={each.name: _property(each) for each in event.properties},
        allowed=frozenset(each.name for each in event.properties if each.personal == "allow"),
        personal={each.name: each.personal for each in event.properties if each.personal in {"hash", "drop"}},
        unknown=event.unknown_properties or spec.unknown_properties,
    )


def _property(each: PlannedProperty) -> _Property:
    # Python holds True for 1.
    values = frozenset((type(value) is bool, value) for value in each.values) if each.values else None
    return _Property(_KINDS.get(each.type), each.type == "time", values, each.type)
