"""What Jira's answers and webhooks mean. Source: developer.atlassian.com, Jira Cloud platform REST API v3, Jira Software webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from productops.domain.development import Feature, Gone, Link, Move, Person, Sprint, Stage, Told, WorkItem
from productops.domain.development_map import Mapper, UnmappableError, each, named_feature, names, number
from productops.domain.governance_webhooks_json import dig, text

# What Jira Cloud calls its own fields; a site may have others, which the catalog names.
SPRINT_FIELDS: Final = ("sprint", "customfield_10020")
POINT_FIELDS: Final = ("customfield_10016", "customfield_10028")
EPIC_FIELDS: Final = ("customfield_10014",)
FLAG_FIELDS: Final = ("flagged", "customfield_10021")
_CATEGORY: Final = {"new": Stage.BACKLOG, "indeterminate": Stage.DOING, "done": Stage.DONE}
_MOVED: Final = {
    "status": "stage", "sprint": "sprint", "epic link": "feature", "parent": "feature", "issueparentassociation": "feature",
    "story points": "estimate", "story point estimate": "estimate", "timeoriginalestimate": "estimate", "flagged": "blocked",
    "assignee": "assignee",
}  # fmt: skip


def wanted_fields(mapper_fields: tuple[str, ...]) -> list[str]:
    """The fields that are asked for."""
    own = (
        "summary", "issuetype", "status", "project", "priority", "assignee", "parent", "labels", "components", "created", "updated",
        "resolutiondate", "duedate", "timeoriginalestimate", "timeestimate", "issuelinks", "statuscategorychangedate",
    )  # fmt: skip
    return list(dict.fromkeys((*own, *SPRINT_FIELDS, *POINT_FIELDS, *EPIC_FIELDS, *FLAG_FIELDS, *filter(None, mapper_fields))))


def person(mapper: Mapper, user: Any, at: datetime) -> Person | None:
    """An account; servers of one's own call it key."""
    found = text(user, "accountId") or text(user, "key") or text(user, "name")
    name = text(user, "displayName")
    return mapper.person(found, text(user, "name") or name, at, name=name, email=text(user, "emailAddress"))


def issue(mapper: Mapper, address: str, data: Any) -> Iterator[Told]:
    """An issue of a search or a webhook, with as much of its history as is told."""
    identity = text(data, "id")
    if not identity:
        raise UnmappableError("an issue without id")
    fields = dig(data, "fields")
    at = mapper.changed(fields, "updated")
    scope, labels = text(fields, "project", "id"), (*names(fields, "labels"), *names(fields, "components"))
    who = person(mapper, dig(fields, "assignee"), at)
    if who is not None:
        yield who
    sprints = list(_sprints(mapper, fields, at))
    yield from sprints
    yield from _thing(mapper, address, data, at, labels, who, sprints)
    for link in each(fields, "issuelinks"):
        yield from _link(text(data, "key"), scope, link, at)
    histories = [*each(data, "changelog", "histories"), *([dig(data, "changelog")] if text(data, "changelog", "id") else [])]
    for history in histories:
        yield from _moves(mapper, identity, scope, history)
    created = mapper.time(fields, "created")
    if created is not None:
        yield Move(
            external_id=f"{identity}:created", changed_at=created, scope=scope, item=identity, field="stage", new=Stage.BACKLOG.value
        )


def _thing(
    mapper: Mapper, address: str, data: Any, at: datetime, labels: tuple[str, ...], who: Person | None, sprints: list[Sprint]
) -> Iterator[Told]:
    fields, rule = dig(data, "fields"), mapper.spec.feature_rule
    kind = text(fields, "issuetype", "name")
    status, category = text(fields, "status", "name"), text(fields, "status", "statusCategory", "key")
    closed = category == "done" or (not category and bool(dig(fields, "resolutiondate")))
    stage = mapper.spec.mapping.stage(status) or _CATEGORY.get(category, Stage.DONE if closed else Stage.BACKLOG)
    done = (mapper.time(fields, "resolutiondate") or mapper.time(fields, "statuscategorychangedate") or at) if stage is Stage.DONE else None
    scope, url = text(fields, "project", "id"), f"{address}/browse/{text(data, 'key')}"
    if (rule.by == "epic" and kind.lower() in {t.lower() for t in rule.types}) or text(fields, "issuetype", "hierarchyLevel") == "1":
        yield Feature(
            external_id=text(data, "id"), key=text(data, "key"), changed_at=at, scope=scope, url=url, title=text(fields, "summary"),
            status=status, stage=stage, priority=text(fields, "priority", "name"), labels=labels, created_at=mapper.time(fields, "created"),
            due_at=mapper.time(fields, "duedate"), done_at=done,
        )  # fmt: skip
        return
    named = _named(mapper, fields, labels, at)
    if named is not None:
        yield named
    parent = text(fields, "parent", "id") or next((text(fields, f) for f in EPIC_FIELDS if text(fields, f)), "") or None
    seconds = number(dig(fields, "timeestimate"))
    flagged = any(dig(fields, name) for name in FLAG_FIELDS)
    waits = flagged or mapper.spec.mapping.is_blocked(status, *labels)
    yield WorkItem(
        external_id=text(data, "id"), key=text(data, "key"), changed_at=at, scope=scope, url=url, title=text(fields, "summary"),
        type=kind.lower(), status=status, stage=stage, labels=labels, assignee=who.external_id if who else None,
        skill=mapper.spec.mapping.skill(*labels), priority=text(fields, "priority", "name"), parent=parent,
        feature=named.external_id if named else parent if rule.by in {"epic", "parent"} else None,
        sprint=sprints[-1].external_id if sprints else None, services=_services(mapper, labels, fields),
        created_at=mapper.time(fields, "created"), done_at=done, due_at=mapper.time(fields, "duedate"),
        blocked_since=at if waits and stage is not Stage.DONE else None, remaining_h=None if seconds is None else round(seconds / 3600, 4),
        **_estimate(mapper, fields, labels),
    )  # fmt: skip


def _named(mapper: Mapper, fields: Any, labels: tuple[str, ...], at: datetime) -> Feature | None:
    rule = mapper.spec.feature_rule
    if rule.by == "field":
        name = text(fields, rule.field) or text(fields, rule.field, "value") or text(fields, rule.field, "name")
        return named_feature("field", name, at) if name else None
    if rule.by == "milestone":  # Jira's word for it is version
        name = text(fields, "fixVersions", 0, "name")
        return named_feature("version", name, at) if name else None
    return mapper.label_feature(labels, at)


def _services(mapper: Mapper, labels: tuple[str, ...], fields: Any) -> tuple[str, ...]:
    known = mapper.spec.mapping.services
    return tuple(sorted({known[name] for name in (*labels, text(fields, "project", "key")) if name in known}))


def _estimate(mapper: Mapper, fields: Any, labels: tuple[str, ...]) -> dict[str, Any]:
    rule = mapper.spec.mapping.estimate
    if rule.field:
        return mapper.estimate(labels, dig(fields, rule.field), dig(fields, rule.low_field), dig(fields, rule.high_field))
    seconds = number(dig(fields, "timeoriginalestimate"))
    points = next((found for name in POINT_FIELDS if (found := number(dig(fields, name))) is not None), None)
    if seconds is not None:
        return {"estimate_low_h": None, "estimate_h": round(seconds / 3600, 4), "estimate_high_h": None, "points": points}
    if points is not None:
        return {"estimate_low_h": None, "estimate_h": points * rule.hours_per_point, "estimate_high_h": None, "points": points}
    return mapper.estimate(labels)


def _sprints(mapper: Mapper, fields: Any, at: datetime) -> Iterator[Sprint]:
    """Sprints an issue was in, the last one last."""
    for name in SPRINT_FIELDS:
        found = dig(fields, name)
        for told in found if isinstance(found, list) else [found]:
            if isinstance(told, dict) and text(told, "id"):
                yield sprint(mapper, told, at)


def sprint(mapper: Mapper, data: Any, at: datetime) -> Sprint:
    """A sprint as an issue or a webhook tells it."""
    return Sprint(
        external_id=text(data, "id"), changed_at=at, name=text(data, "name"), state=text(data, "state").lower() or "future",
        goal=text(data, "goal", limit=4000), starts_at=mapper.time(data, "startDate"), ends_at=mapper.time(data, "endDate"),
        completed_at=mapper.time(data, "completeDate"), url=text(data, "self"),
    )  # fmt: skip


def _link(key: str, scope: str, data: Any, at: datetime) -> Iterator[Link]:
    kind = "blocks" if text(data, "type", "name").lower() in {"blocks", "blocker", "dependency"} else "relates"
    outward, inward = text(data, "outwardIssue", "key"), text(data, "inwardIssue", "key")
    identity = text(data, "id")
    if outward or inward:
        item, to = (key, outward) if outward else (inward, key)
        yield Link(external_id=identity or f"{item}>{to}", changed_at=at, scope=scope, item=item, to=to, kind=kind)


def _moves(mapper: Mapper, item: str, scope: str, history: Any) -> Iterator[Move]:
    at = mapper.time(history, "created")
    if at is None:
        return
    for told in each(history, "items"):
        field = _MOVED.get(text(told, "field").lower())
        if field is None:
            continue
        old, new = _ends(mapper, field, told)
        yield Move(
            external_id=f"{item}:{text(history, 'id')}:{field}", changed_at=at, scope=scope, item=item, field=field, old=old, new=new,
            by=text(history, "author", "accountId") or None,
        )  # fmt: skip
        if field == "stage":
            was, now = text(told, "fromString"), text(told, "toString")
            yield Move(
                external_id=f"{item}:{text(history, 'id')}:status", changed_at=at, scope=scope, item=item, field="status", old=was, new=now
            )


def _ends(mapper: Mapper, field: str, told: Any) -> tuple[str, str]:
    """Both ends in our words: stages by the catalog's mapping, estimates in hours, blocked as yes or nothing."""
    old, new = text(told, "fromString"), text(told, "toString")
    if field == "stage":
        return tuple((mapper.spec.mapping.stage(each_name) or Stage.BACKLOG).value if each_name else "" for each_name in (old, new))  # type: ignore[return-value]
    if field == "blocked":
        return ("yes" if old else "", "yes" if new else "")
    if field in {"feature", "sprint", "assignee"}:
        return text(told, "from") or old, text(told, "to") or new
    factor = 1 / 3600 if text(told, "field").lower() == "timeoriginalestimate" else mapper.spec.mapping.estimate.hours_per_point
    hours = [number(each_value) for each_value in (old, new)]
    return tuple("" if value is None else f"{value * factor:g}" for value in hours)  # type: ignore[return-value]


def webhook(mapper: Mapper, address: str, data: Any) -> Iterator[Told]:
    """What a webhook tells; nothing for events that are not about the work. Raises: UnmappableError."""
    event = text(data, "webhookEvent")
    if event.startswith("jira:issue_"):
        # The history of this one event stands beside the issue.
        told = (dig(data, "issue") or {}) | {"changelog": _one_history(data)}
        yield from issue(mapper, address, told)
        if event == "jira:issue_deleted":
            scope = text(data, "issue", "fields", "project", "id")
            yield from (Gone(kind, text(data, "issue", "id"), mapper.now, scope) for kind in (WorkItem, Feature))
    elif event.startswith("sprint_"):
        at = mapper.time(data, "timestamp") or mapper.now
        yield sprint(mapper, dig(data, "sprint"), at)
        if event == "sprint_deleted":
            yield Gone(Sprint, text(data, "sprint", "id"), at)


def _one_history(data: Any) -> dict[str, Any]:
    told = dig(data, "changelog")
    if not isinstance(told, dict) or not text(told, "id"):
        return {}
    author = {"accountId": text(data, "user", "accountId")}
    return {"histories": [told | {"created": dig(data, "timestamp"), "author": author}]}
