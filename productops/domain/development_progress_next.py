"""What to do next for a feature: one sentence, with why. Pure. The first of the rules below that holds decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.domain.development import Change, ChangeState, Feature, Stage, WorkItem
from productops.domain.development_progress import is_cancelled

REVIEW_WAITS_H = 24.0
STILL_H = 72.0


@dataclass(frozen=True, slots=True)
class NextFacts:
    """What is known. ``failing``: sentences of gates that block; ``incidents``: ids of open ones; ``p80``: the date kept in 80 of 100."""

    feature: Feature
    items: tuple[WorkItem, ...]
    changes: tuple[Change, ...]
    failing: tuple[str, ...]
    incidents: tuple[str, ...]
    blocked: tuple[str, ...]
    live: bool
    unready: tuple[str, ...]
    p80: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True)
class NextAction:
    """``action`` is what to do, ``why`` the facts that say so, ``rows`` keys or ids of what it is about."""

    action: str
    why: str
    rows: tuple[str, ...] = ()


def next_action(facts: NextFacts) -> NextAction:
    """Harm to users first, then what stops others, then what is late, then the ordinary next step."""
    return next(_rules(facts))


def _rules(facts: NextFacts) -> Iterator[NextAction]:
    open_items = [item for item in facts.items if item.stage is not Stage.DONE]
    if facts.incidents:
        one = facts.incidents[0]
        yield NextAction(
            f"End incident {one} before anything else of this feature.", _count(facts.incidents, "incident", "is open"), (one,)
        )
    yield from _stuck(facts)
    waiting = _waiting(facts)
    if waiting:
        age = _hours(facts, waiting[0].opened_at)
        yield NextAction(f"Review {waiting[0].key}.", f"it is open for {age:.0f} h and nobody has looked at it yet", (waiting[0].key,))
    due = facts.feature.due_at
    if open_items and due is not None and facts.p80 is not None and facts.p80 > due:
        late = (facts.p80 - due).days or 1
        why = f"{due:%Y-%m-%d} is promised, and in 80 of 100 cases it is done by {facts.p80:%Y-%m-%d} only"
        yield NextAction(f"Take something out of it, or tell who waits that it may be {late} days late.", why)
    yield from _ordinary(facts, open_items)


def _stuck(facts: NextFacts) -> Iterator[NextAction]:
    if facts.blocked:
        key = facts.blocked[0]
        yield NextAction(f"Free {key} from what it waits for.", _count(facts.blocked, "item", "waits for something else"), facts.blocked)
    if facts.failing:
        yield NextAction("Mend what the quality gates object to.", facts.failing[0])


def _waiting(facts: NextFacts) -> list[Change]:
    found = [
        change for change in facts.changes
        if change.state is ChangeState.OPEN and not change.draft and change.first_review_at is None
        and _hours(facts, change.opened_at) >= REVIEW_WAITS_H
    ]  # fmt: skip
    return sorted(found, key=lambda change: change.opened_at or facts.now)


def _hours(facts: NextFacts, since: datetime | None) -> float:
    return (facts.now - since).total_seconds() / 3600 if since is not None else 0.0


def _ordinary(facts: NextFacts, open_items: Sequence[WorkItem]) -> Iterator[NextAction]:
    if not facts.items:
        yield NextAction("Break it into work items.", "no work item names it, so nothing of it can be followed or planned", ())
    still = sorted((i for i in open_items if i.stage in {Stage.DOING, Stage.REVIEW, Stage.TESTING}), key=lambda i: i.changed_at)
    if still and _hours(facts, still[0].changed_at) >= STILL_H:
        days = _hours(facts, still[0].changed_at) / 24
        yield NextAction(
            f"Ask how {still[0].key} goes.", f"it is in {still[0].stage} and nothing moved for {days:.0f} days", (still[0].key,)
        )
    if still:
        yield NextAction(
            f"Finish {still[0].key}.", f"{len(still)} of {len(facts.items)} items are on their way; it is the oldest", (still[0].key,)
        )
    if open_items:
        first = min(open_items, key=lambda i: (i.stage is not Stage.READY, i.created_at or facts.now))
        yield NextAction(f"Begin {first.key}.", f"{len(open_items)} items are left and nobody works on any", (first.key,))
    if facts.live:
        yield NextAction("Watch whether it reaches its success criteria.", "all its work is done and users have it")
    if facts.unready:
        yield NextAction(f"Complete what is missing for its release: {facts.unready[0]}.", _count(facts.unready, "point", "is not met"))
    done = sum(not is_cancelled(item) for item in facts.items)
    yield NextAction("Release it.", f"all {done} items are done and nothing is missing")


def _count(things: Sequence[str], noun: str, verb: str) -> str:
    if len(things) == 1:
        return f"1 {noun} {verb}"
    return f"{len(things)} {noun}s: {', '.join(things[:5])}" + ("" if len(things) <= 5 else ", …")
