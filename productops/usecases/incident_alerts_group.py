"""Work a batch of alerts of one venture into what is known, within one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from productops.domain.catalog_incident import SeverityPolicySpec
from productops.domain.incident import Incident
from productops.domain.incident_alert import Alert, AlertState
from productops.domain.incident_fold import Episode, Folded, fold
from productops.domain.incident_group import Group, Placed, ServiceSeen, Topology, find_root, plan_groups, read_group, title_of
from productops.domain.incident_impact import severity_of
from productops.domain.incident_playbook import Response, ResponseState
from productops.domain.incident_state import IncidentStatus
from productops.domain.incident_suppress import Suppression
from productops.domain.release import Environment
from productops.store import Unit
from productops.store.incident_alerts import new_alert_id
from productops.usecases.context import Actor
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_again import begins_again
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_merge import absorb_incident
from productops.usecases.incident_moves import measure_impact, move, set_severity_of

NAMED = 10
CALLS_SEEN = timedelta(minutes=30)
# By the names that incident_management has for how an incident was noticed.
DETECTION = {"slo": "slo", "anomaly": "anomaly", "forecast": "anomaly", "heartbeat": "heartbeat", "verdict": "verdict", "person": "person"}
KINDS = frozenset({"deployment", "performance", "availability", "security", "data", "quality"})


@dataclass(frozen=True, slots=True)
class Batch:
    """Alerts of one venture, by whom, when."""

    venture: str
    alerts: tuple[Alert, ...]
    actor: Actor
    now: datetime


@dataclass(slots=True)
class _Scene:
    """What the batch is judged by."""

    policy: SeverityPolicySpec
    topology: Topology
    incidents: dict[str, Incident]
    groups: list[Group]
    opened: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Worked:
    """What became of one alert of a batch. ``mark`` is ``stored``, ``duplicate`` or ``ended``; ``held``: new, and held back.

    ``opened`` and ``touched`` are incidents that it opened or became part of; the first of a batch has those, too, that alerts which were
    only listed before are part of now.
    """

    mark: str
    held: bool = False
    opened: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()


def work_in(unit: Unit, batch: Batch) -> list[Worked]:
    """Keep the batch and act on it; one answer for each alert, in order.

    Raises: RevisionMismatchError when somebody changes an incident at the same time.
    """
    unit.alerts.lock(batch.venture)
    known = unit.alerts.latest(batch.venture, {alert.fingerprint for alert in batch.alerts})
    folded = fold(batch.alerts, {n: (k.stored, k.began) for n, k in known.items()}, now=batch.now, new_id=new_alert_id)
    policy = unit.incident_policies.severity(batch.venture)
    asking = [each for each in folded.newest.values() if each.alert.firing]
    held, free = _hold_back(unit, batch, policy, asking)
    scene = _scene(unit, batch, policy)
    candidates = [each for each in free if _to_be_placed(each, scene, batch.now)]
    if candidates:
        candidates += _listed(unit, batch, folded)
        _place(unit, batch, scene, candidates)
    else:
        candidates = []
    _worse(unit, batch, scene, free)
    _write(unit, folded, candidates)
    return _answers(batch, folded, held, scene)


def _answers(batch: Batch, folded: Folded, held: set[str], scene: _Scene) -> list[Worked]:
    homes = [folded.newest[alert.fingerprint].stored.incident_id for alert in batch.alerts]
    found = []
    for place, (alert, mark, home) in enumerate(zip(batch.alerts, folded.marks, homes, strict=True)):
        told = mark == "stored" and alert.fingerprint in held
        held -= {alert.fingerprint} if told else set()  # one that began twice within the batch is held back once
        others = () if place else (None, *set(scene.opened + scene.touched) - set(homes))
        mine = {home, *others}
        opened = tuple(each for each in scene.opened if each in mine)
        found.append(Worked(mark, told, opened, tuple(dict.fromkeys(each for each in scene.touched if each in mine))))
    return found


def _hold_back(unit: Unit, batch: Batch, policy: SeverityPolicySpec, asking: list[Episode]) -> tuple[set[str], list[Episode]]:
    """Fingerprints of new ones that are held back, and those that are not. What is in an incident stays there."""
    loose = [each for each in asking if each.stored.state is not AlertState.GROUPED]
    free = [each for each in asking if each.stored.state is AlertState.GROUPED]
    if not loose:
        return set(), free
    silences = unit.silences.active(batch.venture, now=batch.now)
    suppression = Suppression(policy, silences, unit.incident_policies.maintenance(batch.venture))
    stopped: set[str] = set()
    for each in loose:
        held = suppression.of(each.alert, began=_by_itself(unit, batch, policy, each), now=batch.now)
        if held is None:
            free.append(each)
            continue
        if each.fresh:
            stopped.add(each.alert.fingerprint)
        each.set(held.state, held.reason)
    return stopped, free


def _by_itself(unit: Unit, batch: Batch, policy: SeverityPolicySpec, episode: Episode) -> tuple[float, ...]:
    """When it began to fire, without what a response ended: that did not come and go, it was mended, and is something new now."""
    if len(episode.began) < policy.flapping.times or episode.alert.service is None:
        return episode.began
    since = batch.now - timedelta(seconds=policy.flapping.window_s)
    incidents = [each.id for each in unit.incidents.live(batch.venture, since=since) if episode.alert.service in each.services]
    ended = [each.ended_at for incident_id in incidents for each in unit.responses.of_incident(incident_id) if _worked(each)]
    mended_s = max((at.timestamp() for at in ended if at is not None), default=0.0)
    return tuple(at for at in episode.began if at > mended_s)


def _worked(response: Response) -> bool:
    return response.state is ResponseState.SUCCEEDED and bool(response.acted)


def _scene(unit: Unit, batch: Batch, policy: SeverityPolicySpec) -> _Scene:
    incidents = unit.incidents.live(batch.venture, since=batch.now - timedelta(seconds=policy.reopen_s))
    groups = [_group_of(unit, incident) for incident in incidents]
    topology = Topology(unit.incident_policies.depends(batch.venture, since=batch.now - CALLS_SEEN))
    return _Scene(policy, topology, {incident.id: incident for incident in incidents}, groups)


def _group_of(unit: Unit, incident: Incident) -> Group:
    group = read_group(unit.incidents.grouping(incident.id))
    for service in incident.services:  # a person named them; no alert has
        seen = ServiceSeen(incident.detected_at.timestamp(), incident.severity, 0, incident.title)
        group.services.setdefault(service, seen)
    if incident.environment is not None:
        group.environments.add(incident.environment.value)
    group.changes |= {f"release_id={each}" for each in incident.releases} | {f"flag={each}" for each in incident.flags}
    group.incident_id, group.untouched, group.over = incident.id, incident.untouched, not incident.live
    group.settled = incident.status not in {IncidentStatus.OPEN, IncidentStatus.INVESTIGATING}
    group.last_at = max(group.last_at, incident.detected_at.timestamp())
    return group


def _to_be_placed(episode: Episode, scene: _Scene, now: datetime) -> bool:
    """What is in a live incident stays; what still fires long after somebody resolved its incident, or gets worse, opens it again."""
    if episode.stored.state is not AlertState.GROUPED:
        return True
    incident = scene.incidents.get(episode.stored.incident_id or "")
    if episode.alert.severity > scene.policy.opens_at:  # what opens nothing opens nothing again
        return False
    if incident is None or incident.status not in {IncidentStatus.MITIGATED, IncidentStatus.RESOLVED, IncidentStatus.CLOSED}:
        return False
    since = incident.resolved_at or incident.mitigated_at
    if since is None or (now - since < timedelta(seconds=scene.policy.quiet_s) and not episode.worse):
        return False
    episode.before = incident.id
    return True


def _listed(unit: Unit, batch: Batch, folded: Folded) -> list[Episode]:
    """Listed alerts of the same venture that still fire: more of their kind may make an incident of them.

    A mild word about security (a release at night) makes no matter of security of what breaks hours later: it waits for its own kind.
    """
    waiting = unit.alerts.waiting(limit=500)
    secure = any(each.alert.source == "security" for each in folded.newest.values())
    return [
        Episode(each, (), fresh=False)
        for each in waiting
        if each.alert.venture == batch.venture
        and each.state is AlertState.LISTED
        and each.alert.fingerprint not in folded.newest
        and (secure or each.alert.source != "security")
    ]


def _place(unit: Unit, batch: Batch, scene: _Scene, candidates: list[Episode]) -> None:
    by_fingerprint = {each.alert.fingerprint: each for each in candidates}
    asked = [(each.alert, each.before if each.before in scene.incidents else None) for each in candidates]
    sizes = {id(group): len(group.services) for group in scene.groups}
    plan = plan_groups(asked, scene.groups, scene.topology, scene.policy, now=batch.now)
    by_group: dict[int, list[Placed]] = {}
    for each in plan.placed:
        by_group.setdefault(id(each.group), []).append(each)
    for gone, target, why in plan.merged:
        # Such a group has an incident, for new ones come after those that are there.
        absorb_incident(unit, str(gone.incident_id), str(target.incident_id), reason=why, actor=batch.actor, now=batch.now)
        scene.touched.append(str(target.incident_id))
    for placed in by_group.values():
        group = placed[0].group
        found = _join(unit, batch, scene, group, placed, grown=len(group.services) > sizes.get(id(group), 0))
        for each in placed:
            for alert in each.alerts:
                _settle(by_fingerprint[alert.fingerprint], found, each.reason, scene.policy)


def _settle(episode: Episode, incident_id: str | None, reason: str, policy: SeverityPolicySpec) -> None:
    if incident_id is not None:
        episode.set(AlertState.GROUPED, reason, incident_id)
    elif episode.fresh or episode.stored.state is not AlertState.LISTED:
        text = f"{episode.alert.severity} opens no incident by itself (the policy opens at {policy.opens_at}); {reason}"
        episode.set(AlertState.LISTED, text)


def _join(unit: Unit, batch: Batch, scene: _Scene, group: Group, placed: Sequence[Placed], *, grown: bool) -> str | None:
    """The incident that the group is; None where it is too mild for one."""
    if group.incident_id is None:
        return _open(unit, batch, scene, group) if group.severity <= scene.policy.opens_at else None
    incident = unit.incidents.get(group.incident_id)
    alerts = [alert for each in placed for alert in each.alerts]
    if group.settled and min(alert.severity for alert in alerts) <= scene.policy.opens_at:
        reason = f"{alerts[0].name} fires: {placed[0].reason}"
        move(unit, incident, IncidentStatus.INVESTIGATING, reason=reason, actor=batch.actor, now=batch.now)
    elif min(alert.severity for alert in alerts) <= scene.policy.opens_at and (quiet := begins_again(unit, incident, now=batch.now)):
        text, detail = _told(alerts, f"no alert had fired for {quiet.total_seconds():.0f} s"), {"new": len(alerts)}
        log_incident(unit, incident.id, "again", text, actor=batch.actor, detail=detail, at=batch.now)
    elif grown:
        text, detail = _told(alerts, placed[0].reason), {"new": len(alerts)}
        log_incident(unit, incident.id, "alerts", text, actor=batch.actor, detail=detail, at=batch.now)
    unit.incidents.regroup(incident.id, group.document(), services=group.named_services, now=batch.now)
    _rename(unit, batch, scene, group)
    scene.touched.append(incident.id)
    return incident.id


def _rename(unit: Unit, batch: Batch, scene: _Scene, group: Group) -> None:
    """Another thing turned out to be what broke: the title says so, as long as nobody has taken the incident up."""
    incident = unit.incidents.get(str(group.incident_id))
    root = find_root(group, scene.topology, opens_at=scene.policy.opens_at)
    seen = group.services.get(root)
    same = root == incident.component and (seen is None or seen.title[:200] in incident.title)
    if not incident.untouched or incident.detection == "person" or same:
        return
    title = title_of(group, root, scene.topology)
    unit.incidents.change(incident.id, revision=incident.revision, now=batch.now, component=root[:255], title=title)
    moved = root != incident.component
    text = f"what broke is probably {root}, not {incident.component or 'what was told first'}" if moved else f"now: {title}"
    detail = {"component": root, "title": title}
    log_incident(unit, incident.id, "root" if moved else "title", text, actor=batch.actor, detail=detail, at=batch.now)
    before, after = {"component": incident.component, "title": incident.title}, {"component": root, "title": title}
    note(unit, batch.actor, "incident.renamed", f"incident/{incident.id}", now=batch.now, reason=text, before=before, after=after)


def _open(unit: Unit, batch: Batch, scene: _Scene, group: Group) -> str:
    root = find_root(group, scene.topology, opens_at=scene.policy.opens_at)
    services = group.named_services
    environment = Environment(min(group.environments)) if len(group.environments) == 1 else None
    first = min((seen.first_at for seen in group.services.values()), default=batch.now.timestamp())
    impact = measure_impact(unit, tuple(services), environment, detected_at=batch.now, now=batch.now)
    severity, why = severity_of(
        scene.policy, alerts=group.severity, environment=environment, services=services, sources=group.sources, impact=impact
    )
    known = {
        "environment": environment.value if environment else None, "component": root, "began_at": first, "severity_because": why,
        "evidence": {"sources": sorted(group.sources), "changes": sorted(group.changes)},
    } | (impact.document() if impact else {})  # fmt: skip
    incident_id = unit.incidents.open(
        venture_id=unit.catalog.venture_id(batch.venture), kind=_kind(group), severity=severity,
        title=title_of(group, root, scene.topology), description="", services=services, detection=_detection(group), impact=known,
        now=batch.now, by=batch.actor.name, component=root, grouping=group.document(),
    )  # fmt: skip
    detail = {"severity": severity, "services": services[:NAMED], "component": root, "alerts": group.alerts, "because": why}
    note(unit, batch.actor, "incident.opened", f"incident/{incident_id}", now=batch.now, after={"status": "open"}, detail=detail)
    group.incident_id = incident_id
    scene.opened.append(incident_id)
    return incident_id


def _worse(unit: Unit, batch: Batch, scene: _Scene, free: list[Episode]) -> None:
    """Alerts that are worse than their incident make it so, where no person has said how severe it is."""
    worst: dict[str, str] = {}
    for each in free:
        home = each.stored.incident_id
        if home in scene.incidents:
            worst[str(home)] = min(worst.get(str(home), "SEV4"), each.alert.severity)
    for home, severity in worst.items():
        incident = unit.incidents.get(home)
        if severity >= incident.severity or incident.impact.get("severity_by") or not incident.live:
            continue
        grouping = unit.incidents.grouping(home)
        wanted, why = severity_of(
            scene.policy, alerts=severity, environment=incident.environment, services=incident.services,
            sources=grouping.get("sources", ()), impact=None,
        )  # fmt: skip
        if severity < grouping.get("severity", "SEV4"):
            unit.incidents.regroup(home, grouping | {"severity": severity}, services=list(incident.services), now=batch.now)
        if wanted < incident.severity:
            set_severity_of(unit, incident, wanted, reason=why, actor=batch.actor, now=batch.now)
            scene.touched.append(home)


def _write(unit: Unit, folded: Folded, candidates: list[Episode]) -> None:
    began = {name: each.began for name, each in folded.newest.items()}
    unit.alerts.add([each.stored for each in folded.superseded], began, newest=False)
    unit.alerts.add([each.stored for each in folded.newest.values() if each.fresh], began)
    others = {each.stored.id: each for each in candidates if not each.fresh}
    others |= {each.stored.id: each for each in folded.newest.values() if not each.fresh}
    unit.alerts.set_all([each.stored for each in others.values() if each.changed])


def _detection(group: Group) -> str:
    return next((DETECTION[source] for source in DETECTION if source in group.sources), "alert")


def _kind(group: Group) -> str:
    if "security" in group.sources:
        return "security"
    if "verdict" in group.sources or any(change.startswith("release_id=") for change in group.changes):
        return "deployment"
    slow = "latency" in group.title.lower() or "slow" in group.title.lower()
    return "performance" if slow else "availability"


def _told(alerts: Sequence[Alert], reason: str) -> str:
    names = list(dict.fromkeys(f"{alert.service}: {alert.name}" if alert.service else alert.name for alert in alerts))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(alerts)} more {'alert' if len(alerts) == 1 else 'alerts'} ({', '.join(names[:NAMED])}{more}): {reason}"
