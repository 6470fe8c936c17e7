"""A made-up year of a product organisation: people with skills and holidays, features with tasks that wait for each other."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from productops.domain.development_plan import Estimate, Feature, Person, PlanRequest, WorkItem
from productops.domain.release_windows import Interval

STARTS_AT = datetime(2026, 9, 7, 8, tzinfo=UTC)
SKILLS = {"design": 0.1, "backend": 0.32, "frontend": 0.22, "data": 0.1, "quality": 0.16, "operations": 0.06, "writing": 0.04}
"""The share of all tasks that needs each skill."""
ORDER = ("design", "backend", "data", "frontend", "operations", "quality", "writing")


def team(*, people: int = 50, features: int = 40, tasks: int = 1_500, seed: int = 1) -> PlanRequest:
    """The same for the same numbers. Every skill has people, and about as many as its tasks ask for."""
    chance = random.Random(seed)
    everybody = tuple(_person(number, people, chance) for number in range(people))
    ids = [f"F{number + 1:02}" for number in range(features)]
    items: list[WorkItem] = []
    for number, feature in enumerate(ids):
        count = tasks * (number + 1) // features - tasks * number // features
        items += _items(feature, count, items, chance)
    hours = sum(item.estimate.expected_h for item in items if item.estimate) / sum(person.share for person in everybody)
    made = tuple(Feature(each, f"feature {each}", chance.randint(1, 5), _deadline(hours, chance)) for each in ids)
    return PlanRequest(STARTS_AT, tuple(items), everybody, made)


def _person(number: int, people: int, chance: random.Random) -> Person:
    names, shares = list(SKILLS), list(SKILLS.values())
    # The first ones cover every skill; the rest follow the demand.
    main = names[number] if number < len(names) <= people else chance.choices(names, shares)[0]
    skills = {main: round(chance.uniform(0.8, 1.3), 2)}
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        skills.setdefault(chance.choice(names), round(chance.uniform(0.5, 0.9), 2))
    away = [STARTS_AT + timedelta(days=chance.randint(5, 200)) for _ in range(chance.randint(0, 3))]
    absences = tuple(Interval(at, at + timedelta(days=chance.choice((1, 3, 7, 14)))) for at in away)
    return Person(f"p{number + 1:02}", f"Person {number + 1}", skills, chance.choice((1.0, 1.0, 1.0, 0.8, 0.5)), absences)


def _items(feature: str, count: int, earlier: list[WorkItem], chance: random.Random) -> list[WorkItem]:
    """Tasks in the usual order of skills; each waits for one or two before it, now and then for one of an earlier feature."""
    skills = sorted(chance.choices(list(SKILLS), list(SKILLS.values()), k=count), key=ORDER.index)
    made: list[WorkItem] = []
    for number, skill in enumerate(skills):
        near = made[max(0, number - 12) :]
        after = {each.id for each in chance.sample(near, min(len(near), chance.choice((0, 1, 1, 2))))}
        if earlier and chance.random() < 0.04:
            after.add(chance.choice(earlier).id)
        likely = min(60.0, max(2.0, chance.lognormvariate(2.3, 0.6)))
        estimate = Estimate(round(likely * 0.6, 1), round(likely, 1), round(likely * chance.uniform(1.3, 2.5), 1))
        name = f"{feature}-{number + 1:02}"
        made.append(WorkItem(name, f"{skill} {number + 1} of {feature}", skill, feature, estimate, tuple(sorted(after))))
    return made


def _deadline(hours: float, chance: random.Random) -> datetime | None:
    """Two of three features have one: at some time of the working hours that all of the work takes, in weeks of 40."""
    return STARTS_AT + timedelta(weeks=hours * chance.uniform(0.3, 1.1) / 40) if chance.random() < 2 / 3 else None
