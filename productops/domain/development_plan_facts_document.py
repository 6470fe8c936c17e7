"""A plan back from its document, and what moved since the plan before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from productops.domain.development_plan import Landing, Load, Plan, PlannedTask
from productops.domain.development_plan_change import Move, Replan


def plan_from(document: Mapping[str, Any]) -> Plan:
    """The plan that ``as_document`` wrote."""
    return Plan(
        starts_at=_at(document["starts_at"]), ends_at=_at(document["ends_at"]), length_h=document["length_h"],
        tasks=tuple(_task(each) for each in document["tasks"]),
        landings=tuple(
            Landing(f["feature"], f["title"], _at(f["lands_at"]), _at(f["deadline"]) if f["deadline"] else None, f["late_h"])
            for f in document["features"]
        ),
        loads=tuple(Load(p["person"], p["name"], p["busy_h"], p["available_h"]) for p in document["people"]),
        critical=tuple(document["critical"]), proven=document["proven"], gap=document["gap"], cost=document["cost"],
        took_s=document["took_s"],
    )  # fmt: skip


def _task(task: Mapping[str, Any]) -> PlannedTask:
    return PlannedTask(
        task["item"], task["title"], task["feature"], task["person"], _at(task["starts_at"]), _at(task["ends_at"]), task["slot_from"],
        task["slot_to"], task["slack_h"], task["critical"],
    )  # fmt: skip


def _at(text: str | datetime) -> datetime:
    return text if isinstance(text, datetime) else datetime.fromisoformat(text)


def moves_document(found: Replan) -> dict[str, Any]:
    """What changed since the plan before, in JSON's types."""
    return {
        "moves": [
            {
                "item": m.item, "title": m.title, "person_before": m.person_before, "person_after": m.person_after,
                "starts_before": m.starts_before.isoformat(), "starts_after": m.starts_after.isoformat(), "why": m.why,
            }
            for m in found.moves
        ],
        "kept": found.kept, "new": list(found.new), "gone": list(found.gone),
    }  # fmt: skip


def moves_from(document: Mapping[str, Any]) -> tuple[Move, ...]:
    """The moves of such a document."""
    listed: Sequence[Mapping[str, Any]] = document.get("moves", ())
    return tuple(
        Move(
            m["item"], m["title"], m["person_before"], m["person_after"], _at(m["starts_before"]), _at(m["starts_after"]), m["why"]
        )
        for m in listed
    )  # fmt: skip
