"""Wire schemas of logs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from productops.domain.monitoring_logs import ErrorGroup, FoundLine, LogLevel, LogService, TemplateCount, TemplateJump
from productops.domain.release import Environment


class LevelName(StrEnum):
    """How bad a line is."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    FATAL = "fatal"

    @property
    def level(self) -> LogLevel:
        """As the domain has it."""
        return LogLevel[self.name]


class LogLineOut(BaseModel):
    """One line, or the lines of one trace of an exception."""

    id: str = Field(description="Where it lies; rises with the order in which lines came in.", examples=["4711-12"])
    at: datetime = Field(description="When it was written.")
    level: LevelName
    venture: str
    service: str
    environment: Environment
    version: str
    instance: str
    text: str = Field(description="Secrets are blanked; at most 8,192 characters.", examples=["ERROR payment refused after 3 tries"])
    trace_id: str = Field(description="Of the trace it belongs to, or nothing.", examples=["0af7651916cd43dd8448eb211c80319c"])
    template: int = Field(description="Id of its template.", examples=[17])

    @classmethod
    def of(cls, found: FoundLine) -> LogLineOut:
        """From the domain."""
        line = found.line
        return cls(
            id=f"{found.id[0]}-{found.id[1]}", at=found.at, level=LevelName[line.level.name], venture=line.origin.venture,
            service=line.origin.service, environment=line.origin.environment, version=line.origin.version, instance=line.origin.instance,
            text=line.text, trace_id=line.trace_id, template=line.template,
        )  # fmt: skip


class LogsOut(BaseModel):
    """Lines, the newest first."""

    items: list[LogLineOut]
    next: str | None = Field(description="Give it as `after`; a page may be empty and have one, when the search took long.")


class LogServiceOut(BaseModel):
    """A service that logs."""

    venture: str
    service: str
    environment: Environment
    first_at: datetime
    last_at: datetime
    lines: int = Field(description="Lines that were kept since then.")
    dropped: int = Field(description="Lines that came too fast: counted, but not kept.")

    @classmethod
    def of(cls, known: LogService) -> LogServiceOut:
        """From the domain."""
        return cls(
            venture=known.venture, service=known.service, environment=known.environment, first_at=known.first_at, last_at=known.last_at,
            lines=known.lines, dropped=known.dropped,
        )  # fmt: skip


class LogServicesOut(BaseModel):
    """Services that log."""

    items: list[LogServiceOut]


class TemplateOut(BaseModel):
    """Lines of one shape."""

    id: int
    text: str = Field(description="`<*>` stands for what differs.", examples=["order <*> paid by <*> in <*> ms"])
    level: LevelName
    count: int
    by_version: dict[str, int]
    first_seen: datetime = Field(description="First minute of the window that has it.")
    last_seen: datetime

    @classmethod
    def of(cls, template: TemplateCount) -> TemplateOut:
        """From the domain."""
        return cls(
            id=template.id, text=template.text, level=LevelName[template.level.name], count=template.count,
            by_version=dict(template.by_version), first_seen=template.first_seen, last_seen=template.last_seen,
        )  # fmt: skip


class TemplatesOut(BaseModel):
    """Templates, the most frequent first."""

    items: list[TemplateOut]


class TemplateJumpOut(BaseModel):
    """A template that came much more, or less, often than before."""

    template: TemplateOut
    before_per_min: float
    now_per_min: float
    score: float = Field(description="Standard deviations between the two; negative: less often.")

    @classmethod
    def of(cls, jump: TemplateJump) -> TemplateJumpOut:
        """From the domain."""
        return cls(
            template=TemplateOut.of(jump.template), before_per_min=jump.before_per_min, now_per_min=jump.now_per_min, score=jump.score
        )  # fmt: skip


class TemplateJumpsOut(BaseModel):
    """Jumps, the clearest first."""

    items: list[TemplateJumpOut]


class LogErrorOut(BaseModel):
    """Errors of one type, raised in one place."""

    id: str
    fingerprint: str = Field(examples=["9f2d4b0c6e1a4c58b7d3a1f0e2c49b77"])
    service: str
    environment: Environment
    language: str = Field(examples=["python"])
    type: str = Field(examples=["KeyError"])
    message: str
    frames: list[str] = Field(description="The last one raised it.", examples=[["app.py:handle", "basket.py:total"]])
    sample: str = Field(description="The latest of them, whole.")
    first_seen: datetime
    last_seen: datetime
    first_version: str = Field(description="The version that had it first.", examples=["1.1.0"])
    count: int = Field(description="In the window that was asked for, as by_version.")
    by_version: dict[str, int]

    @classmethod
    def of(cls, group: ErrorGroup) -> LogErrorOut:
        """From the domain."""
        return cls(
            id=group.id, fingerprint=group.fingerprint, service=group.service, environment=group.environment, language=group.language,
            type=group.type, message=group.message, frames=list(group.frames), sample=group.sample, first_seen=group.first_seen,
            last_seen=group.last_seen, first_version=group.first_version, count=group.count, by_version=dict(group.by_version),
        )  # fmt: skip


class LogErrorsOut(BaseModel):
    """Errors, the most frequent first."""

    items: list[LogErrorOut]
