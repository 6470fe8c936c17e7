"""Usage events of a made-up venture, in the layout of the events folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from productops.adapters.analytics_events_store import EventFolder
from productops.adapters.analytics_events_table import schema
from productops.domain.analytics_events import EventFile

NAMES = (
    "$pageview", "search", "item viewed", "item added", "checkout opened", "order placed", "login", "signup", "share", "review written",
    "profile changed", "help opened", "coupon used", "filter used", "list saved", "logout", "video played", "chat opened", "app opened",
    "$exposure",
)  # fmt: skip
WEIGHTS = np.array([30, 10, 14, 6, 4, 2, 6, 0.8, 1, 0.6, 0.8, 1, 0.9, 5, 1.2, 3, 4, 1, 8, 1.7])
FEATURES = ("", "search", "catalog", "cart", "checkout", "checkout", "account", "account", "social", "reviews", "account", "help",
            "coupons", "search", "lists", "account", "video", "chat", "", "")  # fmt: skip
FUNNEL = ("$pageview", "item viewed", "item added", "order placed")
BEGIN = date(2026, 6, 1)


def make(folder: Path, *, events: int, people: int, days: int = 90, seed: int = 7, venture: str = "shop") -> list[EventFile]:
    """A file for each day. Some people are much more active than others; a seventh of a week's use is not the same each day."""
    store = EventFolder(folder)
    files = []
    for day, table in tables(events=events, people=people, days=days, seed=seed):
        files.append(store.write_day(venture, day, table))
    return files


def tables(*, events: int, people: int, days: int, seed: int) -> Iterator[tuple[date, object]]:
    """Sorted rows of each day."""
    import pyarrow as pa

    random = np.random.default_rng(seed)
    numbers = random.integers(0, 1 << 64, people, dtype=np.uint64)
    joined = random.integers(-60, days, people)
    weight = random.pareto(1.6, people) + 0.2
    week = 1 + 0.25 * np.cos(2 * np.pi * np.arange(days) / 7)
    counts = (events * week / week.sum()).astype(int)
    counts[-1] += events - counts.sum()
    text = pa.dictionary(pa.int32(), pa.string())
    for n in range(days):
        day = BEGIN + timedelta(days=n)
        rows = int(counts[n])
        there = np.flatnonzero((joined <= n) & (random.random(people) < 0.18 + 0.6 * np.exp(-(n - joined) / 20.0)))
        chance = weight[there] / weight[there].sum()
        who = random.choice(there, rows, p=chance)
        start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1e6)
        session = random.integers(0, 3, rows)
        base = (who * 7919 % 70_000 + session * 5000).astype(np.int64)
        at = start + (base * 1_000_000 + random.integers(0, 1_600_000_000, rows)) % 86_400_000_000
        name = random.choice(len(NAMES), rows, p=WEIGHTS / WEIGHTS.sum()).astype(np.int32)
        order = np.lexsort((at, numbers[who]))
        who, at, name, session = who[order], at[order], name[order], session[order]
        duration = random.lognormal(4.0, 0.6, rows).astype(np.float32)
        known = sorted(set(FEATURES))
        feature = np.array([known.index(f) for f in FEATURES], np.int32)[name]

        def coded(codes: np.ndarray, texts: list[str]) -> object:
            return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(texts)).cast(text)

        used, place = np.unique(who, return_inverse=True)
        ids = random.bytes(16 * rows)
        columns = {
            "event_id": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(ids)]),
            "person": pa.array(numbers[who]),
            "person_key": coded(place, [f"u{u}" for u in used]),
            "name": coded(name, list(NAMES)),
            "feature": coded(feature, known),
            "service": coded(np.zeros(rows), ["storefront"]),
            "version": coded(np.full(rows, n // 7 % 2), [f"1.{n // 7}.0", f"1.{n // 7 + 1}.0"]),
            "environment": coded(np.zeros(rows), ["production"]),
            "platform": coded(who % 3, ["web", "ios", "android"]),
            "country": coded(who % 5, ["CH", "DE", "FR", "US", "JP"]),
            "session": pa.array([f"{u}-{s}" for u, s in zip(who, session, strict=True)]) if rows < 200_000 else pa.array([""] * rows),
            "at": pa.array(at).cast(pa.timestamp("us", tz="UTC")),
            "received_at": pa.array(at + 1_000_000).cast(pa.timestamp("us", tz="UTC")),
            "duration_ms": pa.array(duration),
            "failed": pa.array(random.random(rows) < 0.01),
            "value": pa.array(np.where(name == 5, random.random(rows) * 100, np.nan), from_pandas=True),
            "properties": pa.array([None if x else '{"plan":"pro"}' for x in (who % 4 > 0)], pa.string()),
        }
        yield day, pa.table(columns).select(schema().names).cast(schema())
