"""What commands of use print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from productops.cli.release_text import plain

Document = Mapping[str, Any]
BAR = 40
BLOCKS = " ▏▎▍▌▋▊▉█"
SPARKS = "▁▂▃▄▅▆▇█"


def share(value: float | None) -> str:
    """As percent; a dash for what nobody knows."""
    return "–" if value is None else f"{value:.1%}"


def duration(seconds: float | None) -> str:
    """In the largest unit of which there are two."""
    if seconds is None:
        return "–"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def bar(value: float, most: float, width: int = BAR) -> str:
    """As long as the value is a part of the most."""
    eighths = round(value / most * width * 8) if most else 0
    return "█" * (eighths // 8) + (BLOCKS[eighths % 8] if eighths % 8 else "")


def sparks(values: Sequence[float]) -> str:
    """One character for each."""
    most = max(values, default=0)
    return "".join(SPARKS[min(7, int(value / most * 8))] if most else SPARKS[0] for value in values)


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: bool = True) -> str:
    """A plain table, numbers to the right, the first column to the left."""
    every = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[place]) for row in every) for place in range(len(head))]
    lines = []
    for row in every:
        cells = [
            cell.rjust(width) if right and place else cell.ljust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def basis_text(basis: Document) -> str:
    """What it was made of."""
    if basis["empty"]:
        return f"no events of {basis['venture']} from {basis['since'][:10]} to {basis['until'][:10]}, so that nothing can be said"
    files = "file" if basis["files"] == 1 else "files"
    return f"{basis['events']:,} events in {basis['files']} {files}, the newest of {basis['newest_at'][:19]}; {basis['took_ms']:.0f} ms"


def funnel_text(found: Document) -> str:
    """Steps as bars, then the values of the breakdown."""
    if found["basis"]["empty"]:
        return basis_text(found["basis"])
    steps = found["steps"]
    most = max(step["people"] for step in steps)
    width = max(len(plain(step["title"])) for step in steps)
    lines = [
        f"{plain(s['title']):<{width}}  {s['people']:>9,}  {share(s['of_first']):>6}  {bar(s['people'], most):<{BAR}}"
        + (f"  {_since_before(s)}" if n else "")
        for n, s in enumerate(steps)
    ]
    lines = [line.rstrip() for line in lines]
    if found["median_s"] is not None:
        lines.append(f"all steps: half within {duration(found['median_s'])}, 9 of 10 within {duration(found['p90_s'])}")
    if found["under_way"]:
        lines.append(f"{found['under_way']:,} people still have time to go on")
    if found["excluded"]:
        lines.append(f"{found['excluded']:,} people are left out: they did what must not happen between")
    if found["by_value"]:
        rows = [
            (plain(v), *(f"{n:,}" for n in counts), share(counts[-1] / counts[0] if counts[0] else None))
            for v, counts in found["by_value"].items()
        ]
        lines += ["", columns(("value", *(plain(s["title"]) for s in steps), "through"), rows)]
    return "\n".join([*lines, "", basis_text(found["basis"])])


def _since_before(step: Document) -> str:
    took = f"half within {duration(step['median_s'])}, 9 of 10 within {duration(step['p90_s'])}"
    return f"{share(step['of_previous'])} of the step before, {took}"


def retention_text(found: Document) -> str:
    """A row for each period; what is not over yet is in brackets."""
    if found["basis"]["empty"]:
        return basis_text(found["basis"])
    head = ("began", "people", *(str(a) if a == b else f"{a}-{b}" for a, b in found["columns"]))
    rows = []
    for row in found["rows"]:
        cells = []
        for returned, complete in zip(row["returned"], row["complete"], strict=True):
            told = f"{returned / row['people']:.0%}" if row["people"] else "–"
            cells.append(told if complete else f"({told})" if returned else "")
        rows.append((row["begin"][:10], f"{row['people']:,}", *cells))
    rows.append(
        ("all", f"{sum(row['people'] for row in found['rows']):,}", *(share(v)[:5] if v is not None else "–" for v in found["overall"]))
    )
    return "\n".join([columns(head, rows), "", "in brackets: not over yet, and not part of the last row", basis_text(found["basis"])])


def cohorts_text(items: Sequence[Document]) -> str:
    """One line for each."""
    if not items:
        return "no cohorts are saved; declare one with `kind: Cohort` in the catalog"
    rows = [
        (each["name"], each["venture"], "catalog" if each["declared"] else each["updated_by"], each["updated_at"][:10],
         plain(each["spec"].get("description") or _conditions(each["spec"])))
        for each in items
    ]  # fmt: skip
    return columns(("cohort", "venture", "from", "changed", "who"), rows, right=False)


def _conditions(spec: Document) -> str:
    if spec.get("people"):
        return f"a list of {len(spec['people'])} people"
    return f"{len(spec['conditions'])} conditions, {spec['join']} of them"


def cohort_text(found: Document) -> str:
    """How many, and some of them."""
    shown = "\n".join(f"  {plain(key)}" for key in found["keys"])
    more = f"\n  … and {found['people'] - len(found['keys']):,} more" if found["people"] > len(found["keys"]) else ""
    return f"{found['name']}: {found['people']:,} people\n{shown}{more}\n{basis_text(found['basis'])}"


def feature_page(found: Document) -> str:
    """Everything of one feature."""
    title = f"{plain(found['feature'])} of {found['venture']}, {found['since']} to {found['until']}"
    counted = f"counted {found['counted_at'][:19]}" if found["counted_at"] else "never counted yet"
    if found["empty"]:
        return f"{title}\nno events: nobody used it in these days ({counted})"
    days, everybody = found["days"], sum(day["people"] for day in found["everybody"])
    people, events, failures = (sum(day[name] for day in days) for name in ("people", "events", "failures"))
    lines = [
        title, "",
        f"people a day  {sparks([day['people'] for day in days])}  {_span(days)}, {people / len(days):,.0f} on average",
        f"new people    {sparks([day['new_people'] for day in days])}  {sum(day['new_people'] for day in days):,}",
        f"events        {events:,}, {share(failures / events)} failed",
        f"share         {share(people / everybody if everybody else None)} of the people who were active that day",
    ]  # fmt: skip
    if goal := found["prediction"]:
        wanted, due = share(goal["target"]), goal["due_at"][:10]
        lines.append(f"goal          {goal['probability']:.0%} that {wanted} of active people use it by {due}, as of {goal['day']}")
    for name in ("weeks", "months"):
        if found[name]:
            last = found[name][-1]
            lines.append(f"{name:<13} {last['people']:,} people since {last['begin']}, {last['new_people']:,} of them new")
    return "\n".join([*lines, *_versions(found["versions"]), *_releases(found["releases"]), *_insights(found["insights"]), "", counted])


def _span(days: Sequence[Document]) -> str:
    people = [day["people"] for day in days]
    return f"{min(people):,} to {max(people):,}"


def _versions(versions: Sequence[Document]) -> list[str]:
    if not versions:
        return []
    rows = [
        (plain(v["version"]) or "–", f"{v['events']:,}", share(v["failures"] / v["events"] if v["events"] else None), _ms(v["mean_ms"]),
         _ms(v["p95_ms"]), v["first_day"], v["last_day"])
        for v in versions
    ]  # fmt: skip
    return ["", columns(("version", "events", "failed", "mean", "p95, worst day", "first", "last"), rows)]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def _releases(releases: Sequence[Document]) -> list[str]:
    if not releases:
        return []
    rows = [
        (f"{r['service']} {plain(r['version'])}", r["at"][:10], _number(r["people_before"]), _number(r["people_after"]),
         share(r["failures_before"]), share(r["failures_after"]))
        for r in releases
    ]  # fmt: skip
    return ["", columns(("release", "day", "people before", "after", "failed before", "after"), rows)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _insights(insights: Sequence[Document]) -> list[str]:
    return (
        ["", *(f"{each['state']}: {plain(each['title'])} (productops insights show {each['id']})" for each in insights)] if insights else []
    )
