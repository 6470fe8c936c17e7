"""Hold a step and judge the candidate, second by second."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from productops.domain.analysis import ArmSecond, Judge, Look, RatioCount, TrafficSecond, Verdict
from productops.domain.catalog_analysis import Analysis
from productops.domain.governance_access import Operation
from productops.domain.judge import Intervals, make_judge
from productops.domain.release import Phase, Release, Step, StepRecord
from productops.domain.release_hold import Held, StepOutcome, at_end_of_hold, early_end, gone_blind, is_suspicious
from productops.domain.traffic_summary import summarise
from productops.errors import LeaseLostError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import release_for
from productops.usecases.governance_audit_note import note
from productops.usecases.release_holder import held
from productops.usecases.release_run import LeaseKeeper
from productops.usecases.release_summary import arm_summaries
from productops.usecases.release_toggle import healthy as healthy_instances

LEARN_S = 600
LOG_E_MIN = -700.0  # written for an evidence of nought, whose logarithm no JSON can hold
EXTENSIONS_MAX = 3
TICK_S = 0.05
NEXT_SECOND_S = 0.75
"""A second's traffic is stored at its end: after one was read, the next look at the store is that much later."""
HOLD_MIN_S = 2.5  # within it at least one whole second is measured and stored
INTERVALS_EVERY_S = 5
PHASE_EVERY_S = 0.5
OnLooks = Callable[[list[Look]], None]
Metrics = dict[int, dict[str, dict[str, RatioCount | float]]]
"""Second → version → name → value."""


@dataclass(slots=True)
class Bench:
    """One judge and where it stands in the stored seconds. It is rebuilt by replay, so a crash loses nothing.

    While nobody is left on the baseline, its seconds from before the rollout stand in for it, each used once: a comparison with
    the past, which is weaker than one with the present, and said so in the look's reason.
    """

    release: Release
    judge: Judge
    intervals: Intervals
    lag_s: int
    after_s: int
    reference: list[ArmSecond] = field(default_factory=list)
    requests: int = 0
    measured_s: int = 0
    heard_s: int = 0
    due_at: float = 0.0
    last: Look | None = None

    @classmethod
    def open(cls, context: Context, release: Release, judge: Judge | None = None) -> Bench:
        """A judge that has learned from the baseline's past and seen all of the rollout so far, until it ended."""
        analysis = Analysis.model_validate(release.plan["analysis"])
        with context.store.read() as unit:
            steps = unit.releases.steps(release.id)
            started = steps[0].started_at if steps else context.clock.now()
            first_s = math.ceil(started.timestamp())
            past = unit.seconds.between(
                release.service, release.environment, [release.arms[0] or ""],
                after_s=first_s - LEARN_S, until_s=first_s - 1,
            )  # fmt: skip
        bench = cls(
            release=release, judge=judge or make_judge(analysis), intervals=Intervals(analysis.alpha),
            lag_s=analysis.metrics_lag_s if analysis.metrics else 0, after_s=first_s - 1, heard_s=first_s - 1,
        )  # fmt: skip
        for at_s, arms in past.items():
            arm = arms.get(release.arms[0] or "")
            bench.judge.learn(TrafficSecond(at_s=at_s, baseline=arm, candidate=None))
            if arm is not None and arm.requests:
                bench.reference.append(arm)
        bench.advance(context, until=release.ended_at)
        return bench

    def advance(self, context: Context, *, until: datetime | None) -> list[tuple[TrafficSecond, Look]]:
        """Judge every second that was stored since; ``until`` leaves later ones for the next call."""
        versions = [arm for arm in self.release.arms if arm]
        with context.store.read() as unit:
            rows = unit.seconds.between(
                self.release.service, self.release.environment, versions, after_s=self.after_s,
                until_s=int(until.timestamp()) if until else None,
            )  # fmt: skip
            metrics = self._metrics(unit, list(rows), versions)
        looks = []
        for at_s, arms in rows.items():
            second = self._pair(at_s, arms, metrics.get(at_s - self.lag_s, {}))
            self.after_s = at_s
            self.last = self._shown(second, self.judge.observe(second))
            if second.candidate is not None:
                self.measured_s, self.heard_s = self.measured_s + 1, at_s
            self.requests += second.candidate.requests if second.candidate else 0
            looks.append((second, self.last))
        return looks

    def _metrics(self, unit: Unit, seconds: list[int], versions: list[str]) -> Metrics:
        """Metrics of one's own arrive late, so a second is judged with those of ``lag_s`` before it: a replay sees the same."""
        if not self.lag_s or not seconds:
            return {}
        return unit.seconds.metrics_between(
            self.release.service, self.release.environment, versions,
            after_s=seconds[0] - 1 - self.lag_s, until_s=seconds[-1] - self.lag_s,
        )  # fmt: skip

    def _shown(self, second: TrafficSecond, look: Look) -> Look:
        """The look, now and then with intervals to plot: they cost more than the look itself."""
        self.intervals.observe(second)
        if second.at_s % INTERVALS_EVERY_S and look.verdict is not Verdict.FAILED:
            return look
        return replace(look, evidence=look.evidence | {"intervals": self.intervals.now()})

    def _pair(self, at_s: int, arms: dict[str, ArmSecond | None], metrics: dict[str, dict[str, RatioCount | float]]) -> TrafficSecond:
        quiet = ArmSecond()
        ours_arm, theirs_arm = self.release.arms[0] or "", self.release.arms[1]
        candidate = arms.get(theirs_arm, quiet)
        baseline = arms.get(ours_arm, quiet)
        alone = candidate is not None and candidate.requests > 0 and baseline is not None and baseline.requests == 0
        if alone and self.reference:
            baseline = self.reference.pop()
        ours, theirs = metrics.get(ours_arm, {}), metrics.get(theirs_arm, {})
        return TrafficSecond(
            at_s=at_s,
            baseline=replace(baseline, metrics=ours) if baseline is not None and ours else baseline,
            candidate=replace(candidate, metrics=theirs) if candidate is not None and theirs else candidate,
        )


def hold_step(context: Context, release_id: str, index: int, *, actor: Actor, on_looks: OnLooks | None = None) -> StepOutcome:
    """Keep the lease, judge each second and store each look until the step is decided.

    Raises: LeaseLostError when the release was rolled back by somebody else, or the lease lapsed.
    """
    with context.store.read() as unit:
        release = held(unit, release_id, actor)
        record = next((step for step in unit.releases.steps(release_id) if step.index == index), None)
    step = release.steps[index]
    if _is_behind(release, index, record):
        return StepOutcome(index, Verdict.PASSED, proceed=True, reason="held by the run before this one", evidence={})
    outcome = _Hold.begin(context, release, index, actor=actor, on_looks=on_looks).run()
    with context.store.write() as unit:
        now = context.clock.now()
        held(unit, release_id, actor)
        summary = _step_summary(unit, release, index, now)
        unit.releases.end_step(release_id, index, verdict=outcome.verdict.value, reason=outcome.reason, summary=summary, now=now)
        counted = {arm: {name: found[name] for name in ("requests", "failures")} for arm, found in summary.items()}
        detail = {"step": index, "verdict": outcome.verdict.value, "goes_on": outcome.proceed, "counted": counted}
        note(unit, actor, "release.judged", f"release/{release_id}", now=now, reason=outcome.reason, detail=detail)
        payload = {"step": index, "title": step.title, "verdict": outcome.verdict.value, "reason": outcome.reason} | summary
        unit.releases.tell(release_id, "step_ended", payload, now=now)
    return outcome


def _is_behind(release: Release, index: int, record: StepRecord | None) -> bool:
    """Whether an earlier run of this rollout held the step to its end, and it could go on."""
    if release.phase in {Phase.PROMOTING, Phase.VALIDATING} or release.step_index > index:
        return True
    return record is not None and record.ended_at is not None and record.verdict == Verdict.PASSED


def _left_s(context: Context, release: Release, index: int) -> float:
    """Seconds this step still has to be held: all of them, or the rest of what a run before this one began."""
    with context.store.read() as unit:
        record = next((one for one in unit.releases.steps(release.id) if one.index == index), None)
    gone_s = (context.clock.now() - record.started_at).total_seconds() if record else 0.0
    return max(release.steps[index].hold_s - max(0.0, gone_s), HOLD_MIN_S)


def _step_summary(unit: Unit, release: Release, index: int, now: datetime) -> dict[str, Any]:
    record = unit.releases.steps(release.id)[index]
    arms = arm_summaries(unit, release, start=record.started_at, end=now)
    return {name: arm.to_dict() for name, arm in arms.items()}


@dataclass(slots=True)
class _Hold:
    """One step being held: the lease is kept, every second judged, a person's word heard."""

    context: Context
    bench: Bench
    index: int
    actor: Actor
    keeper: LeaseKeeper
    analysis: Analysis
    on_looks: OnLooks | None
    deadline: float
    extensions: int = 0
    phase_at: float = 0.0
    gap_told: bool = False

    @classmethod
    def begin(cls, context: Context, release: Release, index: int, *, actor: Actor, on_looks: OnLooks | None) -> _Hold:
        """The lease is renewed from here on; what an earlier run of this step held counts."""
        keeper = LeaseKeeper(context, release)
        keeper.opened()
        return cls(
            context=context, bench=Bench.open(context, release), index=index, actor=actor, keeper=keeper,
            analysis=Analysis.model_validate(release.plan["analysis"]), on_looks=on_looks,
            deadline=context.clock.monotonic() + _left_s(context, release, index),
        )  # fmt: skip

    @property
    def step(self) -> Step:
        return self.bench.release.steps[self.index]

    def run(self) -> StepOutcome:
        """Until the step is decided. Raises: LeaseLostError."""
        bench, clock = self.bench, self.context.clock
        seen, measured = bench.requests, bench.measured_s
        if bench.last is not None and bench.last.verdict is Verdict.FAILED:  # judged by the run before this one, not acted on
            return StepOutcome(self.index, Verdict.FAILED, proceed=False, reason=bench.last.reason, evidence=bench.last.evidence)
        while True:
            outcome = self._turn() or early_end(self.index, self.analysis, bench.last, fresh=bench.requests - seen)
            silent_s = clock.now().timestamp() - bench.heard_s - 1
            held = Held(requests=bench.requests, fresh=bench.requests - seen, measured_s=bench.measured_s - measured, silent_s=silent_s)
            outcome = outcome or gone_blind(self.index, self.analysis, bench.last, held)
            if outcome is None and clock.monotonic() >= self.deadline and not self._awaits_measurement(held):
                outcome = self._at_end(at_end_of_hold(self.index, self.step, self.analysis, bench.last, held))
            if outcome is not None:
                return outcome
            clock.sleep(TICK_S)

    def _awaits_measurement(self, held: Held) -> bool:
        """A hold that is over while nothing is known of the candidate goes on, until something is or ``gone_blind`` ends it."""
        if held.unmeasured and not self.gap_told:
            payload = {"step": self.index, "silent_s": round(held.silent_s, 1), "at_most_s": self.analysis.unmeasured_max_s}
            _tell(self.context, self.bench.release.id, "unmeasured", payload, actor=self.actor)
        self.gap_told = held.unmeasured
        return held.unmeasured

    def _turn(self) -> StepOutcome | None:
        """Keep the lease, judge what is new, wait while a person has paused the release."""
        self.keeper.beat()
        failed = _look(self.context, self.bench, self.index, on_looks=self.on_looks)
        now = self.context.clock.monotonic()
        if failed is not None or now < self.phase_at:
            return failed
        self.phase_at = now + PHASE_EVERY_S
        if self._phase() is not Phase.PAUSED:
            return None
        by_person = self._paused_by_person()
        failed = self._await_person()
        self.deadline += self.context.clock.monotonic() - now  # a pause takes nothing from the hold
        return failed if failed is not None or by_person else self._let_go_on("the pause")

    def _at_end(self, outcome: StepOutcome) -> StepOutcome | None:
        """What the end of a hold leads to; ``None``: it is held for longer."""
        extend = self.analysis.on_inconclusive == "extend" or is_suspicious(self.bench.last, self.analysis)
        if not outcome.proceed and extend and self.extensions < EXTENSIONS_MAX:
            self.extensions, self.deadline = self.extensions + 1, self.context.clock.monotonic() + self.step.hold_s
            payload = {"step": self.index, "times": self.extensions, "reason": outcome.reason}
            _tell(self.context, self.bench.release.id, "extended", payload, actor=self.actor)
            return None
        if outcome.proceed or self.analysis.on_inconclusive != "pause":
            return outcome
        with self.context.store.write() as unit:
            now = self.context.clock.now()
            before = held(unit, self.bench.release.id, self.actor).phase.value
            unit.releases.move(self.bench.release.id, Phase.PAUSED, actor=self.actor.name, reason=outcome.reason, now=now)
            subject = f"release/{self.bench.release.id}"
            note(unit, self.actor, "release.paused", subject, now=now, reason=outcome.reason, before=before, after="paused")
        return self._await_person() or self._let_go_on(outcome.reason)

    def _let_go_on(self, reason: str) -> StepOutcome:
        evidence = self.bench.last.evidence if self.bench.last else {}
        return StepOutcome(self.index, Verdict.INCONCLUSIVE, proceed=True, reason=f"{reason}; a person let it go on", evidence=evidence)

    def _await_person(self) -> StepOutcome | None:
        """With the lease alive; harm that shows meanwhile still fails the step. ``None``: it may go on. Raises: LeaseLostError."""
        while True:
            self.keeper.beat()
            failed = _look(self.context, self.bench, self.index, on_looks=self.on_looks)
            phase = self._phase()
            if failed is not None or phase is Phase.ROLLING_OUT:
                return failed
            if phase is not Phase.PAUSED:
                raise LeaseLostError(f"release {self.bench.release.id} became {phase} while it was paused")
            self.context.clock.sleep(TICK_S * 4)

    def _phase(self) -> Phase:
        with self.context.store.read() as unit:
            return unit.releases.get(self.bench.release.id).phase

    def _paused_by_person(self) -> bool:
        with self.context.store.read() as unit:
            moves = unit.releases.transitions(self.bench.release.id)
        return bool(moves) and moves[-1]["evidence"].get("pause") == "person"


def _look(context: Context, bench: Bench, index: int, *, on_looks: OnLooks | None) -> StepOutcome | None:
    """Judge what is new, store it, and say so when it failed."""
    pairs = bench.advance(context, until=None) if context.clock.monotonic() >= bench.due_at else []
    if not pairs:
        return None
    bench.due_at = context.clock.monotonic() + NEXT_SECOND_S
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
        "log_e": round(max(look.log_e, LOG_E_MIN), 4),
        "log_e_safe": round(max(look.log_e_safe, LOG_E_MIN), 4),
        "certified": look.certified,
        **({"intervals": look.evidence["intervals"]} if "intervals" in look.evidence else {}),
        **{name: summarise([arm], arm.latency).to_dict() if arm else None for name, arm in arms.items()},
    }


def pause_release(context: Context, release_id: str, *, reason: str, actor: Actor) -> Release:
    """A person stops a rollout where it is: its step is held, its lease kept alive. Raises: IllegalTransitionError."""
    with context.store.write() as unit:
        now = context.clock.now()
        release_for(unit, release_id, actor, Operation.RELEASE_PAUSE)
        release = unit.releases.move(release_id, Phase.PAUSED, actor=actor.name, reason=reason, now=now, evidence={"pause": "person"})
        note(unit, actor, "release.paused", f"release/{release_id}", now=now, reason=reason, before="rolling_out", after="paused")
    return release


def resume_release(context: Context, release_id: str, *, reason: str, actor: Actor) -> Release:
    """A person lets a paused release go on. Raises: IllegalTransitionError when it is not paused."""
    with context.store.write() as unit:
        now = context.clock.now()
        release_for(unit, release_id, actor, Operation.RELEASE_PAUSE)
        release = unit.releases.move(release_id, Phase.ROLLING_OUT, actor=actor.name, reason=reason, now=now)
        note(unit, actor, "release.resumed", f"release/{release_id}", now=now, reason=reason, before="paused", after="rolling_out")
    return release


def validate_promotion(context: Context, release_id: str, *, actor: Actor, on_looks: OnLooks | None = None) -> StepOutcome:
    """Watch the promoted candidate for the plan's time, the old fleet still there.

    Raises: LeaseLostError.
    """
    with context.store.write() as unit:
        release = held(unit, release_id, actor)
        if release.phase is not Phase.VALIDATING:
            why = "the router confirmed all traffic"
            before, now = release.phase.value, context.clock.now()
            release = unit.releases.move(release_id, Phase.VALIDATING, actor=actor.name, reason=why, now=now)
            note(unit, actor, "release.validating", f"release/{release_id}", now=now, reason=why, before=before, after="validating")
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
        healthy = healthy_instances(unit, release)
    evidence = {"healthy": healthy, "wanted": wanted}
    if healthy == 0:
        return StepOutcome(index, Verdict.FAILED, proceed=False, reason=f"none of {wanted} instances is healthy", evidence=evidence)
    return StepOutcome(
        index, Verdict.PASSED, proceed=True, reason=f"{healthy} of {wanted} instances healthy, no harm seen", evidence=evidence
    )


def _tell(context: Context, release_id: str, kind: str, payload: dict[str, Any], *, actor: Actor) -> None:
    with context.store.write() as unit:
        now = context.clock.now()
        unit.releases.tell(release_id, kind, payload, now=now)
        note(unit, actor, f"release.{kind}", f"release/{release_id}", now=now, reason=str(payload.get("reason", "")), detail=payload)
