"""What GitHub, GitLab and Bitbucket mean. Sources: their pages of webhook events and payloads."""

from __future__ import annotations

from collections.abc import Callable

from productops.domain.governance_webhooks import InboundEvent
from productops.domain.governance_webhooks_reading import Reading

_GITHUB_DEPLOYED = {
    "success": "succeeded", "failure": "failed", "error": "failed", "in_progress": "started", "queued": "queued", "pending": "queued",
    "inactive": "removed",
}  # fmt: skip
_GITHUB_RAN = {"success": "succeeded", "failure": "failed", "timed_out": "failed", "startup_failure": "failed", "cancelled": "cancelled"}
_GITHUB_RUN = {"requested": "queued", "in_progress": "started"}
_GITHUB_CHANGE = {"opened": "created", "reopened": "created", "synchronize": "updated", "edited": "updated"}
_GITLAB_RUN = {
    "created": "queued", "pending": "queued", "running": "started", "success": "succeeded", "failed": "failed", "canceled": "cancelled",
    "skipped": "cancelled",
}  # fmt: skip
_GITLAB_CHANGE = {
    "open": "created", "reopen": "created", "update": "updated", "merge": "merged", "close": "abandoned", "approved": "reviewed",
}  # fmt: skip
_GITLAB_TICKET = {"open": "created", "reopen": "updated", "update": "updated", "close": "closed"}
_BITBUCKET = {
    "pullrequest:created": "change.created", "pullrequest:updated": "change.updated", "pullrequest:approved": "change.reviewed",
    "pullrequest:fulfilled": "change.merged", "pullrequest:rejected": "change.abandoned", "repo:push": "change.pushed",
}  # fmt: skip
_BITBUCKET_BUILD = {"SUCCESSFUL": "succeeded", "FAILED": "failed", "INPROGRESS": "started", "STOPPED": "cancelled"}


def read_github(reading: Reading) -> list[InboundEvent]:
    """One event of GitHub; its kind is in a header."""
    name = reading.headers.get("x-github-event", "")
    read = _GITHUB.get(name)
    found = read(reading) if read else None
    return [found or reading.unrecognised(f"GitHub's event {name[:60]!r} {reading.text('action')} means nothing here", name)]


def _repository(reading: Reading) -> tuple[str, ...]:
    return tuple(filter(None, (reading.text("repository", "full_name"), reading.text("repository", "name"))))


def _github_ping(reading: Reading) -> InboundEvent:
    return reading.event("ping", names=_repository(reading), data={"zen": reading.text("zen")})


def _github_deployment(reading: Reading) -> InboundEvent:
    ref = reading.text("deployment", "ref")
    return reading.event(
        "deployment.requested", names=_repository(reading), environment=reading.text("deployment", "environment"),
        version=reading.text("deployment", "payload", "version") or ref, at=reading.text("deployment", "created_at"),
        url=reading.text("deployment", "url"), actor=reading.text("sender", "login"),
        data={"ref": ref, "sha": reading.text("deployment", "sha"), "deployment_id": reading.text("deployment", "id")},
    )  # fmt: skip


def _github_deployed(reading: Reading) -> InboundEvent | None:
    state = reading.text("deployment_status", "state")
    if state not in _GITHUB_DEPLOYED:
        return None
    ref = reading.text("deployment", "ref")
    return reading.event(
        f"deployment.{_GITHUB_DEPLOYED[state]}", names=_repository(reading), environment=reading.text("deployment", "environment"),
        version=reading.text("deployment", "payload", "version") or ref, at=reading.text("deployment_status", "created_at"), outcome=state,
        url=reading.text("deployment_status", "target_url"), actor=reading.text("sender", "login"),
        data={"ref": ref, "sha": reading.text("deployment", "sha"), "deployment_id": reading.text("deployment", "id")},
    )  # fmt: skip


def _github_release(reading: Reading) -> InboundEvent:
    return reading.event(
        f"release.{reading.text('action', limit=30) or 'changed'}", names=_repository(reading), version=reading.text("release", "tag_name"),
        at=reading.text("release", "published_at"), url=reading.text("release", "html_url"), actor=reading.text("sender", "login"),
        data={"name": reading.text("release", "name"), "prerelease": reading.text("release", "prerelease")},
    )  # fmt: skip


def _github_run(reading: Reading) -> InboundEvent | None:
    conclusion = reading.text("workflow_run", "conclusion")
    stands = _GITHUB_RAN.get(conclusion) if reading.text("action") == "completed" else _GITHUB_RUN.get(reading.text("action"))
    if stands is None:
        return None
    return reading.event(
        f"build.{stands}", names=_repository(reading), version=reading.tag(reading.text("workflow_run", "head_branch")),
        at=reading.text("workflow_run", "updated_at"), outcome=conclusion, url=reading.text("workflow_run", "html_url"),
        actor=reading.text("sender", "login"),
        data={
            "workflow": reading.text("workflow_run", "name"), "run_id": reading.text("workflow_run", "id"),
            "sha": reading.text("workflow_run", "head_sha"), "branch": reading.text("workflow_run", "head_branch"),
        },
    )  # fmt: skip


def _github_change(reading: Reading) -> InboundEvent | None:
    action = reading.text("action")
    merged = reading.text("pull_request", "merged_at")
    stands = ("merged" if merged else "abandoned") if action == "closed" else _GITHUB_CHANGE.get(action)
    if stands is None:
        return None
    return reading.event(
        f"change.{stands}", names=_repository(reading), at=merged or reading.text("pull_request", "updated_at"),
        url=reading.text("pull_request", "html_url"), actor=reading.text("sender", "login"),
        subject=f"{reading.text('repository', 'full_name')}#{reading.text('pull_request', 'number')}",
        data={"title": reading.text("pull_request", "title"), "sha": reading.text("pull_request", "merge_commit_sha")},
    )  # fmt: skip


def _github_push(reading: Reading) -> InboundEvent:
    return reading.event(
        "change.pushed", names=_repository(reading), at=reading.text("head_commit", "timestamp"), url=reading.text("compare"),
        actor=reading.text("sender", "login"), data={"ref": reading.text("ref"), "sha": reading.text("after")},
    )  # fmt: skip


def _github_ticket(reading: Reading) -> InboundEvent:
    action = {"opened": "created", "closed": "closed", "deleted": "deleted"}.get(reading.text("action"), "updated")
    return reading.event(
        f"ticket.{action}", names=_repository(reading), at=reading.text("issue", "updated_at"), url=reading.text("issue", "html_url"),
        actor=reading.text("sender", "login"), subject=f"{reading.text('repository', 'full_name')}#{reading.text('issue', 'number')}",
        data={"title": reading.text("issue", "title"), "state": reading.text("issue", "state")},
    )  # fmt: skip


_GITHUB: dict[str, Callable[[Reading], InboundEvent | None]] = {
    "ping": _github_ping, "deployment": _github_deployment, "deployment_status": _github_deployed, "release": _github_release,
    "workflow_run": _github_run, "pull_request": _github_change, "push": _github_push, "issues": _github_ticket,
}  # fmt: skip


def read_gitlab(reading: Reading) -> list[InboundEvent]:
    """One event of GitLab; its kind is in the body."""
    name = reading.text("object_kind") or reading.text("event_name")
    read = _GITLAB.get(name)
    found = read(reading) if read else None
    return [found or reading.unrecognised(f"GitLab's event {name[:60]!r} means nothing here", name)]


def _project(reading: Reading) -> tuple[str, ...]:
    return tuple(filter(None, (reading.text("project", "path_with_namespace"), reading.text("project", "name"))))


def _gitlab_deployment(reading: Reading) -> InboundEvent | None:
    stands = _GITLAB_RUN.get(reading.text("status"))
    if stands is None:
        return None
    return reading.event(
        f"deployment.{stands}", names=_project(reading), environment=reading.text("environment"), version=reading.tag(reading.text("ref")),
        at=reading.text("status_changed_at"), outcome=reading.text("status"), url=reading.text("deployable_url"),
        actor=reading.text("user", "username"),
        data={"ref": reading.text("ref"), "sha": reading.text("short_sha"), "deployment_id": reading.text("deployment_id")},
    )  # fmt: skip


def _gitlab_release(reading: Reading) -> InboundEvent:
    action = {"create": "published", "update": "edited", "delete": "deleted"}.get(reading.text("action"), "changed")
    return reading.event(
        f"release.{action}", names=_project(reading), version=reading.text("tag"), at=reading.text("released_at"), url=reading.text("url"),
        data={"name": reading.text("name"), "sha": reading.text("commit", "id")},
    )  # fmt: skip


def _gitlab_pipeline(reading: Reading) -> InboundEvent | None:
    stands = _GITLAB_RUN.get(reading.text("object_attributes", "status"))
    if stands is None:
        return None
    ref = reading.text("object_attributes", "ref")
    return reading.event(
        f"build.{stands}", names=_project(reading), version=reading.tag(ref), at=reading.text("object_attributes", "finished_at"),
        outcome=reading.text("object_attributes", "status"), url=reading.text("object_attributes", "url"),
        actor=reading.text("user", "username"),
        data={"ref": ref, "sha": reading.text("object_attributes", "sha"), "pipeline_id": reading.text("object_attributes", "id")},
    )  # fmt: skip


def _gitlab_change(reading: Reading) -> InboundEvent | None:
    stands = _GITLAB_CHANGE.get(reading.text("object_attributes", "action"))
    return _gitlab_item(reading, f"change.{stands}", "!") if stands else None


def _gitlab_ticket(reading: Reading) -> InboundEvent | None:
    stands = _GITLAB_TICKET.get(reading.text("object_attributes", "action"))
    return _gitlab_item(reading, f"ticket.{stands}", "#") if stands else None


def _gitlab_item(reading: Reading, kind: str, mark: str) -> InboundEvent:
    return reading.event(
        kind, names=_project(reading), at=reading.text("object_attributes", "updated_at"), url=reading.text("object_attributes", "url"),
        subject=f"{reading.text('project', 'path_with_namespace')}{mark}{reading.text('object_attributes', 'iid')}",
        actor=reading.text("user", "username"),
        data={"title": reading.text("object_attributes", "title"), "state": reading.text("object_attributes", "state")},
    )  # fmt: skip


def _gitlab_push(reading: Reading) -> InboundEvent:
    return reading.event(
        "change.pushed", names=_project(reading), actor=reading.text("user_username"),
        data={"ref": reading.text("ref"), "sha": reading.text("checkout_sha")},
    )  # fmt: skip


_GITLAB: dict[str, Callable[[Reading], InboundEvent | None]] = {
    "deployment": _gitlab_deployment, "release": _gitlab_release, "pipeline": _gitlab_pipeline, "merge_request": _gitlab_change,
    "issue": _gitlab_ticket, "push": _gitlab_push, "tag_push": _gitlab_push,
}  # fmt: skip


def read_bitbucket(reading: Reading) -> list[InboundEvent]:
    """One event of Bitbucket; its kind is in a header."""
    name = reading.headers.get("x-event-key", "")
    names = _repository(reading)
    if name in {"repo:commit_status_created", "repo:commit_status_updated"}:
        state = reading.text("commit_status", "state")
        kind = f"build.{_BITBUCKET_BUILD.get(state, 'changed')}"
        return [reading.event(kind, names=names, outcome=state, url=reading.text("commit_status", "url"), actor=_nick(reading))]
    if name not in _BITBUCKET:
        return [reading.unrecognised(f"Bitbucket's event {name[:60]!r} means nothing here", name)]
    number = reading.text("pullrequest", "id")
    return [
        reading.event(
            _BITBUCKET[name], names=names, at=reading.text("pullrequest", "updated_on"),
            url=reading.text("pullrequest", "links", "html", "href"), actor=_nick(reading),
            subject=f"{names[0] if names else ''}#{number}" if number else "", data={"title": reading.text("pullrequest", "title")},
        )
    ]  # fmt: skip


def _nick(reading: Reading) -> str:
    return reading.text("actor", "nickname") or reading.text("actor", "display_name")
