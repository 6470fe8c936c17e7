"""The draft of a post-mortem, in Markdown. It names systems and times, never a person's fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from productops.domain.incident_postmortem import CauseLine, Figure, PostmortemFacts

NOTHING_KNOWN: Final = "Nothing of this is stored."
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~])")


def plain(text: str) -> str:
    """A text from outside as one line of Markdown that means nothing but itself."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def minutes(begin: datetime | None, end: datetime | None) -> float | None:
    """Minutes between two times; None where one of them is not known."""
    return None if begin is None or end is None else round((end - begin) / timedelta(minutes=1), 1)


def times(facts: PostmortemFacts) -> tuple[Figure, ...]:
    """Detection and response, as far as the times are stored."""
    begin = facts.onset_at or facts.detected_at
    return (
        _time("time to detect", facts.onset_at, facts.detected_at, "when it began is not known"),
        _time("time to acknowledge", facts.detected_at, facts.acknowledged_at, "nobody acknowledged it"),
        _time("time to mitigate", facts.detected_at, facts.mitigated_at, "no mitigation is on record"),
        _time("time to resolve", facts.detected_at, facts.resolved_at, "it is not resolved"),
        _time("whole duration", begin, facts.resolved_at, "it is not resolved"),
    )


def _time(name: str, begin: datetime | None, end: datetime | None, missing: str) -> Figure:
    found = minutes(begin, end)
    return Figure(name, found, "min", "" if found is not None else missing)


def title_of(facts: PostmortemFacts) -> str:
    """What it is called."""
    return f"{facts.detected_at:%Y-%m-%d} {facts.severity} {facts.title}"[:255]


def draft_text(facts: PostmortemFacts) -> str:
    """The whole text."""
    return "\n".join(_lines(facts)).rstrip() + "\n"


def _lines(facts: PostmortemFacts) -> Iterator[str]:
    yield f"# {plain(title_of(facts))}"
    yield ""
    yield "_Draft, written from stored rows. It asks what made the mistake possible, not who made it. Correct and complete it._"
    yield ""
    yield from _section("Summary", [_summary(facts)])
    yield from _section("Impact", _figures(facts.figures))
    yield from _section("Detection and response", _figures(times(facts)))
    yield from _section("Timeline", _timeline(facts))
    yield from _section("Causes", list(_causes(facts)))
    yield from _section("What worked", [f"- {plain(each)}" for each in facts.worked] or [NOTHING_KNOWN])
    yield from _section("What did not work", [f"- {plain(each)}" for each in facts.failed] or [NOTHING_KNOWN])
    yield from _section("Where we were lucky", [f"- {plain(each)}" for each in facts.lucky] or ["To be written by people."])
    yield from _section("Actions", _actions(facts))


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _summary(facts: PostmortemFacts) -> str:
    services = ", ".join(facts.services) or "no service"
    lasted = minutes(facts.detected_at, facts.resolved_at)
    parts = [
        f"On {_utc(facts.detected_at)} {plain(facts.title)} was seen by {plain(facts.detection)}: {facts.severity}, {plain(facts.kind)},",
        f"{plain(services)} in {facts.environment}.",
        f"It was resolved after {lasted:g} minutes." if lasted is not None else f"It is {facts.status}.",
        f"It was traced to {plain(facts.root_cause)}." if facts.root_cause else "No cause is confirmed.",
    ]
    return " ".join(parts)


def _figures(figures: tuple[Figure, ...]) -> list[str]:
    if not figures:
        return [NOTHING_KNOWN]
    return ["| figure | value | from |", "|---|---:|---|", *(_figure(each) for each in figures)]


def _figure(figure: Figure) -> str:
    value = "not known" if figure.value is None else f"{figure.value:,.10g} {figure.unit}".rstrip()
    origin = " ".join(part for part in (plain(figure.note), f"`{figure.link}`" if figure.link else "") if part)
    return f"| {figure.name} | {value} | {origin} |"


def _timeline(facts: PostmortemFacts) -> list[str]:
    if not facts.timeline:
        return [NOTHING_KNOWN]
    more = ["", f"{facts.omitted} more lines are in the log of the incident."] if facts.omitted else []
    rows = [
        f"| {_utc(each.at)} | {each.source} | {plain(each.text)} | {f'`{each.link}`' if each.link else ''} |" for each in facts.timeline
    ]
    return ["| UTC | from | what | where |", "|---|---|---|---|", *rows, *more]


def _causes(facts: PostmortemFacts) -> Iterator[str]:
    if not facts.causes:
        yield "The ledger of causes is empty."
        return
    for number, cause in enumerate(facts.causes, 1):
        yield f"{number}. **{plain(cause.what)}**, probability {cause.probability:.0%}"
        yield from (f"   - for it: {plain(each)}" for each in cause.supporting)
        yield from (f"   - against it: {plain(each)}" for each in cause.refuting)


def _actions(facts: PostmortemFacts) -> list[str]:
    proposed = [f"- proposed: {plain(each)}" for each in facts.proposed]
    return [*proposed, f"- tracked: `productops postmortem actions --incident {facts.incident_id}`"]


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def cause_line(what: str, probability: float, supporting: list[Any], refuting: list[Any]) -> CauseLine:
    """A hypothesis in words; evidence may be texts or things with a ``text``."""
    return CauseLine(what, probability, tuple(_text(each) for each in supporting), tuple(_text(each) for each in refuting))


def _text(evidence: Any) -> str:
    return str(getattr(evidence, "text", evidence))
