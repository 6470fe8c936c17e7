"""How many of the tests that are called flaky are, and how many of those that are get found, in histories whose truth is known."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.table import Table

from benchmarks.figures import Figure, console, show, write
from benchmarks.quality.histories import Bools, History, Scenario, simulate
from productops.domain.quality_flaky import BROKEN, SURE
from productops.domain.quality_improve import wilson
from productops.stats.flaky import Flakiness, judge_flakiness

PRECISION_BAR = 0.95
RECALL_BAR = 0.90
# So many runs in a row a change must have broken a test before it counts as hidden when nobody is told.
LONG_BROKEN = 3
BASE = Scenario("retries, same code 30 %")
SCENARIOS = (
    BASE,
    replace(BASE, name="retries, same code 0 %", same=0.0),
    replace(BASE, name="retries, same code 50 %", same=0.5),
    replace(BASE, name="retries, rates even from 5 %", rates="even"),
    replace(BASE, name="retries, 0.5 % flaky", share=0.005),
    replace(BASE, name="retries, 5 % flaky", share=0.05),
    replace(BASE, name="retries, changes break five times as much", breaks=0.005),
    replace(BASE, name="retries, five outages", outages=5),
    replace(BASE, name="retries, 1,000 tests", tests=1_000),
    replace(BASE, name="no retries, same code 50 %", retries=False, same=0.5),
    replace(BASE, name="no retries, same code 30 %", retries=False),
    replace(BASE, name="no retries, same code 0 %", retries=False, same=0.0),
    replace(BASE, name="no retries, same code 30 %, rates from 10 %", retries=False, low=0.1),
    replace(BASE, name="no retries, same code 0 %, rates from 10 %", retries=False, same=0.0, low=0.1),
)


@dataclass(slots=True)
class Counted:
    """What came out, over all seeds. ``hidden``: tests that a change had really broken and that were called flaky, so that nobody was told.
    ``late``: flaky ones that a change had broken for ``LONG_BROKEN`` runs, too, and that did not block again yet.

    ``silent``: flaky tests that never failed by then, so nobody could know; ``rule``: of a simple rule, see ``by_rule``.
    """

    called: int = 0
    right: int = 0
    flaky: int = 0
    silent: int = 0
    hidden: int = 0
    late: int = 0
    broken: int = 0
    rule_called: int = 0
    rule_right: int = 0
    slowest_s: float = 0.0

    def add(self, history: History, found: Flakiness, took_s: float) -> None:
        """Count one history."""
        called, rule = found.probability > SURE, by_rule(history)
        self.called += int(called.sum())
        self.right += int((called & history.flaky).sum())
        self.flaky += int(history.flaky.sum())
        self.silent += int((history.flaky & (history.failures.sum(axis=1) == 0)).sum())
        now, lasting = history.broken[:, -1], history.broken[:, -LONG_BROKEN:].all(axis=1)
        quiet = called & (found.broken < BROKEN)
        self.hidden += int((quiet & now & ~history.flaky).sum())
        self.late += int((quiet & lasting & history.flaky).sum())
        self.broken += int(now.sum())
        self.rule_called += int(rule.sum())
        self.rule_right += int((rule & history.flaky).sum())
        self.slowest_s = max(self.slowest_s, took_s)


def by_rule(history: History) -> Bools:
    """The usual rule: flaky is what both passed and failed for the same code."""
    both = np.zeros(len(history.flaky), dtype=bool)
    for code in np.unique(history.code):
        runs = history.code == code
        failed, total = history.failures[:, runs].sum(axis=1), history.executions[:, runs].sum(axis=1)
        both |= (failed > 0) & (failed < total)
    return both


def measure(scenario: Scenario, seeds: Sequence[int]) -> Counted:
    """One kind of history, each seed once."""
    counted = Counted()
    for seed in seeds:
        history = simulate(scenario, seed)
        began = time.perf_counter()
        found = judge_flakiness(history.failures, history.executions, history.code, history.suites)
        counted.add(history, found, time.perf_counter() - began)
    return counted


def run(seeds: Sequence[int], *, quick: bool) -> list[Figure]:
    """Measure, show and write ``bench-results/quality.json``."""
    rows = [(scenario, measure(scenario, seeds)) for scenario in (SCENARIOS[:3] if quick else SCENARIOS)]
    _show_rows(rows, seeds)
    figures = [figure for scenario, counted in rows for figure in _figures(scenario, counted)]
    slowest = max(counted.slowest_s for _, counted in rows)
    figures.append(Figure("flaky: judging 10,000 tests in 30 runs, slowest", slowest, "s"))
    raw = [{"scenario": scenario.name, "seeds": list(seeds)} | {name: getattr(counted, name) for name in counted.__slots__} for scenario, counted in rows]  # fmt: skip # noqa: E501
    write("quality", "flaky", figures, raw)
    show("flaky tests", figures, note="Recall counts every flaky test; one that never failed in 30 runs cannot be found by anybody.")
    return figures


def _figures(scenario: Scenario, counted: Counted) -> list[Figure]:
    most = 1 - counted.silent / max(counted.flaky, 1)
    rule = _share(counted.rule_right, counted.rule_called), _share(counted.rule_right, counted.flaky)
    return [
        Figure(
            f"flaky: precision, {scenario.name}", _value(counted.right, counted.called), "", PRECISION_BAR, at_least=True,
            reference=f"passed and failed for the same code: {rule[0]}", detail=_share(counted.right, counted.called),
        ),
        Figure(
            f"flaky: recall, {scenario.name}", _value(counted.right, counted.flaky), "", RECALL_BAR, at_least=True,
            reference=f"that rule: {rule[1]}", detail=f"{_share(counted.right, counted.flaky)}; {most:.1%} failed at all",
        ),
        Figure(
            f"flaky: hidden breaks, {scenario.name}", counted.hidden, "", 0,
            detail=f"of {counted.broken} tests broken at the end; {counted.late} flaky ones are told later",
        ),
    ]  # fmt: skip


def _value(hits: int, of: int) -> float | None:
    return hits / of if of else None


def _share(hits: int, of: int) -> str:
    if not of:
        return "none"
    low, high = wilson(hits, of)
    return f"{hits / of:.3f} [{low:.3f}, {high:.3f}]"


def _show_rows(rows: Sequence[tuple[Scenario, Counted]], seeds: Sequence[int]) -> None:
    table = Table(title=f"flaky tests, seeds {', '.join(map(str, seeds))}; share [95 % interval]", title_justify="left")
    for column in ("history", "precision", "recall", "failed at all", "hidden", "told later", "rule: precision", "rule: recall"):
        table.add_column(column)
    for scenario, counted in rows:
        table.add_row(
            scenario.name, _share(counted.right, counted.called), _share(counted.right, counted.flaky),
            f"{1 - counted.silent / max(counted.flaky, 1):.1%}", str(counted.hidden), str(counted.late),
            _share(counted.rule_right, counted.rule_called),
            _share(counted.rule_right, counted.flaky),
        )  # fmt: skip
    console.print(table)
