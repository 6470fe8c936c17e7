"""Kill what carries releases at random moments, over all strategies, and look whether anybody was harmed by it.

``python -m tests.e2e.crash_matrix --moments 200 --seed 7`` runs it in full; ``test_crash_matrix.py`` runs a sample.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from productops.domain.exposures import EXPOSURE_HEADER
from productops.domain.release import Phase, Release
from productops.errors import StoreUnavailableError
from tests.e2e.real_stack import GRACE_S, PRODUCTION, RealStack, until
from tests.e2e.users import Users
from tests.integration.test_stack.lab import free_port_base

GOOD = ("1.0.0", "1.1.0")
TOGGLE = "feature-toggle"
STRATEGIES = ("canary", "blue-green", "rolling", "dark-launch", TOGGLE)
FLAG, VARIANT = "new-checkout", "on"
TOGGLED = "checkout"
"""The service whose flag is released; all its users have one version."""
EXPOSED_TO = f"{FLAG}={VARIANT}"
VICTIMS = (
    "flow", "frozen flow", "listener", "dispatcher", "agent", "router", "api", "prefect", "database", "flow + agent", "flow + listener",
)  # fmt: skip
MOMENT_MAX_S = 7.0
BLUR_S = 0.5
"""The store is sampled 20 times a second, and answers are on their way."""
END_WITHIN_S = 25.0  # three times that on a busy machine
LOCK_BEYOND_S = 2.0


@dataclass(frozen=True)
class Trial:
    """One killed release: what was killed, ``moment_s`` after it was asked for, and how it ended."""

    strategy: str
    victim: str
    moment_s: float
    phase: str
    overstay_s: float
    problems: tuple[str, ...]


@dataclass
class BeatWatch:
    """When the lease of the candidate was last renewed, sampled from the store 20 times a second."""

    stack: RealStack
    candidate: str = ""
    service: str = "shop"
    beats: list[tuple[float, bool]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until told to stop: (monotonic time, whether the candidate may be there by the store)."""
        last, at = -1, time.monotonic()
        while not self._stop.wait(0.05):
            with contextlib.suppress(StoreUnavailableError):
                target = self.stack.target(self.service)
                now = time.monotonic()
                if target.lease is not None and target.lease.beat != last:
                    last, at = target.lease.beat, now
                leased = target.lease is not None and now - at <= self.stack.lease_s + GRACE_S
                allowed = leased or target.baseline_version == self.candidate or (self.service == TOGGLED and self._promoted())
                self.beats.append((now, allowed))

    def _promoted(self) -> bool:
        return _last(self.stack, TOGGLED).phase is Phase.PROMOTED

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def overstay_s(self, times: list[float]) -> float:
        """Longest time that users met the candidate after the last moment at which it could be there."""
        worst, last_allowed, beats = 0.0, None, iter(self.beats)
        following = next(beats, None)
        for at in sorted(times):
            while following is not None and following[0] <= at:
                last_allowed = following[0] if following[1] else last_allowed
                following = next(beats, None)
            if last_allowed is not None:
                worst = max(worst, at - last_allowed)
        return worst


@dataclass
class Matrix:
    """Trials on one stack, one after the other."""

    stack: RealStack
    users: Users
    chance: random.Random
    exposed: Users | None = None
    trials: list[Trial] = field(default_factory=list)
    _agentless_s: float = 0.0

    def trial(self, strategy: str, victim: str) -> Trial:
        """Release the version that is not live, kill, wait for the end, look at what is left."""
        stack, service = self.stack, TOGGLED if strategy == TOGGLE else "shop"
        stack.await_well()
        stack.make_idle(service)
        if strategy == TOGGLE:
            take_back_flag(stack)
        baseline = stack.target(service).baseline_version or GOOD[0]
        candidate = EXPOSED_TO if strategy == TOGGLE else GOOD[baseline == GOOD[0]]
        self._agentless_s = 0.0
        moment_s = self.chance.uniform(0.0, MOMENT_MAX_S)
        began = time.monotonic()
        watch = BeatWatch(stack, candidate, service)
        with watch:
            release_id = stack.ask(
                service, f"{FLAG}@{VARIANT}" if strategy == TOGGLE else candidate, strategy=strategy, force_downgrade=True,
                lift_quarantine=True, on_inconclusive="proceed", note=f"kill {victim}",
                **({"weights_pct": [20, 50], "hold_s": 3} if strategy == "canary" else {}),
            )  # fmt: skip
            time.sleep(max(0.0, moment_s - (time.monotonic() - began)))
            undo = self._kill(victim, release_id)
            ended, problems = self._end(release_id)
            undo()
            with contextlib.suppress(AssertionError):
                stack.await_well()
            time.sleep(0.5)
        users = self.exposed if strategy == TOGGLE and self.exposed is not None else self.users
        times = [r.arrived_monotonic_s for r in users.since(began) if r.version == candidate]
        overstay_s = 0.0 if ended is not None and ended.phase is Phase.PROMOTED else watch.overstay_s(times)
        if overstay_s > BLUR_S + self._agentless_s:  # only an agent can enforce a lease
            problems.append(f"users met {candidate} for {overstay_s:.1f} s after its lease was over")
        problems += self._left_behind(ended, baseline, baseline if strategy == TOGGLE else candidate)
        made = Trial(strategy, victim, moment_s, str(ended.phase) if ended else "stuck", overstay_s, tuple(problems))
        self.trials.append(made)
        return made

    def _kill(self, victim: str, release_id: str) -> Callable[[], None]:
        """SIGKILL (or freeze, or lock); returns what ends a freeze or a lock."""
        nothing = lambda: None  # noqa: E731
        if victim == "database" and self.stack.postgres:
            self._kill_one("postgres", release_id)
            return nothing
        if victim == "database":
            hog = threading.Thread(target=_lock, args=(self.stack.database, self.stack.lease_s + LOCK_BEYOND_S), daemon=True)
            hog.start()
            return lambda: hog.join(timeout=self.stack.lease_s + LOCK_BEYOND_S + 5)
        if victim == "frozen flow":
            pid = self._flow(release_id)
            if pid is None:
                return nothing
            os.kill(pid, signal.SIGSTOP)
            timer = threading.Timer(self.stack.lease_s + 3.0, _wake, args=(pid,))
            timer.start()
            return timer.join
        killed_at, agent = time.monotonic(), self.stack.process("agent")
        for part in victim.split(" + "):
            self._kill_one(part, release_id)
        if "agent" in victim:
            self.stack.await_restarted(agent)
            # Where the machine is so busy that an agent's start takes longer than the lease, that much is not the lease's doing.
            self._agentless_s = max(0.0, time.monotonic() - killed_at - self.stack.lease_s - GRACE_S)
        return nothing

    def _kill_one(self, part: str, release_id: str) -> None:
        pid: int | None
        if part == "flow":
            pid = self._flow(release_id)
        elif part == "listener":
            ready = self.stack.home / "run" / "dispatcher.ready"  # not there while the dispatcher starts anew
            pid = int(ready.read_text(encoding="utf-8")) if ready.exists() else None
        else:
            pid = self.stack.process(part).pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _flow(self, release_id: str) -> int | None:
        """Pid of the process that carries the release out now; ``None`` when there is none (not begun, or over)."""
        run = self.stack.release(release_id).flow_run_id
        with self.stack.store.read() as unit:
            return next((pid for known, pid, _ in unit.runs.open_processes("") if known == run), None)

    def _end(self, release_id: str) -> tuple[Release | None, list[str]]:
        def over() -> Release | None:
            with contextlib.suppress(StoreUnavailableError):
                found = self.stack.release(release_id)
                return found if found.ended else None
            return None

        try:
            return until(over, within_s=END_WITHIN_S, what="the release's end"), []
        except AssertionError:
            found = self.stack.release(release_id)
            return None, [f"stuck as {found.phase} at step {found.step_index}"]

    def _left_behind(self, ended: Release | None, baseline: str, candidate: str) -> list[str]:
        """Half-written states."""
        if ended is None:
            return []
        problems = []
        try:
            target = self.stack.await_settled(ended.service)
        except AssertionError:
            return [f"traffic is not settled: {self.stack.target()}"]
        live = candidate if ended.phase is Phase.PROMOTED else baseline
        if target.baseline_version != live:
            problems.append(f"the release ended as {ended.phase}, users have {target.baseline_version}")
        if target.release_id is not None:
            problems.append("the traffic still belongs to a release")
        with self.stack.store.read() as unit:
            if any(step.ended_at is None for step in unit.releases.steps(ended.id)):
                problems.append("a step of an ended release has no end")
            if unit.audit.first_broken() is not None:
                problems.append("the audit chain is broken")
            if ended.service == TOGGLED and flag_pct(self.stack) != (100.0 if ended.phase is Phase.PROMOTED else 0.0):
                problems.append(f"the release ended as {ended.phase}, the flag is with {flag_pct(self.stack):g} % of the users")
            if unit.releases.active(ended.service, target.environment) is not None:
                problems.append("an ended release blocks the next")
        return problems

    def report(self) -> str:
        """A line per victim, and every problem."""
        lines = [f"{'victim':<16} trials  went well  rolled back  failed  other  longest overstay (s)"]
        for victim in VICTIMS:
            mine = [t for t in self.trials if t.victim == victim]
            if mine:
                ends = Counter(t.phase for t in mine)
                known = ends["promoted"] + ends["passed"] + ends["rolled_back"] + ends["failed"]
                longest = max(t.overstay_s for t in mine)
                lines.append(
                    f"{victim:<16} {len(mine):>6}  {ends['promoted'] + ends['passed']:>9}  {ends['rolled_back']:>11}  {ends['failed']:>6}  "
                    f"{len(mine) - known:>5}  {longest:>10.2f}"
                )
        lines += [f"{t.strategy}, {t.victim} after {t.moment_s:.2f} s: {'; '.join(t.problems)}" for t in self.trials if t.problems]
        return "\n".join(lines)


def make_toggled_live(stack: RealStack) -> None:
    """The service whose flag is released has its one version."""
    stack.make_live(GOOD[0], TOGGLED)


def take_back_flag(stack: RealStack) -> None:
    """What an earlier trial promoted is rolled back, so that the next has something to release."""
    if flag_pct(stack) == 0:
        return
    stack.api.post(f"/releases/{_last(stack, TOGGLED).id}/rollback", json={"reason": "the next trial"}).raise_for_status()
    until(lambda: flag_pct(stack) == 0, what="the flag taken back")
    until(lambda: _last(stack, TOGGLED).ended, what="the end of the roll back")
    stack.await_settled(TOGGLED)


def flag_pct(stack: RealStack) -> float:
    """Share of the users who have the feature, by the flag's ramp."""
    with stack.store.read() as unit:
        ramp = unit.flags.get(FLAG).state.live_in(PRODUCTION).ramp
    return ramp.percent if ramp is not None and ramp.variant == VARIANT else 0.0


def _last(stack: RealStack, service: str) -> Release:
    with stack.store.read() as unit:
        return unit.releases.newest(service=service, environment=PRODUCTION, before=None, limit=1)[0]


@contextlib.contextmanager
def _home(given: Path | None) -> Iterator[str]:
    if given is not None:
        given.mkdir(parents=True)
        yield str(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield folder


def _line(number: int, trial: Trial) -> str:
    said = "; ".join(trial.problems)
    return f"{number:>4} {trial.strategy:<14} {trial.victim:<16} {trial.moment_s:5.2f} s  {trial.phase:<12} {said}"


def _lock(database: Path, seconds: float) -> None:
    with closing(sqlite3.connect(database, timeout=10, isolation_level=None)) as hog:
        hog.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        hog.execute("ROLLBACK")


def _wake(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def main() -> int:
    """Exit code 1 when any trial has a problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--victims", default=",".join(VICTIMS))
    parser.add_argument("--lease", type=float, default=15.0, help="length of the lease in seconds")
    parser.add_argument("--home", type=Path, default=None, help="where the stack lives; kept, so that its logs can be read")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, which is killed where SQLite is locked")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    chance = random.Random(given.seed)
    with _home(given.home) as folder:
        stack = RealStack(Path(folder) / "home", free_port_base(), postgres=given.postgres, lease_s=given.lease)
        users = Users(stack.router_url, "shop.localhost")
        exposed = Users(stack.router_url, f"{TOGGLED}.localhost", rate=30.0, header=EXPOSURE_HEADER)
        try:
            stack.up()
            stack.make_live(GOOD[0])
            make_toggled_live(stack)
            users.start()
            exposed.start()
            matrix = Matrix(stack, users, chance, exposed)
            for number in range(given.moments):
                made = matrix.trial(chance.choice(given.strategies.split(",")), chance.choice(given.victims.split(",")))
                print(_line(number + 1, made), flush=True)
                for each in (users, exposed):
                    each.responses[:] = each.responses[-5000:]
            print(matrix.report())
            return int(any(t.problems for t in matrix.trials))
        finally:
            users.stop()
            exposed.stop()
            stack.down()


if __name__ == "__main__":
    sys.exit(main())
