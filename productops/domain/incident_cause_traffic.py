"""The traffic around an incident as arrays: what users felt, since when, on which version, and how much each service added to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from productops.domain.analysis import ArmSecond
from productops.domain.incident_cause_facts import ArmFacts, OnsetFacts, Symptom
from productops.stats.cause_graph import Excess
from productops.stats.cause_onset import ChangePoint, rise_of_ratio

Floats = NDArray[np.float64]
FLAG_ARM = "flag:"
USUAL_MIN = 50
SLOW_SHARE = 0.95
ONSET_NATS = 3.0
NOISE_MIN = {Symptom.FAILURES: 0.05, Symptom.SLOWNESS: 0.02}
BEFORE_S = 300
RECENT_S, STEP_S = 60, 20
USUAL_TIMES, USUAL_ADDED = 1.5, 0.01
LASTS_S, LASTS_SHARE = (3, 10), 0.3


@dataclass(frozen=True, slots=True, eq=False)
class ArmArrays:
    """One arm by second; all arrays have one element for each second of the window. ``waited_s``: seconds its users waited together."""

    requests: Floats
    failures: Floats
    slow: Floats
    answered: Floats
    waited_s: Floats

    def facts(self, begin: int, end: int) -> ArmFacts:
        """Sums over [begin, end)."""
        parts = (self.requests, self.failures, self.slow, self.answered)
        return ArmFacts(*(int(part[begin:end].sum()) for part in parts))


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Traffic of a service in [first_s, first_s + length), by arm. ``slow_ms``: what the slowest 5 % of answers usually exceed."""

    first_s: int
    length: int
    arms: Mapping[str, ArmArrays]
    slow_ms: float | None

    @property
    def versions(self) -> dict[str, ArmArrays]:
        """Without the arms that count users of flags a second time."""
        return {name: arm for name, arm in self.arms.items() if not name.startswith(FLAG_ARM)}

    def total(self, what: str) -> Floats:
        """Sum over versions of one quantity."""
        found = np.zeros(self.length)
        for arm in self.versions.values():
            found += getattr(arm, what)
        return found

    def place(self, at_s: float) -> int:
        """Index of a second, within the window."""
        return int(min(max(at_s - self.first_s, 0), self.length))


def traffic_of(arms: Mapping[str, Mapping[int, ArmSecond | None]], *, first_s: int, length: int, usual_s: Sequence[int]) -> Traffic:
    """Arrays of what the router counted; ``usual_s``: so many seconds at the beginning say what is usual.

    The first of them with requests enough counts: where it was restless for long, the calm just before has to do.
    """
    bounds = (_bound(_usual(arms, until_s=first_s + each)) for each in usual_s)
    slow_ms = next((bound for bound in bounds if bound is not None), None)
    return Traffic(first_s, length, {name: _arrays(seconds, first_s, length, slow_ms) for name, seconds in arms.items()}, slow_ms)


def _usual(arms: Mapping[str, Mapping[int, ArmSecond | None]], *, until_s: int) -> dict[float, int]:
    """Answers by their upper bound in milliseconds."""
    found: dict[float, int] = {}
    for name, seconds in arms.items():
        for at_s, second in seconds.items():
            if second is not None and not name.startswith(FLAG_ARM) and at_s < until_s:
                for upper, count in zip(second.latency.upper_ms, second.latency.counts, strict=True):
                    found[upper] = found.get(upper, 0) + count
    return found


def without_spells(
    arms: Mapping[str, Mapping[int, ArmSecond | None]], spells: Sequence[tuple[int, int]]
) -> dict[str, dict[int, ArmSecond | None]]:
    """Seconds without those in [begin, end) of each spell; what came before a spell moves up, so that no gap is left."""
    joined: list[list[int]] = []
    for begin, end in sorted(spells):
        if joined and begin <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])

    def moved(at_s: int) -> int | None:
        if any(begin <= at_s < end for begin, end in joined):
            return None
        return at_s + sum(end - begin for begin, end in joined if at_s < begin)

    return {name: {new: each for at_s, each in seconds.items() if (new := moved(at_s)) is not None} for name, seconds in arms.items()}


def _bound(usual: Mapping[float, int]) -> float | None:
    total = sum(usual.values())
    if total < USUAL_MIN:
        return None
    seen = 0
    for upper in sorted(usual):
        seen += usual[upper]
        if seen >= SLOW_SHARE * total:
            return upper
    return None


def _arrays(seconds: Mapping[int, ArmSecond | None], first_s: int, length: int, slow_ms: float | None) -> ArmArrays:
    columns = np.zeros((5, length))
    for at_s, second in seconds.items():
        place = at_s - first_s
        if second is None or not 0 <= place < length:
            continue
        latency = second.latency
        waited = sum(upper * count for upper, count in zip(latency.upper_ms, latency.counts, strict=True)) / 1000
        late = 0
        if slow_ms is not None:
            late = sum(count for upper, count in zip(latency.upper_ms, latency.counts, strict=True) if upper > slow_ms)
        columns[:, place] = (second.requests, second.failures, late, latency.total, waited)
    return ArmArrays(*columns)


def find_onset(
    traffic: Traffic, *, name: str, noticed_s: float | None = None, told: frozenset[Symptom] = frozenset()
) -> tuple[Symptom, OnsetFacts | None]:  # fmt: skip
    """What users felt, and since when; failures before slowness where both are sure.

    ``noticed_s``: when the first alert began. A rise shortly before it, from a level that is usual, is what was noticed, however much
    worse something was some minutes ago; and what was over by then is not. ``told``: what the alerts are about, where they say so.
    """
    found: list[tuple[bool, bool, Symptom, ChangePoint]] = []
    for symptom, bad, of in ((Symptom.FAILURES, "failures", "requests"), (Symptom.SLOWNESS, "slow", "answered")):
        events, trials = traffic.total(bad), traffic.total(of)
        place = traffic.place(noticed_s) if noticed_s is not None else None
        recent = _recent(events, trials, place - RECENT_S) if place is not None else None
        change = recent or rise_of_ratio(events, trials)
        if change is None or change.nats < ONSET_NATS or (place is not None and not _lasts(events, trials, change, place)):
            continue
        found.append((symptom in told, recent is not None, symptom, change))
    if not found:
        return Symptom.NONE, None
    _, _, symptom, change = max(found, key=lambda each: (each[0], each[1], each[3].nats))
    at, low, high = (float(traffic.first_s + place) for place in (change.index, change.low, change.high))
    return symptom, OnsetFacts(at, low, high, change.nats, f"{name} {symptom.value}", change.before, change.after)


def _lasts(events: Floats, trials: Floats, change: ChangePoint, noticed: int) -> bool:
    """Whether it was still going on when it was noticed, as far as there was traffic then."""
    around = slice(max(noticed - LASTS_S[0], change.index), max(noticed + LASTS_S[1], change.index + LASTS_S[1]))
    tried = trials[around].sum()
    if not tried:
        return True
    return bool(events[around].sum() / tried - change.before >= LASTS_SHARE * (change.after - change.before))


def _recent(events: Floats, trials: Floats, lately: int) -> ChangePoint | None:
    """A rise within the last seconds, from ``lately`` on; None without one, or where it had begun to get worse before."""
    change = rise_of_ratio(events[lately:], trials[lately:]) if lately > 0 else None
    if change is None or change.nats < ONSET_NATS:
        return None
    steps = range(0, lately + change.index - STEP_S + 1, STEP_S)
    shares = [events[at : at + STEP_S].sum() / trials[at : at + STEP_S].sum() for at in steps if trials[at : at + STEP_S].sum()]
    if not shares or change.before > USUAL_TIMES * float(np.median(shares)) + USUAL_ADDED:
        return None
    return replace(change, index=change.index + lately, low=change.low + lately, high=change.high + lately)


def windows(traffic: Traffic, onset_s: float) -> tuple[slice, slice]:
    """(before, after) the onset, as places in the arrays; a second on either side is left out for what was under way."""
    place = traffic.place(onset_s)
    counted = np.flatnonzero(traffic.total("requests"))
    first = int(counted[0]) if len(counted) else 0  # nothing was counted before: that is no time without traffic
    return slice(min(max(first, place - BEFORE_S), max(0, place - 1)), max(0, place - 1)), slice(min(place, traffic.length), traffic.length)


def excess_since(values: Floats, before: slice, after: slice, *, floor: float) -> Excess | None:
    """What came more a second since the onset than before it; None without both windows."""
    usual, since = values[before], values[after]
    if len(usual) < 5 or not len(since):
        return None
    # Single bad seconds of before are no reason to believe nothing: the scatter is that of the middle, with room for a heavy tail.
    scatter = 2.0 * 1.4826 * float(np.median(np.abs(usual - np.median(usual))))
    noise = min(float(np.std(usual)), max(scatter, floor)) / np.sqrt(len(since))
    return Excess(float(since.mean() - usual.mean()), max(noise, floor))
