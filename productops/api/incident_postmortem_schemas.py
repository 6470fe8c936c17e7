"""Wire schemas of post-mortems and of the tasks that follow."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from productops.api.release_schemas import Sent, Text
from productops.domain.incident_postmortem import TEXT_MAX, Postmortem, PostmortemState, PostmortemVersion, Task

Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
Owner = Annotated[str, Field(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PostmortemSummaryOut(_Out):
    """A post-mortem in a list."""

    incident_id: str
    venture: str
    state: PostmortemState
    revision: int
    title: str
    updated_by: str
    updated_at: datetime
    drafted_at: datetime
    published_at: datetime | None
    published_by: str | None


class PostmortemOut(PostmortemSummaryOut):
    """The whole text."""

    text: str = Field(description="Markdown.", examples=["# 2026-11-21 SEV2 Customers cannot pay"])
    facts: dict[str, Any] = Field(description="The stored rows that the draft was written from.")

    @classmethod
    def of(cls, found: Postmortem) -> PostmortemOut:
        """As callers see it."""
        return cls.model_validate({name: getattr(found, name) for name in cls.model_fields} | {"facts": dict(found.facts)})


class PostmortemList(BaseModel):
    """Newest first."""

    items: list[PostmortemSummaryOut]


class DraftIn(Sent):
    """How to write the draft."""

    again: bool = Field(default=False, description="Also where people have edited it: the earlier text stays among the versions.")


class EditIn(Sent):
    """Another text."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"text": "# Customers could not pay", "revision": 1}]})
    text: Annotated[str, Field(min_length=1, max_length=TEXT_MAX, pattern=r"^[^\x00]*$")]
    revision: int = Field(ge=1, description="The one that was read; if it is not the present one, nothing is changed.")
    title: Annotated[str, Field(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None


class PublishPostmortemIn(Sent):
    """Which text is published."""

    revision: int = Field(ge=1)


class PostmortemVersionOut(_Out):
    """A text it had."""

    revision: int
    text: str
    by: str
    at: datetime

    @classmethod
    def of(cls, found: PostmortemVersion) -> PostmortemVersionOut:
        """As callers see it."""
        return cls.model_validate(found)


class PostmortemVersionList(BaseModel):
    """Newest first."""

    items: list[PostmortemVersionOut]


class TaskIn(Sent):
    """What somebody has to do."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"title": "Alert on failed payments", "owner": "mia", "due_day": "2026-12-01"}]}
    )
    title: Line
    owner: Owner | None = None
    due_day: date | None = None
    body: Text = ""


class TaskChangeIn(Sent):
    """What becomes of it; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"state": "done"}]})
    state: Literal["open", "done"] | None = None
    owner: Owner | None = Field(default=None, description="Empty: nobody.")
    due_day: date | None = None


class TaskOut(_Out):
    """A task of an incident."""

    id: str
    venture: str
    incident_id: str
    title: str
    body: str
    state: str = Field(examples=["open"])
    owner: str | None
    due_day: date | None
    overdue: bool
    by: str
    at: datetime
    done_at: datetime | None

    @classmethod
    def of(cls, found: Task, *, today: date) -> TaskOut:
        """As callers see it."""
        told = {name: getattr(found, name) for name in cls.model_fields if name != "overdue"}
        return cls.model_validate(told | {"overdue": found.overdue(today)})


class TaskList(BaseModel):
    """Those due first come first."""

    items: list[TaskOut]
