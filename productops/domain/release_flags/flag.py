"""A flag as stored, its revisions, and what was counted of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from productops.domain.catalog_flags import FlagSpec, FlagState, Live, Ramp, Segment
from productops.domain.release import Environment


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag at its newest revision. ``declared`` is what the catalog said last; None when it never did."""

    key: str
    venture: str
    state: FlagState
    declared: FlagSpec | None
    revision: int
    created_at: datetime
    updated_at: datetime

    @property
    def spec(self) -> FlagSpec:
        """What is declared of it, with the changes made at run time."""
        return self.state.spec


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of a flag that took effect: who, when, why, and the flag before (None: it was made) and after."""

    key: str
    revision: int
    action: str
    summary: str
    before: FlagState | None
    after: FlagState
    author: str
    origin: str
    reason: str
    release_id: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class FlagCount:
    """Evaluations of one variant within one minute. ``single``: asked for by its key; ``bulk``: as one of all flags."""

    key: str
    environment: Environment
    variant: str
    minute: datetime
    single: int
    bulk: int


@dataclass(frozen=True, slots=True)
class FlagUse:
    """When a flag was first and last evaluated in an environment."""

    key: str
    environment: Environment
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Exposure:
    """How far a flag has come in an environment, and who really got what.

    ``percent`` (0 to 100) and ``segments`` are the ramp's; ``evaluations`` counts answers by variant since ``since``, written every
    few seconds; ``measured_pct`` is the share of the ramped variant among them, None while nobody asked.
    """

    key: str
    environment: Environment
    revision: int
    killed: bool
    variant: str | None
    percent: float
    segments: tuple[Segment, ...]
    evaluations: Mapping[str, int]
    measured_pct: float | None
    since: datetime


def default_variant(spec: FlagSpec, environment: Environment) -> str:
    """Variant of everybody in ``environment`` whom no rule and no ramp names."""
    rules = spec.environments.get(environment)
    return (rules.default_variant if rules else None) or spec.default_variant


def reached(ramp: Ramp | None) -> str | None:
    """The variant that a ramp gives to everybody, if it does."""
    return ramp.variant if ramp is not None and ramp.percent >= 100 else None


def everybodys_variant(state: FlagState, environment: Environment) -> str | None:
    """The one variant that all users have there; None when users differ or the flag is not there."""
    if state.archived or environment not in state.spec.environments:
        return None
    live = state.live_in(environment)
    if live.killed:
        return state.spec.killed_variant
    if targeting_in(state.spec, environment) or _is_partial(live):
        return None
    return reached(live.ramp) or default_variant(state.spec, environment)


def targeting_in(spec: FlagSpec, environment: Environment) -> dict[str, object]:
    """The rules that hold in ``environment``."""
    own = spec.environments[environment].targeting if environment in spec.environments else None
    return spec.targeting if own is None else own


def _is_partial(live: Live) -> bool:
    ramp = live.ramp
    return ramp is not None and ramp.percent < 100 and (ramp.percent > 0 or bool(ramp.segments))
