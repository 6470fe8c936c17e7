"""The delivery figures of a venture or service in a window, each with its rows and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from productops.domain.development_dora import (
    CONFIDENCE_MIN,
    Deployment,
    Dora,
    Durations,
    Outcome,
    Share,
    Window,
    causes,
    dora,
)
from productops.errors import InvalidInputError
from productops.store import Unit
from productops.store.development_risk import KnownAttribution
from productops.usecases.context import Actor, Context
from productops.usecases.development_attribution import missing
from productops.usecases.development_dora_facts import Delivery, delivery
from productops.usecases.development_progress_facts import check_reader
from productops.usecases.monitoring_slo import budget_in

WINDOW = timedelta(days=90)
WINDOW_MAX = timedelta(days=3660)
ROWS_MAX = 500
HOW = {
    "lead_time": "From each commit to the first deployment to production that gave it to users and stayed; once for each commit and "
    "service. Merges and reverts have none; a squash counts with the commits of its branch.",
    "deployment_frequency": "Deployments that reached users, by the moment they had them. The name of the pace is that of Four Keys.",
    "change_failure_rate": "Deployments that were rolled back, or that an incident is attributed to, of all that reached users.",
    "failed_deployment_recovery_time": "From the moment users got a failed deployment until all its harm was over.",
    "rework_rate": "Deployments that were not planned, of all that reached users: reverts, hotfixes, and what went out while users were "
    "harmed by an earlier deployment of the service.",
    "time_to_restore_service": "From the beginning of each incident attributed to a deployment of the window to its end.",
    "reliability": "Objectives that users were promised and that are kept, each over its own window up to the end of this one, of all that "
    "were measured. The rows are those that are not kept.",
}
KEYS_2023 = ("deployment_frequency", "lead_time", "change_failure_rate", "time_to_restore_service")
KEYS_NOW = ("lead_time", "deployment_frequency", "failed_deployment_recovery_time", "change_failure_rate", "rework_rate", "reliability")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: ``values`` as JSON (units in the names), ``rows`` the ids it was made of, ``total`` how many there are of them."""

    name: str
    how: str
    values: dict[str, Any]
    rows: tuple[str, ...]
    total: int


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """A deployment of the window as the figures took it. ``incidents``: attributed to it, with people's corrections."""

    id: str
    service: str
    version: str
    sha: str | None
    finished_at: datetime
    outcome: str
    commits: int
    unplanned: bool
    incidents: tuple[str, ...]
    incidents_by_machine: tuple[str, ...]
    url: str


@dataclass(frozen=True, slots=True)
class DoraReport:
    """``people``: the figures as people have corrected the causes; ``machine``: as it attributes alone; ``overruled``: how many differ."""

    venture: str
    service: str | None
    since: datetime
    until: datetime
    at: datetime
    people: tuple[Figure, ...]
    machine: tuple[Figure, ...]
    overruled: int
    deployments: tuple[DeploymentRow, ...]
    attributions: tuple[KnownAttribution, ...]
    notes: tuple[str, ...]


def dora_report(
    context: Context,
    venture: str,
    *,
    service: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    actor: Actor,
) -> DoraReport:
    """By the moment of the deployment; default: the last 90 days. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    now = context.clock.now()
    window = Window(since or (until or now) - WINDOW, until or now)
    if not window.since < window.until or window.until - window.since > WINDOW_MAX:
        raise InvalidInputError(
            f"from {window.since.isoformat()} to {window.until.isoformat()} is no window: from lies before to, ten years at most"
        )
    with context.store.read() as unit:
        check_reader(actor, venture)
        unit.catalog.venture_id(venture)
        known = delivery(unit, venture, service=service, extra=missing(unit, venture, now=now))
        kept = _reliability(unit, venture, service, until=min(window.until, now))
    both = dora(known.facts, window)
    blamed = {False: causes(known.facts, people=False), True: causes(known.facts, people=True)}
    shipped = [each for each in known.facts.deployments if each.reached_users and each.finished_at in window]
    inside = {each.id for each in shipped}
    said = [each for each in known.attributions if each.deployment in inside or known.incidents[each.incident_id].opened_at in window]
    return DoraReport(
        venture=venture, service=service, since=window.since, until=window.until, at=now,
        people=(*_figures(both.people, shipped, blamed[True], window), kept),
        machine=(*_figures(both.machine, shipped, blamed[False], window), kept),
        overruled=both.overruled, deployments=tuple(_row(each, known, blamed) for each in shipped[-ROWS_MAX:]),
        attributions=tuple(said[:ROWS_MAX]), notes=_notes(known, shipped),
    )  # fmt: skip


def _figures(figures: Dora, shipped: Sequence[Deployment], blamed: Mapping[str, str], window: Window) -> tuple[Figure, ...]:
    ids = [each.id for each in shipped]
    failed = [each.id for each in shipped if each.outcome is Outcome.ROLLED_BACK or each.id in blamed.values()]
    delivered = [each.id for each in shipped if each.outcome is Outcome.LIVE and each.changes]
    harmed = [incident for incident, deployment in blamed.items() if deployment in set(ids)]
    frequency = figures.frequency
    pace = {"count": frequency.count, "per_day": round(frequency.per_day, 4), "bucket": frequency.bucket,
            "days": (window.until - window.since) / timedelta(days=1)}  # fmt: skip
    found = (
        ("lead_time", _durations(figures.lead_time) | {"deployments": len(delivered)}, delivered),
        ("deployment_frequency", pace, ids),
        ("change_failure_rate", _share(figures.change_failure_rate), failed),
        ("failed_deployment_recovery_time", _durations(figures.recovery_time), failed),
        ("rework_rate", _share(figures.rework_rate), [each.id for each in shipped if each.unplanned]),
        ("time_to_restore_service", _durations(figures.time_to_restore), harmed),
    )
    return tuple(Figure(name, HOW[name], values, tuple(rows[:ROWS_MAX]), len(rows)) for name, values, rows in found)


def _reliability(unit: Unit, venture: str, service: str | None, *, until: datetime) -> Figure:
    """Whether users got what they were promised."""
    mine = [each for each in unit.objectives.all(service=service) if each.venture == venture]
    budgets = [budget_in(unit, each, now=until) for each in mine]
    measured = [each for each in budgets if each.remaining_ratio is not None]
    missed = [each.objective.name for each in measured if each.spent]
    share = Share(len(measured) - len(missed), len(measured))
    return Figure("reliability", HOW["reliability"], _share(share), tuple(missed[:ROWS_MAX]), len(missed))


def _durations(durations: Durations) -> dict[str, Any]:
    return {
        "median_s": durations.seconds.median, "p90_s": durations.seconds.p90, "count": durations.seconds.count, "open": durations.open,
        "excluded": durations.excluded, "bucket": durations.bucket,
    }  # fmt: skip


def _share(share: Share) -> dict[str, Any]:
    return {"share": share.value, "part": share.part, "whole": share.whole}


def _row(each: Deployment, known: Delivery, blamed: Mapping[bool, Mapping[str, str]]) -> DeploymentRow:
    source = known.delivered[each.id]
    by_people, by_machine = (tuple(i for i, deployment in blamed[people].items() if deployment == each.id) for people in (True, False))
    return DeploymentRow(
        id=each.id, service=each.service, version=source.version, sha=source.sha, finished_at=each.finished_at, outcome=each.outcome.value,
        commits=len(each.changes), unplanned=each.unplanned, incidents=by_people, incidents_by_machine=by_machine, url=source.url,
    )  # fmt: skip


def _notes(known: Delivery, shipped: Sequence[Deployment]) -> tuple[str, ...]:
    """What the figures leave out, and why."""
    inside = {each.id for each in shipped}
    unknown, first = (len(inside & set(each)) for each in (known.unknown, known.first))
    found = []
    if unknown:
        found.append(
            f"of {unknown} of {len(shipped)} deployments nobody knows the commit, so they have no lead time: hand the commit in with the "
            "quality reports of a version, or read the repository's commits"
        )
    if first:
        found.append(f"{first} deployments are the first known of their service; what they brought cannot be told from what was there")
    if known.facts.attributions:
        found.append(f"an incident counts for a deployment from a confidence of {CONFIDENCE_MIN:g}, or by a person's word")
    return tuple(found)
