"""Stored work as the request of a plan. What is missing is assumed and said, never a reason to plan nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from productops.domain.development import STARTED, Stage, WorkItem
from productops.domain.development import Feature as StoredFeature
from productops.domain.development_plan import Estimate, Feature, Person, PlanRequest
from productops.domain.development_plan import WorkItem as Task
from productops.domain.development_plan_facts import DrawnWork, Facts, Gaps, SprintWork, Team
from productops.domain.development_plan_facts_history import Learned, around, expected, learn, scaled
from productops.domain.development_plan_facts_people import ANYBODYS, SUBSTITUTE_PACE, Crew, crew_of, one_line, with_skill
from productops.errors import InvalidInputError

FALLBACK_H = 8.0
LEFT_H = 1.0
# Of work that is under way and says nothing of what is left.
DONE_SHARE = {Stage.DOING: 0.3, Stage.REVIEW: 0.8, Stage.TESTING: 0.9}
PRIORITIES = {
    "blocker": 8, "highest": 8, "critical": 8, "urgent": 8, "p0": 8, "high": 4, "major": 4, "p1": 4, "medium": 2, "normal": 2, "p2": 2,
    "low": 1, "minor": 1, "p3": 1, "lowest": 1, "trivial": 1, "p4": 1,
}  # fmt: skip
USUAL_PRIORITY = 2
BLOCKED_FOR = timedelta(days=1)


@dataclass(slots=True)
class _Drawing:
    """What is known while a request is drawn."""

    facts: Facts
    starts_at: datetime
    gaps: Gaps
    crew: Crew
    names: Mapping[tuple[str, str], str]
    features: Mapping[tuple[str, str], str]
    leads: Mapping[tuple[str, str], str]
    feature_leads: Mapping[tuple[str, str], str]
    skills: dict[str, str] = field(default_factory=dict)
    learned: Learned = field(default_factory=Learned)

    def team(self, item: WorkItem) -> Team | None:
        """Whose work it is; the first team where several could be meant."""
        key = self.features.get(self.feature_of(item), "")
        return next((team for team in self.facts.teams if team.covers(item, key)), None)

    def feature_of(self, item: WorkItem) -> tuple[str, str]:
        """(source, external id) of its feature; an empty id without one."""
        return item.source, self.feature_leads.get((item.source, item.feature), "") if item.feature else ""


def draw_request(
    facts: Facts, *, starts_at: datetime | None = None, features: Collection[str] = (), level: bool = False
) -> DrawnWork:  # fmt: skip
    """The request that stored work stands for. ``features``: keys of those to plan; empty: all.

    With a team in ``facts`` that names sources, services or features, only its work is planned; with several, what any of them covers.
    Raises: InvalidInputError when there is nothing to plan, or nobody who could do anything.
    """
    gaps = Gaps()
    drawing = _begin(facts, starts_at or facts.now, gaps)
    items = _chosen(drawing, features)
    if not items:
        raise InvalidInputError(f"there is no open work to plan in venture {facts.venture}{_scope(facts, features)}; is a source synced?")
    if not drawing.crew.people:
        raise InvalidInputError("nobody works on it: declare a team (kind: Team), or assign the work in its source")
    for item in (*items, *facts.done):
        drawing.skills[item.id] = _skill(drawing, item)
    owners = {item.id: drawing.crew.owner(item) for item in (*items, *facts.done)}
    drawing.learned = learn(facts, drawing.crew.calendar, skills=drawing.skills, owners=owners)
    after = _dependencies(drawing, items)
    tasks = tuple(_task(drawing, item, after) for item in items)
    wanted = {task.feature for task in tasks}
    planned = tuple(_feature(drawing, each) for each in facts.features if drawing.features[each.source, each.external_id] in wanted)
    people = _able(drawing, tasks)
    request = PlanRequest(
        starts_at=drawing.starts_at, items=tasks, people=people, features=planned, calendar=drawing.crew.calendar,
        history=dict(drawing.learned.ratio), level=level,
    )  # fmt: skip
    return DrawnWork(request, gaps.all(), drawing.learned.past, _sprints(drawing, items))


def _begin(facts: Facts, starts_at: datetime, gaps: Gaps) -> _Drawing:
    return _Drawing(
        facts, starts_at, gaps, crew_of(facts, gaps), names=facts.names(facts.items), features=facts.names(facts.features),
        leads=facts.leads((*facts.items, *facts.done)), feature_leads=facts.leads(facts.features),
    )  # fmt: skip


def _scope(facts: Facts, features: Collection[str]) -> str:
    parts = [f"team {', '.join(team.name for team in facts.teams)}"] if facts.teams else []
    parts += [f"features {', '.join(sorted(features))}"] if features else []
    return f" ({'; '.join(parts)})" if parts else ""


def _chosen(drawing: _Drawing, features: Collection[str]) -> list[WorkItem]:
    """Open work of the scope; what has open parts is planned as its parts."""
    facts = drawing.facts
    chosen = [
        item for item in facts.items
        if (not facts.teams or drawing.team(item) is not None)
        and (not features or drawing.features.get(drawing.feature_of(item)) in features)
    ]  # fmt: skip
    parents = {(item.source, drawing.leads.get((item.source, item.parent), "")) for item in chosen if item.parent}
    whole = [item for item in chosen if (item.source, item.external_id) in parents]
    if whole:
        drawing.gaps.add(
            "parts", "they have parts that are open", "they are planned as their parts, and take no time themselves",
            "nothing, if that is meant", *(item.key for item in whole),
        )  # fmt: skip
    return [item for item in chosen if (item.source, item.external_id) not in parents]


def _skill(drawing: _Drawing, item: WorkItem) -> str:
    """Said, else the team's, else the only one of who has it, else one that everybody has."""
    if item.skill:
        return item.skill
    team = drawing.team(item)
    owner = drawing.crew.owner(item)
    own = next((list(person.skills) for person in drawing.crew.people if person.id == owner), [])
    assumed = team.spec.default_skill if team is not None and team.spec.default_skill else own[0] if len(own) == 1 else ANYBODYS
    if item.done_at is None:
        said = "that anybody can do it" if assumed == ANYBODYS else f"skill {assumed}"
        drawing.gaps.add(
            "skill", "no skill is named", said, "label it, and map labels to skills in the source's catalog entry", item.key
        )  # fmt: skip
    return assumed


def _dependencies(drawing: _Drawing, items: list[WorkItem]) -> dict[tuple[str, str], list[str]]:
    """(source, external id) → ids of the plan's items it waits for; links that close a circle are left out and said."""
    open_ones = {(item.source, item.external_id): drawing.names[item.source, item.external_id] for item in items}
    parts: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for item in items:
        if item.parent:
            parts[item.source, drawing.leads.get((item.source, item.parent), "")].append((item.source, item.external_id))
    after: dict[tuple[str, str], list[str]] = defaultdict(list)
    waits: dict[str, set[str]] = defaultdict(set)
    for link in sorted((each for each in drawing.facts.links if each.kind == "blocks"), key=lambda each: each.changed_at):
        first, then = ((link.source, drawing.leads.get((link.source, end), "")) for end in (link.item, link.to))
        if not first[1] or not then[1]:
            _unknown_end(drawing, link.item, link.to, first[1])
            continue
        for one in parts.get(first, [first]):
            for other in parts.get(then, [then]):
                if one in open_ones and other in open_ones:
                    _wait(drawing, waits, open_ones[one], open_ones[other], after[other])
    return after


def _unknown_end(drawing: _Drawing, item: str, to: str, known: str) -> None:
    drawing.gaps.add(
        "dependency", "a dependency leads to something that is not known here", "it holds nothing up",
        "sync the source or project that it leads to", to if known else item,
    )  # fmt: skip


def _wait(drawing: _Drawing, waits: dict[str, set[str]], before: str, item: str, after: list[str]) -> None:
    if before == item or item in _all_before(waits, before):
        drawing.gaps.add(
            "circle", "they wait for each other in a circle", "the newest link of the circle does not hold",
            "remove one of the links in the source", before, item,
        )  # fmt: skip
        return
    if before not in after:
        waits[item].add(before)
        after.append(before)


def _all_before(waits: Mapping[str, set[str]], item: str) -> set[str]:
    found: set[str] = set()
    left = [item]
    while left:
        for each in waits.get(left.pop(), ()):
            if each not in found:
                found.add(each)
                left.append(each)
    return found


def _task(drawing: _Drawing, item: WorkItem, after: Mapping[tuple[str, str], list[str]]) -> Task:
    here = (item.source, item.external_id)
    owner = drawing.crew.owner(item)
    started = item.stage in STARTED
    estimate, done_share = _left(drawing, item, _estimate(drawing, item), started=started)
    if started and not owner:
        who = "is with nobody" if not item.assignee else "is with somebody who is in no team of the plan"
        drawing.gaps.add(
            "person", f"it was begun and {who}", "whoever has the skill goes on with it",
            "assign it, or add the person's account to a team", item.key,
        )  # fmt: skip
    deadline, binding = _deadline(drawing, item, item.due_at, item.labels)
    feature = drawing.features.get(drawing.feature_of(item), "")
    if item.feature and not feature:
        drawing.gaps.add("feature", "its feature is not known here", "it belongs to none", "sync the feature's project", item.key)
    return Task(
        id=drawing.names[here], title=one_line(item.title), skill=drawing.skills[item.id], feature=feature, estimate=estimate,
        after=tuple(after.get(here, ())), priority=PRIORITIES.get(item.priority.lower(), USUAL_PRIORITY), deadline=deadline,
        binding=binding, done_share=done_share, started=started and bool(owner), person=owner, not_before=_not_before(drawing, item, after),
    )  # fmt: skip


def _not_before(drawing: _Drawing, item: WorkItem, after: Mapping[tuple[str, str], list[str]]) -> datetime | None:
    """What is blocked by nothing that is in the plan waits for something outside."""
    if item.blocked_since is None or after.get((item.source, item.external_id)):
        return None
    drawing.gaps.add(
        "blocked", "it is blocked by something outside of the plan", "it can go on after a day",
        "say what blocks it, or take the mark away", item.key,
    )  # fmt: skip
    return drawing.starts_at + BLOCKED_FOR


def _estimate(drawing: _Drawing, item: WorkItem) -> Estimate:
    own = expected(item)
    if own is not None:
        return own
    skill = drawing.skills[item.id]
    to_do = "estimate it"
    like = drawing.learned.like(skill, item.type, item.points)
    if like is not None:
        drawing.gaps.add("estimate", "it has no estimate in hours", f"what like work of skill {skill} took", to_do, item.key)
        return like
    team = drawing.team(item)
    if team is not None and item.points and team.spec.hours_per_point:
        said = f"{team.spec.hours_per_point:g} h a point, as team {team.name} says"
        drawing.gaps.add("estimate", "it has no estimate in hours", said, to_do, item.key)
        return around(item.points * team.spec.hours_per_point)
    if team is not None and skill in team.spec.usual_h:
        said = f"{team.spec.usual_h[skill]:g} h, as team {team.name} says of {skill}"
        drawing.gaps.add("estimate", "it has no estimate", said, to_do, item.key)
        return around(team.spec.usual_h[skill])
    drawing.gaps.add("estimate", "it has no estimate, and no like work is known", f"{FALLBACK_H:g} h", to_do, item.key)
    return around(FALLBACK_H)


def _left(drawing: _Drawing, item: WorkItem, estimate: Estimate, *, started: bool) -> tuple[Estimate, float]:
    """The estimate and which part of it is done. What is told to be left counts more than what was estimated."""
    full = estimate.expected_h
    if item.remaining_h is not None and item.remaining_h < full:
        left = item.remaining_h
        if left < LEFT_H:
            drawing.gaps.add(
                "remaining", "nothing is left of it, but it is not done", f"{LEFT_H:g} h", "close it, or say what is left", item.key
            )
            left = min(LEFT_H, full)
        return estimate, min(0.99, 1 - left / full) if full else 0.0
    if item.remaining_h is not None:
        factor = item.remaining_h / full if full else 1.0
        return scaled(estimate, factor), 0.0
    if not started:
        return estimate, 0.0
    share = DONE_SHARE.get(item.stage, 0.0)
    drawing.gaps.add(
        "remaining", f"it is in {item.stage} and does not say what is left", f"{share:.0%} of it is done", "say how much is left", item.key
    )
    return estimate, share


def _deadline(drawing: _Drawing, item: WorkItem, due_at: datetime | None, labels: Collection[str]) -> tuple[datetime | None, bool]:
    team = drawing.team(item)
    binding = team is not None and bool(set(labels) & set(team.spec.binding_labels))
    return _kept(drawing, due_at, binding=binding, key=item.key)


def _kept(drawing: _Drawing, due_at: datetime | None, *, binding: bool, key: str) -> tuple[datetime | None, bool]:
    if due_at is not None and binding and due_at <= drawing.starts_at:
        drawing.gaps.add("deadline", "it had to be done by a time that is past", "it is a wish now", "move the date", key)
        binding = False
    return due_at, binding and due_at is not None


def _feature(drawing: _Drawing, feature: StoredFeature) -> Feature:
    teams = drawing.facts.teams
    binding = any(set(feature.labels) & set(team.spec.binding_labels) for team in teams)
    deadline, binding = _kept(drawing, feature.due_at, binding=binding, key=feature.key)
    weight = PRIORITIES.get(feature.priority.lower(), USUAL_PRIORITY)
    return Feature(drawing.features[feature.source, feature.external_id], one_line(feature.title), weight, deadline, binding)


def _able(drawing: _Drawing, tasks: tuple[Task, ...]) -> tuple[Person, ...]:
    """People, with the skills that the work needs and nobody was said to have."""
    people = drawing.crew.people
    if any(task.skill == ANYBODYS for task in tasks):
        people = with_skill(people, ANYBODYS, 1.0)
    for task in tasks:
        mine = next((person for person in people if person.id == task.person), None)
        if task.started and mine is not None and task.skill not in mine.skills:
            people = with_skill(people, task.skill, 1.0, only=mine.id)
            drawing.gaps.add(
                "skill", f"{mine.name} works on it and is not said to know {task.skill}", f"that {mine.name} does",
                "add the skill to the team", task.id,
            )  # fmt: skip
    known = {skill for person in people for skill in person.skills}
    for skill in sorted({task.skill for task in tasks} - known):
        people = with_skill(people, skill, SUBSTITUTE_PACE)
        drawing.gaps.add(
            "skill", f"nobody is said to know {skill}", "anybody does it and takes twice as long",
            f"add {skill} to the people of a team, or map the label to another skill", *(task.id for task in tasks if task.skill == skill),
        )  # fmt: skip
    return people


def _sprints(drawing: _Drawing, items: list[WorkItem]) -> tuple[SprintWork, ...]:
    found = []
    for sprint in drawing.facts.sprints:
        if sprint.state == "closed" or sprint.ends_at is None or sprint.ends_at <= drawing.starts_at:
            continue
        own = [
            drawing.names[item.source, item.external_id] for item in items
            if item.source == sprint.source and item.sprint in {sprint.external_id, sprint.name}
        ]  # fmt: skip
        if own:
            found.append(SprintWork(f"{sprint.source}/{sprint.external_id}", sprint.name, sprint.ends_at, tuple(own)))
    return tuple(sorted(found, key=lambda each: (each.ends_at, each.key)))
