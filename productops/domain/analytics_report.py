"""The weekly report of a venture: figures with their change to the week before, in sections, on one page. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from productops.errors import InvalidInputError

NOTHING: Final = "nothing measured"
_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


class Kind(StrEnum):
    """How a figure is written."""

    COUNT = "count"
    SHARE = "share"
    HOURS = "hours"
    MILLISECONDS = "milliseconds"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """One figure. ``value`` and ``before`` (the week before): None where nothing was measured; dates are days since 1970."""

    name: str
    kind: Kind
    value: float | None
    before: float | None
    link: str = ""
    note: str = ""

    @property
    def written(self) -> str:
        """As people read it."""
        return NOTHING if self.value is None else _written(self.kind, self.value)

    @property
    def change(self) -> str:
        """Against the week before; empty where one of both is missing."""
        if self.value is None or self.before is None:
            return ""
        step = self.value - self.before
        if _written(self.kind, self.value) == _written(self.kind, self.before):
            return "as before"
        if self.kind is Kind.SHARE:
            return f"{step * 100:+.1f} points"
        if self.kind is Kind.DATE:
            return f"{abs(step):.0f} days {'later' if step > 0 else 'earlier'}"
        return f"{'+' if step > 0 else '-'}{_written(self.kind, abs(step))}"


def _written(kind: Kind, value: float) -> str:
    if kind is Kind.SHARE:
        return f"{value:.1%}"
    if kind is Kind.HOURS:
        return f"{value * 60:.0f} min" if value < 2 else f"{value:.1f} h" if value < 72 else f"{value / 24:.1f} days"
    if kind is Kind.MILLISECONDS:
        return f"{value:,.4g} ms"
    if kind is Kind.DATE:
        return (date(1970, 1, 1) + timedelta(days=math.floor(value))).isoformat()
    return f"{value:,.0f}"


@dataclass(frozen=True, slots=True)
class ReportSection:
    """Figures and sentences of one subject. ``gap``: why there is nothing to say."""

    title: str
    figures: tuple[ReportFigure, ...] = ()
    sentences: tuple[str, ...] = ()
    gap: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing at all is known."""
        return not self.sentences and all(each.value is None for each in self.figures)


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """One page. ``whole``: the week was over when it was made. ``headlines``: what to read if nothing else is read."""

    venture: str
    week: str
    made_at: datetime
    whole: bool
    headlines: tuple[str, ...]
    sections: tuple[ReportSection, ...]

    @property
    def title(self) -> str:
        """Of page and mail."""
        begin, end = span_of(self.week)
        return f"{self.venture}, week {self.week} ({begin:%d %b} to {end - timedelta(days=1):%d %b %Y})"


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail. ``message_id`` is the same for the same report and recipient, so that doubles can be told."""

    recipient: str
    subject: str
    text: str
    html: str
    message_id: str


def span_of(week: str) -> tuple[datetime, datetime]:
    """From Monday 00:00 UTC to the next one. Raises: InvalidInputError."""
    found = _WEEK.fullmatch(week)
    try:
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        monday = None
    if monday is None:
        raise InvalidInputError(f"{week[:20]!r} is no week; write it like 2026-W47, or last or current")
    begin = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
    return begin, begin + timedelta(days=7)


def week_named(name: str, *, now: datetime) -> str:
    """``last``, ``current`` or a week like ``2026-W47``. Raises: InvalidInputError for nonsense, or a week to come."""
    if name in {"last", "current"}:
        year, number, _ = (now - timedelta(days=7 if name == "last" else 0)).isocalendar()
        return f"{year:04d}-W{number:02d}"
    begin, _ = span_of(name)
    if begin > now:
        raise InvalidInputError(f"week {name} has not begun")
    return name


def recipients_for(text: str, venture: str) -> tuple[str, ...]:
    """Of ``a@x.example, apollo:b@x.example``: those without a venture get every report. Raises: InvalidInputError for no address."""
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        owner, _, address = part.rpartition(":")
        if owner in {"", venture}:
            found.append(checked_address(address.strip()))
    return tuple(dict.fromkeys(found))


def checked_address(address: str) -> str:
    """Raises: InvalidInputError."""
    if not _ADDRESS.fullmatch(address):
        raise InvalidInputError(f"{address[:80]!r} is no mail address")
    return address


def report_document(report: WeeklyReport) -> dict[str, Any]:
    """As JSON keeps it."""
    return {
        "venture": report.venture, "week": report.week, "made_at": report.made_at.isoformat(), "whole": report.whole,
        "headlines": list(report.headlines),
        "sections": [
            {"title": s.title, "figures": [asdict(f) for f in s.figures], "sentences": list(s.sentences), "gap": s.gap}
            for s in report.sections
        ],
    }  # fmt: skip


def report_of(document: Mapping[str, Any]) -> WeeklyReport:
    """Back from JSON."""
    sections = tuple(
        ReportSection(
            s["title"], tuple(ReportFigure(**{**f, "kind": Kind(f["kind"])}) for f in s["figures"]), tuple(s["sentences"]), s["gap"]
        )
        for s in document["sections"]
    )
    made_at = datetime.fromisoformat(document["made_at"])
    return WeeklyReport(document["venture"], document["week"], made_at, document["whole"], tuple(document["headlines"]), sections)


def headlines_of(sections: Sequence[ReportSection]) -> tuple[str, ...]:
    """The sections that say something bad or big first, three sentences at most; what is not measured is said, too."""
    said = [sentence for section in sections for sentence in section.sentences[:1]][:3]
    silent = [section.title.lower() for section in sections if section.empty]
    if silent:
        said.append(f"Nothing measured: {', '.join(silent)}.")
    return tuple(said)
