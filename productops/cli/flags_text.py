"""Pages, tables and sentences of flags for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from productops.cli.release_text import plain
from productops.cli.stack.tables import render

Document = Mapping[str, Any]


def flags_table(items: Sequence[Document]) -> str:
    """One line for each flag."""
    if not items:
        return "no flags"
    rows = [
        (item["key"], item["venture"], _users(item, "production"), item["spec"]["owner"], str(item["revision"]), _marks(item))
        for item in items
    ]
    return render(("flag", "venture", "users in production have", "owner", "revision", ""), _plain(rows))


def flag_page(flag: Document) -> str:
    """Everything about one flag."""
    spec = flag["spec"]
    lines = [f"{flag['key']} (venture {flag['venture']}, owner {spec['owner']}, revision {flag['revision']}){_suffix(flag)}"]
    if spec["description"]:
        lines.append(spec["description"])
    lines.append("variants: " + ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in spec["variants"].items()))
    lines.append(f"default {spec['default_variant']}" + (f", when killed {spec['off_variant']}" if spec["off_variant"] else ""))
    if spec["targeting"]:
        lines.append(f"targeting: {json.dumps(spec['targeting'], ensure_ascii=False)}")
    if spec["expires_on"]:
        lines.append(f"to be gone by {spec['expires_on']}")
    rows = [
        (name, _users(flag, name), (place["settled_since"] or "")[:16].replace("T", " ")) for name, place in flag["environments"].items()
    ]
    page = [*map(plain, lines), "", render(("environment", "users have", "the same since (UTC)"), _plain(rows))]
    if flag.get("waiting"):
        page += ["", changes_table(flag["waiting"])]
    return "\n".join(page)


def history_table(items: Sequence[Document]) -> str:
    """One line for each revision."""
    rows = [(str(item["revision"]), _when(item["at"]), item["author"], item["summary"], item["reason"]) for item in items]
    return render(("revision", "when (UTC)", "who", "what", "why"), _plain(rows))


def changes_table(items: Sequence[Document]) -> str:
    """One line for each change that waits."""
    if not items:
        return "nothing waits"
    rows = [
        (
            item["id"],
            item["state"],
            item["summary"],
            item["author"],
            _when(item["due_at"]) if item["due_at"] else "once approved",
            item["reason"],
        )
        for item in items
    ]
    return render(("change", "state", "what", "asked for by", "when (UTC)", "why"), _plain(rows))


def stale_table(items: Sequence[Document]) -> str:
    """One line for each reason."""
    if not items:
        return "no flag is stale"
    rows = [(item["key"], item["venture"], item["owner"], item["reason"], item["detail"]) for item in items]
    return render(("flag", "venture", "owner", "reason", "detail"), _plain(rows))


def outcome_lines(outcome: Document) -> str:
    """What became of a wish."""
    flag, change = outcome["flag"], outcome["change"]
    if change is not None:
        waits = (
            f"is scheduled for {_when(change['due_at'])} UTC" if change["state"] == "scheduled" else "waits for somebody else's approval"
        )
        lines = [f"{plain(change['summary'])}: {waits}", f"change {change['id']}"]
        if change["state"] == "proposed":
            lines.append(f"approve it with: productops flag approve {flag['key']} {change['id']}")
        return "\n".join(lines)
    lines = [f"{flag['key']} is at revision {flag['revision']}{_suffix(flag)}"]
    lines += [f"  {name}: {plain(_users(flag, name))}" for name in flag["environments"]]
    return "\n".join(lines)


def evaluation_line(found: Document) -> str:
    """Which variant, and why."""
    if found["error_code"]:
        return plain(f"{found['key']} in {found['environment']}: {found['error_code']}: {found['error_details']}")
    value = json.dumps(found["value"], ensure_ascii=False)
    return plain(f"{found['key']} in {found['environment']}: {found['variant']} = {value} ({found['decision']}, reason {found['reason']})")


def _users(flag: Document, environment: str) -> str:
    """Who has what there, in a few words."""
    place = flag["environments"].get(environment)
    if place is None or flag["archived"]:
        return "–"
    if place["killed"]:
        return f"{place['everybody']} (killed)"
    return place["everybody"] or ", ".join(_shares(flag["spec"], place["ramp"], environment))


def _shares(spec: Document, ramp: Document | None, environment: str) -> Iterator[str]:
    rules = spec["environments"].get(environment) or {}
    if rules.get("targeting") or (spec["targeting"] and rules.get("targeting") is None):
        yield "by targeting"
    default = rules.get("default_variant") or spec["default_variant"]
    if ramp is None:
        yield f"else {default}"
        return
    for segment in ramp["segments"]:
        yield f"{ramp['variant']} where {segment['attribute']} is {' or '.join(map(str, segment['values'][:5]))}"
    yield f"{ramp['variant']} for {ramp['percent']:g} %"
    if ramp["percent"] < 100:
        yield f"else {default}"


def _marks(flag: Document) -> str:
    marks = {"archived": flag["archived"], "needs approval": flag["spec"]["approval_required"], "declared": flag["declared"]}
    return ", ".join(name for name, holds in marks.items() if holds)


def _suffix(flag: Document) -> str:
    marks = _marks(flag)
    return f", {marks}" if marks else ""


def _when(at: str) -> str:
    return at[:19].replace("T", " ")


def _plain(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(plain(cell) for cell in row) for row in rows]
