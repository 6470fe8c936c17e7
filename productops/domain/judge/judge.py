"""The stratified judge: every second is a stratum, every hypothesis a bettor, and enough capital rolls a candidate back."""

from __future__ import annotations

import math
from typing import Any

from productops.domain.analysis import ArmSecond, Look, RatioCount, TrafficSecond, Verdict
from productops.domain.judge.counted import CountedHypothesis, CountedRule
from productops.domain.judge.evidence import Accounts
from productops.domain.judge.latency import LatencyHypotheses
from productops.domain.judge.look import LazyLook
from productops.domain.judge.policy import FAILURES, AnalysisPolicy, Direction, MetricKind, MetricRule
from productops.domain.judge.saturation import SaturationHypothesis
from productops.domain.judge.snapshot import Snapshot

__all__ = ["StratifiedJudge"]

PASSED_REASON = "surely within the promotion bounds on every hypothesis that is measured"


class StratifiedJudge:
    """Feed ``learn`` the baseline's seconds before the rollout, then ``observe`` one second after the other.

    If in every second the candidate is no worse than the baseline times the tolerances, the chance that it is ever FAILED is at
    most ``alpha``, whatever the traffic, the split and incidents both share. FAILED is final; PASSED may turn into FAILED.
    """

    def __init__(self, policy: AnalysisPolicy | None = None) -> None:
        self.policy = policy or AnalysisPolicy()
        self._accounts = Accounts(self.policy)
        self._failures = CountedHypothesis(_failure_rule(self.policy))
        self._latency = LatencyHypotheses(self.policy)
        self._metrics = {rule.name: _metric_hypothesis(rule, self.policy) for rule in self.policy.metrics}
        self._latency_shown: list[Snapshot] = []
        self._latency_tally = self._accounts.tally([])
        self._first_s: int | None = None
        self._last_s: int | None = None
        self._candidate_since: int | None = None
        self._requests = [0, 0]
        self._failed: Look | None = None

    def learn(self, second: TrafficSecond) -> None:
        """Take a second from before the rollout: only ``baseline`` counts; ignored once the rollout has begun."""
        arm = second.baseline
        if arm is None or self._first_s is not None or not _sound(arm):
            return
        self._failures.learn(arm.failures, max(arm.requests, arm.failures))
        self._latency.learn(arm.latency)
        for rule in self.policy.metrics:
            value = arm.metrics.get(rule.name)
            hypothesis = self._metrics[rule.name]
            if isinstance(hypothesis, CountedHypothesis) and value is not None:
                hypothesis.learn(*_events(rule, value, arm))

    def observe(self, second: TrafficSecond) -> Look:
        """Take one second of the rollout and answer as of its end; a second that cannot be used is named in the reason."""
        ignored = self._too_late(second.at_s) or self._unusable(second)
        if not ignored and second.baseline is not None and second.candidate is not None:
            self._take(second.at_s, second.baseline, second.candidate)
        return self._look(second.at_s if self._last_s is None else max(second.at_s, self._last_s), ignored)

    def _too_late(self, at_s: int) -> str:
        """Why the clock does not go on; empty when it does."""
        if self._last_s is not None and at_s <= self._last_s:
            return f"second {at_s} came twice or too late and was ignored"
        if self._first_s is None:
            self._first_s = at_s
            self._latency.begin()
        self._last_s = at_s
        return ""

    def _unusable(self, second: TrafficSecond) -> str:
        """Why the second is no evidence; empty when it is."""
        for name, arm in (("baseline", second.baseline), ("candidate", second.candidate)):
            if arm is None:
                return f"the {name} could not be measured this second"
            if not _sound(arm):
                return f"the {name}'s counters ran backwards this second"
        return ""

    def _take(self, at_s: int, baseline: ArmSecond, candidate: ArmSecond) -> None:
        n_a, n_b = max(baseline.requests, baseline.failures), max(candidate.requests, candidate.failures)
        self._requests[0] += n_a
        self._requests[1] += n_b
        if n_b and self._candidate_since is None:
            self._candidate_since = at_s
        elapsed = float(at_s - (self._first_s or 0))
        age = float(at_s - self._candidate_since) if self._candidate_since is not None else 0.0
        self._failures.observe((baseline.failures, n_a), (candidate.failures, n_b), elapsed_s=elapsed)
        eager = self._failures.log_safe >= self._accounts.threshold - 0.5
        self._latency.observe(baseline.latency, candidate.latency, elapsed_s=elapsed, age_s=age, eager=eager)
        for rule in self.policy.metrics:
            self._take_metric(rule, baseline, candidate, elapsed)

    def _take_metric(self, rule: MetricRule, baseline: ArmSecond, candidate: ArmSecond, elapsed: float) -> None:
        ours, theirs = baseline.metrics.get(rule.name), candidate.metrics.get(rule.name)
        if ours is None or theirs is None:
            return
        hypothesis = self._metrics[rule.name]
        if isinstance(hypothesis, CountedHypothesis):
            hypothesis.observe(_events(rule, ours, baseline), _events(rule, theirs, candidate), elapsed_s=elapsed)
        else:
            hypothesis.observe(_level(ours), _level(theirs), elapsed_s=elapsed)

    def _look(self, at_s: int, ignored: str) -> Look:
        if self._failed is not None:
            failed = self._failed
            return Look(at_s, Verdict.FAILED, failed.reason, failed.log_e, failed.log_e_safe, certified=False, evidence=failed.evidence)
        accounts, age_s = self._accounts, self._age()
        latency = self._latency.snapshots()
        if latency is not self._latency_shown:
            # They change once per batch.
            self._latency_shown, self._latency_tally = latency, accounts.tally(latency)
        counted = [self._failures.snapshot(), *(h.snapshot() for h in self._metrics.values())]
        tally = accounts.tally(counted).join(self._latency_tally)
        log_e = tally.log_e
        log_safe = tally.safe if tally.safe < math.inf else -math.inf
        snapshots = [counted[0], *latency, *counted[1:]]
        requests = tuple(self._requests)

        def evidence() -> dict[str, Any]:
            return accounts.evidence(snapshots, log_e=log_e, log_safe=log_safe, requests=requests, age_s=age_s)

        if log_e >= accounts.threshold:
            reason = accounts.harm_reason(snapshots)
            self._failed = LazyLook(at_s, Verdict.FAILED, reason, log_e, log_safe, certified=False, evidence=evidence)
            return self._failed
        certified = log_safe >= accounts.threshold
        waiting = accounts.waiting(snapshots, tally, requests=requests, age_s=age_s, certified=certified)
        verdict = Verdict.INCONCLUSIVE if waiting else Verdict.PASSED
        reason = waiting or PASSED_REASON
        reason = f"{ignored}; {reason}" if ignored else reason
        return LazyLook(at_s, verdict, reason, log_e, log_safe, certified, evidence)

    def _age(self) -> float:
        """Seconds since the candidate's first request."""
        if self._last_s is None or self._candidate_since is None:
            return 0.0
        return float(self._last_s - self._candidate_since + 1)


def _failure_rule(policy: AnalysisPolicy) -> CountedRule:
    return CountedRule(
        name=FAILURES,
        tolerance=policy.error_tolerance,
        promote_ratio=policy.promote_error_ratio,
        start_now_share=policy.start_now_share,
        start_later_mean_s=policy.start_later_mean_s,
        second_opinion=policy.second_opinion,
        arm_noise=policy.arm_noise_failures,
        dispersion=policy.dispersion,
    )


def _metric_hypothesis(rule: MetricRule, policy: AnalysisPolicy) -> CountedHypothesis | SaturationHypothesis:
    if rule.kind is MetricKind.SATURATION:
        return SaturationHypothesis(rule, now_share=policy.start_now_share, later_mean_s=policy.start_later_mean_s)
    return CountedHypothesis(
        CountedRule(
            name=rule.name,
            tolerance=rule.tolerance,
            promote_ratio=None,
            start_now_share=policy.start_now_share,
            start_later_mean_s=policy.start_later_mean_s,
            second_opinion=policy.second_opinion,
            arm_noise=policy.arm_noise_failures,
            dispersion=policy.dispersion,
            is_counter=rule.kind is MetricKind.COUNTER,
        )
    )


def _events(rule: MetricRule, value: RatioCount | float, arm: ArmSecond) -> tuple[int, int]:
    """(harmful events, trials) of a counted metric."""
    if not isinstance(value, RatioCount):
        raise TypeError(f"metric {rule.name!r} needs counted events, not a level")
    if rule.kind is MetricKind.COUNTER:
        return value.events, value.total or arm.requests
    total = max(value.total, value.events)
    return (value.events if rule.direction is Direction.HIGHER_IS_WORSE else total - value.events), total


def _level(value: RatioCount | float) -> float:
    if isinstance(value, RatioCount):
        raise TypeError("a saturation metric needs a level, not counted events")
    return float(value)


def _sound(arm: ArmSecond) -> bool:
    """Whether the deltas can be true: counters that ran backwards give negative ones."""
    return arm.requests >= 0 and arm.failures >= 0
