"""``make bench``: ``python -m benchmarks [router] [flags] [judge] [audit] [release]`` measures, prints, writes ``bench-results/``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from benchmarks import api, api_fuzz, audit, development_sync, flags, outbox, router
from benchmarks.figures import RESULTS, Figure, console, show, write
from benchmarks.fleet import suite as fleet
from benchmarks.quality import suite as quality
from benchmarks.release import suite as release
from benchmarks.release.stack import BenchError, default_home

JUDGE = "benchmarks.judge.__main__"
JUDGE_S = 3600.0
JUDGE_RUNS = 10
JUDGE_RUNS_QUICK = 1


def main() -> int:
    """Exit status 0 when all was measured and, with ``--strict``, every bar was met; 1 when not; 130 when interrupted."""
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    figures: list[Figure] = []
    failed = []
    began = time.monotonic()
    console.print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    for name in arguments.suites or SUITES:
        console.rule(f"[bold]{name}")
        try:
            figures += SUITES[name](arguments)
        except BenchError as error:
            failed.append(name)
            console.print(f"[bold red]{name} failed:[/] {error}", soft_wrap=True)
        except KeyboardInterrupt:
            console.print("interrupted; what was measured so far is in bench-results")
            return 130
    missed = [figure.name.strip() for figure in figures if figure.met is False]
    summary = f"{time.monotonic() - began:.0f} s; {sum(f.met is True for f in figures)} bars met, {len(missed)} missed"
    console.print(summary + (f": {'; '.join(missed)}" if missed else ""), soft_wrap=True)
    return 1 if failed or (arguments.strict and missed) else 0


def parse_arguments() -> argparse.Namespace:
    """Which suites, and how thoroughly."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(SUITES)}; default all")
    parser.add_argument("--quick", action="store_true", help="a few minutes: to see that all works, not to rely on")
    parser.add_argument("--strict", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--runs", type=int, help="releases of the version whose answers fail (20; quick 3)")
    parser.add_argument("--every", type=int, default=0, help="the plan suite: each so-many-th project (23; quick 67)")
    parser.add_argument("--seed", type=int, default=1, help="of what is simulated (experiments)")
    parser.add_argument("--events", type=int, help="of the analytics-usage suite (10,000,000; quick 500,000)")
    parser.add_argument("--only", action="append", choices=release.PARTS, help="a part of the release suite; may be repeated")
    parser.add_argument("--home", type=Path, default=default_home(), help="folder of the release suite's stack; emptied at the start")
    parser.add_argument("--port-base", type=int, help="its first port; default: the first free ones")
    arguments = parser.parse_args()
    if unknown := set(arguments.suites) - set(SUITES):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    return arguments


def run_router(arguments: argparse.Namespace) -> list[Figure]:
    """Weight changes confirmed, and what the router adds to a request."""
    rows = router.measure(count=60 if arguments.quick else 300, rate=200)
    router.report(rows)
    direct, bare, routed = (row.percentile(0.5) for row in rows[-3:])
    figures = [Figure(f"{row.name}, median", row.percentile(0.5), "ms", router.SWITCH_BAR_MS) for row in rows[:2]]
    how = f"{rows[-1].name} against the instance itself, medians"
    own = f"a bare Envoy adds {(bare - direct) * 1000:.0f} µs"
    figures.append(Figure("router adds to a request, median", (routed - direct) * 1000, "µs", router.OVERHEAD_BAR_US, False, own, how))
    raw = [{"name": row.name, "percentiles_ms": {share: row.percentile(share) for share in (0.5, 0.95, 0.99, 1.0)}} for row in rows]
    write("router", "router", figures, raw)
    show("router", figures)
    return figures


def run_flags(arguments: argparse.Namespace) -> list[Figure]:
    """Evaluations of flags under load, and pushes of changes. Raises: BenchError."""
    return flags.run(quick=arguments.quick)


def run_judge(arguments: argparse.Namespace) -> list[Figure]:
    """The judge's own comparison, in a process of its own. Raises: BenchError."""
    if importlib.util.find_spec(JUDGE) is None:
        console.print("the judge's comparison is not part of this installation")
        return []
    RESULTS.mkdir(exist_ok=True)
    runs = JUDGE_RUNS_QUICK if arguments.quick else JUDGE_RUNS
    command = [sys.executable, "-m", "benchmarks.judge", "--runs", str(runs), "--json", str(RESULTS / "judge.json")]
    try:
        code = subprocess.run(command, timeout=JUDGE_S, check=False).returncode
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(command[1:])} did not end within {JUDGE_S:.0f} s") from error
    if code:
        raise BenchError(f"{' '.join(command[1:])} ended with {code}")
    return []


def run_audit(arguments: argparse.Namespace) -> list[Figure]:
    """Proofs, pages and tamperings of the audit log."""
    return audit.run(quick=arguments.quick)


def run_release(arguments: argparse.Namespace) -> list[Figure]:
    """The whole stack under load. Raises: BenchError."""
    parts = [part for part in release.PARTS if arguments.only is None or part in arguments.only]
    where = {"parts": parts, "home": arguments.home.resolve(), "port_base": arguments.port_base}
    runs = {"runs": arguments.runs} if arguments.runs else {}
    return release.run(release.quick(**where, **runs) if arguments.quick else release.Plan(**where, **runs))


def run_fleet(arguments: argparse.Namespace) -> list[Figure]:
    """Many runs and many releases at once. Raises: BenchError."""
    return fleet.run(fleet.plan(arguments.home.resolve(), quick=arguments.quick))


def run_api(arguments: argparse.Namespace) -> list[Figure]:
    """The REST interface under load. Raises: BenchError."""
    return api.run(quick=arguments.quick)


def run_api_fuzz(arguments: argparse.Namespace) -> list[Figure]:
    """Schemathesis against the whole API. Raises: BenchError."""
    return api_fuzz.run(quick=arguments.quick)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends the bench as Ctrl-C does: with its stack."""
    raise KeyboardInterrupt


def run_outbox(arguments: argparse.Namespace) -> list[Figure]:
    """Senders killed again and again, and the time from a commit to its receiver."""
    return outbox.run(quick=arguments.quick)


def run_quality(arguments: argparse.Namespace) -> list[Figure]:
    """Reports read, flaky tests in histories whose truth is known, and steps in benchmark noise."""
    return quality.run(quick=arguments.quick)


def run_plan(arguments: argparse.Namespace) -> list[Figure]:
    """Schedules beside the best known ones, and a plan of fifty people."""
    from benchmarks import plan  # a second to import, which the others need not wait for

    return plan.run(quick=arguments.quick, every=arguments.every)


def run_development_sync(arguments: argparse.Namespace) -> list[Figure]:
    """Years of issues read, killed and gone on. Raises: BenchError."""
    return development_sync.run(quick=arguments.quick)


def run_analytics_ingest(arguments: argparse.Namespace) -> list[Figure]:
    """Usage events taken in as fast as it goes, and under kill -9. Raises: BenchError."""
    from benchmarks import analytics_ingest  # loads Arrow

    return analytics_ingest.run(quick=arguments.quick)


def run_experiments(arguments: argparse.Namespace) -> list[Figure]:
    """Recorded results, false findings, coverage and speed of experiments."""
    from benchmarks import experiments  # scipy and the domain, which the others need not wait for

    return experiments.run(quick=arguments.quick, seed=arguments.seed)


def run_analytics_usage(arguments: argparse.Namespace) -> list[Figure]:
    """Funnel and retention over millions of events, beside other engines. Raises: BenchError."""
    from benchmarks import analytics_usage  # loads Arrow

    return analytics_usage.run(quick=arguments.quick, events=arguments.events)


def run_insights(arguments: argparse.Namespace) -> list[Figure]:
    """Planted effects in simulated ventures: precision, recall, false insights a week, time of a night; two plain detectors beside."""
    from benchmarks import insights  # scipy, which the others need not wait for

    return insights.run(quick=arguments.quick, seed=arguments.seed)


def run_monitoring_series(arguments: argparse.Namespace) -> list[Figure]:
    """Series of metrics: points taken in by one core, a day read back, bytes on disk; plain SQL rows beside."""
    from benchmarks import monitoring_series  # arrays, which the others need not wait for

    return monitoring_series.run(quick=arguments.quick)


def run_detection(arguments: argparse.Namespace) -> list[Figure]:
    """The anomaly detector on public data, where that is named, and on simulated traffic."""
    from benchmarks import detection

    figures = detection.suite(hours=1.0 if arguments.quick else 24.0)
    write("detection", "detection", figures, [])
    show("detection", figures)
    return figures


def run_incident(arguments: argparse.Namespace) -> list[Figure]:
    """Faults in a live service, seen, explained and answered. Raises: BenchError."""
    from benchmarks import incident  # the users and faults, which the others need not wait for

    return incident.run(arguments)


def run_incident_healthy(arguments: argparse.Namespace) -> list[Figure]:
    """A simulated day without a fault; an hour when it has to be quick."""
    from benchmarks import incident_healthy

    figures = incident_healthy.suite(hours=1.0 if arguments.quick else 24.0, seed=arguments.seed)
    write("incident-healthy", "day", figures, [])
    show("incident-healthy", figures)
    return figures


def run_slo(arguments: argparse.Namespace) -> list[Figure]:
    """How often burn rate rules cry wolf, and how soon they tell."""
    from benchmarks import slo  # arrays, which the others need not wait for

    return slo.run(days=4 if arguments.quick else 20)


def run_monitoring_logs(arguments: argparse.Namespace) -> list[Figure]:
    """Log lines and spans taken in, searched, grouped."""
    from benchmarks import monitoring_logs  # the store and its tables

    return monitoring_logs.run(quick=arguments.quick)


def run_alert_storm(arguments: argparse.Namespace) -> list[Figure]:
    """Ten thousand alerts of one cause within a minute, over HTTP."""
    from benchmarks import alert_storm  # the API and its tables

    alerts, seconds = (1_000, 6.0) if arguments.quick else (10_000, 60.0)
    return alert_storm.run(argparse.Namespace(alerts=alerts, seconds=seconds, group=40, alone=0.2, again=0.05))


def run_cause(arguments: argparse.Namespace) -> list[Figure]:
    """Root causes in public data, where PRODUCTOPS_BENCH_DATA names it. Raises: BenchError."""
    from benchmarks import cause  # arrays, which the others need not wait for

    return cause.run()


def run_success(arguments: argparse.Namespace) -> list[Figure]:
    """Predictions of success for simulated features whose truth is known."""
    from benchmarks import success  # scipy

    return success.figures(quick=arguments.quick)


SUITES: dict[str, Callable[[argparse.Namespace], list[Figure]]] = {
    "router": run_router, "flags": run_flags, "judge": run_judge, "audit": run_audit, "release": run_release, "fleet": run_fleet,
    "api": run_api, "outbox": run_outbox, "api-fuzz": run_api_fuzz, "quality": run_quality, "plan": run_plan,
    "development-sync": run_development_sync, "analytics-ingest": run_analytics_ingest,
    "insights": run_insights, "experiments": run_experiments, "analytics-usage": run_analytics_usage, "detection": run_detection,
    "monitoring-series": run_monitoring_series, "monitoring-logs": run_monitoring_logs, "slo": run_slo, "alert-storm": run_alert_storm,
    "cause": run_cause, "incident": run_incident, "incident-healthy": run_incident_healthy, "success": run_success,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
