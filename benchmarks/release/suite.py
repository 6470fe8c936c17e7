"""The parts in their order, on one stack."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Figure, console, show, write
from benchmarks.release import first_step, good, idle, reaction
from benchmarks.release.api import Api
from benchmarks.release.incumbents import NOTE
from benchmarks.release.load import shopping
from benchmarks.release.stack import CATALOG, BenchError, BenchStack, default_home, prepared

PARTS = ("idle", "first-step", "reaction", "errors-x5", "good", "start-stop")
LEARN_S = 10.0
SETTLE_S = 5.0
THOROUGH = good.Wish(releases=20, requests=200_000, hold_s=3.0, longest_s=1500.0)
QUICK = good.Wish(releases=2, requests=15_000, hold_s=2.0, longest_s=120.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of what. Counts are repetitions; ``good_requests`` is what all good releases together must see at least."""

    parts: Sequence[str] = PARTS
    runs: int = 20
    runs_x5: int = 5
    starts: int = 10
    idle_s: float = 30.0
    good: good.Wish = THOROUGH
    home: Path = field(default_factory=default_home)
    port_base: int | None = None


def quick(*, runs: int = 3, parts: Sequence[str] = PARTS, home: Path, port_base: int | None) -> Plan:
    """A few minutes: enough to see that all is in order, too little to rely on."""
    return Plan(parts=parts, runs=runs, runs_x5=1, starts=3, idle_s=10.0, good=QUICK, home=home, port_base=port_base)


def run(plan: Plan) -> list[Figure]:
    """Measure every part of the plan and write each as soon as it is done.

    Raises: BenchError at the end, when a part failed; the others were measured all the same.
    """
    figures: list[Figure] = []
    failed: dict[str, str] = {}
    with prepared(plan.home, port_base=plan.port_base) as stack:
        console.print(f"starting a stack in {stack.home}, ports from {stack.port_base}")
        fresh_s = stack.command("up", "--detach")
        stack.command("apply", str(CATALOG))
        with Api(stack) as api:
            _go_live(api)
            for part in (each for each in plan.parts if each in _MEASURES):
                try:
                    figures += _part(part, functools.partial(_MEASURES[part], stack, api, plan))
                except BenchError as error:
                    failed[part] = str(error)
                    console.print(f"[bold red]{part} failed:[/] {error}", soft_wrap=True)
                    api.end_in_flight()
        if "start-stop" in plan.parts:
            figures += _part("start-stop", functools.partial(_start_stop, stack, fresh_s))
    if failed:
        raise BenchError("; ".join(f"{part}: {why}" for part, why in failed.items()))
    return figures


def _go_live(api: Api) -> None:
    ended = api.await_end(api.request("1.0.0"), within_s=60)
    if ended.phase != "promoted":
        raise BenchError(f"the first version did not go live: {ended.document['reason']}")
    time.sleep(SETTLE_S)


def _part(name: str, work: Callable[[], tuple[list[Figure], object]]) -> list[Figure]:
    began, load = time.monotonic(), os.getloadavg()[0]
    console.rule(name)
    figures, raw = work()
    write("release", name, figures, {"load_average_before": load, "samples": raw})
    show(f"{name} ({time.monotonic() - began:.0f} s; load average of the machine before: {load:.1f})", figures, note=_NOTES.get(name, ""))
    return figures


def _idle(stack: BenchStack, _api: Api, plan: Plan) -> tuple[list[Figure], object]:
    return idle.measure(stack, window_s=plan.idle_s)


def _first_step(_stack: BenchStack, api: Api, plan: Plan) -> tuple[list[Figure], object]:
    return first_step.measure(api, runs=plan.starts)


def _reaction(stack: BenchStack, api: Api, plan: Plan) -> tuple[list[Figure], object]:
    return _harm(stack, api, reaction.FAULTS["reaction"], plan.runs)


def _errors_x5(stack: BenchStack, api: Api, plan: Plan) -> tuple[list[Figure], object]:
    return _harm(stack, api, reaction.FAULTS["errors-x5"], plan.runs_x5)


def _harm(stack: BenchStack, api: Api, fault: reaction.Fault, runs: int) -> tuple[list[Figure], object]:
    with shopping(stack, rate=reaction.RATE, keep=True) as users:
        console.print(f"  users come, {reaction.RATE:g} a second; the judge learns for {LEARN_S:g} s what is normal")
        time.sleep(LEARN_S)
        return reaction.measure(api, users, fault, runs=runs)


def _good(stack: BenchStack, api: Api, plan: Plan) -> tuple[list[Figure], object]:
    return good.measure(stack, api, plan.good)


def _start_stop(stack: BenchStack, fresh_s: float) -> tuple[list[Figure], object]:
    stop_s = stack.command("down")
    warm_s = stack.command("up", "--detach")
    times = {"fresh_s": fresh_s, "stop_s": stop_s, "warm_s": warm_s, "stop_again_s": stack.command("down")}
    return idle.timing_figures(**times), times


_NOTES = {"reaction": NOTE, "errors-x5": NOTE}
_MEASURES: dict[str, Callable[[BenchStack, Api, Plan], tuple[list[Figure], object]]] = {
    "idle": _idle,
    "first-step": _first_step,
    "reaction": _reaction,
    "errors-x5": _errors_x5,
    "good": _good,
}
