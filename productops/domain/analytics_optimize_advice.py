"""From findings to what should be done: the strongest step that is possible first. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from productops.domain.analytics_optimize import ActionKind, FindingKind, PerformanceFinding, Recommendation

BUSY_BEYOND = 0.05
INSTANCES_FACTOR = 2


@dataclass(frozen=True, slots=True)
class Situation:
    """Where the subject stands. ``previous``: what a roll back of release ``release_id`` would give users; ``window_closed``: why it is not
    offered (empty: the rollback window is open). ``instances`` of the live version now, ``declared`` by the catalog. ``flag``: what shows
    the feature, ``flag_on`` whether anybody may have it, ``flag_ramped`` whether it is by a ramp.
    """

    service: str = ""
    live: str | None = None
    previous: str | None = None
    release_id: str | None = None
    window_closed: str = "users have no release that could be rolled back"
    instances: int = 0
    declared: int = 0
    flag: str | None = None
    flag_on: bool = False
    flag_ramped: bool = False


def advise(findings: Sequence[PerformanceFinding], now: Situation) -> list[Recommendation]:
    """What to do, the strongest first; one of each kind, at least one."""
    made: list[Recommendation] = []
    for each in findings:
        if each.kind is FindingKind.REGRESSION:
            made.append(_against(each, now))
        elif each.kind is FindingKind.KNEE and float(each.evidence.get("beyond", 0.0)) >= BUSY_BEYOND:
            made.append(_more(each, now))
        elif each.kind in {FindingKind.BENCHMARK, FindingKind.SLOW_HOUR, FindingKind.SEGMENT}:
            made.append(_look(each))
    once: dict[ActionKind, Recommendation] = {}
    for found in made:
        known = once.get(found.action)
        if known is None or (found.possible and not known.possible):
            once[found.action] = found
    order = (ActionKind.ROLL_BACK, ActionKind.FLAG_OFF, ActionKind.MORE_INSTANCES, ActionKind.LOOK)
    return [once[kind] for kind in order if kind in once] or [
        Recommendation(ActionKind.NOTHING, "nothing found asks for anything to be done")
    ]


def _against(finding: PerformanceFinding, now: Situation) -> Recommendation:
    if now.flag is not None:
        why = "" if now.flag_on else f"nobody in production has {now.flag} on"
        said = f"turn {now.flag} off in production, until this is mended: {finding.sentence}"
        return Recommendation(
            ActionKind.FLAG_OFF, said, {"flag": now.flag, "by": "ramp" if now.flag_ramped else "kill"}, possible=not why, why=why
        )
    if finding.version == now.live and finding.against == now.previous and now.release_id is not None:
        said = f"roll {now.service} back to {now.previous}: {finding.sentence}"
        target = {"release_id": now.release_id, "version": now.live, "to": now.previous}
        return Recommendation(ActionKind.ROLL_BACK, said, target, possible=not now.window_closed, why=now.window_closed)
    if finding.version == now.live:
        return Recommendation(ActionKind.LOOK, f"look for what changed between {finding.against} and {finding.version}: {finding.sentence}",
                              {"version": finding.version, "against": finding.against})  # fmt: skip
    return Recommendation(ActionKind.LOOK, f"keep in mind, users have {now.live or 'another version'} now: {finding.sentence}",
                          {"version": finding.version})  # fmt: skip


def _more(finding: PerformanceFinding, now: Situation) -> Recommendation:
    """So many that the busiest twentieth of the minutes lies before the bend, if load spreads evenly; at most twice what is declared."""
    busy, bend = float(finding.evidence["busy"]), max(finding.low, 1e-9)
    wanted = max(math.ceil(now.instances * busy / bend), now.instances + 1)
    most = max(now.declared * INSTANCES_FACTOR, 1)
    said = f"run {min(wanted, most)} instances of {now.service} in place of {now.instances}: {finding.sentence}"
    if now.instances >= most:
        why = f"{now.instances} instances run already, twice what the catalog declares; declare more there"
        return Recommendation(ActionKind.MORE_INSTANCES, said, {"instances": now.instances}, possible=False, why=why)
    why = "" if now.live is not None and now.instances else "no fleet of the live version runs here"
    target = {"version": now.live, "instances": min(wanted, most), "from": now.instances}
    return Recommendation(ActionKind.MORE_INSTANCES, said, target, possible=not why, why=why)


def _look(finding: PerformanceFinding) -> Recommendation:
    names = {FindingKind.BENCHMARK: "look at the benchmark", FindingKind.SLOW_HOUR: "look at what runs at that hour",
             FindingKind.SEGMENT: "look at how it is for them"}  # fmt: skip
    return Recommendation(ActionKind.LOOK, f"{names[finding.kind]}: {finding.sentence}", dict(finding.evidence))
