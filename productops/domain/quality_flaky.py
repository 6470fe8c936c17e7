"""Which tests of a service answer by chance, what that costs, and what is to be done about each: quarantine, release, or block again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from productops.domain.quality_runs import RunMark, TestHistory, WatchedTest
from productops.stats.flaky import judge_flakiness

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
SURE = 0.8
CLEAN = 0.2
BROKEN = 0.9
SPAN = timedelta(days=14)
SPAN_MAX = timedelta(days=90)
CLEAN_RUNS = 20
RUNS_MAX = 60
# Blocked by chance, somebody looks, runs it again and waits; a figure to be set by who knows better.
PEOPLE_MINUTES = 15.0
# Tests that never failed only say how rare flaky ones are; more of them say it no better.
_SILENT_MAX = 20_000


@dataclass(frozen=True, slots=True)
class FlakyRules:
    """When a test is quarantined and when it comes back.

    ``sure``: probability of chance from which a test is quarantined, for ``span``. It comes back when its probability falls below
    ``clean``, or after ``clean_runs`` runs in a row in which it only passed. ``broken``: probability from which a quarantined test blocks
    again, because the newest code fails it. ``people_minutes``: what a run that was blocked by chance costs somebody.
    """

    sure: float = SURE
    clean: float = CLEAN
    broken: float = BROKEN
    span: timedelta = SPAN
    clean_runs: int = CLEAN_RUNS
    people_minutes: float = PEOPLE_MINUTES
    owners: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FlakyCost:
    """What chance has cost in the runs looked at. ``retry_minutes`` of machines, ``blocked_runs`` that failed by chance alone,
    ``people_minutes`` that these took people (by a stated figure for each).
    """

    retry_minutes: float = 0.0
    blocked_runs: float = 0.0
    people_minutes: float = 0.0

    @property
    def minutes(self) -> float:
        """All of it."""
        return self.retry_minutes + self.people_minutes


@dataclass(frozen=True, slots=True)
class FlakyTest:
    """How a test stands. ``probability`` that it answers by chance, ``rate`` of failures if so, ``broken``: that the newest code fails it.

    ``split_codes``: codes that it both passed and failed; ``clean_streak``: newest runs in a row in which it only passed;
    ``failed_at``: when it failed last, a failure that a retry undid counts.
    """

    key: str
    name: str
    suite: str
    file: str
    probability: float
    rate: float
    broken: float
    runs: int
    failed_runs: int
    retried_runs: int
    split_codes: int
    clean_streak: int
    failed_at: datetime | None
    cost: FlakyCost

    @property
    def sentence(self) -> str:
        """Why, for people."""
        told = [f"failed in {self.failed_runs} of {self.runs} runs"]
        if self.retried_runs:
            told.append(f"passed after a retry of the same code in {self.retried_runs}")
        if self.split_codes:
            told.append(f"passed and failed for the same code {self.split_codes} {'time' if self.split_codes == 1 else 'times'}")
        return f"{self.probability:.0%} by chance: {', '.join(told)}; fails {self.rate:.0%} of the time if so"

    def evidence(self) -> dict[str, Any]:
        """Figures to keep with a quarantine."""
        return {
            "probability": round(self.probability, 4), "rate": round(self.rate, 4), "broken": round(self.broken, 4), "runs": self.runs,
            "failed_runs": self.failed_runs, "retried_runs": self.retried_runs, "split_codes": self.split_codes,
            "clean_streak": self.clean_streak,
        }  # fmt: skip


class FlakyMove(StrEnum):
    """What is to be done about a test."""

    QUARANTINE = "quarantine"
    RELEASE = "release"
    EXPIRE = "expire"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class FlakyDecision:
    """One move and its reason."""

    move: FlakyMove
    key: str
    name: str
    reason: str
    test: FlakyTest | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A quarantine that holds: of which test, since and until when, and whether a person put it there (then evidence does not end it)."""

    key: str
    name: str
    since: datetime
    until: datetime
    by_hand: bool = False


def judge_tests(
    history: TestHistory, *, seconds: Mapping[str, float] | None = None, rules: FlakyRules | None = None
) -> tuple[FlakyTest, ...]:
    """How each watched test stands by the newest ``RUNS_MAX`` runs; the least sure last.

    Runs without tests do not count. A watched test is taken to have run and passed in the runs before it was watched: had it failed, it
    would have been watched then. Tests that never failed are known by their number only. ``seconds``: what a test takes, by key.
    """
    use, known = rules or FlakyRules(), history.tests
    columns = [i for i, run in enumerate(history.runs) if run.tests > 0][-RUNS_MAX:]
    seen = [history.runs[i] for i in columns]
    if not seen or not known:
        return ()
    fails = np.array([[row[i] for i in columns] for row in history.failures], dtype=np.int64)
    total = np.array([[row[i] for i in columns] for row in history.executions], dtype=np.int64)
    unwatched = np.array([[run.at < test.watched_since for run in seen] for test in known])
    total = np.where(unwatched & (total == 0), 1, total)
    silent = min(max(0, max(run.tests for run in seen) - len(known)), _SILENT_MAX)
    codes = _numbers(run.commit for run in seen)
    suites = np.concatenate([_numbers(test.suite for test in known), np.full(silent, -1)])
    still = np.zeros((silent, len(seen)), dtype=np.int64)
    found = judge_flakiness(np.vstack([fails, still]), np.vstack([total, still + 1]), codes, suites)
    blame, taken = _blocked_alone(fails, total), seconds or {}
    judged = []
    for i, test in enumerate(known):
        sure = (float(found.probability[i]), float(found.rate[i]), float(found.broken[i]))
        cost = _cost(total[i], blame[i], taken.get(test.key, 0.0), sure[0], use)
        judged.append(_judged(test, seen, fails[i], total[i], codes, sure, cost))
    return tuple(sorted(judged, key=lambda test: (-test.probability, -test.cost.minutes, test.name, test.key)))


def _numbers(names: Iterable[str]) -> Counts:
    order: dict[str, int] = {}
    return np.array([order.setdefault(name, len(order)) for name in names], dtype=np.int64)


def _blocked_alone(fails: Counts, total: Counts) -> Floats:
    """(T, R): the test failed for good in that run, as a share of all that did: the blame for a blocked run is divided."""
    lost = (total > 0) & (fails == total)
    share: Floats = lost / np.maximum(lost.sum(axis=0), 1)[None, :]
    return share


def _judged(
    test: WatchedTest, runs: Sequence[RunMark], fails: Counts, total: Counts, codes: Counts, found: tuple[float, float, float],
    cost: FlakyCost,
) -> FlakyTest:  # fmt: skip
    ran = total > 0
    clean = fails[ran] == 0
    split = sum(1 for code in np.unique(codes[ran]) if 0 < fails[codes == code].sum() < total[codes == code].sum())
    streak = int(len(clean) if clean.all() else np.argmax(~clean[::-1]))
    return FlakyTest(
        test.key, test.title, test.suite, test.file, *found, runs=int(ran.sum()), failed_runs=int(((fails > 0) & ran).sum()),
        retried_runs=int(((fails > 0) & (fails < total)).sum()), split_codes=int(split), clean_streak=streak,
        failed_at=max((run.at for run, count in zip(runs, fails, strict=True) if count), default=None), cost=cost,
    )  # fmt: skip


def _cost(total: Counts, blame: Floats, seconds: float, probability: float, rules: FlakyRules) -> FlakyCost:
    """Retries take what the test takes; a blocked run counts as far as it is chance. Nothing is invented where no duration is told."""
    again = float(np.maximum(total - 1, 0).sum()) * seconds / 60
    blocked = float(blame.sum()) * probability
    return FlakyCost(round(again, 3), round(blocked, 2), round(blocked * rules.people_minutes, 1))


def decide(
    judged: Sequence[FlakyTest], held: Sequence[Held], *, now: datetime, ended: Mapping[str, datetime] | None = None,
    rules: FlakyRules | None = None,
) -> tuple[FlakyDecision, ...]:  # fmt: skip
    """What is to be done: at most one move for each test, the same for the same facts.

    A test that the newest code really fails is never quarantined, and one that is in quarantine is let out to block: chance must not
    hide a break. ``ended``: when the last quarantine of a test ended; it takes a failure after that to put it there again.
    """
    use, before = rules or FlakyRules(), ended or {}
    tests = {test.key: test for test in judged}
    moves = [decision for each in held if (decision := _about_held(each, tests.get(each.key), now, use)) is not None]
    inside = {each.key for each in held}
    fresh = [test for test in judged if test.key not in inside and _calls_for_it(test, before.get(test.key), use)]
    return (*moves, *(FlakyDecision(FlakyMove.QUARANTINE, test.key, test.name, test.sentence, test) for test in fresh))


def _calls_for_it(test: FlakyTest, ended: datetime | None, rules: FlakyRules) -> bool:
    if test.probability < rules.sure or test.broken >= rules.broken or test.clean_streak >= rules.clean_runs:
        return False
    return ended is None or (test.failed_at is not None and test.failed_at > ended)


def _about_held(held: Held, test: FlakyTest | None, now: datetime, rules: FlakyRules) -> FlakyDecision | None:
    if test is not None and test.broken >= rules.broken:
        reason = f"the newest code fails it with a probability of {test.broken:.0%}: that is a break and no chance, so it blocks again"
        return FlakyDecision(FlakyMove.BLOCK, held.key, held.name, reason, test)
    if now >= held.until:
        reason = f"its time ended at {held.until:%Y-%m-%d %H:%M} UTC"
        return FlakyDecision(FlakyMove.EXPIRE, held.key, held.name, reason, test)
    if test is None or held.by_hand:
        return None
    if test.probability < rules.clean:
        reason = f"the probability of chance fell to {test.probability:.0%}"
        return FlakyDecision(FlakyMove.RELEASE, held.key, held.name, reason, test)
    if test.clean_streak >= rules.clean_runs:
        reason = f"it only passed in the newest {test.clean_streak} runs"
        return FlakyDecision(FlakyMove.RELEASE, held.key, held.name, reason, test)
    return None


def owner_of(file: str, owners: Sequence[tuple[str, str]], otherwise: str) -> str:
    """Who sees to a test: the last pattern that fits its file decides, as in a CODEOWNERS file; ``otherwise`` where none does.

    A pattern is a glob over the path; one that ends in ``/`` means everything below that folder.
    """
    found = otherwise
    for pattern, owner in owners:
        glob = f"{pattern.lstrip('/')}*" if pattern.endswith("/") else pattern.lstrip("/")
        if fnmatchcase(file, glob):
            found = owner
    return found


def total_cost(judged: Iterable[FlakyTest]) -> FlakyCost:
    """What all of them cost together."""
    every = [test.cost for test in judged]
    return FlakyCost(
        round(sum(cost.retry_minutes for cost in every), 1), round(sum(cost.blocked_runs for cost in every), 1),
        round(sum(cost.people_minutes for cost in every), 1),
    )  # fmt: skip
