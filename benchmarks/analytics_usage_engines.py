"""One engine, one question, one process: ``python -m benchmarks.analytics_usage_engines ENGINE QUESTION FOLDER RUNS`` prints JSON.

The references are what somebody writes who knows Polars, DuckDB or pandas. Their funnels begin at each person's first view only, which is
less work than ours (any later entry may be the one that comes through), so their counts are a little lower. Retention is the same question.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.analytics_usage_events import FUNNEL

WINDOW_S = 14 * 86_400
VENTURE = "shop"


def days_of(folder: str) -> tuple[date, date]:
    """First day, and the day after the last."""
    days = sorted(date.fromisoformat(path.name.removeprefix("day=")) for path in Path(folder, VENTURE).iterdir())
    return days[0], days[-1] + timedelta(days=1)


def ours(folder: str) -> dict[str, Callable[[], Any]]:
    """The use cases themselves, with a manifest of these files in a database of their own."""
    from productops.domain.analytics_usage_query import EventMatch, FunnelQuery, FunnelSpec, RetentionQuery, Unit
    from productops.store.migrate import upgrade
    from productops.usecases.analytics_usage_ask import ask_funnel, ask_retention
    from productops.usecases.context import OURSELVES

    first, last = (datetime(d.year, d.month, d.day, tzinfo=UTC) for d in days_of(folder))
    url = f"sqlite:///{tempfile.mkdtemp()}/usage.db"
    upgrade(url)
    context = replace(context_of(url), analytics_folder=Path(folder))
    register(context, folder)
    steps = FunnelSpec(steps=tuple(EventMatch(name=name) for name in FUNNEL), window_s=WINDOW_S)
    funnel = FunnelQuery(venture=VENTURE, since=first, until=last, funnel=steps)
    weekly = RetentionQuery(venture=VENTURE, since=first, until=last, unit=Unit.WEEK, periods=12)
    return {
        "funnel": lambda: [step.people for step in ask_funnel(context, funnel, actor=OURSELVES).steps],
        "retention": lambda: [row.people for row in ask_retention(context, weekly, actor=OURSELVES).rows][:3],
    }


def context_of(url: str) -> Any:
    """A context of this process."""
    from productops.store import Store
    from productops.usecases.context import Context

    class Silent:
        def ring(self) -> None:
            return None

    context = Context(store=Store(url), doorbell=Silent(), lease_ttl_s=15.0)
    with context.store.write() as unit:
        unit.catalog.put_venture(VENTURE, title="", description="", author="bench", now=context.clock.now())
    return context


def register(context: Any, folder: str) -> None:
    """Name the files in the manifest."""
    from pyarrow import parquet

    from productops.domain.analytics_events import EventFile
    from productops.store.identity import new_id

    files = []
    now = context.clock.now()
    for path in sorted(Path(folder, VENTURE).glob("day=*/*.parquet")):
        day = date.fromisoformat(path.parent.name.removeprefix("day="))
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        rows = parquet.read_metadata(path).num_rows
        end = begin + timedelta(days=1, microseconds=-1)
        files.append(EventFile(str(path), day, rows, begin, end, str(new_id()), VENTURE, path.stat().st_size, begin, end, now))
    with context.store.write() as unit:
        unit.analytics_events.add(files, folder=Path(folder))


def polars(folder: str) -> dict[str, Callable[[], Any]]:
    """Lazy frames over the same files."""
    import polars as pl

    events = pl.scan_parquet(f"{folder}/{VENTURE}/day=*/*.parquet", hive_partitioning=False)

    def funnel() -> Any:
        found = (
            events.filter(pl.col("name").cast(pl.String).is_in(list(FUNNEL)))
            .select("person", "at", pl.col("name").cast(pl.String))
            .collect()
        )
        reached = found.filter(pl.col("name") == FUNNEL[0]).group_by("person").agg(pl.col("at").min().alias("t1"))
        counts = [len(reached)]
        reached = reached.with_columns(pl.col("t1").alias("t"))
        for name in FUNNEL[1:]:
            step = found.filter(pl.col("name") == name).join(reached, on="person")
            step = step.filter((pl.col("at") > pl.col("t")) & (pl.col("at") <= pl.col("t1") + timedelta(seconds=WINDOW_S)))
            reached = step.group_by("person").agg(pl.col("t1").first(), pl.col("at").min().alias("t"))
            counts.append(len(reached))
        return counts

    def retention() -> Any:
        active = (
            events.filter(~pl.col("name").cast(pl.String).is_in(["$exposure", "$identify"]))
            .select("person", pl.col("at").dt.truncate("1w").alias("week"))
            .unique()
            .collect()
        )
        first = active.group_by("person").agg(pl.col("week").min().alias("first"))
        table = active.join(first, on="person").group_by("first", "week").len()
        return sorted(table.filter(pl.col("first") == pl.col("week")).sort("first")["len"].to_list()[:3], reverse=True)

    return {"funnel": funnel, "retention": retention}


def duckdb(folder: str) -> dict[str, Callable[[], Any]]:
    """SQL over the same files."""
    import duckdb as engine

    connection = engine.connect()
    connection.execute("SET threads = 2")
    files = f"read_parquet('{folder}/{VENTURE}/day=*/*.parquet', hive_partitioning=false)"

    def funnel() -> Any:
        parts = [
            'e AS (SELECT person, "at" AS moment, name FROM ' + files + " WHERE name IN (" + ",".join(f"'{n}'" for n in FUNNEL) + "))",
            f"s1 AS (SELECT person, min(moment) t1, min(moment) t FROM e WHERE name = '{FUNNEL[0]}' GROUP BY person)",
        ]
        for n, name in enumerate(FUNNEL[1:], start=2):
            parts.append(
                f"s{n} AS (SELECT e.person, any_value(p.t1) t1, min(e.moment) t FROM e JOIN s{n - 1} p USING (person) "
                f"WHERE e.name = '{name}' AND e.moment > p.t AND e.moment <= p.t1 + INTERVAL {WINDOW_S} SECOND GROUP BY e.person)"
            )
        chosen = ", ".join(f"(SELECT count(*) FROM s{n})" for n in range(1, len(FUNNEL) + 1))
        return list(connection.execute(f"WITH {', '.join(parts)} SELECT {chosen}").fetchone() or ())

    def retention() -> Any:
        query = (
            f"WITH a AS (SELECT DISTINCT person, date_trunc('week', \"at\") AS week FROM {files} "
            "WHERE name NOT IN ('$exposure', '$identify')), "
            "f AS (SELECT person, min(week) AS first FROM a GROUP BY person) "
            "SELECT first, week, count(*) FROM a JOIN f USING (person) GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return [row[2] for row in connection.execute(query).fetchall() if row[0] == row[1]][:3]

    return {"funnel": funnel, "retention": retention}


def pandas(folder: str) -> dict[str, Callable[[], Any]]:
    """Frames read from the same files."""
    import pandas as pd

    paths = sorted(Path(folder, VENTURE).glob("day=*/*.parquet"))

    def frame(wanted: tuple[str, ...] | None) -> Any:
        parts = []
        for path in paths:
            part = pd.read_parquet(path, columns=["person", "at", "name"])
            kept = part["name"].isin(wanted) if wanted else ~part["name"].isin(["$exposure", "$identify"])
            parts.append(part[kept].astype({"name": "str"}))
        return pd.concat(parts, ignore_index=True)

    def funnel() -> Any:
        found = frame(FUNNEL)
        reached = found[found["name"] == FUNNEL[0]].groupby("person", as_index=False)["at"].min().rename(columns={"at": "t1"})
        reached["t"] = reached["t1"]
        counts = [len(reached)]
        for name in FUNNEL[1:]:
            step = found[found["name"] == name].merge(reached, on="person")
            step = step[(step["at"] > step["t"]) & (step["at"] <= step["t1"] + pd.Timedelta(seconds=WINDOW_S))]
            reached = step.groupby("person", as_index=False).agg(t1=("t1", "first"), t=("at", "min"))
            counts.append(len(reached))
        return counts

    def retention() -> Any:
        found = frame(None)
        week = (found["at"].astype("int64") // 86_400_000_000 + 3) // 7
        active = pd.DataFrame({"person": found["person"], "week": week}).drop_duplicates()
        first = active.groupby("person", as_index=False)["week"].min().rename(columns={"week": "first"})
        table = active.merge(first, on="person").groupby(["first", "week"]).size().reset_index()
        return table[table["first"] == table["week"]][0].tolist()[:3]

    return {"funnel": funnel, "retention": retention}


ENGINES = {"ours": ours, "polars": polars, "duckdb": duckdb, "pandas": pandas}


def main() -> None:
    """The first run is not counted: it reads the files into the page cache and loads what was compiled."""
    engine, question, folder, runs = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    ask = ENGINES[engine](folder)[question]
    answer = ask()
    seconds, cpu = [], []
    for _ in range(runs):
        began, busy = time.perf_counter(), time.process_time()
        answer = ask()
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - busy)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak, "answer": [int(each) for each in answer]}))


if __name__ == "__main__":
    main()
