"""The judge's evidence for a terminal: what was compared, how sure it is, and what would change its mind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from productops.cli.release_text import plain
from productops.cli.stack.tables import render

Document = Mapping[str, Any]


def evidence_lines(look: Document) -> list[str]:
    """The last look: hypotheses, intervals, outlook. Judges without hypotheses (Kayenta, thresholds) have a sentence only."""
    evidence = look["evidence"]
    lines = [f"the judge: {look['verdict']}, {plain(str(look['reason']))}"]
    hypotheses = evidence.get("hypotheses")
    if not hypotheses:
        return lines
    rows = [_row(name, found, float(evidence["threshold"])) for name, found in hypotheses.items()]
    columns = ("hypothesis", "candidate", "baseline", "odds ×", "e-value", "of what rolls back", "α")
    lines.append(render(columns, rows, right=columns[1:]))
    lines += _intervals(evidence.get("intervals"))
    lines += _outlook(evidence.get("next") or {})
    return lines


def _row(name: str, found: Document, threshold: float) -> tuple[str, ...]:
    log_e = found["log_e_counted"]
    ratio = found["ratio"]
    counted = f"{found['candidate_events']}/{found['candidate_total']}", f"{found['baseline_events']}/{found['baseline_total']}"
    limit = threshold - math.log(found["weight"]) if found["weight"] > 0 else math.inf
    limit_ms = found.get("threshold_ms")
    title = plain(name) if limit_ms is None else f"{plain(name)} ({limit_ms:.3g} ms)"
    e_value = "–" if log_e is None else f"{math.exp(min(log_e, 700.0)):.3g}"
    share = "–" if log_e is None else f"{max(0.0, log_e / limit):.0%}"
    return (title, *counted, "–" if ratio is None else f"{ratio:.2f}", e_value, share, f"{found['alpha_share']:.3g}")


def _intervals(intervals: Document | None) -> list[str]:
    if not intervals:
        return []
    parts = []
    for name, found in intervals.items():
        low, high = found["low"], found["high"]
        if low is None and high is None:
            continue
        unit = "times the odds" if name == "failures" else "ms"
        parts.append(f"{name} {'…' if low is None else f'{low:.3g}'} to {'…' if high is None else f'{high:.3g}'} {unit}")
    return [f"surely (at all times at once): {'; '.join(parts)}"] if parts else []


def _outlook(following: Document) -> list[str]:
    said = []
    if following.get("failed_in_s") is not None:
        said.append(f"rolled back in {following['failed_in_s']:.0f} s if it goes on like this")
    if following.get("passed_in_s") is not None:
        said.append(f"certified in {following['passed_in_s']:.0f} s if it goes on like this")
    if following.get("failures_to_fail"):
        said.append(f"about {following['failures_to_fail']} more failures of the candidate alone would roll it back")
    return [f"next: {'; '.join(said)}"] if said else []
