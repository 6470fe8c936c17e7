"""Hold a step and judge the candidate, second by second."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from productops.domain.analysis import ArmSecond, Judge, Look, TrafficSecond, Verdict
from productops.domain.catalog import Analysis
from productops.domain.judge import AnalysisPolicy, StratifiedJudge
from productops.domain.release import Phase, Release, Step
from productops.domain.traffic_summary import summarise
from productops.errors import LeaseLostError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.release_run import LeaseKeeper
from productops.usecases.release_summary import arm_summaries

LEARN_S = 600
EXTENSIONS_MAX = 3
TICK_S = 0.05
SILENT_S = 5.0
HOLD_MIN_S = 2.5  # within it at least one whole second is measured and stored
OnLooks = Callable[[list[Look]], None]


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """How a step ended; ``proceed`` is whether the rollout may go on."""

    index: int
    verdict: Verdict
    proceed: bool
    reason: str
    evidence: dict[str, Any]


def make_judge(analysis: Analysis) -> Judge:
    """The judge a plan asks for."""
    return StratifiedJudge(
        AnalysisPolicy(
            alpha=analysis.alpha,
            error_tolerance=analysis.error_tolerance,
            latency_tolerance_p50=analysis.latency_tolerance_p50,
            latency_tolerance_p90=analysis.latency_tolerance_p90,
            latency_tolerance_p99=analysis.latency_tolerance_p99,
            promote_error_ratio=analysis.certificate_ratio,
            promote_slow_ratio=analysis.certificate_ratio,
            requests_min=analysis.requests_min,
            warm_up_s=analysis.warm_up_s,
            latency_patience_s=analysis.latency_patience_s,
        )
    )


@dataclass(slots=True)
class Bench:
    """One judge and where it stands in the stored seconds. It is rebuilt by replay, so a crash loses nothing.

    While nobody is left on the baseline, its seconds from before the rollout stand in for it, each used once: a comparison with
    the past, which is weaker than one with the present, and said so in the look's reason.
    """

    release: Release
    judge: Judge
    after_s: int
    reference: list[ArmSecond] = field(default_factory=list)
    requests: int = 0
    measured_s: int = 0
    last: Look | None = None

    @classmethod
    def open(cls, context: Context, release: Release) -> Bench:
        """A judge that has learned from the baseline's past and seen all of the rollout so far."""
        analysis = Analysis.model_validate(release.plan["analysis"])
        with context.store.read() as unit:
            steps = unit.releases.steps(release.id)
            started = steps[0].started_at if steps else context.clock.now()
            first_s = math.ceil(started.timestamp())
            past = unit.seconds.between(
                release.service, release.environment, [release.baseline_version or ""],
                after_s=first_s - LEARN_S, until_s=first_s - 1,
            )  # fmt: skip
        bench = cls(release=release, judge=make_judge(analysis), after_s=first_s - 1)
        for at_s, arms in past.items():
            arm = arms.get(release.baseline_version or "")
            bench.judge.learn(TrafficSecond(at_s=at_s, baseline=arm, candidate=None))
            if arm is not None and arm.requests:
                bench.reference.append(arm)
        bench.advance(context, until=None)
        return bench

    def advance(self, context: Context, *, until: datetime | None) -> list[tuple[TrafficSecond, Look]]:
        """Judge every second that was stored since; ``until`` leaves later ones for the next call."""
        versions = [v for v in (self.release.version, self.release.baseline_version) if v]
        with context.store.read() as unit:
            rows = unit.seconds.between(
                self.release.service, self.release.environment, versions, after_s=self.after_s,
                until_s=int(until.timestamp()) if until else None,
            )  # fmt: skip
        looks = []
        for at_s, arms in rows.items():
            second = self._pair(at_s, arms)
            self.after_s = at_s
            self.last = self.judge.observe(second)
            self.measured_s += second.candidate is not None
            self.requests += second.candidate.requests if second.candidate else 0
            looks.append((second, self.last))
        return looks

    def _pair(self, at_s: int, arms: dict[str, ArmSecond | None]) -> TrafficSecond:
        quiet = ArmSecond()
        candidate = arms.get(self.release.version, quiet)
        baseline = arms.get(self.release.baseline_version or "", quiet)
        alone = candidate is not None and candidate.requests > 0 and baseline is not None and baseline.requests == 0
        if alone and self.reference:
            baseline = self.reference.pop()
        return TrafficSecond(at_s=at_s, baseline=baseline, candidate=candidate)


def hold_step(context: Context, release_id: str, index: int, *, actor: Actor, on_looks: OnLooks | None = None) -> StepOutcome:
    """Keep the lease, judge each second and store each look until the step is decided.

    Raises: LeaseLostError when the release was rolled back by somebody else, or the lease lapsed.
    """
    with context.store.read() as unit:
        release = unit.releases.get(release_id)
    step = release.steps[index]
    outcome = _hold(context, release, index, step, actor=actor, on_looks=on_looks)
    with context.store.write() as unit:
        now = context.clock.now()
        summary = _step_summary(unit, release, index, now)
        unit.releases.end_step(release_id, index, verdict=outcome.verdict.value, reason=outcome.reason, summary=summary, now=now)
        payload = {"step": index, "title": step.title, "verdict": outcome.verdict.value, "reason": outcome.reason} | summary
        unit.releases.tell(release_id, "step_ended", payload, now=now)
    return outcome


def _step_summary(unit: Unit, release: Release, index: int, now: datetime) -> dict[str, Any]:
    record = unit.releases.steps(release.id)[index]
    arms = arm_summaries(unit, release, start=record.started_at, end=now)
    return {name: arm.to_dict() for name, arm in arms.items()}


def _hold(context: Context, release: Release, index: int, step: Step, *, actor: Actor, on_looks: OnLooks | None) -> StepOutcome:
    analysis = Analysis.model_validate(release.plan["analysis"])
    keeper = LeaseKeeper(context, release)
    keeper.opened()
    bench = Bench.open(context, release)
    seen, measured = bench.requests, bench.measured_s
    deadline, extensions = context.clock.monotonic() + max(step.hold_s, HOLD_MIN_S), 0
    while True:
        keeper.beat()
        failed = _look(context, bench, index, on_looks=on_looks)
        if failed is not None:
            return failed
        outcome = _early(bench, index, analysis, fresh=bench.requests - seen)
        if outcome is None and context.clock.monotonic() >= deadline:
            outcome = at_end_of_hold(
                index,
                step,
                analysis,
                bench.last,
                requests=bench.requests,
                fresh=bench.requests - seen,
                measured_s=bench.measured_s - measured,
                silent_s=context.clock.now().timestamp() - bench.after_s - 1,
            )
            if not outcome.proceed and analysis.on_inconclusive == "extend" and extensions < EXTENSIONS_MAX:
                extensions, deadline = extensions + 1, context.clock.monotonic() + step.hold_s
                _tell(context, release.id, "extended", {"step": index, "times": extensions, "reason": outcome.reason})
                continue
            if not outcome.proceed and analysis.on_inconclusive == "pause":
                return _pause(context, bench, index, outcome, keeper, actor=actor, on_looks=on_looks)
        if outcome is not None:
            return outcome
        context.clock.sleep(TICK_S)


def _early(bench: Bench, index: int, analysis: Analysis, *, fresh: int) -> StepOutcome | None:
    look = bench.last
    if analysis.promote_on != "certificate" or look is None or not look.certified or fresh <= 0:
        return None
    return StepOutcome(index, Verdict.PASSED, proceed=True, reason=look.reason, evidence=look.evidence)


def at_end_of_hold(
    index: int, step: Step, analysis: Analysis, look: Look | None, *, requests: int, fresh: int, measured_s: int, silent_s: float
) -> StepOutcome:
    """What a step that was held to its end says; ``requests`` of the candidate in the rollout, ``fresh`` in this step.

    No data is never a pass: with no measured second, with silence for the last ``silent_s``, or with fewer requests than the
    policy's minimum, it is inconclusive.
    """
    evidence = look.evidence if look else {}
    go_on = analysis.on_inconclusive == "proceed"
    if look is None or measured_s == 0:
        return StepOutcome(index, Verdict.INCONCLUSIVE, proceed=False, reason="no second of this step could be measured", evidence=evidence)
    if silent_s > SILENT_S:
        why = f"no measurement arrived in the last {silent_s:.0f} s; is the agent up?"
        return StepOutcome(index, Verdict.INCONCLUSIVE, proceed=False, reason=why, evidence=evidence)
    if step.header_only:
        reason = f"{fresh} requests with the test header, no harm seen" if fresh else "nobody used the test header"
        return StepOutcome(index, Verdict.PASSED if fresh else Verdict.INCONCLUSIVE, proceed=True, reason=reason, evidence=evidence)
    if requests < analysis.requests_min or fresh == 0:
        reason = f"only {requests} of {analysis.requests_min} requests on the candidate ({fresh} in this step)"
        return StepOutcome(index, Verdict.INCONCLUSIVE, proceed=go_on, reason=reason, evidence=evidence)
    if analysis.promote_on == "certificate" and not look.certified:
        return StepOutcome(
            index, Verdict.INCONCLUSIVE, proceed=go_on, reason=f"held to its end without a certificate: {look.reason}", evidence=evidence
        )
    held = f"held {step.hold_s:g} s with {fresh} requests and no harm seen"
    return StepOutcome(index, Verdict.PASSED, proceed=True, reason=look.reason if look.certified else held, evidence=evidence)


def _look(context: Context, bench: Bench, index: int, *, on_looks: OnLooks | None) -> StepOutcome | None:
    """Judge what is new, store it, and say so when it failed."""
    pairs = bench.advance(context, until=None)
    if not pairs:
        return None
    looks = [look for _, look in pairs]
    with context.store.write() as unit:
        now = context.clock.now()
        unit.releases.add_looks(bench.release.id, index, looks, now=now)
        for second, look in pairs:
            unit.releases.tell(bench.release.id, "look", look_payload(second, look, index, bench.release), now=now)
    if on_looks is not None:
        on_looks(looks)
    failed = next((look for look in looks if look.verdict is Verdict.FAILED), None)
    if failed is None:
        return None
    return StepOutcome(index, Verdict.FAILED, proceed=False, reason=failed.reason, evidence=failed.evidence)


def look_payload(second: TrafficSecond, look: Look, index: int, release: Release) -> dict[str, Any]:
    """One second for a person to watch: both versions' traffic and the judge's evidence."""
    arms = {"baseline": second.baseline, "candidate": second.candidate}
    step = release.steps[index] if index < len(release.steps) else None
    return {
        "step": index,
        "weight_pct": step.weight_pct if step else 100,
        "at_s": look.at_s,
        "verdict": look.verdict.value,
        "reason": look.reason,
        "log_e": round(look.log_e, 4),
        "log_e_safe": round(look.log_e_safe, 4),
        "certified": look.certified,
    } | {name: summarise([arm], arm.latency).to_dict() if arm else None for name, arm in arms.items()}


def _pause(
    context: Context, bench: Bench, index: int, outcome: StepOutcome, keeper: LeaseKeeper, *, actor: Actor, on_looks: OnLooks | None
) -> StepOutcome:
    """Wait for a person with the lease alive; harm that shows meanwhile still fails the step."""
    with context.store.write() as unit:
        unit.releases.move(bench.release.id, Phase.PAUSED, actor=actor.name, reason=outcome.reason, now=context.clock.now())
    while True:
        keeper.beat()
        failed = _look(context, bench, index, on_looks=on_looks)
        if failed is not None:
            return failed
        with context.store.read() as unit:
            phase = unit.releases.get(bench.release.id).phase
        if phase is Phase.ROLLING_OUT:
            return StepOutcome(
                index, Verdict.INCONCLUSIVE, proceed=True, reason=f"{outcome.reason}; a person let it go on", evidence=outcome.evidence
            )
        if phase is not Phase.PAUSED:
            raise LeaseLostError(f"release {bench.release.id} became {phase} while it was paused")
        context.clock.sleep(TICK_S * 4)


def resume_release(context: Context, release_id: str, *, reason: str, actor: Actor) -> Release:
    """A person lets a paused release go on. Raises: IllegalTransitionError when it is not paused."""
    with context.store.write() as unit:
        now = context.clock.now()
        release = unit.releases.move(release_id, Phase.ROLLING_OUT, actor=actor.name, reason=reason, now=now)
        unit.audit.add("release.resumed", f"release/{release_id}", actor=actor.name, origin=actor.origin, now=now, reason=reason)
    return release


def validate_promotion(context: Context, release_id: str, *, actor: Actor, on_looks: OnLooks | None = None) -> StepOutcome:
    """Watch the promoted candidate for the plan's time, the old fleet still there.

    Raises: LeaseLostError.
    """
    with context.store.write() as unit:
        release = unit.releases.move(
            release_id, Phase.VALIDATING, actor=actor.name, reason="the router confirmed all traffic", now=context.clock.now()
        )
    keeper = LeaseKeeper(context, release)
    keeper.opened()
    bench = Bench.open(context, release)
    deadline = context.clock.monotonic() + float(release.plan.get("validate_s", 0.0))
    index = len(release.steps)
    while context.clock.monotonic() < deadline:
        keeper.beat()
        failed = _look(context, bench, index, on_looks=on_looks) if release.steps else None
        if failed is not None:
            return failed
        context.clock.sleep(TICK_S)
    return _validated(context, release, index)


def _validated(context: Context, release: Release, index: int) -> StepOutcome:
    with context.store.read() as unit:
        wanted = unit.catalog.service(release.service).spec.run.instances
        instances = unit.fleets.instances_of(release.service, release.environment, release.version)
    healthy = sum(i.state.value == "healthy" for i in instances)
    evidence = {"healthy": healthy, "wanted": wanted}
    if healthy == 0:
        return StepOutcome(index, Verdict.FAILED, proceed=False, reason=f"none of {wanted} instances is healthy", evidence=evidence)
    return StepOutcome(
        index, Verdict.PASSED, proceed=True, reason=f"{healthy} of {wanted} instances healthy, no harm seen", evidence=evidence
    )


def _tell(context: Context, release_id: str, kind: str, payload: dict[str, Any]) -> None:
    with context.store.write() as unit:
        unit.releases.tell(release_id, kind, payload, now=context.clock.now())
