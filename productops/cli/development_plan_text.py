"""Plans and forecasts for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from productops.cli.release_text import plain
from productops.cli.stack.tables import render
from productops.domain.development_plan_facts_document import plan_from
from productops.domain.development_plan_text import gantt

ABOUT_SHOWN = 6
MOVES_SHOWN = 20


def plan_text(document: Mapping[str, Any], *, width: int, timezone: str = "UTC") -> str:
    """The whole answer: chart, dates, what cannot be kept, where it is narrow, what moved, what was assumed."""
    if not document["plan"]:
        return _no_plan(document)
    zone = ZoneInfo(timezone)
    lines = [_head(document), "", gantt(plan_from(document["plan"]), width=width, timezone=timezone).rstrip("\n")]
    lines += _section("dates", [dates_text(document["forecasts"], zone)] if document["forecasts"] else [])
    lines += _section("cannot be kept", list(_late(document["plan"], zone)))
    narrow = document.get("bottleneck")
    if narrow and narrow["saved_h"] > 0:
        who = ", ".join(plain(each) for each in narrow["people"]) or "nobody"
        said = f"{plain(narrow['skill'])} ({who}, {narrow['share']:.0%} planned): one more person saves {narrow['saved_h']} working hours"
        lines += _section("bottleneck", [said])
    lines += _section("moved since the plan before", list(_moves(document.get("changed"), zone)))
    lines += _section("assumed", [f"- {plain(_words(each))}" for each in document["changes"]])
    lines += _section("no longer assumed", [f"- {plain(each)}" for each in document["dropped_changes"]])
    lines += _section("gaps", list(_gaps(document["gaps"])))
    return "\n".join(lines)


def _head(document: Mapping[str, Any]) -> str:
    whose = ", ".join(plain(document[name]) for name in ("venture", "team") if document[name])
    scenario = f", scenario: {plain(document['scenario'])}" if document["scenario"] else ""
    return f"plan {document['id']} of {whose or 'the file'} ({document['state']}{scenario})"


def _no_plan(document: Mapping[str, Any]) -> str:
    error = document["error"]
    if error:
        return f"{_head(document)}: {plain(error['detail'])}"
    return f"{_head(document)}: it is being made; look again with: productops plan show {document['id']}"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"{title}:", *lines] if lines else []


def dates_text(forecasts: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> str:
    """A line for each feature and sprint."""
    rows = []
    for each in forecasts:
        figures = each["figures"]
        told = ""
        if figures.get("at_least"):
            told = f"{each['chance']:.0%} all {figures['items']}; 80% at least {figures['at_least']['p80']}"
        elif each["chance"] is not None:
            told = f"{each['chance']:.0%}"
        rows.append(
            (
                plain(each["title"]), _day(each["planned_at"], zone), _day(each["p50_at"], zone), _day(each["p80_at"], zone),
                _day(each["p95_at"], zone), _day(each["deadline"], zone), told,
            )
        )  # fmt: skip
    return render(("feature or sprint", "planned", "P50", "P80", "P95", "due", "chance to keep it"), rows).strip("\n")


def _day(at: str | None, zone: ZoneInfo) -> str:
    return datetime.fromisoformat(at).astimezone(zone).strftime("%a %d %b %Y") if at else "–"


def _late(plan: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    for each in plan["features"]:
        if each["late_h"]:
            lands = f"lands {_day(each['lands_at'], zone)}, due {_day(each['deadline'], zone)}"
            yield f"- {plain(each['title'])} ({plain(each['feature'])}): {each['late_h']} working hours late, {lands}"


def _moves(changed: Mapping[str, Any] | None, zone: ZoneInfo) -> Iterator[str]:
    if not changed:
        return
    moves = changed["moves"]
    for each in moves[:MOVES_SHOWN]:
        begin, end = _day(each["starts_before"], zone), _day(each["starts_after"], zone)
        who = f", {plain(each['person_before'])} → {plain(each['person_after'])}" if each["person_before"] != each["person_after"] else ""
        yield f"- {plain(each['item'])}: {begin} → {end}{who}: {plain(each['why'])}"
    if len(moves) > MOVES_SHOWN:
        yield f"- … and {len(moves) - MOVES_SHOWN} more"
    if moves or changed["new"] or changed["gone"]:
        yield f"{changed['kept']} stayed, {len(moves)} moved, {len(changed['new'])} new, {len(changed['gone'])} gone"


def _words(change: Mapping[str, Any]) -> str:
    from productops.domain.development_plan_facts_changes import changes_from

    return changes_from([dict(change)])[0].words()


def _gaps(gaps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for each in gaps:
        about = ", ".join(plain(name) for name in each["about"][:ABOUT_SHOWN])
        more = f" and {each['count'] - ABOUT_SHOWN} more" if each["count"] > ABOUT_SHOWN else ""
        yield f"- {plain(each['missing'])}; assumed: {plain(each['assumed'])} ({about}{more})"
        yield f"  to do: {plain(each['to_do'])}"


def plans_text(plans: Sequence[Mapping[str, Any]]) -> str:
    """A line for each plan."""
    rows = [
        (
            each["id"], plain(each["venture"]), plain(each["team"]) or "–", each["state"], plain(each["scenario"]) or "–",
            str(each["asked_at"])[:16].replace("T", " "), str(each["ends_at"] or "–")[:10], str(each["length_h"]), plain(each["asked_by"]),
        )
        for each in plans
    ]  # fmt: skip
    if not rows:
        return "there are no plans yet; make one with: productops plan --venture NAME"
    return render(("plan", "venture", "team", "state", "scenario", "asked at (UTC)", "ends", "hours", "by"), rows)


def comparison_text(cases: Sequence[Mapping[str, Any]]) -> str:
    """A line for each case; what is impossible says why."""
    rows = [
        (
            plain(each["name"]), str(each["ends_at"])[:16].replace("T", " ") if each["ends_at"] else "impossible",
            _number(each["length_h"]), _number(each["saved_h"]), _number(each["late_h"]),
            ", ".join(plain(name) for name in each["late_features"]) or "none", each["plan_id"] or "–",
        )
        for each in cases
    ]  # fmt: skip
    lines = [render(("case", "ends (UTC)", "hours", "saved", "late", "late features", "plan"), rows)]
    lines += [f"{plain(each['name'])}: {plain(each['impossible'])}" for each in cases if each["impossible"]]
    return "\n".join(lines)


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)
