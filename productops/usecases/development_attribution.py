"""Which deployment caused an incident: worked out by evidence, kept with it, and overruled by people who know better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from productops.domain.development_dora import Attribution, Deployment, Outcome
from productops.domain.development_dora_attribution import LOOK_BACK, Harm, Traffic, attribute
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.release import Environment
from productops.errors import ConflictError, InvalidInputError, NotFoundError
from productops.stats.change_points import find_steps
from productops.store import Unit
from productops.store.development_dora import KnownIncident
from productops.store.development_risk import KnownAttribution
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.development_dora_facts import Delivered, delivered_of
from productops.usecases.release_summary import arm_summaries

MACHINE_NAME = "productops"
JUDGED = 0.95
"""How sure it is when the judge of a release, or its lease, opened the incident itself."""
NAMED = 0.7
"""How sure it is at least when whoever reported it named the version."""
BUCKET_S = 10
BEFORE = timedelta(hours=1)
AFTER = timedelta(minutes=5)
SHARE_FLOOR = 0.001


@dataclass(frozen=True, slots=True)
class Found:
    """What the machine says of an incident: one for each suspect, the surest first; a single one without deployment when there is none."""

    incident: KnownIncident
    attributions: tuple[KnownAttribution, ...]


def attribute_incidents(context: Context, venture: str, *, actor: Actor, since: datetime | None = None) -> list[Found]:
    """Work out the causes of incidents (default: of the last 90 days) anew and keep what changed. What people said stays.

    Raises: NotFoundError, ForbiddenError, StoreUnavailableError.
    """
    with context.store.write() as unit:
        unit.catalog.venture_id(venture)
        actor.check(Operation.DEVELOPMENT_SYNC, venture=venture)
        now = context.clock.now()
        found = work_out(unit, venture, since=since or now - timedelta(days=90), now=now)
        changed = [each for each in found if _keep(unit, each, now=now)]
        for each in changed:
            best = each.attributions[0]
            detail = {"incident": each.incident.id, "deployment": best.deployment, "confidence": round(best.confidence, 4)}
            unit.audit.add(
                "incident.attributed", f"incident/{each.incident.id}", actor=actor.name, origin=actor.origin, now=now, detail=detail
            )
    return changed


def work_out(unit: Unit, venture: str, *, since: datetime, now: datetime) -> list[Found]:
    """The causes of the incidents that were opened since; nothing is written."""
    incidents = [each for each in unit.development_dora.incidents(venture) if each.opened_at >= since]
    if not incidents:
        return []
    deliveries = delivered_of(unit, venture)
    depends = _dependencies(unit, venture)
    return [_cause(unit, venture, incident, deliveries, depends, now=now) for incident in incidents]


def _dependencies(unit: Unit, venture: str) -> dict[str, frozenset[str]]:
    """For each service all that it calls, directly or not."""
    direct = {service.name: set(service.spec.depends_on) for service in unit.catalog.services(ventures=[venture])}
    found: dict[str, frozenset[str]] = {}
    for name, near in direct.items():
        met: set[str] = set()
        waiting = list(near)
        while waiting:
            at = waiting.pop()
            if at not in met:
                met.add(at)
                waiting += direct.get(at, ())
        found[name] = frozenset(met - {name})
    return found


def _cause(
    unit: Unit,
    venture: str,
    incident: KnownIncident,
    deliveries: Sequence[Delivered],
    depends: Mapping[str, frozenset[str]],
    *,
    now: datetime,
) -> Found:
    point = _change_point(unit, incident)
    began = min(point, incident.opened_at) if point is not None else incident.opened_at
    near = [each for each in deliveries if began - LOOK_BACK <= each.started_at <= began]
    suspects = [Deployment(d.id, d.service, d.started_at, d.finished_at, d.outcome, recovered_at=d.recovered_at) for d in near]
    counted = {each.id: seen for each in near if (seen := _traffic(unit, each)) is not None}
    said = attribute(Harm(incident.id, began, incident.services, point), suspects, traffic=counted, depends_on=depends, at=now)
    raised = _with_trace(said, incident, deliveries)
    if not raised:
        why = f"nothing that users got in the {LOOK_BACK.days} days before touches {', '.join(incident.services) or 'what is harmed'}"
        return Found(incident, (_known(venture, Attribution(incident.id, None, 1.0, at=now), why, {}, now=now),))
    told = {each.id: each for each in deliveries}
    return Found(
        incident, tuple(_known(venture, each, *_evidence(each, told, counted, incident, began, point), now=now) for each in raised)
    )  # fmt: skip


def _with_trace(said: Sequence[Attribution], incident: KnownIncident, deliveries: Sequence[Delivered]) -> list[Attribution]:
    """What the release's own judge found is evidence of its traffic; a version that the reporter named is a hint."""
    traced = f"release/{incident.release_id}" if incident.release_id else None
    least = JUDGED if incident.detection in {"verdict", "lease"} else NAMED
    mine = next((each for each in deliveries if each.id == traced and each.outcome is not Outcome.NEVER_LIVE), None)
    if mine is None:
        return [each for each in said if each.confidence > 0]
    own = next((each for each in said if each.deployment == traced), Attribution(incident.id, traced, 0.0))
    own = replace(own, confidence=max(own.confidence, least))
    rest = [replace(each, confidence=min(each.confidence, 1 - own.confidence)) for each in said if each.deployment != traced]
    return sorted([own, *(each for each in rest if each.confidence > 0)], key=lambda each: -each.confidence)


def _known(venture: str, each: Attribution, reason: str, evidence: dict[str, Any], *, now: datetime) -> KnownAttribution:
    return KnownAttribution(
        id=str(new_id()), venture=venture, incident_id=each.incident, deployment=each.deployment, confidence=round(each.confidence, 6),
        by_person=False, by=MACHINE_NAME, reason=reason, evidence=evidence, at=now,
    )  # fmt: skip


def _evidence(
    each: Attribution, told: Mapping[str, Delivered], counted: Mapping[str, Traffic], incident: KnownIncident, began: datetime,
    point: datetime | None,
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    one = told[each.deployment or ""]
    minutes = (began - one.started_at).total_seconds() / 60
    parts = [f"{one.service} {one.version} reached users {minutes:.0f} minutes before"]
    found: dict[str, Any] = {"minutes_before": round(minutes, 1), "began_at": began.isoformat()}
    if point is not None:
        found["change_point_at"] = point.isoformat()
        parts.append(f"failures rose at {point:%H:%M:%S} UTC")
    seen = counted.get(one.id)
    if seen is not None:
        found["traffic"] = {
            "candidate_bad": seen.candidate_bad, "candidate_total": seen.candidate_total,
            "rest_bad": seen.rest_bad, "rest_total": seen.rest_total,
        }  # fmt: skip
        parts.append(
            f"{seen.candidate_bad} of {seen.candidate_total} requests failed with it, {seen.rest_bad} of {seen.rest_total} without it"
        )
    if one.id == f"release/{incident.release_id}":
        found["traced"] = incident.detection
        parts.append("the incident was traced to it when it was reported")
    return "; ".join(parts), found


def _traffic(unit: Unit, each: Delivered) -> Traffic | None:
    """Requests of both versions while both were served; None when nobody counted one of them, or a tool deployed it."""
    if each.tool:
        return None
    release = unit.releases.get(each.id.removeprefix("release/"))
    arms = arm_summaries(unit, release, start=each.started_at, end=each.recovered_at or max(each.finished_at, each.started_at + AFTER))
    candidate, baseline = arms["candidate"], arms["baseline"]
    if not candidate.requests or not baseline.requests:
        return None
    return Traffic(candidate.failures, candidate.requests, baseline.failures, baseline.requests)


def _change_point(unit: Unit, incident: KnownIncident) -> datetime | None:
    """Since when more requests of the first harmed service fail, of the hour before the incident; None when it is not to be seen."""
    if not incident.services:
        return None
    service, place = incident.services[0], Environment(incident.environment or Environment.PRODUCTION)
    begin = int((incident.opened_at - BEFORE).timestamp())
    end = int((incident.opened_at + AFTER).timestamp())
    seconds = unit.seconds.between(service, place, _versions(unit, service, place), after_s=begin, until_s=end)
    buckets: dict[int, list[int]] = {}
    for at_s, arms in seconds.items():
        bucket = buckets.setdefault(at_s // BUCKET_S, [0, 0])
        for arm in arms.values():
            if arm is not None:
                bucket[0] += arm.failures
                bucket[1] += arm.requests
    times = sorted(at for at, (_, total) in buckets.items() if total)
    shares = [buckets[at][0] / buckets[at][1] + SHARE_FLOOR for at in times]
    rises = [step for step in find_steps(shares, effect_min=1.0) if step.change > 0]
    if not rises:
        return None
    return datetime.fromtimestamp(times[rises[-1].index] * BUCKET_S, tz=incident.opened_at.tzinfo)


def _versions(unit: Unit, service: str, place: Environment) -> list[str]:
    newest = unit.releases.newest(service=service, environment=place, before=None, limit=10)
    running = {each.version for each in unit.fleets.all() if each.service == service and each.environment is place}
    return sorted(running | {name for release in newest for name in release.arms if name})


def _keep(unit: Unit, found: Found, *, now: datetime) -> bool:
    """Write what is new; False when it is what stands already."""
    standing = [
        each for each in unit.attributions.standing(found.attributions[0].venture, incidents={found.incident.id}) if not each.by_person
    ]
    same = {(each.deployment, round(each.confidence, 2)) for each in standing}
    if same == {(each.deployment, round(each.confidence, 2)) for each in found.attributions}:
        return False
    unit.attributions.replace([each.id for each in standing], now=now)
    for each in found.attributions:
        unit.attributions.add(each)
    return True


def missing(unit: Unit, venture: str, *, now: datetime) -> Iterable[KnownAttribution]:
    """Causes of incidents that nobody worked out yet, so that figures do not wait for the next review."""
    known = {each.incident_id for each in unit.attributions.standing(venture)}
    if all(each.id in known for each in unit.development_dora.incidents(venture)):
        return ()
    found = work_out(unit, venture, since=now - timedelta(days=90), now=now)
    return [each for one in found if one.incident.id not in known for each in one.attributions]


def list_attributions(
    context: Context, *, venture: str | None, incident: str | None, replaced: bool, before: str | None, limit: int, actor: Actor
) -> list[KnownAttribution]:
    """Newest first. Raises: NotFoundError, StoreUnavailableError."""
    ventures = visible_ventures(actor.principal, Operation.DEVELOPMENT_READ)
    if venture is not None:
        ventures = frozenset({venture}) if ventures is None or venture in ventures else frozenset()
    with context.store.read() as unit:
        return unit.attributions.page(ventures=ventures, incident=incident, replaced=replaced, before=before, limit=limit)


def overrule(context: Context, attribution_id: str, *, deployment: str | None, reason: str, actor: Actor) -> KnownAttribution:
    """A person's word stands in the place of what was said of an incident before by people; the machine's stays beside it.

    ``deployment``: ``release/<id>`` or ``deployment/<id>`` of the same venture; None: no deployment caused it.
    Raises: NotFoundError, ForbiddenError, InvalidInputError, ConflictError when it does not stand any more.
    """
    with context.store.write() as unit:
        before = unit.attributions.get(attribution_id)
        actor.check(Operation.DEVELOPMENT_OVERRULE, venture=before.venture)
        now = context.clock.now()
        if before.replaced_at is not None:
            raise ConflictError(
                f"attribution {attribution_id} was replaced at {before.replaced_at:%Y-%m-%d %H:%M} UTC; read the list again"
            )
        _check_known(unit, before.venture, deployment)
        standing = unit.attributions.standing(before.venture, incidents={before.incident_id})
        words = [each.id for each in standing if each.by_person]
        if unit.attributions.replace(words, now=now) != len(words):
            raise ConflictError(f"somebody else overruled the cause of incident {before.incident_id} at this moment; read it again")
        word = KnownAttribution(
            id=str(new_id()), venture=before.venture, incident_id=before.incident_id, deployment=deployment, confidence=1.0, by_person=True,
            by=actor.name, reason=reason, evidence={"overrules": attribution_id}, at=now,
        )  # fmt: skip
        unit.attributions.add(word)
        best = max(standing, key=lambda each: (each.by_person, each.confidence), default=before)
        unit.audit.add(
            "incident.attribution-overruled", f"incident/{before.incident_id}", actor=actor.name, origin=actor.origin, now=now,
            before=best.deployment, after=deployment, detail={"attribution": attribution_id, "reason": reason},
        )  # fmt: skip
    return word


def _check_known(unit: Unit, venture: str, deployment: str | None) -> None:
    if deployment is None:
        return
    if not deployment.startswith(("release/", "deployment/")):
        raise InvalidInputError(f"{deployment[:80]!r} is no deployment; name it like release/<id> or deployment/<id>, or null for none")
    if not any(each.id == deployment for each in delivered_of(unit, venture)):
        raise NotFoundError(f"{deployment[:80]} is no deployment to production of venture {venture}; see GET /development/dora")
