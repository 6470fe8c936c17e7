"""Work to plan as a document: what people write into a file, send to the API, and what stored plans were made of."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from productops.domain.catalog_team import DAYS, Absence, At, Hours, Line, Pace, Share, WorkHours
from productops.domain.development_plan import ITEMS_MAX, PEOPLE_MAX, Estimate, Feature, Person, PlanRequest, WorkCalendar, WorkItem
from productops.domain.development_plan_facts_history import around
from productops.domain.development_plan_facts_people import ANYBODYS
from productops.domain.release_windows import Interval

Skill = Annotated[str, Field(max_length=63, pattern=r"^[^\x00-\x1f\x7f]*$")]
Id = Annotated[str, Field(min_length=1, max_length=320, pattern=r"^[^\x00-\x1f\x7f]+$")]
FeatureId = Annotated[str, Field(max_length=320, pattern=r"^[^\x00-\x1f\x7f]*$")]
Priority = Annotated[int, Field(ge=0, le=1000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EstimateIn(_Strict):
    """Hours of one full-time person."""

    best_h: float = Field(ge=0, le=10_000)
    likely_h: float = Field(ge=0, le=10_000)
    worst_h: float = Field(ge=0, le=10_000)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.best_h <= self.likely_h <= self.worst_h:
            raise ValueError("best_h, likely_h and worst_h must be in that order")
        return self


class ItemIn(_Strict):
    """One piece of work, done by one person."""

    id: Id
    title: Line = ""
    skill: Skill = Field(default="", description="Who can do it. Empty: anybody.")
    feature: FeatureId = Field(default="", description="Id of a feature. Empty: of none.")
    hours: float | None = Field(default=None, gt=0, le=10_000, description="Hours it most likely takes a full-time person; or estimate.")
    estimate: EstimateIn | None = Field(default=None, description="Hours at best, likely and at worst; or hours. Neither: usual_h.")
    after: tuple[Id, ...] = Field(default=(), max_length=1000, description="Ids of what must be done before.")
    priority: Priority = Field(default=1, description="What an hour after its deadline costs.")
    deadline: At | None = None
    binding: bool = Field(default=False, description="The deadline is a must.")
    done_share: float = Field(default=0.0, ge=0, le=1, description="Part of it that is done.")
    started: bool = Field(default=False, description="It goes on at once, with its person.")
    person: FeatureId = Field(default="", description="Id of who has it.")
    not_before: At | None = Field(default=None, description="It waits for something outside.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.hours is not None and self.estimate is not None:
            raise ValueError("write either hours or estimate")
        return self


class FeatureIn(_Strict):
    """What users get when all its items are done."""

    id: Id
    title: Line = ""
    priority: Priority = Field(default=1, description="What an hour after its deadline costs.")
    deadline: At | None = None
    binding: bool = Field(default=False, description="The deadline is a must.")


class PersonIn(_Strict):
    """Who works."""

    id: Id
    name: Line = ""
    skills: dict[Skill, Pace] = Field(default_factory=dict, max_length=100, description="Skill → pace. Empty: what names no skill.")
    share: Share = 1.0
    absences: tuple[Absence, ...] = Field(default=(), max_length=1000)


class WorkFile(_Strict):
    """Work, people and hours: everything a plan needs."""

    starts_at: At | None = Field(default=None, description="From when on. Left out: now.")
    calendar: WorkHours = WorkHours()
    people: tuple[PersonIn, ...] = Field(min_length=1, max_length=PEOPLE_MAX)
    features: tuple[FeatureIn, ...] = Field(default=(), max_length=2000)
    items: tuple[ItemIn, ...] = Field(min_length=1, max_length=ITEMS_MAX)
    usual_h: dict[Skill, Hours] = Field(default_factory=dict, max_length=100, description="Hours by skill, of items without an estimate.")
    history: dict[Skill, Annotated[float, Field(gt=0, le=100)]] = Field(
        default_factory=dict, max_length=100, description="Real hours per estimated hour, by skill."
    )
    level: bool = Field(default=False, description="Spread the work evenly where it costs nothing.")

    def request(self, *, now: datetime) -> PlanRequest:
        """What is planned."""
        zone = self.calendar.timezone
        holidays = tuple(each.interval(zone) for each in self.calendar.holidays)
        calendar = WorkCalendar(zone, self.calendar.day_numbers(), self.calendar.spans(), holidays)
        anybodys = {ANYBODYS: 1.0} if any(not item.skill or item.skill == ANYBODYS for item in self.items) else {}
        people = tuple(
            Person(each.id, each.name or each.id, anybodys | dict(each.skills), each.share, tuple(a.interval(zone) for a in each.absences))
            for each in self.people
        )
        return PlanRequest(
            starts_at=self.starts_at or now,
            items=tuple(_item(each) for each in self.items),
            people=people,
            features=tuple(Feature(f.id, f.title or f.id, f.priority, f.deadline, f.binding) for f in self.features),
            calendar=calendar,
            usual_h=dict(self.usual_h),
            history=dict(self.history),
            level=self.level,
        )


def _item(item: ItemIn) -> WorkItem:
    told = item.estimate
    estimate = Estimate(told.best_h, told.likely_h, told.worst_h) if told is not None else around(item.hours) if item.hours else None
    return WorkItem(
        id=item.id, title=item.title or item.id, skill=item.skill or ANYBODYS, feature=item.feature, estimate=estimate, after=item.after,
        priority=item.priority, deadline=item.deadline, binding=item.binding, done_share=item.done_share, started=item.started,
        person=item.person, not_before=item.not_before,
    )  # fmt: skip


def request_document(request: PlanRequest) -> dict[str, Any]:
    """The request as a work file has it; times are exact."""
    return {
        "starts_at": request.starts_at.isoformat(),
        "calendar": _calendar(request.calendar),
        "people": [
            {"id": p.id, "name": p.name, "skills": dict(p.skills), "share": p.share, "absences": [_absence(a) for a in p.absences]}
            for p in request.people
        ],
        "features": [
            {"id": f.id, "title": f.title, "priority": f.priority, "deadline": _at(f.deadline), "binding": f.binding}
            for f in request.features
        ],
        "items": [_item_document(item) for item in request.items],
        "usual_h": dict(request.usual_h),
        "history": dict(request.history),
        "level": request.level,
    }


def _item_document(item: WorkItem) -> dict[str, Any]:
    told = item.estimate
    estimate = {"best_h": told.optimistic_h, "likely_h": told.likely_h, "worst_h": told.pessimistic_h} if told is not None else None
    return {
        "id": item.id, "title": item.title, "skill": item.skill, "feature": item.feature, "estimate": estimate, "after": list(item.after),
        "priority": item.priority, "deadline": _at(item.deadline), "binding": item.binding, "done_share": item.done_share,
        "started": item.started, "person": item.person, "not_before": _at(item.not_before),
    }  # fmt: skip


def _calendar(calendar: WorkCalendar) -> dict[str, Any]:
    return {
        "timezone": calendar.timezone,
        "weekdays": [DAYS[day] for day in calendar.weekdays],
        "hours": [f"{begin:%H:%M}-{end:%H:%M}" for begin, end in calendar.hours],
        "holidays": [_absence(each) for each in calendar.holidays],
    }


def _absence(interval: Interval) -> dict[str, Any]:
    return {"starts_at": interval.starts_at.isoformat(), "ends_at": interval.ends_at.isoformat()}


def _at(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def request_from(document: dict[str, Any]) -> PlanRequest:
    """The request of a stored document. Raises: pydantic's ValidationError when it was tampered with."""
    work = WorkFile.model_validate(document)
    return work.request(now=work.starts_at or datetime.min.replace(tzinfo=UTC))


def digest_of(document: dict[str, Any]) -> str:
    """Equal for requests that are equal."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
