"""The audit log: is every tampering named, how long does a proof of a million entries take, do pages stay flat, how fast are appends?

``python -m benchmarks.audit [--quick] [--url postgresql+psycopg://…]``. Times are of one core; CPU seconds stand beside the wall's,
because they do not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figures import Figure, percentile, show, write
from productops.adapters.audit_anchors import is_signed, read_or_make_key
from productops.domain.governance_access import MACHINE
from productops.domain.governance_audit import GENESIS, AuditEntry, AuditFilter, actor_ref, canonical, chained, entry_hash
from productops.domain.governance_audit_proof import Verifier
from productops.store import Store
from productops.store.migrate import upgrade
from productops.usecases.context import Actor, Context
from productops.usecases.governance_audit import Trusted, export_lines, list_entries
from productops.usecases.governance_audit_verify import verify_export, verify_log

SOMEBODY = Actor("benchmark", "cli", MACHINE)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SALT = "0123456789abcdef0123456789abcdef"
TAMPERED = 10_000
VERIFY_BAR_S = 20.0
PAGE_BAR_MS = 50.0
APPEND_BAR_MS = 50.0
KINDS = (
    "changed", "changed and hashed anew", "removed", "removed, rest renumbered", "inserted", "inserted, rest renumbered", "swapped"
)  # fmt: skip


class Silent:
    """A doorbell nobody hears."""

    def ring(self) -> None:
        """Nothing."""


def log(count: int) -> list[AuditEntry]:
    """A chain in memory."""
    done, previous = [], GENESIS
    for seq in range(1, count + 1):
        actor = f"person {seq % 50}"
        entry = AuditEntry(
            0, (BEGIN + timedelta(seconds=seq)).isoformat(), actor, actor_ref(SALT, actor), SALT, "cli", "flag.ramp", f"flag/f{seq % 500}",
            f"reason {seq}", canonical({"revision": seq, "before": {"pct": 5}, "after": {"pct": 10}}), f"{seq:032x}", "", "", "",
        )  # fmt: skip
        done.append(chained(entry, seq=seq, previous_hash=previous))
        previous = done[-1].hash
    return done


def tamper(entries: list[AuditEntry], draw: random.Random) -> tuple[str, list[AuditEntry], int]:
    """One change of one row (or two swapped ones) anywhere but at the very end; returns what, the log, and the row's number."""
    place = draw.randrange(len(entries) - 1)
    entry, rest = entries[place], entries[place + 1 :]
    kind = draw.choice(
        ["changed", "changed and hashed anew", "removed", "removed, rest renumbered", "inserted", "inserted, rest renumbered", "swapped"]
    )
    field = draw.choice(["at", "actor", "origin", "action", "subject", "reason", "detail", "previous_hash", "hash", "salt"])
    if kind == "changed":
        value = getattr(entry, field)
        at = draw.randrange(len(value))
        other = draw.choice([c for c in "0123456789abcdef" if c != value[at]])
        return f"{kind}: {field}", [*entries[:place], entry._replace(**{field: value[:at] + other + value[at + 1 :]}), *rest], place + 1
    if kind == "changed and hashed anew":
        forged = entry._replace(action="flag.kill")
        return kind, [*entries[:place], forged._replace(hash=entry_hash(forged)), *rest], place + 1
    if kind.startswith("removed"):
        left = [e._replace(seq=e.seq - 1) for e in rest] if "renumbered" in kind else rest
        return kind, [*entries[:place], *left], place + 1
    if kind.startswith("inserted"):
        forged = entry._replace(action="flag.kill")
        forged = forged._replace(hash=entry_hash(forged))
        follow = entries[place:]
        left = [e._replace(seq=e.seq + 1) for e in follow] if "renumbered" in kind else follow
        return kind, [*entries[:place], forged, *left], place + 1
    other_place = draw.choice([n for n in (place + 1, draw.randrange(len(entries))) if n != place])
    swapped = list(entries)
    swapped[place], swapped[other_place] = swapped[other_place], swapped[place]
    return kind, swapped, min(place, other_place) + 1


def tampering(tries: int) -> Figure:
    """How many of so many random tamperings are named with the right number."""
    entries, draw, named, missed = log(TAMPERED), random.Random(20261121), 0, []
    for _ in range(tries):
        kind, forged, seq = tamper(entries, draw)
        verifier = Verifier()
        verifier.take(forged)
        broken = verifier.finish().broken
        if broken is not None and broken.seq == seq:
            named += 1
        else:
            missed.append((kind, seq, broken))
    for miss in missed[:5]:
        print("missed:", miss)
    return Figure(
        f"tamperings of {TAMPERED:,} entries named with their number, of {tries}", named, "", tries, True, detail="seven kinds, random rows"
    )


def fill(context: Context, count: int) -> float:
    """Entries through the store as use cases write them, many in a transaction; returns seconds."""
    began = time.perf_counter()
    for first in range(0, count, 5000):
        with context.store.write() as unit:
            for number in range(first, min(count, first + 5000)):
                unit.audit.add(
                    "flag.ramp" if number % 5 else "release.promoted", f"flag/f{number % 5000}",
                    actor=f"person {number % 200}", origin="cli", now=BEGIN + timedelta(seconds=number),
                    reason=f"reason {number}", before={"pct": 5}, after={"pct": 10},
                )  # fmt: skip
    return time.perf_counter() - began


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this process and of those that it waited for."""
    wall, cpu = time.perf_counter(), _cpu_s()
    act()
    return time.perf_counter() - wall, _cpu_s() - cpu


def _cpu_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def appends(context: Context, rounds: int) -> list[float]:
    """Milliseconds that one entry adds to a transaction of its own, in a log that is full already."""
    took = []
    for number in range(rounds):
        began = time.perf_counter()
        with context.store.write() as unit:
            unit.audit.add(
                "release.shifted", f"release/{number}", actor="person 7", origin="prefect", now=BEGIN, before={"pct": 5}, after={"pct": 20}
            )
        took.append((time.perf_counter() - began) * 1000)
    return took


def pages(context: Context, count: int, rounds: int) -> list[float]:
    """Milliseconds of pages of 50 at random places under every filter."""
    draw, took = random.Random(7), []
    for _ in range(rounds):
        at = BEGIN + timedelta(seconds=draw.randrange(count))
        for wanted in (
            AuditFilter(), AuditFilter(subject="flag/f77"), AuditFilter(actor="person 7"), AuditFilter(action="release.promoted"),
            AuditFilter(actor="person 7", action="flag.ramp"), AuditFilter(actor="person 7", action="release.promoted"),
            AuditFilter(until=at),
            AuditFilter(actor="person 7", subject="flag/f7", until=at), AuditFilter(since=at, until=at + timedelta(hours=2)),
        ):  # fmt: skip
            began = time.perf_counter()
            list_entries(context, wanted, limit=50, after=(at, count) if draw.random() < 0.5 else None, actor=SOMEBODY)
            took.append((time.perf_counter() - began) * 1000)
    return took


def measure(url: str, folder: Path, *, quick: bool) -> list[Figure]:
    """All figures on one database."""
    count = 50_000 if quick else 1_000_000
    upgrade(url)
    context = Context(store=Store(url), doorbell=Silent(), lease_ttl_s=15.0)
    kind = url.partition(":")[0].partition("+")[0]
    filled = fill(context, count)
    print(f"{count:,} entries in {filled:.0f} s", flush=True)
    key, file = read_or_make_key(folder / "audit-key"), folder / "audit.jsonl"
    figures = [Figure(f"{kind}: appended in batches of 5,000", count / filled, "entries/s")]
    live, live_cpu = timed(lambda: _fits(verify_log(context, Trusted({}), actor=SOMEBODY).fits))
    how = f"{live_cpu:.1f} s CPU of all processes"
    figures.append(Figure(f"{kind}: proof of {count:,} live entries", live, "s", VERIFY_BAR_S, detail=how))
    with file.open("w", encoding="ascii") as lines:
        exported, _ = timed(lambda: lines.writelines(f"{line}\n" for line in export_lines(context, key)))
    figures.append(Figure(f"{kind}: export of them, {file.stat().st_size / 1e6:.0f} MB", exported, "s"))
    offline, offline_cpu = timed(lambda: _fits(verify_export(file, [], signed=is_signed, keys={key.public}).fits))
    how = f"{offline_cpu:.1f} s CPU of all processes"
    figures.append(Figure(f"{kind}: proof of the export", offline, "s", VERIFY_BAR_S, detail=how))
    took = pages(context, count, 10 if quick else 60)
    how = f"median {percentile(took, 0.5):.1f} ms; nine kinds of filters"
    figures.append(Figure(f"{kind}: a page of 50 among {count:,}, p99", percentile(took, 0.99), "ms", PAGE_BAR_MS, detail=how))
    added = appends(context, 50 if quick else 500)
    how = f"median {percentile(added, 0.5):.1f} ms, a transaction each"
    figures.append(Figure(f"{kind}: one more entry after {count:,}, p99", percentile(added, 0.99), "ms", APPEND_BAR_MS, detail=how))
    context.store.close()
    return figures


def _fits(fits: object) -> None:
    if fits is not True:
        raise SystemExit("the log that was just written does not fit")


def run(*, quick: bool, url: str = "") -> list[Figure]:
    """Measure on SQLite in a temporary folder, or on the database of ``url``, which must be empty."""
    figures = [tampering(50 if quick else 1000)]
    with tempfile.TemporaryDirectory(prefix="po-audit-") as folder:
        figures += measure(url or f"sqlite:///{folder}/audit.db", Path(folder), quick=quick)
    write("audit", "audit", figures, [])
    show("audit", figures)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer tries and entries")
    parser.add_argument("--url", default="", help="an empty database; default: SQLite in a temporary folder")
    given = parser.parse_args()
    run(quick=given.quick, url=given.url)
