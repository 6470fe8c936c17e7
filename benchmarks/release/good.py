"""Good releases under load: none may be rolled back, no request may be lost, and the flow may cost little beside its holds."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise

from benchmarks.figures import Figure, console, percentile
from benchmarks.release.api import Api, Ended, unix_s
from benchmarks.release.load import Users, shopping
from benchmarks.release.stack import BenchStack

WEIGHTS_PCT = (10, 25, 50, 75)
RATE = 250.0
OTHER = {"1.0.0": "1.1.0", "1.1.0": "1.0.0"}
LEARN_S = 5.0
RELEASE_S = 120.0


@dataclass(frozen=True, slots=True)
class Wish:
    """How much to do: ``releases`` at an even rate, then more without a pause between requests until there were ``requests``.

    ``hold_s`` is of each of the four steps; ``longest_s`` bounds the whole.
    """

    releases: int
    requests: int
    hold_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds from the request to ``deploying``, beside the holds within the steps, between the steps, and of the promotion without the
    validation.
    """

    start_s: float
    holds_s: float
    between_s: float
    promotion_s: float

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.start_s + self.holds_s + self.between_s + self.promotion_s


@dataclass(slots=True)
class Tally:
    """What came of it. ``overheads`` only of promotions at the even rate, so that a busy machine is not in them."""

    promoted: int = 0
    rolled_back: list[str] = field(default_factory=list)
    overheads: list[Overhead] = field(default_factory=list)
    deploys_s: list[float] = field(default_factory=list)
    requests: int = 0
    shop_failures: int = 0
    transport_errors: Counter[str] = field(default_factory=Counter)
    without_version: Counter[str] = field(default_factory=Counter)

    def add(self, users: Users) -> None:
        """Count what users met."""
        self.requests += users.requests
        self.shop_failures += users.failures.total()
        self.transport_errors += users.transport_errors
        self.without_version += users.without_version

    def end(self, ended: Ended, *, quiet: bool) -> None:
        """Count one release."""
        if ended.phase != "promoted":
            self.rolled_back.append(f"{ended.document['version']} {ended.phase}: {ended.document['reason']}")
            return
        self.promoted += 1
        if quiet:
            self.overheads.append(overhead_of(ended))
            self.deploys_s.append(deploy_s(ended))


def deploy_s(ended: Ended) -> float:
    """Seconds in which the candidate's processes started."""
    began, done = ended.reached("deploying"), ended.reached("rolling_out")
    return done - began if began is not None and done is not None else 0.0


def overhead_of(ended: Ended) -> Overhead:
    """What a promoted release took beside its holds, its validation and the start of the candidate's processes."""
    document = ended.document
    steps = [(unix_s(step["started_at"]), unix_s(step["ended_at"]), float(step["hold_s"])) for step in document["steps"]]
    last_step_ended = steps[-1][1]
    return Overhead(
        start_s=(ended.reached("deploying") or 0.0) - unix_s(document["created_at"]),
        holds_s=sum(end - start - hold_s for start, end, hold_s in steps),
        between_s=sum(later[0] - earlier[1] for earlier, later in pairwise(steps)) + steps[0][0] - (ended.reached("rolling_out") or 0.0),
        promotion_s=unix_s(document["ended_at"]) - last_step_ended - float(document["plan"]["validate_s"]),
    )


def measure(stack: BenchStack, api: Api, wish: Wish) -> tuple[list[Figure], object]:
    """Alternate the two good versions. Raises: BenchError."""
    tally = Tally()
    deadline = time.monotonic() + wish.longest_s
    with shopping(stack, rate=RATE, keep=False) as users:
        time.sleep(LEARN_S)
        for _ in range(wish.releases):
            if time.monotonic() > deadline:
                break
            tally.end(_release(api, OTHER[api.live_version()], wish), quiet=True)
            _say(tally, users)
    tally.add(users)
    if tally.requests < wish.requests:
        _without_pause(stack, api, wish, tally, deadline=deadline)
    # asdict would make a Counter of pairs out of a Counter
    counters = {"transport_errors": dict(tally.transport_errors), "without_version": dict(tally.without_version)}
    return figures_of(tally, wish), asdict(tally) | counters


def _without_pause(stack: BenchStack, api: Api, wish: Wish, tally: Tally, *, deadline: float) -> None:
    """More releases, requests as fast as they are answered, until there were enough."""
    with shopping(stack, rate=0, keep=False) as users:
        while tally.requests + users.requests < wish.requests and time.monotonic() < deadline:
            tally.end(_release(api, OTHER[api.live_version()], wish), quiet=False)
            _say(tally, users)
    tally.add(users)


def _release(api: Api, version: str, wish: Wish) -> Ended:
    release_id = api.request(
        version, weights_pct=list(WEIGHTS_PCT), hold_s=wish.hold_s, force_downgrade=True, lift_quarantine=True, note="a good one"
    )
    return api.await_end(release_id, within_s=RELEASE_S)


def _say(tally: Tally, users: Users) -> None:
    lost = users.transport_errors.total() + users.without_version.total()
    seen = tally.requests + users.requests
    console.print(f"  {tally.promoted} promoted, {len(tally.rolled_back)} not; {seen:,} requests, {lost} lost by the machinery")


def figures_of(tally: Tally, wish: Wish) -> list[Figure]:
    """All lines."""
    steps = "–".join(str(weight) for weight in WEIGHTS_PCT)
    how = f"1.0.0 and 1.1.0 by turns, {steps} %, {wish.hold_s:g} s each, {RATE:g}/s, then without pause"
    releases = tally.promoted + len(tally.rolled_back)
    lost, odd = tally.transport_errors.total(), tally.without_version.total()
    own = f"the shop's own failures, by design: {tally.shop_failures}"
    without_answer = ", ".join(f"{count} {name}" for name, count in tally.transport_errors.items())
    bad = "; ".join(tally.rolled_back)
    totals = [overhead.total_s for overhead in tally.overheads]
    median = statistics.median(totals) if totals else None
    deploys = f"starting the candidate, left out here: {statistics.median(tally.deploys_s):.2f} s" if tally.deploys_s else ""
    return [
        Figure("good releases carried out", releases, "", wish.releases, at_least=True, detail=how),
        Figure("good releases not promoted", len(tally.rolled_back), "", 0, reference="alpha allows 5 %", detail=bad),
        Figure("requests while weights moved", tally.requests, "", wish.requests, at_least=True, detail=how),
        Figure("requests without an answer", lost, "", 0, detail=without_answer),
        Figure("answers not by the shop", odd, "", 0, reference=own, detail="answers without the shop's version header, of any status"),
        Figure("flow overhead of a four-step canary, median", median, "s", 2.0, detail=deploys),
        Figure("flow overhead of a four-step canary, p95", percentile(totals, 0.95), "s", detail=_parts(tally.overheads)),
    ]


def _parts(overheads: Sequence[Overhead]) -> str:
    """Where the time goes, as medians."""
    if not overheads:
        return ""
    spent = {
        "to deploying": [o.start_s for o in overheads],
        "in the steps": [o.holds_s for o in overheads],
        "between them": [o.between_s for o in overheads],
        "promotion": [o.promotion_s for o in overheads],
    }
    return ", ".join(f"{name} {statistics.median(seconds):.2f} s" for name, seconds in spent.items())
