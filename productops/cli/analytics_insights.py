"""Commands of insights about use: list, show, accept, dismiss, done, look, tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

INSIGHTS = "/api/v1/product-ops/insights"
NIGHTS = "/api/v1/product-ops/insight-nights"
TASKS = "/api/v1/product-ops/insight-tasks"
LOOK_S = 600.0
insights_app = typer.Typer(
    name="insights", help="What changed in how features are used, what to do, and whether it helped.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip
InsightId = Annotated[str, typer.Argument(help="Id of the insight.")]
Venture = Annotated[str, typer.Argument(help="Name of the venture.")]


class StateName(StrEnum):
    """Where an insight stands."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DONE = "done"
    DISMISSED = "dismissed"
    HELPED = "helped"
    NO_EFFECT = "no-effect"
    OVER = "over"


class ActionName(StrEnum):
    """What accepting does."""

    TASK = "task"
    FLAG = "flag"
    ROLLOUT = "rollout"
    NONE = "none"


@insights_app.command("list")
def list_(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    feature: Annotated[str | None, typer.Option("--feature", help="Of this feature only.")] = None,
    state: Annotated[list[StateName] | None, typer.Option("--state", help="Only those; may be repeated. Default: open, accepted.")] = None,
    every: Annotated[bool, typer.Option("--all", help="In every state.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="How many.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """What changed, by what is surely moved a day, and how many accepted insights helped."""
    wanted = [] if every else [each.value for each in state or (StateName.OPEN, StateName.ACCEPTED)]
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(INSIGHTS, venture=venture, feature=feature, state=wanted or None, limit=limit)
    print(json.dumps(found) if as_json else insights_text(found))


@insights_app.command("show")
def show(
    insight_id: InsightId,
    *,
    picture: Annotated[Path | None, typer.Option("--picture", help="Write its picture into this SVG file.")] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Also every day with what was expected.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """All about one: how sure it is, what else could explain it, what to do, what became of it."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{INSIGHTS}/{insight_id}")
        if picture is not None:
            picture.write_bytes(client.get_raw(f"{INSIGHTS}/{insight_id}/picture"))
    print(json.dumps(found) if as_json else insight_text(found, rows=rows))


@insights_app.command("accept")
def accept(
    insight_id: InsightId,
    *,
    action: Annotated[ActionName | None, typer.Option("--action", help="Do this instead of what it recommends.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    after_days: Annotated[int, typer.Option("--after-days", min=1, max=90, help="So many days later its effect is measured.")] = 14,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Do what it recommends: a task, a flag change, or the roll back of a release."""
    body: dict[str, Any] = {"reason": reason, "after_days": after_days} | ({"action": action.value} if action is not None else {})
    with api(home, api_url, as_json=as_json) as client:
        done = client.post(f"{INSIGHTS}/{insight_id}/accept", body)
    print(json.dumps(done) if as_json else accepted_text(done))


@insights_app.command("dismiss")
def dismiss(
    insight_id: InsightId,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; at least 10 characters.")],
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Not worth it, or wrong; it comes back when it is twice as large."""
    _post(f"{INSIGHTS}/{insight_id}/dismiss", {"reason": reason}, as_json=as_json, api_url=api_url, home=home)


@insights_app.command("done")
def done(insight_id: InsightId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Its task is done; the effect is measured on its day all the same."""
    _post(f"{INSIGHTS}/{insight_id}/finish", {}, as_json=as_json, api_url=api_url, home=home)


@insights_app.command("look")
def look(
    venture: Venture,
    day: Annotated[str, typer.Argument(help="A day that is over, in UTC: 2026-01-31.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Look at a day now, as the nightly flow does; a day that was looked at is only shown."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{NIGHTS}/{venture}", {"day": day}, timeout_s=LOOK_S)
    print(json.dumps(found) if as_json else report_text(found))


@insights_app.command("tasks")
def tasks(venture: Venture, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Tasks that came of insights."""
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{TASKS}/{venture}")
    lines = [f"{t['state']:<5} {t['at'][:10]} {t['by']}: {plain(t['title'])} (insight {t['insight_id']})" for t in found["items"]]
    print(json.dumps(found) if as_json else "\n".join(lines) or "no tasks")


def _post(path: str, body: dict[str, Any], *, as_json: bool, api_url: str | None, home: Path | None) -> None:
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        found = client.post(path, body)
    print(json.dumps(found) if as_json else f"{plain(found['title'])}: {found['state']}")


def insights_text(found: Mapping[str, Any]) -> str:
    """A table, the dearest first, and what became of accepted ones."""
    from productops.cli.release_text import plain
    from productops.cli.stack.tables import render

    dear = sorted(found["items"], key=lambda item: -item["worth"])
    rows = [(i["id"], i["state"], f"{i['worth']:,.1f}", plain(i["title"]), i["action"]["kind"]) for i in dear]
    table = render(("insight", "state", "worth a day", "what", "to do"), rows) if rows else "no insights"
    return f"{table}\n{found['helped']['sentence']}"


def insight_text(item: Mapping[str, Any], *, rows: bool) -> str:
    """One insight for people."""
    from productops.cli.release_text import plain

    evidence = item["evidence"]
    lines = [
        f"insight {item['id']} of {item['venture']}: {item['state']}", plain(item["title"]), plain(item["sentence"]),
        f"worth {item['worth']:,.1f} a day; found {item['found_day']}, seen last {item['seen_day']}",
        *(f"  {p['dimension']} {plain(p['value'])}: {p['before']:,.1f} -> {p['after']:,.1f} a day, {p['share']:.0%} of the change"
          for p in evidence.get("parts", [])),
        *(f"  about then: {plain(c['text'])}" for c in evidence.get("causes", [])),
        f"to do ({item['action']['kind']}): {plain(item['action']['text'])}",
    ]  # fmt: skip
    if item["decided_by"]:
        lines.append(f"{item['state']} by {plain(item['decided_by'])}: {plain(item['reason']) or 'no reason was given'}")
    if item["effect"]:
        lines.append(f"measured: {plain(item['effect']['sentence'])}")
    elif item["due_day"]:
        lines.append(f"its effect is measured on {item['due_day']}")
    if rows:
        lines += ["  ".join(str(cell) for cell in row) for row in [evidence["columns"], *evidence["days"]]]
    return "\n".join(lines)


def accepted_text(item: Mapping[str, Any]) -> str:
    """What accepting did."""
    from productops.cli.release_text import plain

    follow = item["follow"]
    did = {
        "task": "it is a task now", "flag": f"flag {follow.get('flag')} is at revision {follow.get('revision')}",
        "rollout": f"release {follow.get('release')} is rolled back", "none": "nothing is changed",
    }[follow["kind"]]  # fmt: skip
    waits = f", change {follow['change']} is {follow['waits']}" if "change" in follow else ""
    return f"{plain(item['title'])}: accepted, {did}{waits}; its effect is measured on {item['due_day']}"


def report_text(found: Mapping[str, Any]) -> str:
    """What a look found."""
    from productops.cli.release_text import plain

    night = found["night"]
    again = " (it was looked at before)" if found["repeated"] else ""
    head = f"{night['day']}: {night['series']} series in {night['seconds']:.1f} s, {len(found['opened'])} new insights{again}"
    return "\n".join([head, *(f"  {i['id']}  {plain(i['title'])}" for i in found["opened"])])


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(insights_app)
