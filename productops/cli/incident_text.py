"""Incidents and alerts as lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from productops.cli.release_text import plain

Item = Mapping[str, Any]


def incidents_text(items: Sequence[Item]) -> str:
    """A table, newest first."""
    from productops.cli.stack.tables import render

    rows = [
        (i["id"], i["severity"], i["status"], _at(i["detected_at"]), i["acknowledged_by"] or "nobody yet", plain(i["title"]))
        for i in items
    ]  # fmt: skip
    return render(("incident", "how bad", "status", "since (UTC)", "taken up by", "what"), rows) if rows else "no incidents"


def incident_text(item: Item) -> str:
    """One incident for people."""
    impact = item["impact"]
    lines = [
        f"incident {item['id']} {item['severity']} {item['status']} (revision {item['revision']})",
        plain(item["title"]),
        f"services     {', '.join(item['services']) or 'none named'} ({item['environment'] or 'environment unknown'})",
        f"since        {_at(item['detected_at'])} UTC, noticed by {item['detection']}",
    ]
    optional = {
        "broken": item["component"], "because": impact.get("severity_because"), "cause": item["cause"], "impact": _impact(impact),
        "taken up by": _taken(item), "roles": ", ".join(f"{name}: {who}" for name, who in item["roles"].items()),
        "releases": ", ".join(item["releases"]), "flags": ", ".join(item["flags"]), "mitigated": _at(item["mitigated_at"]),
        "resolved": _ended(item), "steps": "; ".join(item["resolution_steps"]), "reopened": item["reopened"] or "",
        "part of": item["merged_into"], "text": item["description"],
    }  # fmt: skip
    lines += [f"{name:<12} {plain(value)}" for name, value in optional.items() if value]
    lines += [f"link         {link['kind']} {plain(link['target'])} {plain(link['text'])}".rstrip() for link in item["links"]]
    return "\n".join(lines)


def _impact(impact: Item) -> str:
    if "requests" not in impact:
        return f"{impact['alerts']} alerts" if impact.get("alerts") else ""
    share = f"{impact['failing_share']:.1%} fail now, {impact['usual_share']:.1%} usually"
    return f"{impact['requests_failed']:,} of {impact['requests']:,} requests failed above the usual number; {share}"


def _taken(item: Item) -> str:
    return f"{item['acknowledged_by']} at {_at(item['acknowledged_at'])} UTC" if item["acknowledged_by"] else ""


def _ended(item: Item) -> str:
    if not item["resolved_at"]:
        return ""
    return f"{_at(item['resolved_at'])} UTC, after {item['mttr_minutes']} minutes"


def changed_text(item: Item) -> str:
    """What it is after a change."""
    roles = "".join(f", {name} {who}" for name, who in item["roles"].items())
    return plain(f"incident {item['id']} is {item['status']}, {item['severity']}{roles}: {item['title']}")


def log_text(items: Sequence[Item]) -> str:
    """Lines of its log."""
    return "\n".join(f"{i['seq']:>4} {_at(i['at'], seconds=True)} {i['kind']:<13} {plain(i['actor'])}: {plain(i['text'])}" for i in items)


def alerts_text(items: Sequence[Item]) -> str:
    """A table, newest first."""
    from productops.cli.stack.tables import render

    rows = [
        (
            i["id"], i["severity"], i["status"], i["state"], str(i["received"]), plain(i["service"] or i["component"] or "-"),
            plain(i["name"]), plain(i["reason"]),
        )
        for i in items
    ]  # fmt: skip
    columns = ("alert", "how bad", "status", "became", "told", "about", "name", "why")
    return render(columns, rows, right=("told",)) if rows else "no alerts"


def alert_text(item: Item) -> str:
    """One alert for people."""
    about = item["service"] or item["component"] or "nothing named"
    ended = f" to {_at(item['ends_at'], seconds=True)}" if item["ends_at"] else ""
    lines = [
        f"alert {item['id']} {item['severity']} {item['status']}: {plain(item['name'])}",
        plain(item["summary"]),
        f"about        {plain(about)} ({item['environment'] or 'environment unknown'}), told {item['received']} times by {item['source']}",
        f"fired        {_at(item['starts_at'], seconds=True)} UTC{ended}",
        f"became       {item['state']}: {plain(item['reason'])}",
    ]
    if item["incident_id"]:
        lines.append(f"incident     {item['incident_id']}")
    lines += [f"label        {plain(name)}={plain(value)}" for name, value in sorted(item["labels"].items())]
    lines.append(f"fingerprint  {item['fingerprint']}")
    return "\n".join(lines)


def silences_text(items: Sequence[Item]) -> str:
    """A table, newest first."""
    from productops.cli.stack.tables import render

    rows = [
        (i["id"], "holds" if i["active"] else "does not hold", _at(i["ends_at"]), i["author"], _matchers(i["matchers"]), plain(i["reason"]))
        for i in items
    ]
    return render(("silence", "now", "until (UTC)", "by", "what", "why"), rows) if rows else "no silences"


def _matchers(matchers: Sequence[Item]) -> str:
    signs = {"is": "=", "is-not": "!=", "like": "~"}
    return ", ".join(plain(f"{m['field']}{signs[m['how']]}{m['value']}") for m in matchers)


def _at(at: str | None, *, seconds: bool = False) -> str:
    return at[: 19 if seconds else 16].replace("T", " ") if at else ""
