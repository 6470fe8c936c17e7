"""Gather what is stored of an incident: its log, alerts, releases, flags, actions, calls, words, figures. Nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from productops.domain.governance_audit import AuditFilter
from productops.domain.incident import Incident, IncidentLogEntry
from productops.domain.incident_alert import StoredAlert
from productops.domain.incident_impact import impact_of
from productops.domain.incident_playbook import Response
from productops.domain.incident_postmortem import CauseLine, Figure, PostmortemFacts, TimelineEntry
from productops.domain.incident_postmortem_words import cause_line
from productops.domain.monitoring_slo import Objective, Sum, make_budget
from productops.domain.release import Environment, Release
from productops.store import Unit
from productops.usecases.context import Context

BEFORE: Final = timedelta(hours=2)
AFTER: Final = timedelta(minutes=15)
USUAL: Final = timedelta(minutes=30)
LINES_MAX: Final = 400
LOG_MAX: Final = 2000
CAUSES_MAX: Final = 5
RELEASES_MAX: Final = 100
FLAGS_MAX: Final = 500
# Lines of the log that say again what other rows say, or that are of no matter here.
_TOLD_ELSEWHERE: Final = frozenset({"published", "post-mortem"})


def gather_facts(context: Context, unit: Unit, incident: Incident) -> PostmortemFacts:
    """All that is known now. Raises: StoreUnavailableError."""
    now = context.clock.now()
    end = incident.resolved_at or now
    alerts = unit.alerts.of_incident(incident.id, limit=LOG_MAX)
    entries = unit.incident_log.read(incident.id, limit=LOG_MAX)
    releases = _releases(unit, incident, end)
    responses = unit.responses.of_incident(incident.id)
    ledger = unit.causes.latest(incident.id)
    onset = ledger.onset.at if ledger and ledger.onset else min((a.alert.starts_at for a in alerts), default=None)
    lines = sorted(
        [
            *_log_lines(incident, entries), *_alert_lines(alerts), *_release_lines(releases), *_flag_lines(unit, incident, end),
            *_action_lines(responses), *_update_lines(unit, incident),
        ],
        key=lambda each: each.at,
    )  # fmt: skip
    worked, failed = _judged(incident, alerts, responses, unit)
    return PostmortemFacts(
        incident_id=incident.id, title=incident.title, venture=incident.venture or "", services=incident.services,
        environment=incident.environment or "all environments", severity=incident.severity, kind=incident.kind, status=str(incident.status),
        detection=incident.detection, root_cause=incident.cause or "", detected_at=incident.detected_at,
        acknowledged_at=incident.acknowledged_at, mitigated_at=incident.mitigated_at, resolved_at=incident.resolved_at,
        onset_at=min(onset, incident.detected_at) if onset else None, figures=tuple(_figures(unit, incident, onset, end)),
        timeline=tuple(_cut(lines)), causes=tuple(_causes(ledger)), worked=tuple(worked), failed=tuple(failed), lucky=(),
        proposed=tuple(_proposed(incident, alerts, responses)), omitted=max(0, len(lines) - LINES_MAX),
    )  # fmt: skip


def _cut(lines: list[TimelineEntry]) -> list[TimelineEntry]:
    """The first and the last ones: how it began and how it ended matter most."""
    half = LINES_MAX // 2
    return lines if len(lines) <= LINES_MAX else [*lines[:half], *lines[-half:]]


def _log_lines(incident: Incident, entries: list[IncidentLogEntry]) -> Iterator[TimelineEntry]:
    for each in entries:
        if each.kind not in _TOLD_ELSEWHERE:
            yield TimelineEntry(each.at, "log", f"{each.text} ({each.kind}, {each.actor})", f"incident/{incident.id}/log/{each.seq}")


def _alert_lines(alerts: list[StoredAlert]) -> Iterator[TimelineEntry]:
    for each in alerts:
        alert = each.alert
        said = alert.summary or alert.name
        yield TimelineEntry(alert.starts_at, "alert", f"{alert.severity} {alert.source} {alert.name}: {said}", f"alert/{each.id}")
        if alert.ends_at is not None:
            yield TimelineEntry(alert.ends_at, "alert", f"{alert.name} does not hold any more", f"alert/{each.id}")


def _releases(unit: Unit, incident: Incident, end: datetime) -> list[Release]:
    """Releases of the services that were begun or ended about then."""
    since, until = incident.detected_at - BEFORE, end + AFTER
    found: dict[str, Release] = {}
    for service in incident.services[:20]:
        for each in unit.releases.newest(service=service, environment=incident.environment, before=None, limit=RELEASES_MAX):
            if since <= each.created_at <= until or (each.ended_at is not None and since <= each.ended_at <= until):
                found[each.id] = each
    return list(found.values())


def _release_lines(releases: list[Release]) -> Iterator[TimelineEntry]:
    for each in releases:
        yield TimelineEntry(each.created_at, "release", f"{each.title} was asked for", f"release/{each.id}")
        if each.ended_at is not None:
            yield TimelineEntry(each.ended_at, "release", f"{each.title} ended: {each.phase}", f"release/{each.id}")


def _flag_lines(unit: Unit, incident: Incident, end: datetime) -> Iterator[TimelineEntry]:
    """Changes of flags of the venture, from the audit log."""
    wanted = AuditFilter(since=incident.detected_at - BEFORE, until=end + AFTER)
    for each in unit.audit.page(wanted, limit=FLAGS_MAX).items:
        kind, _, key = each.subject.partition("/")
        if kind != "flag":
            continue
        flag = unit.flags.find(key)
        if flag is not None and flag.venture == incident.venture:
            yield TimelineEntry(datetime.fromisoformat(each.at), "flag", f"{key}: {each.action} {each.reason}".strip(), f"audit/{each.seq}")


def _action_lines(responses: list[Response]) -> Iterator[TimelineEntry]:
    for response in responses:
        link = f"response/{response.id}"
        yield TimelineEntry(response.created_at, "action", f"playbook {response.playbook} began: {response.why}", link)
        for step in response.steps:
            at = step.ended_at or step.started_at
            if at is not None:
                yield TimelineEntry(at, "action", f"{step.role} {step.do}: {step.state} {step.result}".strip(), link)
        if response.ended_at is not None:
            ended = f"playbook {response.playbook}: {response.state} {response.reason}".strip()
            yield TimelineEntry(response.ended_at, "action", ended, link)


def _update_lines(unit: Unit, incident: Incident) -> Iterator[TimelineEntry]:
    for each in unit.updates.of_incident(incident.id):
        yield TimelineEntry(each.at, "update", f"published on {each.page} ({each.word}): {each.text}", f"update/{each.id}")


def _figures(unit: Unit, incident: Incident, onset: datetime | None, end: datetime) -> Iterator[Figure]:
    """Harm: minutes, requests, failures, users, budget."""
    begin = min(onset, incident.detected_at) if onset else incident.detected_at
    stop = incident.mitigated_at or end
    lasted = round((stop - begin) / timedelta(minutes=1), 1)
    yield Figure("minutes of harm", lasted, "min", "from its beginning to its mitigation, or its end")
    yield from _traffic(unit, incident, begin, stop)
    users = incident.impact.get("users")
    counted = isinstance(users, int | float)
    note = "as the incident has it" if counted else "nobody counted them"
    yield Figure("users affected", float(users) if counted and users is not None else None, "people", note, f"incident/{incident.id}")
    if incident.environment is not None:
        for service in incident.services[:20]:
            for objective in unit.objectives.all(service=service, environment=incident.environment):
                yield _burned(unit, objective, begin, stop)


def _traffic(unit: Unit, incident: Incident, begin: datetime, stop: datetime) -> Iterator[Figure]:
    environment = incident.environment or Environment.PRODUCTION
    from_s, until_s = int(begin.timestamp()), int(stop.timestamp()) + 1
    during = unit.incident_traffic.total(incident.services, environment, from_s=from_s, until_s=until_s)
    before = unit.incident_traffic.total(incident.services, environment, from_s=from_s - int(USUAL.total_seconds()), until_s=from_s)
    if not during.requests:
        why = "no traffic of that time is stored (it is kept for PRODUCTOPS_METRICS_RETENTION_S)"
        yield Figure("requests", None, "requests", why)
        yield Figure("requests failed", None, "requests", why)
        return
    minutes = (stop - begin) / timedelta(minutes=1)
    impact = impact_of(services=len(incident.services), minutes=minutes, during=during, lately=during, before=before)
    place = f"traffic/{','.join(incident.services[:5])}/{from_s}-{until_s}"
    yield Figure("requests", during.requests, "requests", "counted by the router", place)
    yield Figure("requests failed", impact.failed, "requests", f"beyond the usual {before.share:.2%} of the half hour before", place)


def _burned(unit: Unit, objective: Objective, begin: datetime, stop: datetime) -> Figure:
    """Minutes of the error budget that went within the incident."""
    since, until = objective.window.bounds(stop)
    counted = unit.objectives.total(objective, since_s=int(since.timestamp()), until_s=int(min(until, stop).timestamp()))
    earlier = unit.objectives.total(objective, since_s=int(since.timestamp()), until_s=int(max(since, begin).timestamp()))
    whole, name, place = make_budget(objective, counted, now=stop), f"error budget of {objective.name}", f"slo/{objective.name}"
    if counted == Sum() or whole.remaining_ratio is None:
        return Figure(name, None, "min", "nothing was measured", place)
    before = make_budget(objective, _of_window(earlier, counted), now=stop)
    burned = max(0.0, whole.burned_minutes - before.burned_minutes)
    return Figure(name, round(burned, 2), "min", f"of {whole.budget_minutes:g} min for the window", place)


def _of_window(earlier: Sum, counted: Sum) -> Sum:
    """What would have been counted had nothing bad happened since: only bad events of before, among all events."""
    bad = max(0.0, earlier.total - earlier.good)
    lost = max(0.0, earlier.slices - earlier.shares)
    return Sum(max(0.0, counted.total - bad), counted.total, counted.slices, earlier.bad_slices, max(0.0, counted.slices - lost))


def _causes(ledger: object) -> Iterator[CauseLine]:
    for each in list(getattr(ledger, "hypotheses", ()))[:CAUSES_MAX]:
        verdict = f", {each.verdict} by a person" if each.verdict else ""
        what = f"{each.kind} {each.subject}".strip() + f" ({each.service}){verdict}"
        yield cause_line(what, each.probability, list(each.supporting), list(each.refuting))


def _judged(
    incident: Incident, alerts: list[StoredAlert], responses: list[Response], unit: Unit
) -> tuple[list[str], list[str]]:  # fmt: skip
    """What went well and what did not, only where a stored row says so."""
    worked: list[str] = []
    failed: list[str] = []
    for each in responses:
        (worked if each.state == "succeeded" else failed).append(f"playbook {each.playbook}: {each.state} {each.reason}".strip())
    if incident.detection not in {"person", ""} and alerts:
        worked.append(f"the product saw it by {incident.detection} before a person reported it")
    elif incident.detection == "person":
        failed.append("no alert saw it: a person reported it")
    page = unit.oncall.page_of(incident.id)
    if page is not None:
        levels = max((int(each.get("level", 0)) for each in page.called), default=0) + 1
        good = page.state == "acknowledged" and levels == 1 and page.round == 0
        (worked if good else failed).append(f"the call ended as {page.state} on level {levels}, round {page.round + 1}")
    if incident.reopened:
        failed.append(f"it was thought to be over and came back {incident.reopened} times")
    lost = unit.notices.page(incident_id=incident.id, ventures=None, state="failed", before=None, limit=20)
    failed += [f"{notice.moment} did not arrive by {notice.channel}: {notice.error}" for notice in lost]
    return worked, failed


def _proposed(incident: Incident, alerts: list[StoredAlert], responses: list[Response]) -> Iterator[str]:
    """Questions that the facts raise."""
    if incident.detection == "person" or not alerts:
        yield "which alert would have seen this, and why is there none?"
    if not any(each.acted for each in responses):
        yield "which step could a playbook have taken by itself?"
    if incident.cause:
        yield f"how does {incident.cause} get caught before users meet it?"
