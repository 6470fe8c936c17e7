"""A verdict for a terminal: a table of the gates, and what to do about those that do not pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from productops.cli.release_text import plain
from productops.cli.stack.tables import render
from productops.domain.quality_report import ITEMS_SHOWN
from productops.domain.quality_verdict import GateItem, GateResult, GateState, QualityVerdict

_COLUMNS = ("gate", "state", "counts", "what was seen")


def verdict_text(verdict: QualityVerdict) -> str:
    """The whole answer."""
    rows = [
        (plain(gate.gate), _state(gate.state), "required" if gate.required else "advisory", plain(gate.sentence)) for gate in verdict.gates
    ]
    lines = [render(_COLUMNS, rows)] if rows else []
    for gate in verdict.gates:
        if gate.state is not GateState.PASSED:
            lines += ["", *_details(gate)]
    return "\n".join([*lines, "", f"{verdict.state.value.upper()}: {plain(verdict.sentence)}"])


def _state(state: GateState) -> str:
    return state.value if state is GateState.PASSED else state.value.upper()


def _details(gate: GateResult) -> Iterator[str]:
    yield f"{plain(gate.gate)}: {plain(gate.sentence)}"
    yield from (f"  - {plain(reason)}" for reason in gate.reasons)
    shown = gate.items[:ITEMS_SHOWN]
    yield from (f"  * {_item(item)}" for item in shown)
    if gate.items_total > len(shown):
        yield f"  … and {gate.items_total - len(shown)} more"
    if gate.to_pass:
        yield f"  to pass: {plain(gate.to_pass)}"


def _item(item: GateItem) -> str:
    where = f" ({plain(item.where)})" if item.where else ""
    excused = f"; does not count: {plain(item.excused)}" if item.excused else ""
    return f"{plain(item.text)}{where}{excused} [{plain(item.key)}]"


def runs_text(items: Sequence[Mapping[str, Any]]) -> str:
    """Runs, one a line."""
    rows = [
        (
            str(run["id"]),
            str(run["at"])[:16].replace("T", " "),
            f"{plain(run['service'])} {plain(run['version'])}",
            plain(run["commit"])[:12],
            plain(run["branch"]),
            _state(GateState(run["state"])),
            plain(run["sentence"]),
        )
        for run in items
    ]
    columns = ("run", "at (UTC)", "what", "commit", "branch", "verdict", "why")
    return render(columns, rows) if rows else "nothing was judged yet; begin with `productops quality validate`"


def waivers_text(items: Sequence[Mapping[str, Any]]) -> str:
    """Waivers, one a line."""
    rows = [
        (
            str(each["id"]),
            plain(each["service"]),
            plain(each["gate"]),
            plain(each["key"]),
            plain(each["owner"]),
            str(each["ended_at"] or each["expires_at"])[:16].replace("T", " "),
            plain(each["reason"]),
        )
        for each in items
    ]
    columns = ("waiver", "service", "gate", "key", "owner", "until (UTC)", "why")
    return render(columns, rows) if rows else "nothing is waived"


def policy_text(policy: Mapping[str, Any]) -> str:
    """The gates of a policy."""
    rows = [
        (plain(gate["name"]), gate["kind"], "required" if gate["required"] else "advisory", plain(_settings(gate["settings"])))
        for gate in policy["gates"]
    ]
    where = "built in" if policy["revision"] == 0 else f"revision {policy['revision']}"
    commands = f"\ncommands: {', '.join(policy['commands'])}" if policy["commands"] else ""
    return f"policy {plain(policy['name'])}, {where}\n{render(('gate', 'kind', 'counts', 'settings'), rows)}{commands}"


def _settings(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in given.items() if value not in (None, "", [], {}))


def backtest_text(found: Mapping[str, Any]) -> str:
    """What another policy would have changed."""
    rows = [
        (
            str(each["run"]["at"])[:16].replace("T", " "),
            f"{plain(each['run']['service'])} {plain(each['run']['version'])}",
            each["run"]["state"],
            each["state"],
            each["difference"],
            plain(", ".join(each["gates"])),
            str(len(each["releases"])),
        )
        for each in found["runs"]
        if each["difference"] != "same"
    ]
    columns = ("at (UTC)", "what", "was", "would be", "difference", "gates", "releases")
    return f"{render(columns, rows)}\n{plain(found['sentence'])}" if rows else plain(found["sentence"])
