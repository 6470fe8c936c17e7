"""From the first bad answer that a user got to the baseline confirmed by the router."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.figures import Figure, console, number, percentile
from benchmarks.release.api import Api
from benchmarks.release.incumbents import RULES, Replay, Rule, Stream, extended, replay, stream_of
from benchmarks.release.load import Users

RATE = 100.0
CANDIDATE_SHARE = 0.2
PAUSE_S = 3.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A bad version: what its users meet, the share of its requests that fail, the bars in seconds, how long it may go unnoticed."""

    part: str
    version: str
    about: str
    failure_share: float
    median_bar_s: float
    p95_bar_s: float
    patience_s: float


FAULTS = {
    "reaction": Fault("reaction", "1.2.0", "30 % fail", 0.30, 3.0, 6.0, 120.0),
    "errors-x5": Fault("errors-x5", "1.3.0", "errors ×5", 0.025, 30.0, 60.0, 300.0),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One release of a bad version. ``seconds`` is None when we did not roll back by ourselves; ``stream`` None when nothing failed."""

    phase: str
    reason: str
    seconds: float | None
    harmed: int
    stream: Stream | None


def measure(api: Api, users: Users, fault: Fault, *, runs: int) -> tuple[list[Figure], object]:
    """Release the version ``runs`` times; its figures and raw samples. Raises: BenchError."""
    found = []
    for number_of_run in range(1, runs + 1):
        run = one_run(api, users, fault)
        found.append(run)
        console.print(f"  {fault.version} {number_of_run}/{runs}: {number(run.seconds, 's')}, {run.harmed} harmed ({run.reason[:90]})")
        time.sleep(PAUSE_S)
    figures = figures_of(fault, found)
    return figures, [asdict(run) for run in found]


def one_run(api: Api, users: Users, fault: Fault) -> Run:
    """Release once and wait for the baseline."""
    first = len(users.responses)
    release_id = api.request(fault.version, lift_quarantine=True)
    ended = api.await_end(release_id, within_s=fault.patience_s)
    time.sleep(0.5)  # answers under way
    met = [r for r in users.responses[first:] if r.version == fault.version]
    harmed = sum(r.failed for r in met)
    stream = stream_of(met) if harmed else None
    confirmed, by_itself = ended.baseline_confirmed, ended.document["cause"] in {"verdict", "validation"}
    seconds = None
    if stream is not None and confirmed is not None and by_itself:
        seconds = confirmed - min(r.ended_unix_s for r in met if r.failed)
    return Run(ended.phase, str(ended.document["reason"]), seconds, harmed, stream)


def figures_of(fault: Fault, runs: Sequence[Run]) -> list[Figure]:
    """Ours first, then each rule of the incumbents on the same streams, with the ratio of ours to theirs."""
    measured = [run.seconds for run in runs if run.seconds is not None]
    missed = len(runs) - len(measured)
    median = statistics.median(measured) if measured else None
    streams = [
        extended(run.stream, rate=RATE * CANDIDATE_SHARE, failure_share=fault.failure_share, seed=seed)
        for seed, run in enumerate(runs)
        if run.stream is not None
    ]
    how = f"{RATE:g}/s, {CANDIDATE_SHARE:.0%} on the candidate, runs: {len(runs)}"
    best = _fastest([_seconds(rule, streams) for rule in RULES])
    ratio = f"{median / best:.3f} × the fastest of them" if median and best else ""
    lines = [
        Figure(f"{fault.about}: bad answer → baseline, median", median, "s", fault.median_bar_s, reference=ratio, detail=how),
        Figure(f"{fault.about}: bad answer → baseline, p95", percentile(measured, 0.95), "s", fault.p95_bar_s, detail=how),
        Figure(f"{fault.about}: not rolled back by the judge", missed, "runs", 0, detail=how),
        Figure(f"{fault.about}: requests harmed, median", statistics.median(run.harmed for run in runs), "", detail=how),
        Figure(f"{fault.about}: requests harmed, most", max(run.harmed for run in runs), "", detail=how),
    ]
    return lines + [_reference(fault, rule, streams, median) for rule in RULES]


def _seconds(rule: Rule, streams: Sequence[Stream]) -> float | None:
    """The rule's median; None when it never rolls most of them back."""
    found = sorted(float("inf") if (s := replay(rule, stream).seconds) is None else s for stream in streams)
    middle = statistics.median_low(found) if found else float("inf")
    return None if middle == float("inf") else middle


def _fastest(seconds: Sequence[float | None]) -> float | None:
    return min((s for s in seconds if s is not None), default=None)


def _reference(fault: Fault, rule: Rule, streams: Sequence[Stream], ours: float | None) -> Figure:
    replays: list[Replay] = [replay(rule, stream) for stream in streams]
    theirs = _seconds(rule, streams)
    harmed = statistics.median(r.harmed for r in replays) if replays else None
    ratio = f"ours / theirs {ours / theirs:.3f}" if ours and theirs else ""
    said = f"{ratio}; {number(harmed, 'harmed')}" if theirs else f"never within an hour; {number(harmed, 'harmed')}"
    return Figure(f"  {rule.name}", theirs, "s", reference=said, detail="rule replayed, see below")
