"""Is a feature ready for its release, and was it a success: checks with evidence and what is missing. Pure.

What cannot be known is inconclusive, never passed; one failed check fails the answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from productops.domain.catalog_feature import AdoptionGoal, FeatureSpec, MeasureGoal, QualityGoal, SloGoal, UsageGoal
from productops.domain.development import Stage, WorkItem
from productops.domain.development_progress import is_cancelled


class AnswerState(StrEnum):
    """Of a check and of the whole."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: what was found, what is missing, and the keys or ids it was found in."""

    name: str
    state: AnswerState
    sentence: str
    missing: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to ``readiness`` or ``success`` of a feature."""

    kind: str
    state: AnswerState
    sentence: str
    checks: tuple[Check, ...]

    @property
    def digest(self) -> str:
        """The same for the same checks, whatever the words."""
        plain = [[check.name, check.state, sorted(check.missing)] for check in self.checks]
        return hashlib.blake2b(json.dumps([self.kind, plain]).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class GateFact:
    """The newest judgement of a version or commit that has the feature's changes."""

    run_id: str
    service: str
    version: str
    state: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ReadinessFacts:
    """``gates``: the newest run of each service; ``services``: those the changes touch. ``approvals_waiting``: sentences.

    ``flag_known`` None: no flag is declared for it. ``docs_found``: what of the declared docs was found, by what is declared.
    """

    items: tuple[WorkItem, ...]
    open_changes: tuple[str, ...]
    services: tuple[str, ...]
    gates: tuple[GateFact, ...]
    approvals_waiting: tuple[str, ...]
    incidents: tuple[str, ...]
    goal: FeatureSpec | None
    flag_known: bool | None
    docs_found: Mapping[str, bool] = field(default_factory=dict)


def readiness(facts: ReadinessFacts) -> Answer:
    """May the feature be released?"""
    return _answer(
        "readiness", (_work(facts), _changes(facts), *_gates(facts), _approvals(facts), _flag(facts), _docs(facts), _calm(facts))
    )


def _answer(kind: str, checks: tuple[Check, ...]) -> Answer:
    failed = [check for check in checks if check.state is AnswerState.FAILED]
    unknown = [check for check in checks if check.state is AnswerState.INCONCLUSIVE]
    state = AnswerState.FAILED if failed else AnswerState.INCONCLUSIVE if unknown or not checks else AnswerState.PASSED
    against = failed or unknown
    said = "; ".join(f"{check.name}: {check.sentence}" for check in against) if against else "every check passed"
    return Answer(kind, state, said if checks else "nothing was declared that could be checked", checks)


def _work(facts: ReadinessFacts) -> Check:
    scope = [item for item in facts.items if not is_cancelled(item)]
    left = tuple(item.key for item in scope if item.stage is not Stage.DONE)
    if not scope:
        return Check("work", AnswerState.INCONCLUSIVE, "no work item names the feature", ("work items that name it",))
    if left:
        return Check("work", AnswerState.FAILED, f"{len(left)} of {len(scope)} items are not done", left, left)
    return Check("work", AnswerState.PASSED, f"all {len(scope)} items are done", evidence=tuple(item.key for item in scope))


def _changes(facts: ReadinessFacts) -> Check:
    if facts.open_changes:
        return Check("changes", AnswerState.FAILED, f"{len(facts.open_changes)} changes are open", facts.open_changes, facts.open_changes)
    return Check("changes", AnswerState.PASSED, "no change of it is open")


def _gates(facts: ReadinessFacts) -> Iterable[Check]:
    if not facts.services:
        yield Check("gates", AnswerState.INCONCLUSIVE, "no service is known that it is in", ("the services in its catalog entry",))
    known = {gate.service: gate for gate in facts.gates}
    for service in facts.services:
        gate = known.get(service)
        name = f"gates of {service}"
        if gate is None:
            yield Check(name, AnswerState.INCONCLUSIVE, "no commit of it was judged", (f"productops quality validate --service {service}",))
            continue
        state = next((each for each in AnswerState if each.value == gate.state), AnswerState.INCONCLUSIVE)
        missing = () if state is AnswerState.PASSED else (gate.sentence,)
        yield Check(name, state, f"{gate.version}: {gate.sentence}", missing, (gate.run_id,))


def _approvals(facts: ReadinessFacts) -> Check:
    if facts.approvals_waiting:
        count = len(facts.approvals_waiting)
        return Check("approvals", AnswerState.FAILED, f"{count} signatures are missing", facts.approvals_waiting)
    return Check("approvals", AnswerState.PASSED, "nobody's signature is waited for")


def _flag(facts: ReadinessFacts) -> Check:
    if facts.goal is None or facts.goal.flag is None:
        return Check("flag", AnswerState.PASSED, "its catalog entry declares none")
    if facts.flag_known:
        return Check("flag", AnswerState.PASSED, f"{facts.goal.flag} exists", evidence=(facts.goal.flag,))
    return Check("flag", AnswerState.FAILED, f"{facts.goal.flag} does not exist", (f"flag {facts.goal.flag}",))


def _docs(facts: ReadinessFacts) -> Check:
    declared = facts.goal.docs if facts.goal is not None else ()
    if not declared:
        return Check("docs", AnswerState.INCONCLUSIVE, "nobody declared where it is described", ("docs in its catalog entry",))
    lacking = tuple(each for each in declared if facts.docs_found.get(each) is False)
    unknown = tuple(each for each in declared if each not in facts.docs_found)
    if lacking:
        return Check("docs", AnswerState.FAILED, "no change of it touches what is declared", lacking)
    if unknown:
        return Check("docs", AnswerState.PASSED, "declared as addresses, which are not fetched", evidence=declared)
    return Check("docs", AnswerState.PASSED, "its changes touch what is declared", evidence=declared)


def _calm(facts: ReadinessFacts) -> Check:
    if facts.incidents:
        count = len(facts.incidents)
        return Check("incidents", AnswerState.FAILED, f"{count} incidents of its services are open", facts.incidents, facts.incidents)
    return Check("incidents", AnswerState.PASSED, "no incident of its services is open")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests of a service in production since the feature is live, and their failures and latency."""

    requests: int
    failures: int
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Used:
    """Mean share of a day's active people who used a feature, over ``days``, and how many were active on a day (mean)."""

    share: float
    people: float
    days: int


@dataclass(frozen=True, slots=True)
class SuccessFacts:
    """What was measured since users got the feature. ``live_at`` None: they did not. ``variants``: evaluations by flag and variant.

    ``used``: by the feature's key in usage events.
    """

    goal: FeatureSpec | None
    live_at: datetime | None
    releases: tuple[str, ...]
    traffic: Mapping[str, Traffic]
    variants: Mapping[str, Mapping[str, int]]
    incidents: tuple[str, ...]
    rollbacks: tuple[str, ...]
    now: datetime
    used: Mapping[str, Used] = field(default_factory=dict)


def success(facts: SuccessFacts) -> Answer:
    """Was it worth it, by what its catalog entry declared?"""
    if facts.goal is None or not facts.goal.success:
        check = Check("criteria", AnswerState.INCONCLUSIVE, "none are declared", ("success in its catalog entry (kind: Feature)",))
        return _answer("success", (check,))
    checks = tuple(_goal(goal, facts, number) for number, goal in enumerate(facts.goal.success, 1))
    due = facts.live_at + timedelta(days=facts.goal.after_days) if facts.live_at is not None else None
    if due is None or facts.now < due:
        when = f"it is asked for on {due:%Y-%m-%d}" if due is not None else "users do not have it yet"
        return _answer("success", (*checks, Check("time", AnswerState.INCONCLUSIVE, when)))
    return _answer("success", checks)


def _goal(goal: SloGoal | AdoptionGoal | UsageGoal | QualityGoal | MeasureGoal, facts: SuccessFacts, number: int) -> Check:
    name = f"{number} {goal.kind}"
    if facts.live_at is None:
        return Check(name, AnswerState.INCONCLUSIVE, "users do not have it yet")
    if isinstance(goal, SloGoal):
        return _slo(name, goal, facts.traffic.get(goal.service))
    if isinstance(goal, AdoptionGoal):
        return _adoption(name, goal, facts.variants.get(goal.flag, {}))
    if isinstance(goal, UsageGoal):
        return _usage(name, goal, facts.used.get(goal.feature))
    if isinstance(goal, QualityGoal):
        return _harm(name, goal, facts)
    return Check(name, AnswerState.INCONCLUSIVE, f"nothing measures it: {goal.sentence}", (goal.sentence,))


def _slo(name: str, goal: SloGoal, seen: Traffic | None) -> Check:
    requests = seen.requests if seen is not None else 0
    if seen is None or requests < goal.requests_min:
        return Check(
            name, AnswerState.INCONCLUSIVE, f"{requests:,} requests of {goal.service} say too little; {goal.requests_min:,} are needed"
        )
    if goal.success_ratio is not None:
        ratio = 1 - seen.failures / requests
        said = f"{ratio:.4%} of {requests:,} requests did not fail, {goal.success_ratio:.4%} are wanted"
        return _held(name, said, held=ratio >= goal.success_ratio, evidence=(goal.service,))
    if seen.p99_ms is None or goal.latency_ms_p99 is None:
        return Check(name, AnswerState.INCONCLUSIVE, f"the latency of {goal.service} was not measured")
    said = f"99 of 100 requests took at most {seen.p99_ms:g} ms, {goal.latency_ms_p99:g} ms are wanted"
    return _held(name, said, held=seen.p99_ms <= goal.latency_ms_p99, evidence=(goal.service,))


def _adoption(name: str, goal: AdoptionGoal, variants: Mapping[str, int]) -> Check:
    total = sum(variants.values())
    if total < goal.evaluations_min:
        said = f"{total:,} evaluations of {goal.flag} say too little; {goal.evaluations_min:,} are needed"
        return Check(name, AnswerState.INCONCLUSIVE, said)
    share = variants.get(goal.variant, 0) / total
    said = f"{share:.1%} of {total:,} evaluations of {goal.flag} gave {goal.variant}, {goal.share_min:.1%} are wanted"
    return _held(name, said, held=share >= goal.share_min, evidence=(goal.flag,))


def _usage(name: str, goal: UsageGoal, used: Used | None) -> Check:
    if used is None or used.people < goal.people_min:
        seen = used.people if used is not None else 0
        said = f"{seen:.0f} active people a day say too little; {goal.people_min:,} are needed"
        return Check(name, AnswerState.INCONCLUSIVE, said, evidence=(goal.feature,))
    people = f"{used.people:.0f} active people a day used {goal.feature} ({used.days} days)"
    said = f"{used.share:.1%} of {people}, {goal.share_min:.1%} are wanted"
    return _held(name, said, held=used.share >= goal.share_min, evidence=(goal.feature,))


def _harm(name: str, goal: QualityGoal, facts: SuccessFacts) -> Check:
    said = (
        f"{len(facts.incidents)} incidents and {len(facts.rollbacks)} roll backs in {len(facts.releases)} releases; "
        f"{goal.incidents_max} and {goal.rollbacks_max} are borne"
    )
    held = len(facts.incidents) <= goal.incidents_max and len(facts.rollbacks) <= goal.rollbacks_max
    return _held(name, said, held=held, evidence=(*facts.incidents, *facts.rollbacks))


def _held(name: str, said: str, *, held: bool, evidence: tuple[str, ...]) -> Check:
    return Check(name, AnswerState.PASSED if held else AnswerState.FAILED, said, () if held else (said,), evidence)


def checks_document(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """As JSON keeps them."""
    return [
        {"name": c.name, "state": c.state.value, "sentence": c.sentence, "missing": list(c.missing), "evidence": list(c.evidence)}
        for c in checks
    ]


def checks_of(document: Iterable[Mapping[str, Any]]) -> tuple[Check, ...]:
    """Back from JSON."""
    return tuple(Check(c["name"], AnswerState(c["state"]), c["sentence"], tuple(c["missing"]), tuple(c["evidence"])) for c in document)
