"""A venture with stored work: features, items, links, people, a team, and a past to learn from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.catalog_team import TeamSpec
from productops.domain.development import Feature, Link, Person, Read, Sprint, Stage, System, WorkItem
from productops.domain.development_plan_facts_file import WorkFile, request_document
from productops.domain.development_plan_facts_stored import PlanState, StoredPlan
from productops.domain.development_sync import DevelopmentSource
from productops.store.identity import new_id
from productops.usecases.context import Context

TODAY = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
# A Monday to come: programs of their own have no clock but the real one.
NOW = TODAY + timedelta(days=7 - TODAY.weekday())
SOURCE = DevelopmentSource("gh", "apollo", DevelopmentSourceSpec(system=System.GITHUB, projects=("acme/shop",)))


def team(**more: Any) -> TeamSpec:
    """Two people who work from 9 to 17 UTC."""
    people = [
        {"id": "ann", "name": "Ann", "accounts": ["ann-gh"], "skills": {"backend": 1.0}},
        {"id": "bob", "name": "Bob", "accounts": ["bob@example.com"], "skills": {"frontend": 1.0, "backend": 0.5}},
    ]
    return TeamSpec.model_validate({"people": people, "hours": ["09:00-13:00", "14:00-18:00"]} | more)


def item(key: str, **more: Any) -> WorkItem:
    """An open piece of work of four to twelve hours."""
    given: dict[str, Any] = {
        "external_id": f"id-{key}", "key": key, "title": f"do {key}", "changed_at": NOW - timedelta(days=1), "skill": "backend",
        "estimate_low_h": 4.0, "estimate_h": 8.0, "estimate_high_h": 12.0, "stage": Stage.READY,
    }  # fmt: skip
    return WorkItem(**(given | more))


def past(key: str, days: int, **more: Any) -> WorkItem:
    """Work of so many whole working days of one person, that ended on Monday a week ago."""
    done = NOW - timedelta(days=7) + timedelta(hours=10)
    return item(key, stage=Stage.DONE, started_at=done - timedelta(days=days - 1, hours=9), done_at=done, assignee="u-ann", **more)


def work() -> list[Read]:
    """Two features of two items each, one of them under way, and one dependency."""
    return [
        Person(external_id="u-ann", changed_at=NOW, login="ann-gh", name="Ann A.", person="ann-gh"),
        Person(external_id="u-bob", changed_at=NOW, login="bobby", email="bob@example.com", person="bob@example.com"),
        Feature(external_id="f1", changed_at=NOW, key="SHOP-1", title="Pay by invoice", due_at=NOW + timedelta(days=3), priority="High"),
        Feature(external_id="f2", changed_at=NOW, key="SHOP-2", title="Gift cards"),
        item("SHOP-11", feature="SHOP-1", stage=Stage.DOING, assignee="u-ann", remaining_h=4.0),
        item("SHOP-12", feature="f1", skill="frontend"),
        item("SHOP-21", feature="f2"),
        item("SHOP-22", feature="SHOP-2", skill="frontend", sprint="7"),
        Link(external_id="l1", changed_at=NOW, item="SHOP-11", to="id-SHOP-12"),
        Sprint(external_id="7", changed_at=NOW, name="Sprint 7", state="active", ends_at=NOW + timedelta(days=4)),
    ]


def furnish_plan(context: Context, *more: Read, spec: TeamSpec | None = None, with_team: bool = True) -> None:
    """Store all of it in venture apollo."""
    with context.store.write() as unit:
        now = context.clock.now()
        unit.development_sources.put(SOURCE.name, venture="apollo", spec=SOURCE.spec, base="", now=now)
        unit.development.put(SOURCE, [*work(), *more], now=now)
        if with_team:
            unit.development_teams.put("shop-team", venture="apollo", spec=spec or team(), base="", now=now)


def draft_plan(context: Context) -> str:
    """Keep a small plan as a draft without searching for it; returns its id."""
    at = NOW.isoformat()
    task = {
        "item": "a", "title": "a", "feature": "", "person": "ann", "starts_at": at, "ends_at": at, "slack_h": 0, "critical": True,
        "slot_from": 0, "slot_to": 8,
    }  # fmt: skip
    document = {
        "starts_at": at, "ends_at": at, "length_h": 8, "proven": True, "gap": 0.0, "cost": 0, "took_s": 0.1, "critical": ["a"],
        "tasks": [task], "features": [], "people": [{"person": "ann", "name": "Ann", "busy_h": 8, "available_h": 8, "share": 1.0}],
    }  # fmt: skip
    work_file = WorkFile.model_validate({"people": [{"id": "ann"}], "items": [{"id": "a", "hours": 8}]})
    plan = StoredPlan(
        id=str(new_id()), venture="apollo", team="", state=PlanState.DRAFT, asked_by="tester", origin="cli", asked_at=NOW, made_at=NOW,
        request=request_document(work_file.request(now=NOW)), plan=document, proven=True, length_h=8, starts_at=NOW, ends_at=NOW,
    )  # fmt: skip
    with context.store.write() as unit:
        unit.development_plans.add(plan)
    return plan.id
