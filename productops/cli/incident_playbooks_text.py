"""Playbooks, responses and drills in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from productops.cli.release_text import plain


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as they need to be."""
    if not rows:
        return "none"
    lines = [[str(each) for each in head], *([plain(str(each)) for each in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def playbook_page(found: dict[str, Any]) -> str:
    """What it is for and what is done."""
    spec = found["spec"]
    when = {name: value for name, value in spec["when"].items() if value not in (None, [], "")}
    lines = [f"{found['name']}: {plain(found['title'])}", plain(found["description"]).strip(), "", f"when   {when}"]
    limits = spec["limits"]
    automatic = "by itself" if found["automatic"] else "after a person said go"
    lines.append(f"begins {automatic}; at most {limits['actions_per_hour']} actions an hour and service")
    for number, step in enumerate(spec["steps"], 1):
        undo = ", ".join(each["do"] for each in step.get("compensate") or ())
        lines.append(f"{number}. {_titled(step)}, within {step['timeout_s']:g} s" + (f", undone by {undo}" if undo else ""))
    return "\n".join(lines)


def _titled(step: dict[str, Any]) -> str:
    return str(step["do"]).replace("-", " ") + (f" {step['command']}" if step.get("command") else "")


def response_page(found: dict[str, Any]) -> str:
    """A response with its journal."""
    lines = [
        f"response {found['response_id']} ({found['mode']}): {found['playbook']}, {found['state']}",
        f"cause  {_cause(found['cause'])}",
        f"why    {plain(found['why'][-1]) if found['why'] else ''}",
    ]
    lines += [f"ended  {plain(found['reason'])}"] if found["reason"] else []
    for step in found["steps"]:
        said = step["result"] or step["waits_for"] or ""
        lines.append(f"  {'undo ' if step['role'] == 'undo' else ''}{step['do']:<18} {step['state']:<8} {plain(said)[:300]}")
    return "\n".join(lines)


def _cause(cause: dict[str, Any]) -> str:
    return f"{cause['kind']} {plain(str(cause['subject']))}, {cause['probability']:.0%}" if cause else "not known"


def drills_table(items: Sequence[dict[str, Any]]) -> str:
    """One line each."""
    rows = [
        [
            each["begun_at"][:19], each["playbook"], each["fault"], f"{each['service']} ({each['environment']})", each["state"],
            *(_seconds(each["scores"].get(name)) for name in ("detected_s", "right_cause_s", "responded_s", "mitigated_s")),
            each["scores"].get("wrong_actions", "-"),
        ]
        for each in items
    ]  # fmt: skip
    return table(("begun (UTC)", "playbook", "fault", "where", "result", "seen", "cause", "begun", "well", "wrong actions"), rows)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def drill_page(found: dict[str, Any]) -> str:
    """A drill with its scores."""
    scores, where = found["scores"], f"{found['service']} ({found['environment']})"
    lines = [
        f"drill {found['drill_id']}: {found['playbook']} by {found['fault']} on {where}, {found['state']}",
        f"  seen               {_seconds(scores.get('detected_s'))}",
        f"  right cause on top {_seconds(scores.get('right_cause_s'))}" + (f" ({plain(str(scores.get('cause')))})" if scores else ""),
        f"  response begun     {_seconds(scores.get('responded_s'))} ({scores.get('playbook') or 'none'})",
        f"  users well again   {_seconds(scores.get('mitigated_s'))}",
        f"  actions            {', '.join(scores.get('actions') or ()) or 'none'}; wrong ones: {scores.get('wrong_actions', 0)}",
        f"  all mended         {'yes' if found['undone_at'] else 'no'}",
    ]
    return "\n".join([*lines, *([f"  {plain(found['note'])}"] if found["note"] else [])])
