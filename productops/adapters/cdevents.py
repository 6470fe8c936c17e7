"""Our events as CDEvents 0.5. What that specification has no word for goes out as its custom events do: ``dev.cdeventsx.productops-…``.

Source: https://cdevents.dev/docs/ (specification, "Core", "Continuous Deployment" and "Continuous Operations" events, CloudEvents binding).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from productops.domain.governance_outbox import OutboxEvent
from productops.domain.governance_webhooks_json import dig, text

SPEC_VERSION = "0.5.1"
CUSTOM_VERSION = "0.1.0"
# Subject and predicate → version of the event.
VERSIONS = {
    "pipelinerun.queued": "0.3.0", "pipelinerun.started": "0.3.0", "pipelinerun.finished": "0.3.0",
    "taskrun.started": "0.3.0", "taskrun.finished": "0.3.0",
    "service.deployed": "0.3.0", "service.upgraded": "0.3.0", "service.rolledback": "0.3.0", "service.removed": "0.3.0",
    "incident.detected": "0.3.0", "incident.reported": "0.3.0", "incident.resolved": "0.3.0",
    "change.created": "0.4.0", "change.reviewed": "0.3.0", "change.merged": "0.3.0", "change.abandoned": "0.3.0", "change.updated": "0.3.0",
}  # fmt: skip
_NAMES = {
    "release.requested": "pipelinerun.queued", "release.deploying": "pipelinerun.started", "release.promoted": "pipelinerun.finished",
    "release.passed": "pipelinerun.finished", "release.rolled_back": "pipelinerun.finished", "release.failed": "pipelinerun.finished",
    "release.step_started": "taskrun.started", "release.step_ended": "taskrun.finished",
}  # fmt: skip
_OUTCOMES = {"promoted": "success", "passed": "success", "rolled_back": "failure", "failed": "failure"}
_VERDICTS = {"passed": "success", "failed": "failure"}

_Subject = tuple[str, dict[str, Any]]


def to_cdevent(event: OutboxEvent, *, source: str) -> dict[str, Any]:
    """The CDEvent as data: ``context`` and ``subject``. ``source`` is a URI reference that names this installation."""
    name = event.type if event.type in VERSIONS else _NAMES.get(event.type, "")
    build = _BUILDERS.get(name.partition(".")[0])
    if build is None:
        return _custom(event, source)
    subject_id, content = build(event, name, source)
    context = _context(event, f"dev.cdevents.{name}.{VERSIONS[name]}", source)
    return {"context": context, "subject": {"id": subject_id, "source": source, "content": content}}


def _context(event: OutboxEvent, kind: str, source: str) -> dict[str, Any]:
    context = {
        "specversion": SPEC_VERSION, "id": event.id, "source": source, "type": kind, "timestamp": event.at.isoformat(),
    }  # fmt: skip
    release = text(event.data, "release_id")
    # Everything that one release causes belongs together.
    return context | ({"chainId": release} if release else {})


def _custom(event: OutboxEvent, source: str) -> dict[str, Any]:
    subject, _, predicate = event.type.partition(".")
    bare = "".join(c for c in predicate if c.isalpha()) or "changed"
    kind = f"dev.cdeventsx.productops-{''.join(c for c in subject if c.isalpha())}.{bare}.{CUSTOM_VERSION}"
    return {"context": _context(event, kind, source), "subject": {"id": event.subject, "source": source, "content": dict(event.data)}}


def _service(event: OutboxEvent, name: str, source: str) -> _Subject:
    content: dict[str, Any] = {"environment": _environment(event, source)}
    if name != "service.removed":
        before = text(event.data, "baseline_version") if name == "service.rolledback" else ""
        content["artifactId"] = artifact(text(event.data, "service"), before or text(event.data, "version"))
    return text(event.data, "service") or event.subject, content


def _run(event: OutboxEvent, name: str, source: str) -> _Subject:
    release = text(event.data, "release_id")
    content: dict[str, Any] = {"pipelineName": f"release of {text(event.data, 'service')}"}
    if "://" in source:
        content["uri"] = f"{source}/api/v1/product-ops/releases/{release}"
    if name == "pipelinerun.finished":
        outcome = _OUTCOMES.get(text(event.data, "phase"), "error")
        content["outcome"] = outcome
        if outcome != "success":
            content["errors"] = text(event.data, "detail", "reason") or "no reason was given"
    return release or event.subject, content


def _task(event: OutboxEvent, name: str, source: str) -> _Subject:
    release, step = text(event.data, "release_id"), text(event.data, "detail", "step")
    content: dict[str, Any] = {
        "taskName": text(event.data, "detail", "title") or f"step {step}", "pipelineRun": {"id": release, "source": source},
    }  # fmt: skip
    if name == "taskrun.finished":
        content["outcome"] = _VERDICTS.get(text(event.data, "detail", "verdict"), "error")
        if content["outcome"] != "success":
            content["errors"] = text(event.data, "detail", "reason") or "no reason was given"
    return f"{release}/steps/{step}", content


def _incident(event: OutboxEvent, name: str, source: str) -> _Subject:
    service = text(event.data, "services", 0)
    content: dict[str, Any] = {"description": text(event.data, "title"), "environment": _environment(event, source)}
    if service:
        content["service"] = {"id": service, "source": source}
    if name == "incident.reported":
        content["ticketURI"] = f"{source}/api/v1/deployment-ops/incidents/{text(event.data, 'incident_id')}"
    return text(event.data, "incident_id") or event.subject, content


def _change(event: OutboxEvent, name: str, _source: str) -> _Subject:
    found = text(event.data, "detail", "title") or text(event.data, "reason")
    return event.subject.partition("/")[2] or event.subject, {"description": found} if found and name == "change.created" else {}


def _environment(event: OutboxEvent, source: str) -> dict[str, Any]:
    return {"id": text(event.data, "environment") or "production", "source": source}


def artifact(service: str, version: str) -> str:
    """A version of a service as package URL. Source: package-url specification, type ``generic``."""
    return f"pkg:generic/{quote(service, safe='')}@{quote(version, safe='')}"


_BUILDERS: dict[str, Callable[[OutboxEvent, str, str], _Subject]] = {
    "service": _service, "pipelinerun": _run, "taskrun": _task, "incident": _incident, "change": _change,
}  # fmt: skip


def context_of(cdevent: Mapping[str, Any], name: str) -> str:
    """One attribute of its context."""
    return str(dig(cdevent, "context", name) or "")
