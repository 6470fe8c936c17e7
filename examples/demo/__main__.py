"""``make demo``: release three versions of a shop under load; two of them are bad, and the users hardly notice."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from examples.demo.stack import PROJECT, DemoError, Stack, start
from examples.demo.trial import Result, Trial, carry_out
from examples.demo.users import Users
from examples.load import LoadReport

TRIALS = (
    Trial("1.1.0", "promoted", "a good version with a search", options=("--hold", "10")),
    Trial("1.2.0", "rolled_back", "30 % of its answers fail"),
    Trial("1.4.0", "rolled_back", "its p99 is doubled, its median is the same", slow=True, options=("--weights", "50", "--hold", "70")),
)
LEARN_S = 15.0
console = Console()


def main() -> int:
    """Returns 0 when all came out as promised."""
    arguments = parse_arguments()
    began = time.monotonic()
    console.rule("ProductOps demo")
    try:
        stack = start(arguments.home.resolve(), port_base=arguments.port_base)
        results, report = run_trials(stack, rate=arguments.rate)
    except DemoError as error:
        console.print(f"[bold red]the demo failed:[/] {error}")
        return 1
    show(results, report, took_s=time.monotonic() - began)
    wrong = problems(results, report)
    for problem in wrong:
        console.print(f"[bold red]not as promised:[/] {problem}")
    farewell(stack, keep=not arguments.stop)
    return 1 if wrong else 0


def parse_arguments() -> argparse.Namespace:
    """Options a curious user may want."""
    parser = argparse.ArgumentParser(prog="make demo ARGS=…", description=__doc__)
    parser.add_argument("--home", type=Path, default=PROJECT / ".demo", help="folder of the demo's state; emptied at the start")
    parser.add_argument("--port-base", type=int, default=None, help="first port; default: the first free of 8700, 9000, …")
    parser.add_argument("--rate", type=float, default=250.0, help="requests per second of the shop's users")
    parser.add_argument("--stop", action="store_true", help="end the stack at the end instead of leaving it to be looked at")
    return parser.parse_args()


def run_trials(stack: Stack, *, rate: float) -> tuple[list[Result], LoadReport]:
    """The first version, then users, then the three trials. Raises: DemoError."""
    console.print("\n[bold]1.0.0[/] is the shop's first version: nothing to compare it with, it goes live.")
    if stack.productops("release", "storefront", "1.0.0", "--wait"):
        raise DemoError("1.0.0 did not go live")
    users = Users(stack.router_url, "storefront.localhost", rate)
    users.start()
    console.print(f"\nUsers come: {rate:g} requests a second. The judge learns for {LEARN_S:g} s what is normal.")
    time.sleep(LEARN_S)
    results = []
    try:
        for trial in TRIALS:
            console.print(f"\n[bold]{trial.version}[/]: {trial.about}.")
            results.append(carry_out(stack, trial, users.responses))
    finally:
        report = users.stop()
    return results, report


def show(results: list[Result], report: LoadReport, *, took_s: float) -> None:
    """The table at the end."""
    table = Table(title="What the users had of it", title_justify="left")
    for column in ("version", "what it is", "verdict", "bad answer → baseline back", "requests harmed", "share of all"):
        table.add_column(column, justify="right" if column in {"requests harmed", "share of all"} else "left")
    for r in results:
        colour = "green" if r.as_expected else "bold red"
        seconds = "–" if r.seconds is None or r.phase == "promoted" else f"{r.seconds:.1f} s"
        harmed = "–" if r.phase == "promoted" else str(r.harmed)
        share = "–" if r.phase == "promoted" else f"{100 * r.harmed / max(1, report.requests):.3f} %"
        table.add_row(r.trial.version, r.trial.about, f"[{colour}]{r.phase.replace('_', ' ')}[/]", seconds, harmed, share)
    console.print()
    console.print(table)
    lost = sum(report.transport_errors.values())
    console.print(f"{report.requests} requests in all, {lost} lost by the machinery. The demo took {took_s:.0f} s.")


def problems(results: list[Result], report: LoadReport) -> list[str]:
    """Everything that was promised and did not happen."""
    wrong = [f"{r.trial.version} is {r.phase}, not {r.trial.expected}: {r.reason}" for r in results if not r.as_expected]
    if lost := sum(report.transport_errors.values()):
        wrong.append(f"{lost} requests were lost on the way: {report.transport_errors}")
    return wrong


def farewell(stack: Stack, *, keep: bool) -> None:
    """Where to look, or the end."""
    if not keep:
        stack.productops("down", quiet=True)
        return
    console.print("\nAll of it is still running, so that you can look:")
    console.print(f"  Prefect UI   {stack.log_in_link()}", soft_wrap=True)
    console.print(f"  the shop     http://storefront.localhost:{stack.port_base + 2}/", soft_wrap=True)
    console.print(f"  the API      {stack.api_url}/docs", soft_wrap=True)
    console.print("  make down    ends it")


if __name__ == "__main__":
    sys.exit(main())
