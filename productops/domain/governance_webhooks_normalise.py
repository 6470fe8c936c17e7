"""What a request means, whoever sent it. Nothing here fails: what is not understood is kept as such, with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from productops.domain.catalog_webhooks import Provider
from productops.domain.governance_webhooks import UNRECOGNISED, Inbound, InboundEvent, WebhookSource
from productops.domain.governance_webhooks_forges import read_bitbucket, read_github, read_gitlab
from productops.domain.governance_webhooks_json import UnreadableError, cloud_events, dig, read_json, text
from productops.domain.governance_webhooks_reading import Reading
from productops.domain.incident_alert_formats import left_out, read_alerts

EVENTS_MAX = 1_000
_CDEVENT = re.compile(r"dev\.cdevents\.([a-z]+)\.([a-z]+)\.\d+\.\d+\.\d+[0-9A-Za-z.-]*")
_KIND = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*")
_JENKINS_ENDED = {"SUCCESS": "succeeded", "FAILURE": "failed", "UNSTABLE": "failed", "ABORTED": "cancelled", "NOT_BUILT": "cancelled"}
_JENKINS_PHASE = {"QUEUED": "queued", "STARTED": "started", "FINALIZED": "finalised"}
_JIRA = {"jira:issue_created": "created", "jira:issue_updated": "updated", "jira:issue_deleted": "deleted"}


def normalise(source: WebhookSource, inbound: Inbound) -> list[InboundEvent]:
    """The events of a request, at least one."""
    reading = Reading(source, inbound.headers, None, inbound.received_at)
    try:
        if source.spec.provider in {Provider.CDEVENTS, Provider.CLOUDEVENTS}:
            found = [_cloud_event(replace(reading, data=each)) for each in cloud_events(inbound.headers, inbound.body)]
        else:
            reading = replace(reading, data=read_json(inbound.body))
            found = _READERS[source.spec.provider](reading)
    except UnreadableError as error:
        return [reading.unrecognised(str(error))]
    if len(found) > EVENTS_MAX:
        return [reading.unrecognised(f"the request tells {len(found):,} things; {EVENTS_MAX:,} are read")]
    return found or [reading.unrecognised("the request tells nothing")]


def normalise_data(source: WebhookSource, data: Any, *, now: datetime) -> list[InboundEvent]:
    """The same of a body that was read already, for sources whose headers say nothing."""
    found = _READERS[source.spec.provider](Reading(source, {}, data, now))
    return found or [Reading(source, {}, data, now).unrecognised("the request tells nothing")]


def _alerts(reading: Reading) -> list[InboundEvent]:
    """Alertmanager's webhook, version 4: one event for each alert."""
    alerts = dig(reading.data, "alerts")
    if not isinstance(alerts, list) or reading.text("version") not in {"4", ""}:
        return [reading.unrecognised("this is no Alertmanager webhook of version 4: it has no list of alerts")]
    return [_alert(replace(reading, data=each)) for each in alerts[: EVENTS_MAX + 1]] + left_out(reading)


def _alert(reading: Reading) -> InboundEvent:
    label = reading.source.spec.service_label
    status, fingerprint, starts_at = reading.text("status"), reading.text("fingerprint", limit=40), reading.text("startsAt", limit=60)
    if status not in {"firing", "resolved"} or not fingerprint or not starts_at:
        return reading.unrecognised("an alert without status, fingerprint or startsAt")
    named = reading.text("labels", label)
    spec = reading.source.spec
    found = reading.event(
        f"alert.{status}", environment=reading.text("labels", "environment") or reading.text("labels", "env"),
        version=reading.text("labels", "version"), at=starts_at, subject=reading.text("labels", "alertname"), outcome=status,
        url=reading.text("generatorURL"),
        data={
            "alert_key": f"{fingerprint}/{starts_at}", "labels": dig(reading.data, "labels"),
            "annotations": dig(reading.data, "annotations"), "ends_at": reading.text("endsAt"),
        },
    )  # fmt: skip
    # An alert names the service itself; the mapping is for those who call it otherwise.
    return replace(found, service=spec.services.get(named, named) or spec.service)


def _cloud_event(reading: Reading) -> InboundEvent:
    """A CDEvent within a CloudEvent, or bare."""
    outer = reading.data
    inner = dig(outer, "data") if isinstance(dig(outer, "data", "context"), dict) else outer
    kind = text(inner, "context", "type") or text(outer, "type")
    matched = _CDEVENT.fullmatch(kind)
    if matched is None:
        return reading.unrecognised(f"the type {kind[:120]!r} is none of CDEvents", kind)
    content = dig(inner, "subject", "content")
    subject = text(inner, "subject", "id")
    artifact = text(content, "artifactId") or (subject if subject.startswith("pkg:") else "")
    return reading.event(
        f"{matched[1]}.{matched[2]}", names=tuple(filter(None, (subject, text(content, "service", "id"), text(content, "pipelineName")))),
        environment=text(content, "environment", "id").rpartition("/")[2], version=_purl_version(artifact),
        at=text(inner, "context", "timestamp") or text(outer, "time"), outcome=text(content, "outcome"),
        url=text(content, "uri") or text(content, "url"),
        data={"type": kind, "source": text(inner, "context", "source"), "artifact": artifact, "content": content},
    )  # fmt: skip


def _purl_version(artifact: str) -> str:
    """The version within a package URL: ``pkg:oci/shop@sha256%3A…?tag=1.2.0`` has it as its tag."""
    path, _, qualifiers = artifact.partition("#")[0].partition("?")
    tag = re.search(r"(?:^|&)tag=([^&]+)", qualifiers)
    return tag[1] if tag else path.partition("@")[2]


def _jenkins(reading: Reading) -> list[InboundEvent]:
    """What the Notification plugin sends. FINALIZED repeats COMPLETED, so it starts nothing."""
    phase, status = reading.text("build", "phase"), reading.text("build", "status")
    stands = _JENKINS_ENDED.get(status) if phase == "COMPLETED" else _JENKINS_PHASE.get(phase)
    if stands is None:
        reason = f"a build of phase {phase[:30]!r} and status {status[:30]!r} means nothing here"
        return [reading.unrecognised(reason, reading.text("name"))]
    parameters = ("build", "parameters")
    tag = reading.tag(reading.text("build", "scm", "branch"))
    version = reading.text(*parameters, "VERSION") or reading.text(*parameters, "version") or tag
    return [
        reading.event(
            f"build.{stands}", names=tuple(filter(None, (reading.text("name"), reading.text("display_name")))),
            environment=reading.text(*parameters, "ENVIRONMENT"), version=version, outcome=status, url=reading.text("build", "full_url"),
            subject=f"{reading.text('name')}#{reading.text('build', 'number')}",
            data={"sha": reading.text("build", "scm", "commit"), "branch": reading.text("build", "scm", "branch")},
        )
    ]  # fmt: skip


def _jira(reading: Reading) -> list[InboundEvent]:
    name = reading.text("webhookEvent")
    stands = _JIRA.get(name)
    if stands is None:
        return [reading.unrecognised(f"Jira's event {name[:60]!r} means nothing here", name)]
    fields = ("issue", "fields")
    if stands == "updated" and reading.text(*fields, "status", "statusCategory", "key") == "done":
        stands = "closed"
    project = reading.text(*fields, "project", "key")
    components = dig(reading.data, *fields, "components")
    named = [text(each, "name") for each in components] if isinstance(components, list) else []
    return [
        reading.event(
            f"ticket.{stands}", names=tuple(filter(None, (*named, project))), subject=reading.text("issue", "key"),
            actor=reading.text("user", "displayName"), outcome=reading.text(*fields, "status", "name"), url=reading.text("issue", "self"),
            data={"title": reading.text(*fields, "summary"), "type": reading.text(*fields, "issuetype", "name"), "project": project},
        )
    ]  # fmt: skip


def _plain(reading: Reading) -> list[InboundEvent]:
    """Our own form: ``{"kind": "build.succeeded", "service": …, "environment": …, "version": …}``."""
    kind = reading.text("kind", limit=60)
    if not _KIND.fullmatch(kind):
        return [reading.unrecognised('the body needs a kind such as {"kind": "build.succeeded"}', kind)]
    named = reading.text("service", limit=63)
    found = reading.event(
        kind, names=(named,) if named else (), environment=reading.text("environment"), version=reading.text("version"),
        at=reading.text("at"), subject=reading.text("subject"), outcome=reading.text("outcome"), url=reading.text("url"),
        actor=reading.text("actor"), data=data if isinstance(data := dig(reading.data, "data"), dict) else {},
    )  # fmt: skip
    return [found if found.kind == UNRECOGNISED or found.service or not named else replace(found, service=named)]


_READERS: dict[Provider, Callable[[Reading], list[InboundEvent]]] = {
    Provider.GITHUB: read_github, Provider.GITLAB: read_gitlab, Provider.BITBUCKET: read_bitbucket, Provider.JIRA: _jira,
    Provider.JENKINS: _jenkins, Provider.ALERTMANAGER: _alerts, Provider.PLAIN: _plain, Provider.GRAFANA: read_alerts,
    Provider.DATADOG: read_alerts, Provider.NEWRELIC: read_alerts, Provider.ALERTS: read_alerts,
}  # fmt: skip
