"""What would be if: changes of a request as documents, which scenarios are made of and accepted plans keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from productops.domain.catalog_team import At, Share
from productops.domain.development_plan import Person, PlanRequest
from productops.domain.development_plan_change import add_person, drop_feature, move_deadline
from productops.domain.development_plan_facts_file import Id, PersonIn
from productops.domain.development_plan_facts_people import ANYBODYS
from productops.errors import InvalidInputError, NotFoundError

CHANGES_MAX = 20
SCENARIOS_MAX = 8


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AddPerson(_Strict):
    """One more person."""

    kind: Literal["add-person"]
    person: PersonIn

    def words(self) -> str:
        """As a clause."""
        skills = ", ".join(self.person.skills) or "work"
        return f"with {self.person.name or self.person.id} ({skills}, {self.person.share:.0%})"

    def apply(self, request: PlanRequest) -> PlanRequest:
        """Raises: InvalidInputError for somebody who is there."""
        if any(each.id == self.person.id for each in request.people):
            raise InvalidInputError(f"{self.person.id!r} is in the plan already; change the share instead (change-share)")
        zone = request.calendar.timezone
        away = tuple(each.interval(zone) for each in self.person.absences)
        anybodys = {ANYBODYS: 1.0} if any(item.skill == ANYBODYS for item in request.items) else {}
        skills = anybodys | dict(self.person.skills) or dict.fromkeys(sorted({item.skill for item in request.items}), 1.0)
        return add_person(Person(self.person.id, self.person.name or self.person.id, skills, self.person.share, away))(request)


class RemovePerson(_Strict):
    """Without somebody; what that person has in work goes to others."""

    kind: Literal["remove-person"]
    person: Id

    def words(self) -> str:
        """As a clause."""
        return f"without {self.person}"

    def apply(self, request: PlanRequest) -> PlanRequest:
        """Raises: NotFoundError."""
        _person(request, self.person)
        items = tuple(replace(i, person="", started=False) if i.person == self.person else i for i in request.items)
        return replace(request, items=items, people=tuple(each for each in request.people if each.id != self.person))


class ChangeShare(_Strict):
    """Somebody works more or less on what is planned."""

    kind: Literal["change-share"]
    person: Id
    share: Share

    def words(self) -> str:
        """As a clause."""
        return f"with {self.person} at {self.share:.0%}"

    def apply(self, request: PlanRequest) -> PlanRequest:
        """Raises: NotFoundError."""
        _person(request, self.person)
        return replace(request, people=tuple(replace(p, share=self.share) if p.id == self.person else p for p in request.people))


class DropFeature(_Strict):
    """Without a feature and its items."""

    kind: Literal["drop-feature"]
    feature: Id

    def words(self) -> str:
        """As a clause."""
        return f"without feature {self.feature}"

    def apply(self, request: PlanRequest) -> PlanRequest:
        """Raises: NotFoundError."""
        return drop_feature(self.feature)(request)


class MoveDeadline(_Strict):
    """Another deadline of a feature, or none."""

    kind: Literal["move-deadline"]
    feature: Id
    deadline: At | None = None
    binding: bool = False

    def words(self) -> str:
        """As a clause."""
        return f"with {self.feature} due {_day(self.deadline)}{', a must' if self.binding and self.deadline else ''}"

    def apply(self, request: PlanRequest) -> PlanRequest:
        """Raises: NotFoundError."""
        return move_deadline(self.feature, self.deadline, binding=self.binding)(request)


Change = Annotated[AddPerson | RemovePerson | ChangeShare | DropFeature | MoveDeadline, Field(discriminator="kind")]
AnyChange = AddPerson | RemovePerson | ChangeShare | DropFeature | MoveDeadline
_CHANGES: TypeAdapter[tuple[AnyChange, ...]] = TypeAdapter(tuple[Change, ...])


class Scenario(_Strict):
    """One case that is compared."""

    name: str = Field(
        default="", max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", description="What it is called. Left out: what it changes, in words."
    )
    changes: tuple[Change, ...] = Field(min_length=1, max_length=CHANGES_MAX)

    def title(self) -> str:
        """Its name, else its changes."""
        return self.name or "; ".join(each.words() for each in self.changes)


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at is not None else "never"


def _person(request: PlanRequest, person: str) -> None:
    if all(each.id != person for each in request.people):
        raise NotFoundError(f"the plan has no person {person[:80]!r}; it has {', '.join(each.id for each in request.people)}")


def changed(request: PlanRequest, changes: Sequence[AnyChange]) -> PlanRequest:
    """All changes, one after the other. Raises: NotFoundError, InvalidInputError."""
    for each in changes:
        request = each.apply(request)
    return request


def as_case(changes: Sequence[AnyChange]) -> Callable[[PlanRequest], PlanRequest]:
    """For comparing."""
    return lambda request: changed(request, changes)


def kept_changes(request: PlanRequest, changes: Sequence[AnyChange]) -> tuple[PlanRequest, list[AnyChange], list[str]]:
    """Changes of an accepted plan on a newer request: the request, those that still apply, and why others do not."""
    kept: list[AnyChange] = []
    gone: list[str] = []
    for each in changes:
        try:
            request = each.apply(request)
        except (NotFoundError, InvalidInputError) as error:
            gone.append(f"{each.words()}: {error}")
        else:
            kept.append(each)
    return request, kept, gone


def changes_from(document: Sequence[dict[str, Any]]) -> tuple[AnyChange, ...]:
    """Of stored documents."""
    return _CHANGES.validate_python(list(document))


def changes_document(changes: Sequence[AnyChange]) -> list[dict[str, Any]]:
    """In JSON's types."""
    return [each.model_dump(mode="json") for each in changes]
