"""Freezes, change windows and bypasses for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from productops.cli.release_text import plain
from productops.cli.stack.tables import render

Document = Mapping[str, Any]


def windows_page(found: Document) -> str:
    """Calendars, then their events."""
    if not found["calendars"]:
        return "no freeze and no window applies; declare them in the catalog (kind: Calendar, kind: ChangeWindow)"
    parts = [_calendars(found["calendars"])]
    parts += [f"{c['name']}: {plain(c['error'])}" for c in found["calendars"] if c["error"]]
    parts += ["", _events(found["events"]) if found["events"] else "no events in that time"]
    return "\n".join(parts)


def _calendars(items: Iterable[Document]) -> str:
    rows = [
        (
            item["name"],
            item["effect"],
            item["venture"] or "all ventures",
            ", ".join(item["services"]) or "all",
            ", ".join(item["environments"]) or "all",
            ", ".join(f"{name}={value}" for name, value in item["labels"].items()),
            "never" if item["age_s"] is None else f"{age(item['age_s'])} ago",
        )
        for item in items
    ]
    return _render(("calendar", "effect", "venture", "services", "environments", "labels", "read"), rows)


def _events(items: Iterable[Document]) -> str:
    rows = [
        (when(item["starts_at"]), when(item["ends_at"]), item["effect"], item["title"], item["calendar"], ", ".join(item["labels"]))
        for item in items
    ]
    return _render(("from (UTC)", "to (UTC)", "effect", "title", "calendar", "labels"), rows)


def opening_text(found: Document) -> str:
    """One or two lines: may it start, why, and when next."""
    where = f"{found['service']} in {found['environment']}"
    if found["open"]:
        closes = f"; until {when(found['closes_at'])} UTC" if found["closes_at"] else ""
        return plain(f"a release of {where} may start now: {found['reason']}{closes}")
    following = f"the next opening is {when(found['next_at'])} UTC" if found["next_at"] else "no opening is known"
    return plain(f"no release of {where} may start now: {found['reason']}") + f"\n{following}"


def refreshed_text(items: Sequence[Document]) -> str:
    """One line for each calendar."""
    if not items:
        return "no calendars are declared"
    return _render(("calendar", "outcome", "error"), [(item["name"], item["outcome"], item["error"]) for item in items])


def bypass_text(bypass: Document) -> str:
    """Where a bypass stands, and what comes next."""
    what = f"{bypass['service']} {bypass['version'] or '(any version)'} in {bypass['environment']}"
    lines = [f"bypass {bypass['id']}: {bypass['state']}, for {what}, until {when(bypass['expires_at'])} UTC"]
    if bypass["state"] == "asked":
        lines.append(f"somebody other than {bypass['asked_by']} approves it with: productops windows bypass approve {bypass['id']}")
    if bypass["state"] == "approved":
        lines.append(f"use it once with: productops release {bypass['service']} {bypass['version'] or 'VERSION'} --bypass {bypass['id']}")
    return "\n".join(plain(line) for line in lines)


def bypasses_table(items: Sequence[Document]) -> str:
    """One line for each bypass."""
    if not items:
        return "nobody ever asked for a bypass"
    rows = [
        (
            when(item["asked_at"]), item["state"], item["service"], item["environment"], item["version"] or "any", item["asked_by"],
            item["approved_by"] or "–", item["used_by"] or "–", item["reason"], item["id"],
        )
        for item in items
    ]  # fmt: skip
    columns = ("asked (UTC)", "state", "service", "environment", "version", "asked by", "approved by", "used by", "reason", "id")
    return _render(columns, rows)


def when(at: str | None) -> str:
    """Minutes are enough."""
    return str(at)[:16].replace("T", " ") if at else "–"


def age(seconds: float) -> str:
    """A length of time in one unit."""
    for unit, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def _render(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return render(columns, [tuple(plain(cell) for cell in row) for row in rows])
