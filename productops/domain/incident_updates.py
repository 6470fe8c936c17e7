"""What is told of an incident, to whom, in which words, and when the next word is due."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

WORDS_MAX: Final = 4000
SUBJECT_MAX: Final = 200
_PLACE = re.compile(r"\{([a-z_]+)\}")


class Moment(StrEnum):
    """Why something is told."""

    OPENED = "opened"
    UPDATE = "update"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    ESCALATED = "escalated"
    PAGED = "paged"
    REMINDER = "reminder"
    OVERDUE = "overdue"
    TEST = "test"


class Audience(StrEnum):
    """Who listens. Customers are told published words only, never what an incident is called inside."""

    ENGINEERS = "engineers"
    MANAGEMENT = "management"
    CUSTOMERS = "customers"


class Word(StrEnum):
    """Where a public incident stands, as status pages say it."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


class Harm(StrEnum):
    """What a component suffers, the least first."""

    OPERATIONAL = "operational"
    DEGRADED = "degraded-performance"
    PARTIAL = "partial-outage"
    MAJOR = "major-outage"


PUBLIC: Final = frozenset({"components", "status", "update", "next_update", "page_title", "page_url", "public_title"})
# Placeholders of a template, with what each stands for.
PLACES: Final[Mapping[str, str]] = {
    "incident": "id of the incident", "title": "what it is called inside", "severity": "SEV1 to SEV4", "services": "services it is of",
    "environment": "where", "venture": "whose", "state": "open, mitigated, resolved …", "detected_at": "when it was seen, UTC",
    "minutes": "minutes since then", "cause": "what it was traced to, if anything", "summary": "what is known inside", "by": "who says so",
    "person": "who is called", "level": "which level of the escalation", "link": "the command that shows it",
    "components": "public names of what suffers", "status": "investigating, identified, monitoring or resolved",
    "update": "the published words", "next_update": "when more is told, UTC", "page_title": "title of the status page",
    "page_url": "its address", "public_title": "what it is called outside",
}  # fmt: skip
CADENCE_MIN: Final[Mapping[str, float]] = {"SEV1": 30, "SEV2": 60, "SEV3": 240}

_INSIDE = "{severity} {services} ({environment}): {title}"
_TAIL = "\nSince {detected_at} UTC ({minutes} min). {cause}\nincident {incident}: {link}"
DEFAULTS: Final[Mapping[tuple[Audience, Moment], tuple[str, str]]] = {
    (Audience.ENGINEERS, Moment.OPENED): (f"[{{severity}}] {_INSIDE}", "An incident is open.\n{summary}" + _TAIL),
    (Audience.ENGINEERS, Moment.UPDATE): ("[update] " + _INSIDE, "{by}: {summary}" + _TAIL),
    (Audience.ENGINEERS, Moment.MITIGATED): ("[mitigated] " + _INSIDE, "Users are served again; it is being watched.\n{summary}" + _TAIL),
    (Audience.ENGINEERS, Moment.RESOLVED): ("[resolved] " + _INSIDE, "It is over after {minutes} min.\n{summary}" + _TAIL),
    (Audience.ENGINEERS, Moment.REOPENED): ("[reopened] " + _INSIDE, "It came back.\n{summary}" + _TAIL),
    (Audience.ENGINEERS, Moment.ESCALATED): ("[escalated] " + _INSIDE, "Nobody has acknowledged it: level {level} is called." + _TAIL),
    (Audience.ENGINEERS, Moment.PAGED): ("[page] " + _INSIDE, "{person}, you are called (level {level}).\n{summary}" + _TAIL),
    (Audience.ENGINEERS, Moment.REMINDER): ("[update due] " + _INSIDE, "An update was due at {next_update} UTC." + _TAIL),
    (Audience.ENGINEERS, Moment.OVERDUE): ("[task overdue] {title}", "{person}: {summary}\n{link}"),
    (Audience.MANAGEMENT, Moment.OPENED): (_INSIDE, "Users of {services} may be affected since {detected_at} UTC. It is being worked on."),
    (Audience.MANAGEMENT, Moment.UPDATE): ("Update: " + _INSIDE, "{summary}\nNext word: {next_update} UTC."),
    (Audience.MANAGEMENT, Moment.MITIGATED): ("Mitigated: " + _INSIDE, "Users are served again since a moment ago; it is being watched."),
    (Audience.MANAGEMENT, Moment.RESOLVED): ("Resolved: " + _INSIDE, "It lasted {minutes} min. A post-mortem follows. {cause}"),
    (Audience.MANAGEMENT, Moment.REOPENED): ("Again: " + _INSIDE, "What was thought to be over is not. People are at work on it."),
    (Audience.MANAGEMENT, Moment.ESCALATED): ("Escalated: " + _INSIDE, "Nobody has acknowledged it for {minutes} min."),
    (Audience.CUSTOMERS, Moment.UPDATE): ("{page_title}: {public_title}", "{update}\nStatus: {status}. Concerns: {components}. {page_url}"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """Words for one audience."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class PublicUpdate:
    """Published words about an incident, on one status page. ``components`` are public names."""

    id: str
    incident_id: str
    venture: str
    page: str
    title: str
    word: Word
    harm: Harm
    components: tuple[str, ...]
    text: str
    by: str
    at: datetime
    retracted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something told to somebody: what, over which channel, when, and whether it arrived.

    ``key`` is the same for the same word to the same channel. ``state``: waiting, sending, sent, failed, dropped.
    """

    id: str
    key: str
    venture: str
    incident_id: str | None
    moment: Moment
    audience: Audience
    channel: str
    recipient: str
    subject: str
    text: str
    state: str
    attempts: int
    doubtful: int
    next_at: datetime
    created_at: datetime
    sent_at: datetime | None
    error: str
    fence: int


@dataclass(frozen=True, slots=True)
class Cadence:
    """When the next word about an incident is due. ``reminded`` counts the reminders since the last word."""

    incident_id: str
    venture: str
    told_at: datetime
    due_at: datetime | None
    reminded: int


def places_of(text: str) -> frozenset[str]:
    """Names of the placeholders of a template."""
    return frozenset(_PLACE.findall(text))


def fill(text: str, values: Mapping[str, str], *, characters_max: int) -> str:
    """Put values in the place of ``{name}``; values are text and are not looked at again. Nothing else is evaluated."""
    filled = _PLACE.sub(lambda found: values.get(found[1], ""), text)
    lines = [line.rstrip() for line in filled.splitlines()]
    return "\n".join(line for line in lines if line)[:characters_max]


def message(template: tuple[str, str], values: Mapping[str, str]) -> Message:
    """The words of a template. The subject is one line."""
    subject = " ".join(fill(template[0], values, characters_max=SUBJECT_MAX).split())
    return Message(subject, fill(template[1], values, characters_max=WORDS_MAX))


def next_word(severity: str, cadence_min: Mapping[str, float], *, now: datetime) -> datetime | None:
    """When the next word is due; None where nobody waits for one."""
    minutes = cadence_min.get(severity)
    return now + timedelta(minutes=minutes) if minutes else None


def worst(harms: list[Harm]) -> Harm:
    """The worst of them; operational for none."""
    order = list(Harm)
    return max(harms, key=order.index, default=Harm.OPERATIONAL)


def wait_after(attempts: int) -> timedelta:
    """How long until a notice is tried again after so many attempts: 2 s, doubled, at most 5 minutes."""
    return timedelta(seconds=min(300.0, 2.0 * 2.0 ** min(attempts - 1, 20)))
