"""The four keys of 2023 and the five of today, by their definitions: pure functions over deployments, changes, incidents, attributions.

Every figure belongs to a window [since, until) by the moment of the deployment. What was found out later about a deployment (an incident
after the window) still counts for it, so a figure of a past window changes by new knowledge only, never by moving the window.
Source: DORA, "DORA's software delivery performance metrics" and "A history of DORA's software delivery metrics"; the reports of 2023, 2024.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from productops.stats.dora import DAILY_DAYS_A_WEEK, Percentiles, deploying_weeks, percentiles


class Outcome(StrEnum):
    """What became of a deployment. NEVER_LIVE: users never saw it, so it is no deployment to production."""

    LIVE = "live"
    ROLLED_BACK = "rolled_back"
    NEVER_LIVE = "never_live"


@dataclass(frozen=True, slots=True)
class Change:
    """A commit or merged change. ``reverts``: the id of the change it takes back; None for one of its own."""

    id: str
    committed_at: datetime
    reverts: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One version reaching the users of a service in production.

    ``finished_at``: users got it. ``recovered_at``: users got the older version back, for one that was rolled back. ``changes``: ids of
    the changes it brought. ``unplanned``: made to mend what users were harmed by (a hotfix, a roll-forward, a revert).
    """

    id: str
    service: str
    started_at: datetime
    finished_at: datetime
    outcome: Outcome
    changes: tuple[str, ...] = ()
    unplanned: bool = False
    recovered_at: datetime | None = None

    @property
    def reached_users(self) -> bool:
        """Whether it counts at all."""
        return self.outcome is not Outcome.NEVER_LIVE


@dataclass(frozen=True, slots=True)
class Incident:
    """Harm to users. ``resolved_at`` None: it still goes on. ``duplicate_of``: the incident it was merged into."""

    id: str
    opened_at: datetime
    resolved_at: datetime | None = None
    duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class Attribution:
    """An incident was caused by a deployment (None: by none), with a confidence in [0, 1]; a person's word is final."""

    incident: str
    deployment: str | None
    confidence: float
    by_person: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of a service or venture; ``attributions`` may contradict each other, see ``causes``."""

    deployments: tuple[Deployment, ...] = ()
    changes: tuple[Change, ...] = ()
    incidents: tuple[Incident, ...] = ()
    attributions: tuple[Attribution, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """From ``since`` (included) to ``until`` (not)."""

    since: datetime
    until: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.since <= moment < self.until


@dataclass(frozen=True, slots=True)
class Share:
    """``part`` of ``whole``; ``value`` None when there is no whole: no data is no zero."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """In [0, 1]."""
        return self.part / self.whole if self.whole else None


@dataclass(frozen=True, slots=True)
class Frequency:
    """``count`` deployments, ``per_day``, and the ``bucket``: on_demand, daily, weekly, monthly, less, none."""

    count: int
    per_day: float
    bucket: str


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds: count, median and 90th percentile. ``open``: not ended yet. ``excluded``: ended before it began, so a clock is wrong."""

    seconds: Percentiles
    open: int = 0
    excluded: int = 0

    @property
    def bucket(self) -> str:
        """Of the median: hour, day, week, month, half_year, longer, or none."""
        limits = (("hour", 3600), ("day", 86400), ("week", 7 * 86400), ("month", 30 * 86400), ("half_year", 182 * 86400))
        if self.seconds.median is None:
            return "none"
        return next((name for name, limit in limits if self.seconds.median < limit), "longer")


@dataclass(frozen=True, slots=True)
class Dora:
    """The five of today, and of 2023 the time to restore service, which was measured from the incident and not from the deployment."""

    lead_time: Durations
    frequency: Frequency
    change_failure_rate: Share
    recovery_time: Durations
    rework_rate: Share
    time_to_restore: Durations


@dataclass(frozen=True, slots=True)
class BothDora:
    """The figures as the machine attributes alone, and as people have corrected it; ``overruled``: incidents they decided otherwise."""

    machine: Dora
    people: Dora
    overruled: int


CONFIDENCE_MIN = 0.5


def dora(facts: Facts, window: Window, *, confidence_min: float = CONFIDENCE_MIN) -> BothDora:
    """Both figures of a window. Attributions below ``confidence_min`` count for nobody, unless a person made them."""
    machine = causes(facts, people=False, confidence_min=confidence_min)
    people = causes(facts, people=True, confidence_min=confidence_min)
    overruled = sum(machine.get(each.id) != people.get(each.id) for each in facts.incidents)
    return BothDora(_figures(facts, window, machine), _figures(facts, window, people), overruled)


def causes(facts: Facts, *, people: bool, confidence_min: float = CONFIDENCE_MIN) -> dict[str, str]:
    """Incident → the one deployment that caused it; merged duplicates are left out, their attributions count for the one they went into.

    The newest word of a person decides (where ``people``); otherwise the surest attribution. None is blamed for being the last one.
    """
    home = {each.id: _root(each, {other.id: other for other in facts.incidents}) for each in facts.incidents}
    said: dict[str, list[Attribution]] = {}
    for attribution in facts.attributions:
        if attribution.incident in home and (people or not attribution.by_person):
            said.setdefault(home[attribution.incident], []).append(attribution)
    found = {}
    for incident, each in said.items():
        words = [one for one in each if one.by_person]
        dated = [one for one in words if one.at is not None]
        best = (max(dated, key=_moment) if dated else words[-1]) if words else max(each, key=lambda one: one.confidence)
        if best.deployment is not None and (best.by_person or best.confidence >= confidence_min):
            found[incident] = best.deployment
    return found


def _moment(attribution: Attribution) -> float:
    return attribution.at.timestamp() if attribution.at is not None else 0.0


def _root(incident: Incident, known: dict[str, Incident]) -> str:
    seen = {incident.id}
    while incident.duplicate_of in known and incident.duplicate_of not in seen:
        incident = known[incident.duplicate_of]
        seen.add(incident.id)
    return incident.id


def _figures(facts: Facts, window: Window, blamed: dict[str, str]) -> Dora:
    shipped = [each for each in _once(facts.deployments) if each.reached_users and each.finished_at in window]
    incidents = {each.id: each for each in facts.incidents}
    harmed: dict[str, list[Incident]] = {}
    for incident, deployment in blamed.items():
        harmed.setdefault(deployment, []).append(incidents[incident])
    failed = [each for each in shipped if each.id in harmed or each.outcome is Outcome.ROLLED_BACK]
    return Dora(
        lead_time=lead_time(facts.deployments, facts.changes, window),
        frequency=frequency(shipped, window),
        change_failure_rate=Share(len(failed), len(shipped)),
        recovery_time=_durations((each.finished_at, _recovered(each, harmed.get(each.id, []))) for each in failed),
        rework_rate=Share(sum(each.unplanned for each in shipped), len(shipped)),
        time_to_restore=_durations((one.opened_at, one.resolved_at) for each in shipped for one in harmed.get(each.id, [])),
    )


def _once(deployments: Iterable[Deployment]) -> list[Deployment]:
    """Each id once (a webhook may tell of it twice), in the order in which users got them."""
    return sorted({each.id: each for each in deployments}.values(), key=lambda each: (each.finished_at, each.id))


def frequency(shipped: Sequence[Deployment], window: Window) -> Frequency:
    """How often users got something, with its bucket; days and weeks without a deployment count.

    ``on_demand``: several a day on the median day with one, and daily otherwise. Source: Four Keys, "How we calculate the metrics".
    """
    days = [each.finished_at.toordinal() for each in shipped]
    length = (window.until - window.since) / timedelta(days=1)
    per_day = len(days) / length if length > 0 else 0.0
    if not days:
        return Frequency(0, 0.0, "none")
    weeks = deploying_weeks(days, first_day=window.since.toordinal(), days_in_window=int(length))
    in_a_week = percentiles(weeks).median or 0.0
    if in_a_week >= DAILY_DAYS_A_WEEK:
        busy = percentiles([days.count(day) for day in set(days)]).median or 0.0
        return Frequency(len(days), per_day, "on_demand" if busy > 1 else "daily")
    if in_a_week >= 1:
        return Frequency(len(days), per_day, "weekly")
    return Frequency(len(days), per_day, "monthly" if per_day * 30 >= 1 else "less")


def lead_time(deployments: Iterable[Deployment], changes: Iterable[Change], window: Window) -> Durations:
    """From each commit to the first deployment that gave it to users and stayed; once for each change and service.

    A version that is deployed again brings nothing new; one that was rolled back did not deliver. A revert takes back what was
    delivered, so it has no lead time (it shows in the rework rate). A commit from after its deployment is a wrong clock: excluded.
    """
    known = {each.id: each for each in changes}
    first: dict[tuple[str, str], Deployment] = {}
    for deployment in _once(deployments):
        if deployment.outcome is Outcome.LIVE:
            for change in deployment.changes:
                first.setdefault((deployment.service, change), deployment)
    pairs = [
        (known[change].committed_at, deployment.finished_at)
        for (_, change), deployment in first.items()
        if change in known and known[change].reverts is None and deployment.finished_at in window
    ]
    return _durations(pairs)


def _recovered(deployment: Deployment, incidents: Sequence[Incident]) -> datetime | None:
    """When all harm of it was over; None while any goes on. A deployment with several incidents recovers once."""
    ends: list[datetime | None] = [each.resolved_at for each in incidents]
    if deployment.outcome is Outcome.ROLLED_BACK and (deployment.recovered_at is not None or not ends):
        ends.append(deployment.recovered_at)
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _durations(pairs: Iterable[tuple[datetime, datetime | None]]) -> Durations:
    every = list(pairs)
    ended = [(end - begin).total_seconds() for begin, end in every if end is not None]
    return Durations(percentiles([each for each in ended if each >= 0]), len(every) - len(ended), sum(each < 0 for each in ended))


def reliability(objectives: Iterable[tuple[float, float]]) -> Share:
    """How many service level objectives were kept, of (measured, target) pairs. Source: DORA 2023, "meeting or exceeding its targets"."""
    kept = [measured >= target for measured, target in objectives]
    return Share(sum(kept), len(kept))
