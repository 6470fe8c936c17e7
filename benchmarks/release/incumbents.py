"""The documented rules of Argo Rollouts and Flagger, replayed on a candidate's answers second by second.

Everything but the rule is granted: their metrics are taken to be complete at once, their rollback to take no time, and a first
look before there is any traffic not to count. A stream that ended because we rolled back is extended with seconds of the same version.
Sources: argo-rollouts.readthedocs.io/en/stable/features/analysis (success condition 0.95, failureLimit 3; failureLimit is 0 where it is not
given), docs.flagger.app/usage/how-it-works, /usage/metrics and /usage/deployment-strategies
(interval 1m, success rate 99; threshold 5 for canaries, 2 for blue-green).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from examples.load import Response

HORIZON_S = 3600
NOTE = (
    "Argo Rollouts and Flagger were not run: their documented rules were replayed on the same streams of answers, extended synthetically "
    "from where we rolled back. Their metrics are taken to be complete at once and their rollback to take no time."
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Every ``interval_s`` a look at the success ratio of that interval; rolled back after ``failed_looks`` looks below ``success_min``."""

    name: str
    interval_s: int
    success_min: float
    failed_looks: int


RULES = (
    Rule("Argo Rollouts, 60 s, success ≥ 95 %, failureLimit 0", 60, 0.95, 1),
    Rule("Argo Rollouts, 60 s, success ≥ 95 %, failureLimit 3", 60, 0.95, 4),
    Rule("Flagger, 60 s, success ≥ 99 %, threshold 2", 60, 0.99, 2),
    Rule("Flagger, 60 s, success ≥ 99 %, threshold 5", 60, 0.99, 5),
)


@dataclass(frozen=True, slots=True)
class Stream:
    """A candidate's answers by second since its first; ``first_failure_s`` is seconds from its first answer to its first bad one."""

    requests: Sequence[int]
    failures: Sequence[int]
    first_failure_s: float


@dataclass(frozen=True, slots=True)
class Replay:
    """Seconds from the first bad answer to the decision and bad answers until then; ``seconds`` is None when it is never taken."""

    seconds: float | None
    harmed: int


def stream_of(responses: Iterable[Response]) -> Stream:
    """The candidate's answers, counted. Raises: ValueError when none failed."""
    answers = sorted(responses, key=lambda r: r.ended_unix_s)
    failed = [r.ended_unix_s for r in answers if r.failed]
    if not failed:
        raise ValueError("the candidate gave no bad answer")
    start_s = answers[0].ended_unix_s
    length = int(answers[-1].ended_unix_s - start_s) + 1
    requests, failures = [0] * length, [0] * length
    for answer in answers:
        second = int(answer.ended_unix_s - start_s)
        requests[second] += 1
        failures[second] += answer.failed
    return Stream(requests, failures, failed[0] - start_s)


def extended(stream: Stream, *, rate: float, failure_share: float, seed: int) -> Stream:
    """The stream, then synthetic seconds up to an hour: Poisson arrivals at ``rate`` a second, each failing with ``failure_share``.

    The last measured second is replaced, since the rollback cut it short.
    """
    random = np.random.default_rng(seed)
    kept = max(0, len(stream.requests) - 1)
    requests = random.poisson(rate, size=HORIZON_S - kept)
    failures = random.binomial(requests, failure_share)
    return Stream([*stream.requests[:kept], *requests.tolist()], [*stream.failures[:kept], *failures.tolist()], stream.first_failure_s)


def replay(rule: Rule, stream: Stream) -> Replay:
    """When the rule would have rolled back, had it had this candidate."""
    failed_looks = 0
    for end in range(rule.interval_s, len(stream.requests) + 1, rule.interval_s):
        requests = sum(stream.requests[end - rule.interval_s : end])
        failures = sum(stream.failures[end - rule.interval_s : end])
        failed_looks += requests > 0 and 1 - failures / requests < rule.success_min
        if failed_looks >= rule.failed_looks:
            return Replay(end - stream.first_failure_s, sum(stream.failures[:end]))
    return Replay(None, sum(stream.failures))
