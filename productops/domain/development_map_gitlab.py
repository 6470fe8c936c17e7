"""What GitLab's answers and webhooks mean. Source: docs.gitlab.com, REST API v4, GraphQL, webhook events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from productops.domain.development import (
    Build,
    Change,
    ChangeState,
    Commit,
    Deployment,
    Feature,
    Person,
    Review,
    RunState,
    Sprint,
    Told,
    WorkItem,
)
from productops.domain.development_map import Mapper, UnmappableError, each, file_changes, first_line, mentioned, names, number, whole
from productops.domain.governance_webhooks_json import dig, text

_RUN: Final = {
    "running": RunState.RUNNING, "success": RunState.SUCCEEDED, "failed": RunState.FAILED, "canceled": RunState.CANCELLED,
    "cancelled": RunState.CANCELLED, "skipped": RunState.CANCELLED, "blocked": RunState.QUEUED,
}  # fmt: skip


def identity(data: Any) -> str:
    """Numbers are stable in GitLab. Raises: UnmappableError."""
    found = text(data, "id")
    if not found:
        raise UnmappableError("no id")
    return found.rpartition("/")[2]  # GraphQL writes gid://gitlab/MergeRequest/12


def person(mapper: Mapper, user: Any, at: datetime) -> Person | None:
    """An account."""
    found = text(user, "id").rpartition("/")[2]
    email = text(user, "email")
    return mapper.person(found, text(user, "username"), at, name=text(user, "name"), email="" if email == "[REDACTED]" else email)


def issue(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    """An issue of a list or within a webhook."""
    at, labels = mapper.changed(data, "updated_at"), _labels(data)
    who = person(mapper, dig(data, "assignees", 0) or dig(data, "assignee"), at)
    if who is not None:
        yield who
    feature = _feature(mapper, data, at, labels)
    if feature is not None:
        yield feature
    iteration = dig(data, "iteration")
    if isinstance(iteration, dict):
        yield _sprint(mapper, iteration, at)
    closed = text(data, "state") == "closed"
    spent, likely = number(dig(data, "time_stats", "total_time_spent")), number(dig(data, "time_stats", "time_estimate"))
    sizes = mapper.estimate(labels, likely / 3600 if likely else None)
    if not likely and mapper.spec.mapping.estimate.unit == "points":
        sizes = mapper.estimate(labels, dig(data, "weight"))
    waits = mapper.spec.mapping.is_blocked(*labels)
    yield WorkItem(
        external_id=identity(data), key=f"{project}#{text(data, 'iid')}", changed_at=at, scope=scope, url=_url(data),
        title=text(data, "title"), type=text(data, "issue_type") or "issue", status=text(data, "state"), labels=labels,
        stage=mapper.stage(closed=closed, status="", labels=labels), assignee=who.external_id if who else None,
        skill=mapper.spec.mapping.skill(*labels), feature=feature.external_id if feature else None,
        sprint=text(iteration, "id") or None, services=mapper.spec.mapping.services_of(project, ()),
        priority=next((label.partition("::")[2] for label in labels if label.startswith("priority::")), ""),
        created_at=mapper.time(data, "created_at"), done_at=mapper.time(data, "closed_at") if closed else None,
        due_at=mapper.time(data, "due_date"), blocked_since=at if waits and not closed else None,
        remaining_h=max(0.0, round((likely - (spent or 0)) / 3600, 4)) if likely else None, **sizes,
    )  # fmt: skip


def _url(data: Any) -> str:
    return text(data, "web_url") or text(data, "webUrl") or text(data, "url")


def _labels(data: Any) -> tuple[str, ...]:
    return names(data, "labels") or names(data, "labels", field="title")


def _feature(mapper: Mapper, data: Any, at: datetime, labels: tuple[str, ...]) -> Feature | None:
    rule = mapper.spec.feature_rule
    if rule.by == "milestone" and isinstance(dig(data, "milestone"), dict):
        return milestone(mapper, dig(data, "milestone"), at)
    if rule.by == "epic" and isinstance(dig(data, "epic"), dict):
        epic = dig(data, "epic")
        return Feature(
            external_id=f"epic:{identity(epic)}", key=f"&{text(epic, 'iid')}", changed_at=at, title=text(epic, "title"),
            url=text(epic, "url"),
        )  # fmt: skip
    return mapper.label_feature(labels, at)


def milestone(mapper: Mapper, data: Any, at: datetime) -> Feature:
    """A milestone as a feature."""
    done = text(data, "state") == "closed"
    changed = mapper.time(data, "updated_at") or at
    return Feature(
        external_id=f"milestone:{identity(data)}", key=f"%{text(data, 'id')}", changed_at=changed, url=_url(data),
        title=text(data, "title"),
        description=text(data, "description", limit=4000), status=text(data, "state"),
        stage=mapper.stage(closed=done, status="", labels=()), created_at=mapper.time(data, "created_at"),
        due_at=mapper.time(data, "due_date"), done_at=changed if done else None,
    )  # fmt: skip


def _sprint(mapper: Mapper, data: Any, at: datetime) -> Sprint:
    state = {"1": "future", "2": "active", "3": "closed"}.get(text(data, "state"), "future")
    return Sprint(
        external_id=identity(data), changed_at=mapper.time(data, "updated_at") or at, url=_url(data), state=state,
        name=text(data, "title") or f"{text(data, 'start_date')} – {text(data, 'due_date')}", starts_at=mapper.time(data, "start_date"),
        ends_at=mapper.time(data, "due_date"),
    )  # fmt: skip


def change(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    """A merge request of a list or within a webhook."""
    at = mapper.changed(data, "updated_at")
    author = person(mapper, dig(data, "author"), at)
    if author is not None:
        yield author
    state = {"merged": ChangeState.MERGED, "closed": ChangeState.CLOSED}.get(text(data, "state"), ChangeState.OPEN)
    branch = text(data, "source_branch")
    yield Change(
        external_id=identity(data), key=f"{project}!{text(data, 'iid')}", changed_at=at, scope=scope, url=_url(data), repository=project,
        title=text(data, "title"), author=author.external_id if author else text(data, "author_id") or None, state=state,
        draft=bool(dig(data, "draft") or dig(data, "work_in_progress")), labels=_labels(data), opened_at=mapper.time(data, "created_at"),
        merged_at=mapper.time(data, "merged_at") or (at if state is ChangeState.MERGED else None),
        closed_at=mapper.time(data, "closed_at") or mapper.time(data, "merged_at"), base=text(data, "target_branch") or None,
        head=branch or None, head_sha=text(data, "sha") or text(data, "last_commit", "id") or None,
        merge_sha=text(data, "merge_commit_sha") or text(data, "squash_commit_sha") or None,
        works_on=mentioned(project, text(data, "title"), text(data, "description", limit=20_000), branch),
        review_comments=whole(dig(data, "user_notes_count")),
    )  # fmt: skip


def change_page(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    """A merge request as GraphQL tells it: with its files, approvals and commits."""
    at, change_id = mapper.changed(data, "updatedAt"), identity(data)
    author = person(mapper, dig(data, "author"), at)
    if author is not None:
        yield author
    for told in each(data, "approvedBy"):
        who = person(mapper, told, at)
        if who is not None:
            yield who
            yield Review(
                external_id=f"{change_id}:approval:{who.external_id}", changed_at=at, scope=scope, change=change_id, state="approved",
                reviewer=who.external_id,
            )  # fmt: skip
    notes = [n for n in each(data, "notes") if dig(n, "system") is not True]
    by = text(data, "author", "id")
    times = [t for n in notes if text(n, "author", "id") != by and (t := mapper.time(n, "createdAt"))]
    named: list[str] = []
    for told in each(data, "commits"):
        named += mentioned(project, text(told, "message", limit=20_000))
        yield _commit_page(mapper, project, scope, change_id, told, at)
    files = file_changes((text(f, "path"), dig(f, "additions"), dig(f, "deletions")) for f in each(data, "diffStats"))
    own = mentioned(project, text(data, "title"), text(data, "description", limit=20_000), text(data, "sourceBranch"))
    state, merged_at = text(data, "state"), mapper.time(data, "mergedAt")
    yield Change(
        external_id=change_id, key=f"{project}!{text(data, 'iid')}", changed_at=at, scope=scope, url=_url(data), repository=project,
        title=text(data, "title"), author=author.external_id if author else None, draft=bool(dig(data, "draft")),
        state={"merged": ChangeState.MERGED, "closed": ChangeState.CLOSED}.get(state, ChangeState.OPEN), labels=_labels(data),
        opened_at=mapper.time(data, "createdAt"), merged_at=merged_at, closed_at=mapper.time(data, "closedAt") or merged_at,
        works_on=tuple(dict.fromkeys((*own, *named))), base=text(data, "targetBranch"), head=text(data, "sourceBranch"),
        head_sha=text(data, "diffHeadSha") or None, merge_sha=text(data, "mergeCommitSha") or None,
        additions=whole(dig(data, "diffStatsSummary", "additions")), deletions=whole(dig(data, "diffStatsSummary", "deletions")),
        file_count=whole(dig(data, "diffStatsSummary", "fileCount")), files=files,
        services=mapper.spec.mapping.services_of(project, tuple(f.path for f in files)), commit_count=whole(dig(data, "commitCount")),
        review_count=len(list(each(data, "approvedBy"))), review_comments=whole(dig(data, "userNotesCount")),
        first_review_at=min(times, default=None), details_at=at,
    )  # fmt: skip


def _commit_page(mapper: Mapper, project: str, scope: str, change_id: str, data: Any, at: datetime) -> Commit:
    message = text(data, "message", limit=20_000)
    return Commit(
        external_id=f"{scope}:{text(data, 'sha')}", changed_at=mapper.time(data, "authoredDate") or at, scope=scope, sha=text(data, "sha"),
        repository=project, title=first_line(message), author_name=text(data, "authorName"),
        authored_at=mapper.time(data, "authoredDate"), committed_at=mapper.time(data, "committedDate"), change=change_id,
        works_on=mentioned(project, message),
    )  # fmt: skip


def commit(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    """A commit of a list or of a push."""
    sha = text(data, "id")
    if not sha:
        raise UnmappableError("a commit without id")
    message = text(data, "message", limit=20_000)
    committed = mapper.time(data, "committed_date") or mapper.time(data, "timestamp")
    yield Commit(
        external_id=f"{scope}:{sha}", changed_at=committed or mapper.now, scope=scope, url=_url(data), sha=sha, repository=project,
        title=text(data, "title") or first_line(message), author_name=text(data, "author_name") or text(data, "author", "name"),
        authored_at=mapper.time(data, "authored_date") or committed, committed_at=committed, parents=names(data, "parent_ids"),
        additions=whole(dig(data, "stats", "additions")), deletions=whole(dig(data, "stats", "deletions")),
        works_on=mentioned(project, message),
    )  # fmt: skip


def build(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    """A pipeline. A webhook has no time of the change, so the latest of its own times orders it."""
    status = _RUN.get(text(data, "status"), RunState.QUEUED)
    times = [mapper.time(data, name) for name in ("updated_at", "finished_at", "started_at", "created_at")]
    at = max((t for t in times if t is not None), default=None)
    if at is None:
        raise UnmappableError("a pipeline without a time")
    ended = status in {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}
    yield Build(
        external_id=identity(data), changed_at=at, scope=scope, url=_url(data), repository=project, name=text(data, "name") or "pipeline",
        sha=text(data, "sha"), branch=text(data, "ref"), status=status,
        started_at=mapper.time(data, "started_at") or mapper.time(data, "created_at"),
        finished_at=(mapper.time(data, "finished_at") or at) if ended else None,
    )  # fmt: skip


def deployment(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    """A deployment of a list."""
    environment, at = text(data, "environment", "name"), mapper.changed(data, "updated_at")
    status = _RUN.get(text(data, "status"), RunState.QUEUED)
    yield _deployed(mapper, project, scope, data, identity(data), environment, status, at)


def _deployed(
    mapper: Mapper, project: str, scope: str, data: Any, external_id: str, environment: str, status: RunState, at: datetime,
) -> Deployment:  # fmt: skip
    services = mapper.spec.mapping.services_of(project, ())
    ended = status in {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}
    return Deployment(
        external_id=external_id, changed_at=at, scope=scope, url=text(data, "deployable_url"), repository=project,
        sha=text(data, "sha") or text(data, "short_sha"), environment=environment, ref=text(data, "ref"), status=status,
        production=mapper.spec.mapping.is_production(environment), service=services[0] if len(services) == 1 else None,
        started_at=mapper.time(data, "created_at") or mapper.time(data, "deployable", "started_at"),
        finished_at=(mapper.time(data, "deployable", "finished_at") or at) if ended else None,
    )  # fmt: skip


def webhook(mapper: Mapper, event: str, data: Any) -> Iterator[Told]:
    """What a webhook tells; nothing for events that are not about the work. Raises: UnmappableError."""
    project, scope = text(data, "project", "path_with_namespace"), text(data, "project", "id") or text(data, "project_id")
    read = _WEBHOOKS.get(event)
    if read is not None and scope:
        yield from read(mapper, project, scope, data)


def _inner(data: Any, **more: Any) -> dict[str, Any]:
    found = dig(data, "object_attributes")
    return (found if isinstance(found, dict) else {}) | {key: value for key, value in more.items() if value}


def _hook_issue(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    state = {"opened": "opened", "closed": "closed"}.get(text(data, "object_attributes", "state"), "opened")
    yield from issue(mapper, project, scope, _inner(data, assignees=dig(data, "assignees"), state=state))


def _hook_change(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    told = _inner(data, labels=dig(data, "labels"))
    yield from change(mapper, project, scope, told)
    if text(told, "action") in {"approved", "approval"}:
        at = mapper.changed(told, "updated_at")
        who = person(mapper, dig(data, "user"), at)
        if who is not None:
            yield who
            yield Review(
                external_id=f"{identity(told)}:approval:{who.external_id}", changed_at=at, scope=scope, change=identity(told),
                state="approved", reviewer=who.external_id, submitted_at=at,
            )  # fmt: skip


def _hook_push(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    for told in each(data, "commits"):
        yield from commit(mapper, project, scope, told)


def _hook_build(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    yield from build(mapper, project, scope, _inner(data))


def _hook_deployment(mapper: Mapper, project: str, scope: str, data: Any) -> Iterator[Told]:
    at = mapper.time(data, "status_changed_at") or mapper.now
    status = _RUN.get(text(data, "status"), RunState.QUEUED)
    yield _deployed(mapper, project, scope, data, text(data, "deployment_id"), text(data, "environment"), status, at)


_WEBHOOKS: Final[dict[str, Callable[[Mapper, str, str, Any], Iterator[Told]]]] = {
    "issue": _hook_issue, "work_item": _hook_issue, "merge_request": _hook_change, "push": _hook_push, "pipeline": _hook_build,
    "deployment": _hook_deployment,
}  # fmt: skip
