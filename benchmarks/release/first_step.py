"""From asking for a release to its flow's first task at work, for both doors: our API and Prefect's form."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from benchmarks.figures import Figure, console, percentile
from benchmarks.release.api import Api
from benchmarks.release.stack import BenchError

VERSION = "1.1.0"
WITHIN_S = 30.0
PAUSE_S = 1.0
BAR_S = 0.5
REFERENCE = "Prefect's own defaults on such a machine: serve 6.5 s, process worker 8.8 s"


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the request: until the answer, until Prefect saw the first task start, until the release was ``deploying``."""

    answered_s: float
    task_s: float
    deploying_s: float


def measure(api: Api, *, runs: int) -> tuple[list[Figure], object]:
    """Start releases through both doors and end each as soon as it has begun. Raises: BenchError."""
    starts = {door: [_one(api, ask, door) for _ in range(runs)] for door, ask in (("API", _by_api), ("Prefect's form", _by_form))}
    figures = []
    for door, found in starts.items():
        tasks = [start.task_s for start in found]
        how = f"runs: {runs}; answered after {statistics.median(s.answered_s for s in found):.2f} s"
        figures += [
            Figure(f"request by {door} → first task, median", statistics.median(tasks), "s", BAR_S, reference=REFERENCE, detail=how),
            Figure(f"request by {door} → first task, p95", percentile(tasks, 0.95), "s", detail=how),
            Figure(f"request by {door} → deploying, median", statistics.median(s.deploying_s for s in found), "s", detail=how),
        ]
    return figures, {door: [asdict(start) for start in found] for door, found in starts.items()}


def _one(api: Api, ask: Callable[[Api], tuple[str, str, float]], door: str) -> Start:
    began = time.time()
    release_id, run_id, answered = ask(api)
    begun = api.await_phase(release_id, "deploying", within_s=WITHIN_S).reached("deploying") or 0.0
    api.roll_back(release_id, "the bench wanted its beginning only")
    task = api.first_task_started(run_id, within_s=WITHIN_S)
    api.await_end(release_id, within_s=WITHIN_S)
    api.await_run_end(run_id, within_s=WITHIN_S)
    start = Start(answered - began, task - began, begun - began)
    console.print(f"  by {door}: first task after {start.task_s:.3f} s, deploying after {start.deploying_s:.3f} s")
    time.sleep(PAUSE_S)
    return start


def _by_api(api: Api) -> tuple[str, str, float]:
    """Release, run, when it was answered. Raises: BenchError when Prefect did not take the run at once."""
    document = api.ask(VERSION, force_downgrade=True, lift_quarantine=True)
    answered = time.time()
    if document["flow_run"] is None:
        raise BenchError("Prefect did not answer: the release waits for the reconciler, which is not what is measured here")
    return str(document["id"]), str(document["flow_run"]["id"]), answered


def _by_form(api: Api) -> tuple[str, str, float]:
    run_id = api.submit_form(VERSION, force_downgrade=True, lift_quarantine=True)
    answered = time.time()
    return api.release_of_run(run_id, within_s=WITHIN_S), run_id, answered
