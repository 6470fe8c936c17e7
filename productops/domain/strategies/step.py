"""One step of a rollout, whatever the strategy: who gets the candidate, for how long, on how many instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

SegmentKind = Literal["header", "cookie", "region", "attribute"]


@dataclass(frozen=True, slots=True)
class Segment:
    """Some of the users, told apart by what their requests carry, and the share of them (percent) that gets the candidate.

    ``name`` is the header, cookie or attribute (empty for a region). Any of ``values`` matches; without values its presence does.
    """

    kind: SegmentKind
    name: str
    values: tuple[str, ...] = ()
    pct: int = 100

    @property
    def key(self) -> tuple[str, str, tuple[str, ...]]:
        """Identity without the share: a later step with the same key replaces an earlier one."""
        return (self.kind, self.name, self.values)

    @property
    def title(self) -> str:
        """What a person calls these users."""
        who = " ".join(word for word in (self.kind, self.name) if word)
        named = f"{who} {' or '.join(self.values)}" if self.values else who
        return named if self.pct == 100 else f"{self.pct} % of {named}"


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copy of users' requests for the candidate, whose answers nobody gets.

    ``pct`` (0 to 100) of the requests with one of ``methods`` are copied, ``in_flight_max`` of them may wait for an answer at a time.
    ``compare_per_s`` of them are asked again, of both versions, and the answers compared; 0: none.
    """

    pct: float
    methods: tuple[str, ...] = ("GET", "HEAD")
    in_flight_max: int = 50
    compare_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Instances around one step: ``baseline_before`` are left when the candidate's start, ``baseline_after`` once it has its share."""

    candidate: int
    baseline_before: int
    baseline_after: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a rollout: the candidate's share of requests, for how long (seconds), and whether it is judged.

    ``header_only`` routes nobody but requests with the test header to the candidate (weight 0). ``segments`` get the candidate whatever
    the weight of all others. With ``mirror`` nobody gets it, copies of their requests do. ``batch`` replaces instances in this step.
    ``flag_pct`` is the share of users (percent) for whom the release's flag is on. ``label`` is what a person calls this step.
    """

    weight_pct: int
    hold_s: float
    header_only: bool = False
    segments: tuple[Segment, ...] = ()
    mirror: Mirror | None = None
    batch: Batch | None = None
    flag_pct: float | None = None
    label: str = ""

    @property
    def title(self) -> str:
        """What a person calls this step."""
        if self.label:
            return self.label
        return "test by header" if self.header_only else f"{self.weight_pct} %"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; what has its default is left out, but for the three fields every step has."""
        plain = asdict(self)
        always = {"weight_pct", "hold_s", "header_only"}
        return {f.name: plain[f.name] for f in fields(self) if f.name in always or getattr(self, f.name) != f.default}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Step:
        """Read ``to_dict``'s form, also after JSON made lists of tuples."""
        values = dict(plain)
        values["segments"] = segments_from(values.get("segments", ()))
        values["mirror"] = mirror_from(values.get("mirror"))
        if values.get("batch") is not None:
            values["batch"] = Batch(**values["batch"])
        return cls(**values)


def segments_from(plain: Any) -> tuple[Segment, ...]:
    """Segments of their stored form; ``None`` is none."""
    return tuple(Segment(**{**each, "values": tuple(each.get("values", ()))}) for each in plain or ())


def mirror_from(plain: Mapping[str, Any] | None) -> Mirror | None:
    """A mirror of its stored form."""
    return None if plain is None else Mirror(**{**plain, "methods": tuple(plain["methods"])})
