"""Faults in a live service: seconds until an incident is open, until the right cause is on top, until users are well; no wrong actions.

A real stack in a home of its own with the shop of ``examples/incidents`` and its users; each fault is a drill of ``productops drill``.
The reference is detection alone with a person who takes fifteen minutes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figures import Figure, console, percentile, show, write
from benchmarks.release.stack import BenchError, BenchStack, default_home, prepared
from examples.demo.users import Users
from examples.incidents.house import hogs, journal, write_catalog

PROJECT = Path(__file__).resolve().parents[1]
HUMAN_S = 900.0
RATE = 60.0
LEARN_S = 150.0
CALM_S = 25.0
DRILL_S = 60.0
UP_S = 300.0
AFTERMATH_S = 3.0
LOOKS, LOOK_S = 8, 5.0
WORDS = {"seen": "detected_s", "cause": "right_cause_s", "well": "mitigated_s"}


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, the playbook that is to answer it, and what the fault wants to know."""

    fault: str
    playbook: str
    options: tuple[str, ...] = ()


def cases(home: Path) -> tuple[Case, ...]:
    """The six kinds."""
    return (
        Case("bad-flag", "flag-crisis", ("flag=new-checkout",)),
        Case("killed-instance", "performance-crisis"),
        Case("slow-dependency", "dependency-crisis", ("dependency=payments",)),
        Case("cpu-hog", "calm-host", (f"pid_file={hogs(home)}",)),
        Case("full-disk", "make-room", (f"path={journal(home)}",)),
        Case("bad-release", "deployment-crisis", ("version=2.1.0",)),
    )


def run(arguments: argparse.Namespace) -> list[Figure]:
    """Rounds of the six kinds on one stack. Raises: BenchError."""
    rounds = 1 if arguments.quick else max(1, round((arguments.runs or 30) / 6))
    wanted = set(getattr(arguments, "faults", None) or ())
    found: list[dict[str, Any]] = []
    try:
        with prepared(Path(arguments.home or default_home()), port_base=arguments.port_base) as stack:
            users = _open_shop(stack)
            try:
                for number in range(1, rounds + 1):
                    for case in cases(stack.home):
                        if not wanted or case.fault in wanted:
                            found.append(_one(stack, case, number) | {"between": _calm(stack)})
            finally:
                users.stop()
    finally:  # what was measured before it was cut short counts, too
        figures = figures_of(found)
        show("incident", figures)
        write("incident", "drills", figures, found)
    return figures


def _calm(stack: BenchStack) -> int:
    """Healthy traffic for a while; how many incidents it opened. They are ended, for one that is open takes the next alerts in.

    After a fault that nobody mended, its last alerts open an incident again; the next fault waits until there is none and nothing fires.
    """
    since = datetime.now(UTC) + timedelta(seconds=AFTERMATH_S)
    time.sleep(CALM_S)
    base, token = f"http://127.0.0.1:{stack.port_base}/api/v1", (stack.home / "token").read_text().strip()
    api, alerts = f"{base}/deployment-ops/incidents", f"{base}/product-ops/alerts"
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=20, trust_env=False) as client:
        opened = dict[str, str]()
        for _ in range(LOOKS):
            live = client.get(api, params={"status": ["open", "investigating", "mitigated"]}).raise_for_status().json()["items"]
            firing = client.get(alerts, params={"status": "firing", "state": "grouped"}).raise_for_status().json()["items"]
            if not live and not firing:
                break
            fresh = (each for each in live if datetime.fromisoformat(each["detected_at"]).astimezone(UTC) > since)
            opened |= {each["incident_id"]: f"{each['severity']} {each['title']}" for each in fresh}
            for each in live:
                client.post(f"{api}/{each['incident_id']}/resolution", json={"steps": ["the drill is over"]})
            time.sleep(LOOK_S)
    for words in opened.values():
        console.print(f"    in healthy traffic: {words}", soft_wrap=True)
    return len(opened)


def _open_shop(stack: BenchStack) -> Users:
    """Both services live, users in the shop, three minutes of what is normal: the first releases are no suspects any more."""
    _up(stack)
    stack.command("apply", str(write_catalog(stack.home, port_base=stack.port_base)))
    for service, version in (("payments", "1.0.0"), ("storefront", "2.0.0")):
        stack.command("release", service, version, "--wait")
    users = Users(stack.router_url, "storefront.localhost", RATE)
    users.start()
    console.print(f"the shop is open at {RATE:g} requests a second; {LEARN_S:g} s of what is normal")
    time.sleep(LEARN_S)
    return users


def _up(stack: BenchStack) -> None:
    """On a busy machine it goes on coming up after the command has lost its patience. Raises: BenchError."""
    try:
        stack.command("up", "--detach")
    except BenchError as error:
        console.print(f"patience: {error}", soft_wrap=True)
    signs = [stack.home / "run" / f"{name}.ready" for name in ("agent", "dispatcher", "watch")]
    deadline = time.monotonic() + UP_S
    while not all(sign.exists() for sign in signs) or not _answers(stack):
        if time.monotonic() > deadline:
            raise BenchError(f"the stack did not come up within {UP_S:.0f} s; see {stack.home / 'logs'}")
        time.sleep(1)


def _answers(stack: BenchStack) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{stack.port_base}/healthz", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _one(stack: BenchStack, case: Case, number: int) -> dict[str, Any]:
    """One drill; its scores. The version that users have is put back where a fault left another one."""
    given = [part for option in case.options for part in ("--option", option)]
    command = [sys.executable, "-m", "productops.cli.main", "drill", case.playbook, "--fault", case.fault, "--service", "storefront"]
    done = subprocess.run(
        [*command, "--production", "--json", "--wait", f"{DRILL_S:g}", *given], env=stack.environment, cwd=PROJECT, check=False,
        timeout=DRILL_S + 300, capture_output=True, text=True,
    )  # fmt: skip
    try:
        drill: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise BenchError(f"the drill {case.fault} ended with {done.returncode}: {done.stderr[-2000:]}") from error
    scores = drill.get("scores") or {}
    times = ", ".join(f"{word} {_s(scores.get(name))}" for word, name in WORDS.items())
    said = f"{scores.get('cause')}, {scores.get('playbook')}, wrong actions {scores.get('wrong_actions', 0)} {drill.get('detail', '')}"
    console.print(f"  {number} {case.fault:<16} {drill.get('state', '?'):<8} {times} ({said})", soft_wrap=True)
    return {"fault": case.fault, "round": number} | drill


def _s(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def figures_of(found: Sequence[dict[str, Any]]) -> list[Figure]:
    """Over all drills and by kind."""
    scores = [each.get("scores") or {} for each in found]
    how = f"{len(found)} faults of {len({each['fault'] for each in found})} kinds, {RATE:g} requests/s"
    seen, right, well = (_known(scores, name) for name in ("detected_s", "right_cause_s", "mitigated_s"))
    ratio = statistics.median(well) / (HUMAN_S + statistics.median(seen)) if well and seen else None
    lines = [
        Figure("fault → incident with the right cause on top, median", _median(right), "s", 10.0, detail=how),
        Figure("fault → incident with the right cause on top, p95", percentile(right, 0.95) if right else None, "s", 20.0, detail=how),
        Figure("fault → incident, median", _median(seen), "s", detail=how),
        Figure("faults without an incident", len(found) - len(seen), "faults", 0, detail=how),
        Figure("faults without the right cause on top", len(found) - len(right), "faults", 0, detail=how),
        Figure("fault → users well, median", _median(well), "s", detail=how),
        Figure("time to recovery against a person's 15 min", ratio, "", 0.10, reference="detection alone and a person", detail=how),
        Figure("wrong automatic actions", sum(int(each.get("wrong_actions") or 0) for each in scores), "", 0, detail=how),
        Figure("incidents in the healthy traffic between", sum(int(each.get("between") or 0) for each in found), "", detail=how),
    ]
    for kind in dict.fromkeys(each["fault"] for each in found):
        own = [each.get("scores") or {} for each in found if each["fault"] == kind]
        seconds, mended = _known(own, "right_cause_s"), _known(own, "mitigated_s")
        slowest = f"at most {_s(max(seconds, default=None))}; right in {len(seconds)} of {len(own)}"
        recovered = f"users well in {len(mended)}, median {_s(_median(mended))}, at most {_s(max(mended, default=None))}"
        lines.append(Figure(f"  {kind}: right cause, median", _median(seconds), "s", detail=f"{slowest}; {recovered}"))
    return lines


def _known(scores: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [float(each[name]) for each in scores if each.get(name) is not None]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of the six kinds")
    parser.add_argument("--runs", type=int, help="faults in all; 30")
    parser.add_argument("--home", help="folder of the stack")
    parser.add_argument("--port-base", type=int, help="first of its ports; any that are free")
    parser.add_argument("faults", nargs="*", help="only these kinds")
    run(parser.parse_args())
