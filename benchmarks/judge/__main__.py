"""``python -m benchmarks.judge --seeds 1 --runs 100``: tables of every judge in every scenario."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.judge.compare import JUDGES, Outcome, Summary, run_many, summarise
from benchmarks.judge.scenarios import BAD, GOOD, NUISANCES

GROUPS = {"good": GOOD, "nuisances": NUISANCES, "bad": BAD}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.judge", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--runs", type=int, default=50, help="streams per scenario, seed, rate and share")
    parser.add_argument("--rates", type=float, nargs="+", default=[100.0], help="requests per second")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.2], help="candidate's share of the traffic")
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--groups", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--only", nargs="+", default=None, help="scenarios whose name begins so")
    parser.add_argument("--judges", nargs="+", choices=list(JUDGES), default=list(JUDGES))
    parser.add_argument("--json", type=Path, default=None, help="also write the summaries here")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Run and print markdown."""
    options = parse(arguments)
    kept = []
    for rate in options.rates:
        for share in options.shares:
            for group in options.groups:
                kept += _table(options, group, rate, share)
    if options.json is not None:
        options.json.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _table(options: argparse.Namespace, group: str, rate: float, share: float) -> list[dict[str, object]]:
    title = "median [95 %] / p95 s (failures served)" if group == "bad" else "rolled back % [95 %]; promoted % at median s"
    print(f"\n### {group}: {rate:g} requests/s, candidate {100 * share:g} %, {options.seconds} s: {title}\n")
    print("| scenario | " + " | ".join(options.judges) + " |")
    print("|---" * (1 + len(options.judges)) + "|", flush=True)
    kept: list[dict[str, object]] = []
    for name, scenario in GROUPS[group].items():
        if options.only and not any(name.startswith(start) for start in options.only):
            continue
        outcomes: dict[str, list[Outcome]] = {judge: [] for judge in options.judges}
        for seed in options.seeds:
            found = run_many(
                name, scenario, options.judges, seed=seed, runs=options.runs, rate=rate, share=share, rollout_s=options.seconds
            )
            for judge, values in found.items():
                outcomes[judge] += values
        summaries = {judge: summarise(name, values) for judge, values in outcomes.items()}
        cells = [_bad(s) if group == "bad" else _good(s) for s in summaries.values()]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        kept += [{"scenario": name, "judge": j, "rate": rate, "share": share, **asdict(s)} for j, s in summaries.items()]
    print(f"\nCPU for 1800 looks, ms: {_cpu(kept)}")
    return kept


def _good(s: Summary) -> str:
    promoted = f"; {100 * s.passed_share:.0f} % at {_seconds(s.passed_median_s)}" if s.passed_share else ""
    return f"{100 * s.failed_share:.1f} [{100 * s.failed_low:.1f}, {100 * s.failed_high:.1f}]{promoted}"


def _bad(s: Summary) -> str:
    missed = f", {100 * (1 - s.failed_share):.0f} % missed" if s.failed_share < 1.0 else ""
    spread = f"[{_seconds(s.median_low)}, {_seconds(s.median_high)}]"
    return f"{_seconds(s.median_s)} {spread} / {_seconds(s.p95_s)} ({s.failures_median:.0f}){missed}"


def _seconds(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "never"


def _cpu(kept: list[dict[str, object]]) -> str:
    means: dict[str, list[float]] = {}
    for row in kept:
        means.setdefault(str(row["judge"]), []).append(float(str(row["cpu_ms_per_1800_looks"])))
    return ", ".join(f"{judge} {sum(values) / len(values):.0f}" for judge, values in means.items())


if __name__ == "__main__":
    main(sys.argv[1:])
