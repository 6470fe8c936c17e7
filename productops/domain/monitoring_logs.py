"""Log lines of services: where they come from, how bad they are, and what is asked of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from productops.domain.release import Environment
from productops.errors import InvalidInputError

TEXT_MAX = 8_192
"""Characters of a line that are kept; a trace of an exception is one line."""
QUERY_MAX = 500
TERMS_MAX = 12
WORD_MAX = 40
find_words = re.compile(r"\w+").findall
_TERM = re.compile(r'(-?)(?:"([^"]*)"|(\S+))')


class LogLevel(IntEnum):
    """How bad a line is; the numbers are OpenTelemetry's, the least of each range."""

    TRACE = 1
    DEBUG = 5
    INFO = 9
    WARNING = 13
    ERROR = 17
    FATAL = 21

    @classmethod
    def of_number(cls, number: int) -> LogLevel:
        """From OpenTelemetry's severity number; 0, which means unknown, is INFO."""
        if number <= 0:
            return cls.INFO
        return next(level for level in reversed(cls) if number >= level or level is cls.TRACE)

    @classmethod
    def of_name(cls, name: str) -> LogLevel | None:
        """From what programs write; None for what is no level."""
        return _NAMES.get(name.upper())


_NAMES = {
    "TRACE": LogLevel.TRACE, "DEBUG": LogLevel.DEBUG, "D": LogLevel.DEBUG, "INFO": LogLevel.INFO, "I": LogLevel.INFO,
    "INFORMATION": LogLevel.INFO, "NOTICE": LogLevel.INFO, "WARN": LogLevel.WARNING, "WARNING": LogLevel.WARNING, "W": LogLevel.WARNING,
    "ERROR": LogLevel.ERROR, "ERR": LogLevel.ERROR, "E": LogLevel.ERROR, "SEVERE": LogLevel.ERROR, "CRITICAL": LogLevel.FATAL,
    "CRIT": LogLevel.FATAL, "FATAL": LogLevel.FATAL, "PANIC": LogLevel.FATAL, "EMERG": LogLevel.FATAL, "ALERT": LogLevel.FATAL,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LogOrigin:
    """What wrote a line. ``version`` and ``instance`` may be empty."""

    venture: str
    service: str
    environment: Environment
    version: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line, or several that belong together. ``at_us`` is Unix microseconds, ``trace_id`` 32 hex digits or nothing.

    ``template`` is the id of its template, 0 before it has one.
    """

    origin: LogOrigin
    at_us: int
    level: LogLevel
    text: str
    trace_id: str = ""
    template: int = 0


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line as a search gives it; ``id`` is where it lies, and rises with the order in which lines came in."""

    id: tuple[int, int]
    line: LogLine

    @property
    def at(self) -> datetime:
        """When it was written."""
        return datetime.fromtimestamp(self.line.at_us / 1e6, UTC)


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a search: a word, the beginning of one, or a phrase. ``wanted`` false: lines with it are left out."""

    text: str
    wanted: bool
    pattern: re.Pattern[str]

    @property
    def words(self) -> tuple[str, ...]:
        """Its words in small letters; the last one may be the beginning of a longer one."""
        return tuple(words_of(self.text))


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines are meant; what is not said does not matter. ``level`` is the least. Times are aware, ``until`` exclusive."""

    venture: str | None = None
    service: str | None = None
    environment: Environment | None = None
    version: str | None = None
    instance: str | None = None
    level: LogLevel | None = None
    since: datetime | None = None
    until: datetime | None = None
    terms: tuple[Term, ...] = ()
    template: int | None = None
    trace_id: str | None = None

    def takes(self, line: LogLine) -> bool:
        """Whether a line is one of them."""
        return self._takes_origin(line.origin) and self._takes_rest(line) and self._takes_text(line.text)

    def _takes_origin(self, origin: LogOrigin) -> bool:
        return (
            (self.venture is None or origin.venture == self.venture)
            and (self.service is None or origin.service == self.service)
            and (self.environment is None or origin.environment is self.environment)
            and (self.version is None or origin.version == self.version)
            and (self.instance is None or origin.instance == self.instance)
        )

    def _takes_rest(self, line: LogLine) -> bool:
        return (
            (self.level is None or line.level >= self.level)
            and (self.template is None or line.template == self.template)
            and (self.trace_id is None or line.trace_id == self.trace_id)
            and (self.since is None or line.at_us >= unix_us(self.since))
            and (self.until is None or line.at_us < unix_us(self.until))
        )

    def _takes_text(self, text: str) -> bool:
        return all((term.pattern.search(text) is not None) == term.wanted for term in self.terms)


def unix_us(at: datetime) -> int:
    """Unix microseconds of an aware time."""
    return (at - _EPOCH) // _MICROSECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, at most 40 characters of each."""
    return [word[:WORD_MAX] for word in find_words(text.lower())]


def read_terms(text: str) -> tuple[Term, ...]:
    """The parts of a search: words, ``"phrases in quotes"``, and either with a minus before it.

    Raises: InvalidInputError for too many, and for a text that is too long.
    """
    if len(text) > QUERY_MAX:
        raise InvalidInputError(f"a search has at most {QUERY_MAX} characters")
    terms = []
    for minus, phrase, word in _TERM.findall(text):
        meant = (phrase or word).strip()
        if meant:
            before = r"(?<!\w)" if meant[0].isalnum() or meant[0] == "_" else ""
            terms.append(Term(meant, not minus, re.compile(before + re.escape(meant), re.IGNORECASE)))
    if len(terms) > TERMS_MAX:
        raise InvalidInputError(f"a search has at most {TERMS_MAX} words and phrases; these are {len(terms)}")
    return tuple(terms)


@dataclass(frozen=True, slots=True)
class TemplateCount:
    """Lines of one shape: ``text`` with ``<*>`` where they differ, how many there were in a window, by version too."""

    id: int
    service: str
    text: str
    level: LogLevel
    count: int
    by_version: Mapping[str, int]
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class TemplateJump:
    """A template that came much more, or much less, often than before. Rates are lines a minute.

    ``score`` is how far apart they are in standard deviations of a Poisson count.
    """

    template: TemplateCount
    before_per_min: float
    now_per_min: float
    score: float


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors with the same type, raised in the same place. ``count`` and ``by_version`` are of the window that was asked for.

    ``language`` is python, node, java, go, or text for lines that carry no trace. ``versions`` says when each version had it first.
    """

    id: str
    fingerprint: str
    venture: str
    service: str
    environment: Environment
    language: str
    type: str
    message: str
    frames: tuple[str, ...]
    sample: str
    first_seen: datetime
    last_seen: datetime
    count: int
    by_version: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def first_version(self) -> str:
        """The version that had it first; empty when nobody said."""
        return min(self.versions, key=lambda version: self.versions[version], default="")

    @property
    def title(self) -> str:
        """One line that names it."""
        where = f" in {self.frames[-1]}" if self.frames else ""
        return f"{self.type}{where}: {self.message}" if self.type else self.message


@dataclass(frozen=True, slots=True)
class LogOffset:
    """How far a file was read: ``head`` is a hash of its beginning, since inode numbers are used again."""

    path: str
    device: int = 0
    inode: int = 0
    offset: int = 0
    head: str = ""


@dataclass(frozen=True, slots=True)
class LogService:
    """That a service logs: since when, when last, how much was kept, and how much was left out because it came too fast."""

    venture: str
    service: str
    environment: Environment
    first_at: datetime
    last_at: datetime
    lines: int
    dropped: int
