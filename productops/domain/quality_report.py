"""A verdict as others read it: as a document of plain values and back, and as Markdown for a page of a build or of a flow run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from productops.domain.quality_verdict import GateItem, GateKind, GateResult, GateState, QualityVerdict

ITEMS_SHOWN = 10
TEXT_CHARACTERS_MAX = 400
_SPACE = re.compile(r"\s+")
_MARKS = re.compile(r"([\\`*_{}\[\]<>|#~])")
_SAFE_LINK = re.compile(r"https?://[^\s<>()\"']{1,2000}")


def gate_document(gate: GateResult) -> dict[str, Any]:
    """One gate as JSON has it."""
    return asdict(gate) | {
        "kind": gate.kind.value,
        "state": gate.state.value,
        "reasons": list(gate.reasons),
        "items": [asdict(item) for item in gate.items],
        "figures": dict(gate.figures),
        "links": list(gate.links),
    }


def verdict_document(verdict: QualityVerdict) -> dict[str, Any]:
    """All of it as JSON has it."""
    return {"state": verdict.state.value, "sentence": verdict.sentence, "gates": [gate_document(gate) for gate in verdict.gates]}


def verdict_from(document: Mapping[str, Any]) -> QualityVerdict:
    """What ``verdict_document`` wrote, or an API that says the same; members that are not known are left out."""
    return QualityVerdict(GateState(document["state"]), document["sentence"], tuple(_gate(each) for each in document["gates"]))


def _gate(document: Mapping[str, Any]) -> GateResult:
    return GateResult(
        gate=document["gate"],
        kind=GateKind(document["kind"]),
        required=document["required"],
        state=GateState(document["state"]),
        sentence=document["sentence"],
        reasons=tuple(document.get("reasons", ())),
        items=tuple(GateItem(**{name: item.get(name, "") for name in GateItem.__slots__}) for item in document.get("items", ())),
        items_total=document.get("items_total", 0),
        to_pass=document.get("to_pass", ""),
        figures=document.get("figures", {}),
        links=tuple(document.get("links", ())),
    )


def verdict_markdown(verdict: QualityVerdict, *, title: str) -> str:
    """A table of the gates, and below it what speaks against each that does not pass. What others wrote cannot format anything."""
    lines = [f"## {_plain(title)}: {verdict.state.value}", "", _plain(verdict.sentence), ""]
    lines += ["| gate | state | counts | what was seen |", "|---|---|---|---|"]
    for gate in verdict.gates:
        state = gate.state.value if gate.state is GateState.PASSED else f"**{gate.state.value}**"
        lines.append(f"| {_plain(gate.gate)} | {state} | {'required' if gate.required else 'advisory'} | {_plain(gate.sentence)} |")
    for gate in verdict.gates:
        if gate.state is not GateState.PASSED or gate.items:
            lines += _details(gate)
    return "\n".join(lines) + "\n"


def _details(gate: GateResult) -> list[str]:
    lines = ["", f"### {_plain(gate.gate)}", ""]
    lines += [f"- {_plain(reason)}" for reason in gate.reasons]
    shown = gate.items[:ITEMS_SHOWN]
    lines += [f"- {_item(item)}" for item in shown]
    if gate.items_total > len(shown):
        lines.append(f"- … and {gate.items_total - len(shown)} more")
    if gate.to_pass:
        lines += ["", f"To pass: {_plain(gate.to_pass)}"]
    return lines


def _item(item: GateItem) -> str:
    text = _plain(item.text)
    if _SAFE_LINK.fullmatch(item.link):
        text = f"[{text}]({item.link})"
    where = f" ({_plain(item.where)})" if item.where else ""
    excused = f"; does not count: {_plain(item.excused)}" if item.excused else ""
    return f"{text}{where}{excused}"


def _plain(text: str) -> str:
    """On one line, not too long, and without meaning to a Markdown or HTML reader."""
    short = _SPACE.sub(" ", text).strip()
    short = short if len(short) <= TEXT_CHARACTERS_MAX else f"{short[: TEXT_CHARACTERS_MAX - 1]}…"
    return _MARKS.sub(r"\\\1", short).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("@", "&#64;")
