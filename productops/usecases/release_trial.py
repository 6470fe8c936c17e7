"""The end of a trial that was never meant for users: it went well, they keep the baseline, and what was learned is kept."""

from __future__ import annotations

from typing import Any

from productops.domain.analysis import RatioCount
from productops.domain.release import Phase, Release
from productops.domain.strategies.dark_launch import DIFFERENCES
from productops.errors import LeaseLostError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.release_holder import held
from productops.usecases.release_summary import release_summary

EXAMPLES_MAX = 20


def conclude_trial(context: Context, release_id: str, *, actor: Actor) -> Release:
    """Take the candidate out of the router and end the release as passed, in one transaction; a second call changes nothing.

    Raises: LeaseLostError when somebody else has ended it, TakenOverError, IllegalTransitionError.
    """
    with context.store.write() as unit:
        now = context.clock.now()
        release = held(unit, release_id, actor)
        if release.phase is Phase.PASSED:
            return release
        report = trial_report(unit, release)
        reason = f"all steps passed; users keep {release.baseline_version}"
        moved = unit.releases.move(release_id, Phase.PASSED, actor=actor.name, reason=reason, now=now, evidence=report)
        generation = unit.traffic.give_back(release.service, release.environment, release_id=release_id)
        if generation is None:
            raise LeaseLostError(f"release {release_id} no longer has the traffic of {release.service}")
        unit.fleets.want(release.service, release.environment, release.version, 0, now=now)
        unit.deployments.record(moved, unit.catalog.venture_id(release.venture), summary=release_summary(unit, moved))
        unit.audit.add(
            "release.passed", f"release/{release_id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            detail={"version": release.version, "baseline": release.baseline_version, "generation": generation},
            before=release.phase.value, after=moved.phase.value,
        )  # fmt: skip
    context.doorbell.ring()
    return moved


def trial_report(unit: Unit, release: Release) -> dict[str, Any]:
    """JSON-ready: how many answers were compared and differed, and examples of what differed."""
    steps = unit.releases.steps(release.id)
    if not steps:
        return {}
    first_s, last_s = int(steps[0].started_at.timestamp()), int((steps[-1].ended_at or release.updated_at).timestamp()) + 1
    seconds = unit.seconds.metrics_between(release.service, release.environment, [release.version], after_s=first_s - 1, until_s=last_s)
    counts = [ratio for arms in seconds.values() if isinstance(ratio := arms.get(release.version, {}).get(DIFFERENCES), RatioCount)]
    examples = [event.payload for event in unit.releases.events(release.id, after=0, kind="difference", limit=EXAMPLES_MAX)]
    return {"compared": sum(c.total for c in counts), "differing": sum(c.events for c in counts), "examples": examples}
