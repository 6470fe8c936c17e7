"""What GitHub's answers and webhooks mean. Source: docs.github.com: REST API, GraphQL API, webhook events and payloads."""

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
    Gone,
    Link,
    Person,
    Review,
    RunState,
    Told,
    WorkItem,
)
from productops.domain.development_map import Mapper, UnmappableError, each, file_changes, first_line, mentioned, names, number, whole
from productops.domain.governance_webhooks_json import dig, text

_RUN: Final = {"queued": RunState.QUEUED, "requested": RunState.QUEUED, "waiting": RunState.QUEUED, "pending": RunState.QUEUED}
_ENDED: Final = {
    "success": RunState.SUCCEEDED,
    "neutral": RunState.SUCCEEDED,
    "cancelled": RunState.CANCELLED,
    "skipped": RunState.CANCELLED,
}
_DEPLOYED: Final = {
    "success": RunState.SUCCEEDED, "active": RunState.SUCCEEDED, "inactive": RunState.SUCCEEDED, "failure": RunState.FAILED,
    "error": RunState.FAILED, "in_progress": RunState.RUNNING, "queued": RunState.QUEUED, "pending": RunState.QUEUED,
    "waiting": RunState.QUEUED,
}  # fmt: skip


def identity(data: Any) -> str:
    """The id that is the same in all of GitHub's interfaces. Raises: UnmappableError."""
    found = text(data, "node_id") or text(data, "id")
    if not found:
        raise UnmappableError("no id")
    return found


def person(mapper: Mapper, user: Any, at: datetime) -> Person | None:
    """An account; GraphQL calls the number ``databaseId``."""
    number_of = text(user, "databaseId") or text(user, "id")
    return mapper.person(number_of, text(user, "login"), at, name=text(user, "name"), email=text(user, "email"))


def issue(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    """An issue of a list or a webhook; what has a ``pull_request`` is a change."""
    if dig(data, "pull_request"):
        yield from change(mapper, repository, scope, data)
        return
    at, labels = mapper.changed(data, "updated_at"), names(data, "labels")
    who = person(mapper, dig(data, "assignee") or dig(data, "assignees", 0), at)
    if who is not None:
        yield who
    key = f"{repository}#{text(data, 'number')}"
    feature, parts = _feature(mapper, repository, data, at, labels)
    if feature is not None:
        yield feature
    if parts:
        yield _as_feature(mapper, scope, key, data, at, labels)
    closed = text(data, "state") == "closed"
    parent = _key_of_url(text(data, "parent_issue_url"))
    status = text(data, "state_reason") if closed else text(data, "state")
    waits = mapper.spec.mapping.is_blocked(*labels) or (number(dig(data, "issue_dependencies_summary", "blocked_by")) or 0) > 0
    yield WorkItem(
        external_id=identity(data), key=key, changed_at=at, scope=scope, url=text(data, "html_url"), title=text(data, "title"),
        type=text(data, "type", "name") or _type(labels), status=status or text(data, "state"), labels=labels, parent=parent,
        stage=mapper.stage(closed=closed, status="", labels=labels), assignee=who.external_id if who else None,
        skill=mapper.spec.mapping.skill(*labels), feature=feature.external_id if feature else parent if _by_parent(mapper) else None,
        sprint=None, services=mapper.spec.mapping.services_of(repository, ()), created_at=mapper.time(data, "created_at"),
        done_at=mapper.time(data, "closed_at") if closed else None, due_at=mapper.time(data, "milestone", "due_on"),
        blocked_since=at if waits and not closed else None, priority=_priority(labels), **mapper.estimate(labels),
    )  # fmt: skip
    for named in _blockers(text(data, "body", limit=20_000)):
        for blocker in mentioned(repository, named):
            yield Link(external_id=f"{blocker}>{key}"[:255], changed_at=at, scope=scope, item=blocker, to=key)


def _blockers(body: str) -> list[str]:
    """Lines that say what has to be done before: ``Blocked by #12``, ``Depends on acme/cart#3``."""
    return [line for line in body.splitlines() if line.strip(" -*_").lower().startswith(("blocked by", "depends on"))][:50]


def _by_parent(mapper: Mapper) -> bool:
    return mapper.spec.feature_rule.by == "parent"


def _feature(mapper: Mapper, repository: str, data: Any, at: datetime, labels: tuple[str, ...]) -> tuple[Feature | None, bool]:
    """The feature that an issue is of, where the issue tells all of it; and whether the issue is itself one."""
    rule = mapper.spec.feature_rule
    found = dig(data, "milestone")
    if rule.by == "milestone" and isinstance(found, dict):
        return milestone(mapper, repository, found), False
    if rule.by == "label":
        return mapper.label_feature(labels, at), False
    is_epic = rule.by == "epic" and bool({text(data, "type", "name"), *labels} & set(rule.types))
    has_parts = rule.by == "parent" and (number(dig(data, "sub_issues_summary", "total")) or 0) > 0
    return None, is_epic or has_parts


def milestone(mapper: Mapper, repository: str, data: Any) -> Feature:
    """A milestone as a feature."""
    done = text(data, "state") == "closed"
    return Feature(
        external_id=identity(data), key=f"{repository}@{text(data, 'number')}", changed_at=mapper.changed(data, "updated_at"), scope="",
        url=text(data, "html_url"), title=text(data, "title"), description=text(data, "description", limit=4000),
        status=text(data, "state"), stage=mapper.stage(closed=done, status="", labels=()), created_at=mapper.time(data, "created_at"),
        due_at=mapper.time(data, "due_on"), done_at=mapper.time(data, "closed_at") if done else None,
    )  # fmt: skip


def _as_feature(mapper: Mapper, scope: str, key: str, data: Any, at: datetime, labels: tuple[str, ...]) -> Feature:
    closed = text(data, "state") == "closed"
    return Feature(
        external_id=identity(data), key=key, changed_at=at, scope=scope, url=text(data, "html_url"), title=text(data, "title"),
        description=text(data, "body", limit=4000), status=text(data, "state"), labels=labels, priority=_priority(labels),
        stage=mapper.stage(closed=closed, status="", labels=labels), created_at=mapper.time(data, "created_at"),
        done_at=mapper.time(data, "closed_at") if closed else None, due_at=mapper.time(data, "milestone", "due_on"),
    )  # fmt: skip


def _type(labels: tuple[str, ...]) -> str:
    return next((label.lower() for label in labels if label.lower() in {"bug", "enhancement", "task", "documentation"}), "issue")


def _priority(labels: tuple[str, ...]) -> str:
    return next((label.partition("/")[2] for label in labels if label.lower().startswith("priority/")), "")


def _key_of_url(url: str) -> str | None:
    """``acme/shop#7`` of ``https://api.github.com/repos/acme/shop/issues/7``."""
    parts = url.rstrip("/").split("/")
    return f"{parts[-4]}/{parts[-3]}#{parts[-1]}" if len(parts) > 4 and parts[-1].isdigit() else None


def change(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    """A pull request: of the list of issues, of its own page, or of a webhook; each tells more or less of it."""
    at = mapper.changed(data, "updated_at")
    author = person(mapper, dig(data, "user"), at)
    if author is not None:
        yield author
    merged_at = mapper.time(data, "pull_request", "merged_at") or mapper.time(data, "merged_at")
    closed = text(data, "state") == "closed"
    state = ChangeState.MERGED if merged_at else ChangeState.CLOSED if closed else ChangeState.OPEN
    head = text(data, "head", "ref") or None
    yield Change(
        external_id=identity(data), key=f"{repository}#{text(data, 'number')}", changed_at=at, scope=scope, url=text(data, "html_url"),
        repository=repository, title=text(data, "title"), author=author.external_id if author else None, state=state,
        draft=bool(dig(data, "draft")), labels=names(data, "labels"), opened_at=mapper.time(data, "created_at"), merged_at=merged_at,
        closed_at=mapper.time(data, "closed_at"), base=text(data, "base", "ref") or None, head=head,
        works_on=mentioned(repository, text(data, "title"), text(data, "body", limit=20_000), head or ""),
        head_sha=text(data, "head", "sha") or None, merge_sha=(text(data, "merge_commit_sha") or None) if merged_at else None,
        additions=whole(dig(data, "additions")), deletions=whole(dig(data, "deletions")), file_count=whole(dig(data, "changed_files")),
        commit_count=whole(dig(data, "commits")), review_comments=whole(dig(data, "review_comments")),
    )  # fmt: skip


def change_page(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    """A pull request as GraphQL tells it, with its files, reviews and commits."""
    at = mapper.changed(data, "updatedAt")
    change_id = text(data, "id")
    found: list[Review] = []
    for told in each(data, "reviews"):
        found += [r for r in _review_page(mapper, scope, change_id, told, at) if isinstance(r, Review)]
        yield from _review_page(mapper, scope, change_id, told, at)
    named: list[str] = []
    for told in each(data, "commits"):
        one = _commit_page(mapper, repository, scope, change_id, dig(told, "commit"), at)
        named += one.works_on
        yield one
    author = person(mapper, dig(data, "author"), at)
    if author is not None:
        yield author
    files = file_changes((text(f, "path"), dig(f, "additions"), dig(f, "deletions")) for f in each(data, "files"))
    times = [r.submitted_at for r in found if r.submitted_at and (author is None or r.reviewer != author.external_id)]
    merged_at, state = mapper.time(data, "mergedAt"), text(data, "state").lower()
    own = mentioned(repository, text(data, "title"), text(data, "body", limit=20_000), text(data, "headRefName"))
    yield Change(
        external_id=change_id, key=f"{repository}#{text(data, 'number')}", changed_at=at, scope=scope, url=text(data, "url"),
        repository=repository, title=text(data, "title"), author=author.external_id if author else None,
        state=ChangeState(state) if state in set(ChangeState) else ChangeState.OPEN, draft=bool(dig(data, "isDraft")),
        labels=names(data, "labels"), opened_at=mapper.time(data, "createdAt"),
        merged_at=merged_at, closed_at=mapper.time(data, "closedAt"),
        works_on=tuple(dict.fromkeys((*own, *named))), base=text(data, "baseRefName"), head=text(data, "headRefName"),
        head_sha=text(data, "headRefOid"), merge_sha=text(data, "mergeCommit", "oid") or None, additions=whole(dig(data, "additions")),
        deletions=whole(dig(data, "deletions")), file_count=whole(dig(data, "changedFiles")), files=files,
        services=mapper.spec.mapping.services_of(repository, tuple(f.path for f in files)),
        commit_count=whole(dig(data, "commits", "totalCount")), review_count=whole(dig(data, "reviews", "totalCount")),
        review_comments=whole(dig(data, "totalCommentsCount")), first_review_at=min(times, default=None), details_at=at,
    )  # fmt: skip


def _review_page(mapper: Mapper, scope: str, change_id: str, data: Any, at: datetime) -> Iterator[Told]:
    who = person(mapper, dig(data, "author"), at)
    if who is not None:
        yield who
    yield Review(
        external_id=text(data, "id"), changed_at=mapper.time(data, "updatedAt") or at, scope=scope, url=text(data, "url"), change=change_id,
        state=text(data, "state").lower() or "commented", reviewer=who.external_id if who else None,
        submitted_at=mapper.time(data, "submittedAt"), comments=whole(dig(data, "comments", "totalCount")),
    )  # fmt: skip


def _commit_page(mapper: Mapper, repository: str, scope: str, change_id: str, data: Any, at: datetime) -> Commit:
    return Commit(
        external_id=f"{scope}:{text(data, 'oid')}", changed_at=mapper.time(data, "committedDate") or at, scope=scope, sha=text(data, "oid"),
        repository=repository, title=text(data, "messageHeadline"), author=text(data, "author", "user", "databaseId") or None,
        author_name=text(data, "author", "name"), authored_at=mapper.time(data, "authoredDate"),
        committed_at=mapper.time(data, "committedDate"), parents=names(data, "parents", field="oid"),
        additions=whole(dig(data, "additions")), deletions=whole(dig(data, "deletions")), change=change_id,
        works_on=mentioned(repository, text(data, "message", limit=20_000)),
    )  # fmt: skip


def commit(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    """A commit of a list (``commit`` within) or of a push (bare)."""
    sha = text(data, "sha") or text(data, "id")
    if not sha:
        raise UnmappableError("a commit without sha")
    inner = dig(data, "commit") or data
    message = text(inner, "message", limit=20_000)
    committed = mapper.time(inner, "committer", "date") or mapper.time(data, "timestamp")
    at = committed or mapper.now
    who = person(mapper, dig(data, "author"), at)
    if who is not None:
        yield who
    parents = names(data, "parents", field="sha")
    yield Commit(
        external_id=f"{scope}:{sha}", changed_at=at, scope=scope, url=text(data, "html_url") or text(data, "url"), sha=sha,
        repository=repository, title=first_line(message), author=who.external_id if who else None,
        author_name=text(inner, "author", "name"), authored_at=mapper.time(inner, "author", "date") or committed, committed_at=committed,
        parents=parents, additions=whole(dig(data, "stats", "additions")), deletions=whole(dig(data, "stats", "deletions")),
        works_on=mentioned(repository, message),
    )  # fmt: skip


def build(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    """A run of Actions."""
    status = text(data, "status")
    ended = status == "completed"
    stands = _ENDED.get(text(data, "conclusion"), RunState.FAILED) if ended else _RUN.get(status, RunState.RUNNING)
    at = mapper.changed(data, "updated_at")
    yield Build(
        external_id=text(data, "id"), changed_at=at, scope=scope, url=text(data, "html_url"), repository=repository,
        name=text(data, "name"), sha=text(data, "head_sha"), branch=text(data, "head_branch"), status=stands,
        started_at=mapper.time(data, "run_started_at") or mapper.time(data, "created_at"), finished_at=at if ended else None,
    )  # fmt: skip


def deployment(mapper: Mapper, repository: str, scope: str, data: Any, status: Any = None) -> Iterator[Told]:
    """A deployment, with the status that a webhook or GraphQL tells beside it."""
    environment = text(data, "environment")
    state = text(status, "state").lower()
    at = mapper.time(status, "updated_at") or mapper.changed(data, "updated_at")
    stands = _DEPLOYED.get(state)
    ended = stands in {RunState.SUCCEEDED, RunState.FAILED}
    services = mapper.spec.mapping.services_of(repository, ())
    yield Deployment(
        external_id=identity(data), changed_at=at, scope=scope, url=text(data, "url"), repository=repository, sha=text(data, "sha"),
        environment=environment, production=mapper.spec.mapping.is_production(environment) or dig(data, "production_environment") is True,
        ref=text(data, "ref"), service=services[0] if len(services) == 1 else None, status=stands,
        started_at=mapper.time(data, "created_at"), finished_at=(mapper.time(status, "created_at") or at) if ended else None,
    )  # fmt: skip


def deployment_page(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    """A deployment as GraphQL tells it: with its latest status."""
    plain = {
        "node_id": text(data, "id"), "updated_at": dig(data, "updatedAt"), "created_at": dig(data, "createdAt"),
        "ref": text(data, "ref", "name"),
        "environment": text(data, "environment"), "sha": text(data, "commitOid"),
    }  # fmt: skip
    latest = dig(data, "latestStatus") or {"state": text(data, "state")}
    status = {"state": text(latest, "state"), "created_at": dig(latest, "createdAt"), "updated_at": dig(latest, "updatedAt")}
    yield from deployment(mapper, repository, scope, plain, status)


def webhook(mapper: Mapper, event: str, data: Any) -> Iterator[Told]:
    """What a webhook tells; nothing for events that are not about the work. Raises: UnmappableError."""
    repository, scope = text(data, "repository", "full_name"), text(data, "repository", "id")
    read = _WEBHOOKS.get(event)
    if read is not None and scope:
        yield from read(mapper, repository, scope, data)


def _hook_issue(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    if text(data, "action") == "transferred":
        yield Gone(WorkItem, identity(dig(data, "issue")), mapper.now, scope)
        return
    yield from issue(mapper, repository, scope, dig(data, "issue"))
    if text(data, "action") == "deleted":
        yield Gone(WorkItem, identity(dig(data, "issue")), mapper.now, scope)
        yield Gone(Feature, identity(dig(data, "issue")), mapper.now, scope)


def _hook_change(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    yield from change(mapper, repository, scope, dig(data, "pull_request"))


def _hook_review(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    told = dig(data, "review")
    at = mapper.time(told, "submitted_at") or mapper.changed(data, "pull_request", "updated_at")
    who = person(mapper, dig(told, "user"), at)
    if who is not None:
        yield who
    change_id = identity(dig(data, "pull_request"))
    yield Review(
        external_id=identity(told), changed_at=at, scope=scope, url=text(told, "html_url"), change=change_id,
        state="dismissed" if text(data, "action") == "dismissed" else text(told, "state").lower() or "commented",
        reviewer=who.external_id if who else None, submitted_at=at,
    )  # fmt: skip
    yield from change(mapper, repository, scope, dig(data, "pull_request"))


def _hook_push(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    for told in each(data, "commits"):
        plain = told | {"author": {"name": text(told, "author", "name")}}
        yield from commit(mapper, repository, scope, plain)


def _hook_build(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    yield from build(mapper, repository, scope, dig(data, "workflow_run"))


def _hook_deployment(mapper: Mapper, repository: str, scope: str, data: Any) -> Iterator[Told]:
    yield from deployment(mapper, repository, scope, dig(data, "deployment"), dig(data, "deployment_status"))


def _hook_milestone(mapper: Mapper, repository: str, _scope: str, data: Any) -> Iterator[Told]:
    if mapper.spec.feature_rule.by != "milestone":
        return
    yield milestone(mapper, repository, dig(data, "milestone"))
    if text(data, "action") == "deleted":
        yield Gone(Feature, identity(dig(data, "milestone")), mapper.now)


_WEBHOOKS: Final[dict[str, Callable[[Mapper, str, str, Any], Iterator[Told]]]] = {
    "issues": _hook_issue, "pull_request": _hook_change, "pull_request_review": _hook_review, "push": _hook_push,
    "workflow_run": _hook_build, "deployment": _hook_deployment, "deployment_status": _hook_deployment, "milestone": _hook_milestone,
}  # fmt: skip
