"""What commands of features print for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
MARKS = {"passed": "✓", "failed": "✗", "inconclusive": "?"}


def share(value: float | None) -> str:
    """As percent; a dash for what nobody knows."""
    return "-" if value is None else f"{value:.0%}"


def hours(value: float | None) -> str:
    """Hours, or days from two of them on."""
    if value is None:
        return "-"
    return f"{value:.1f} h" if value < 48 else f"{value / 24:.1f} d"


def day(text: str | None) -> str:
    """The date of a time."""
    return text[:10] if text else "-"


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain table."""
    every = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[place]) for row in every) for place in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every)


def features_table(items: Sequence[Document]) -> str:
    """One line for each feature."""
    if not items:
        return "no features are known; is a development source declared and read? see: productops development sources"
    rows = [
        (
            f["key"], f["stage"], f"{f['items_done']}/{f['items']}", share(f["done_by_items"]), share(f["done_by_effort"]),
            day(f["due_at"]), ", ".join(f["blocked"]) or "-", f["title"][:60],
        )
        for f in items
    ]  # fmt: skip
    return columns(("feature", "stage", "done", "items", "effort", "due", "blocked", "title"), rows)


def feature_page(found: Document) -> str:
    """Everything of one feature."""
    feature = found["feature"]
    parts = [
        f"{feature['key']}  {feature['title']}",
        f"{feature['stage']} ({feature['status'] or 'no status'}) in {feature['source']}, venture {feature['venture']}"
        + (f", due {day(feature['due_at'])}" if feature["due_at"] else ""),
        "",
        *_work(found),
        f"forecast  {_forecast(found['forecast'])}",
        *_quality(found["quality"]["values"]),
        *_live(found["live"]),
        *_risk(found["risk"]["values"]),
        f"ready     {found['ready']}",
        "",
        f"next      {found['next']['action']}",
        f"          because {found['next']['why']}",
    ]
    return "\n".join(parts)


def _work(found: Document) -> list[str]:
    far, scope, waits = found["done"]["values"], found["scope"]["values"], found["blocked"]["values"]
    first, last = (scope["points"] or [None])[0], (scope["points"] or [None])[-1]
    grown = f"{first['items']} → {last['items']} items in {scope['changes']} changes" if first and last else "no items"
    lines = [
        f"done      {share(far['by_items'])} by items ({far['items_done']} of {far['items']}), {share(far['by_effort'])} by effort "
        f"({far['effort_done_h']:.0f} of {far['effort_h']:.0f} h"
        + (f", {far['assumed']} items without an estimate" if far["assumed"] else "") + ")",
        f"scope     {grown}",
    ]  # fmt: skip
    stages = [s for s in found["cycle_time"]["values"]["stages"] if s["passed"] or s["waiting"]]
    lines += [
        f"{'stages' if place == 0 else '':<10}{s['stage']:<8} median {hours(s['median_h'])} of {s['passed']}"
        + (f"; {s['waiting']} in it now, the longest for {hours(s['open_h'])}" if s["waiting"] else "")
        for place, s in enumerate(stages)
    ]
    now = f"; now: {', '.join(waits['now'])}" if waits["now"] else ""
    return [*lines, f"blocked   {hours(waits['hours'])}{now}"]


def _forecast(figure: Document) -> str:
    values = figure["values"]
    if values["method"] == "done":
        return "all items are done" + (f" since {day(values['done_at'])}" if values.get("done_at") else "")
    if values.get("p80_at") is None:
        return str(figure["how"])
    return f"{day(values['p50_at'])} in 50 of 100 cases, {day(values['p80_at'])} in 80, {day(values['p95_at'])} in 95 ({values['method']})"


def _quality(values: Document) -> list[str]:
    runs = [f"{run['service']} {run['version']} {run['state']}" for run in values["runs"][:3]]
    flaky = f"; {len(values['tests_failed'])} tests failed or were retried" if values["tests_failed"] else ""
    failed = f" ({values['builds_failed']} failed)" if values["builds_failed"] else ""
    return [f"quality   {values['changes']} changes, {values['builds']} builds{failed}; {', '.join(runs) or 'nothing judged'}{flaky}"]


def _live(figure: Document) -> list[str]:
    releases = figure["values"]["releases"]
    if not releases:
        return [f"live      no release of it is known. {figure['how'].partition('. ')[2]}".rstrip()]
    return [
        f"{'live' if place == 0 else '':<10}{r['service']} {r['version']} {r['phase']}" + _measured(r["measured"])
        for place, r in enumerate(releases[-3:])
    ]


def _measured(measured: Document) -> str:
    candidate = measured.get("candidate") if measured else None
    if not candidate:
        return ""
    return f": {candidate['failures']} of {candidate['requests']} requests failed, p99 {candidate['p99_ms'] or '-'} ms"


def _risk(values: Document) -> list[str]:
    if values["level"] is None:
        return ["risk      nothing of it waits to be released"]
    chance = f", {share(values['probability'])} that it breaks something (usual: {share(values['usual'])})" if values["probability"] else ""
    return [f"risk      {values['level']} by {values['method']}{chance}: {values['worst'][:80]}"]


def answer_page(found: Document) -> str:
    """A checklist."""
    lines = [f"{found['feature']['key']}  {found['feature']['title']}", f"{found['state']}: {found['sentence']}", ""]
    for check in found["checks"]:
        lines.append(f"{MARKS[check['state']]} {check['name']}: {check['sentence']}")
        lines += [f"    missing: {each}" for each in check["missing"][:10]]
    return "\n".join(lines)
