"""Who can do the work: people of declared teams, or, where none is declared, those who had work in the sources."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from productops.domain.development import Person as Account
from productops.domain.development import WorkItem
from productops.domain.development_plan import Person, WorkCalendar
from productops.domain.development_plan_facts import HOLIDAYS, Facts, Gaps, Team

RECENT = timedelta(days=90)
ANYBODYS = "work"
"""The skill of work that names none, where nothing says whose it could be."""
SUBSTITUTE_PACE = 0.5
"""Of somebody who takes work of a skill that nobody has."""


@dataclass(frozen=True, slots=True)
class Crew:
    """``people`` of the plan, ``calendar`` of its hours, ``by_account``: (source, external id of an account) → id of a person."""

    people: tuple[Person, ...]
    calendar: WorkCalendar
    by_account: Mapping[tuple[str, str], str]

    def owner(self, item: WorkItem) -> str:
        """The plan's person an item is assigned to; empty: nobody, or nobody of the plan."""
        return self.by_account.get((item.source, item.assignee), "") if item.assignee else ""


def crew_of(facts: Facts, gaps: Gaps) -> Crew:
    """The people of the teams; without any team, whoever had work lately."""
    if not facts.teams:
        return _guessed(facts, gaps)
    people: dict[str, Person] = {}
    first = facts.teams[0]
    for team in facts.teams:
        shared = () if team is first else team.holidays()
        for each in team.spec.people:
            away = (*(a.interval(team.spec.timezone) for a in each.absences), *team.times(f"person/{each.id}"), *shared)
            mine = Person(each.id, each.name or each.id, dict(each.skills), each.share, tuple(away))
            people[each.id] = _joined(people[each.id], mine) if each.id in people else mine
        _calendars(team, gaps)
    if any(_hours(team) != _hours(first) for team in facts.teams[1:]):
        gaps.add(
            "hours", "the teams work at different hours", f"everybody works at the hours of team {first.name} ({first.spec.timezone})",
            "plan each team by itself (--team) where its hours matter", *(team.name for team in facts.teams),
        )  # fmt: skip
    return Crew(tuple(people.values()), first.hours(), _accounts(facts))


def _hours(team: Team) -> tuple[object, ...]:
    return team.spec.timezone, team.spec.day_numbers(), team.spec.spans()


def _joined(one: Person, other: Person) -> Person:
    """Somebody who is in two teams works for both: shares add up, the better pace counts."""
    skills = {skill: max(one.skills.get(skill, 0.0), other.skills.get(skill, 0.0)) for skill in {**one.skills, **other.skills}}
    return replace(one, skills=skills, share=min(1.0, one.share + other.share), absences=(*one.absences, *other.absences))


def _calendars(team: Team, gaps: Gaps) -> None:
    wanted = {HOLIDAYS: team.spec.holiday_calendar} | {f"person/{p.id}": p.absence_calendar for p in team.spec.people}
    for name in (name for name, source in wanted.items() if source is not None):
        copy = team.calendars.get(name)
        if copy is None or copy.error:
            known = copy is not None and copy.read_at is not None
            why = copy.error if copy is not None else "it was not read yet"
            gaps.add(
                "calendar", f"the calendar {name} of team {team.name} cannot be had: {why}",
                "the absences of its last good copy" if known else "no absences from it",
                "see whether its file or address is right", team.name,
            )  # fmt: skip


def _accounts(facts: Facts) -> dict[tuple[str, str], str]:
    """By the canonical name, the login, or the address of an account; any case."""
    named: dict[str, str] = {}
    for team in facts.teams:
        for person in team.spec.people:
            for word in (*person.accounts, person.id):
                named.setdefault(word.lower(), person.id)
    found: dict[tuple[str, str], str] = {}
    for account in facts.people:
        known = next((named[word.lower()] for word in _words(account) if word.lower() in named), None)
        if known is not None:
            found[account.source, account.external_id] = known
    return found


def _words(account: Account) -> Iterable[str]:
    return (word for word in (account.person, account.email, account.login, account.external_id) if word)


def _guessed(facts: Facts, gaps: Gaps) -> Crew:
    accounts = {(each.source, each.external_id): each for each in facts.people}
    skills: dict[str, set[str]] = defaultdict(set)
    names: dict[str, str] = {}
    by_account: dict[tuple[str, str], str] = {}
    lately = [item for item in facts.done if item.done_at is not None and item.done_at > facts.now - RECENT]
    for item in (*facts.items, *lately):
        if not item.assignee:
            continue
        account = accounts.get((item.source, item.assignee))
        person = (account.person or account.login) if account else item.assignee
        names[person] = one_line(account.name if account else "") or person
        by_account[item.source, item.assignee] = person
        skills[person].add(item.skill or ANYBODYS)
    gaps.add(
        "team", "no team is declared",
        f"{len(names)} people who had work in the last {RECENT.days} days do what they did before, full-time, Monday to Friday 9 to 18 UTC",
        "declare who works when, and on what (kind: Team), and apply it", *sorted(names),
    )  # fmt: skip
    people = tuple(Person(person, names[person], dict.fromkeys(sorted(found), 1.0)) for person, found in sorted(skills.items()))
    return Crew(people, WorkCalendar(), by_account)


def with_skill(people: Iterable[Person], skill: str, pace: float, *, only: str = "") -> tuple[Person, ...]:
    """Everybody, or ``only`` one, can do ``skill``, too."""
    return tuple(
        replace(each, skills={skill: pace} | each.skills) if not only or each.id == only else each for each in people
    )  # fmt: skip


def one_line(text: str) -> str:
    """What tools call it, as documents take it: without line ends and control characters, at most a thousand characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:1000]
