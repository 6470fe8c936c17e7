"""Trains for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from productops.cli.release_text import plain
from productops.cli.stack.tables import render

Document = Mapping[str, Any]


def train_page(train: Document) -> str:
    """Where a train and each of its members stands."""
    why = f": {plain(train['reason'])}" if train["reason"] else ""
    head = [
        f"train {train['id']} is {_words(train['phase'])}{why}",
        f"{train['mode']}, at most {train['side_by_side']} at once, in {train['environment']}",
    ]
    if train["flow_run"]:
        head.append(train["flow_run"]["url"])
    rows = [
        (m["service"], m["version"], ", ".join(m["depends_on"]) or "–", _words(m["phase"]), m["release_id"] or "–", m["reason"])
        for m in train["members"]
    ]
    return "\n".join((*head, "", _render(("service", "version", "after", "stands", "release", "why"), rows)))


def trains_table(items: Sequence[Document]) -> str:
    """One line for each train."""
    if not items:
        return "no trains"
    rows = [
        (str(item["created_at"])[:19].replace("T", " "), item["title"], item["mode"], _words(item["phase"]), item["reason"], item["id"])
        for item in items
    ]
    return _render(("when (UTC)", "members", "mode", "stands", "why", "id"), rows)


def changes(train: Document, seen: dict[str, str]) -> Iterator[str]:
    """A line for each member that stands elsewhere than ``seen`` says, which is brought up to date."""
    for member in train["members"]:
        stands = _words(member["phase"])
        if seen.get(member["service"]) != stands:
            seen[member["service"]] = stands
            why = f": {member['reason']}" if member["reason"] else ""
            yield plain(f"{member['service']} {member['version']} {stands}{why}")


def _words(phase: str) -> str:
    return phase.replace("_", " ")


def _render(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return render(columns, [tuple(plain(cell) for cell in row) for row in rows])
