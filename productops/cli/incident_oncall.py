"""Commands of on-call: who takes calls, overrides, swaps, calendars, calls, channels, what was told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

PRODUCT = "/api/v1/product-ops"
ONCALL = f"{PRODUCT}/oncall"
oncall_app = typer.Typer(
    name="oncall", help="Who is called when something is wrong, and who was told.", no_args_is_help=True, rich_markup_mode=None
)
Schedule = Annotated[str, typer.Argument(help="Name of the schedule.")]
IncidentId = Annotated[str, typer.Argument(help="Id of the incident.")]
When = Annotated[str | None, typer.Option("--at", help="A time with its zone: 2026-11-21T03:00Z. Default: now.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]


@oncall_app.command("list")
def list_(*, at: When = None, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Who is on call by each schedule, and who is next."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(ONCALL, at=at)
    print(json.dumps(found) if as_json else "\n".join(duty_text(each) for each in found["items"]) or "no schedules; declare kind: OnCall")


@oncall_app.command("who")
def who(schedule: Schedule, *, at: When = None, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Who is on call by one schedule."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{ONCALL}/{schedule}/now", at=at)
    print(json.dumps(found) if as_json else duty_text(found))


@oncall_app.command("show")
def show(
    schedule: Schedule,
    *,
    since: Annotated[str | None, typer.Option("--since", help="From this time on. Default: now.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Up to this time. Default: four weeks.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """The shifts of a schedule, its overrides, and when nobody is there."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{ONCALL}/{schedule}", since=since, until=until)
    print(json.dumps(found) if as_json else schedule_text(found))


@oncall_app.command("check")
def check(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """What keeps people from being called in the next weeks; exit code 1 when there is something."""
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PRODUCT}/oncall-problems")
    lines = [f"{each['kind']} {each['name']}: {plain(each['text'])}" for each in found["items"]]
    print(json.dumps(found) if as_json else "\n".join(lines) or "everybody who should be called can be")
    if found["items"]:
        raise typer.Exit(1)


@oncall_app.command("override")
def override(
    schedule: Schedule,
    person: Annotated[str, typer.Argument(help="Who takes calls: id, name or mail address.")],
    starts: Annotated[str, typer.Argument(help="From this time on: 2026-11-21T18:00Z.")],
    ends: Annotated[str, typer.Argument(help="Up to this time.")],
    *,
    reason: Reason = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Somebody takes calls in another's place."""
    wish = {"person": person, "starts_at": starts, "ends_at": ends, "reason": reason}
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{ONCALL}/{schedule}/overrides", wish)
    print(json.dumps(found) if as_json else override_text(found))


@oncall_app.command("swap")
def swap(
    schedule: Schedule,
    first: Annotated[str, typer.Argument(help="A time within the one shift.")],
    second: Annotated[str, typer.Argument(help="A time within the other.")],
    *,
    reason: Reason = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Two people take each other's shift."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{ONCALL}/{schedule}/swaps", {"first": first, "second": second, "reason": reason})
    print(json.dumps(found) if as_json else "\n".join(override_text(each) for each in found["items"]))


@oncall_app.command("remove")
def remove(override_id: Annotated[str, typer.Argument(help="Id of the override.")], *, api_url: ApiUrl = None, home: Home = None) -> None:
    """Take an override back."""
    with api(home, api_url, as_json=False) as client:
        client.post_raw(f"{PRODUCT}/oncall-overrides/{override_id}/remove", {})
    print("taken back; the schedule holds again")


@oncall_app.command("import")
def import_(
    schedule: Schedule,
    file: Annotated[Path, typer.Argument(help="iCalendar file; the title of each event is a person.", exists=True, dir_okay=False)],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Read overrides from a calendar. The same event read again changes its override."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{ONCALL}/{schedule}/import", {"calendar": file.read_text(encoding="utf-8-sig")})
    print(json.dumps(found) if as_json else "\n".join(override_text(each) for each in found["items"]) or "the calendar has no events ahead")


@oncall_app.command("export")
def export(
    schedule: Schedule,
    file: Annotated[Path, typer.Argument(help="Where to write the iCalendar file.", dir_okay=False)],
    *,
    person: Annotated[str | None, typer.Option("--person", help="Only this person's shifts.")] = None,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Write the shifts of the next half year as a calendar."""
    with api(home, api_url, as_json=False) as client:
        content = client.get_raw(f"{ONCALL}/{schedule}/calendar", person=person)
    file.write_bytes(content)
    print(f"{content.count(b'BEGIN:VEVENT')} shifts written to {file}")


@oncall_app.command("page")
def page(incident_id: IncidentId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Call who is responsible for an incident, level after level, until somebody acknowledges it."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PRODUCT}/incidents/{incident_id}/page", {})
    if as_json:
        print(json.dumps(found))
    else:
        print(
            page_text(found["page"]) if found["page"] else "nobody is called: no Escalation is for such an incident, or it was acknowledged"
        )


@oncall_app.command("called")
def called(incident_id: IncidentId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Who was called because of an incident, and who is next."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PRODUCT}/incidents/{incident_id}/page")
    print(json.dumps(found) if as_json else page_text(found))


@oncall_app.command("stop")
def stop(incident_id: IncidentId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Call nobody more because of an incident, without acknowledging it."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PRODUCT}/incidents/{incident_id}/page/stop", {})
    print(json.dumps(found) if as_json else page_text(found))


@oncall_app.command("tell")
def tell(
    incident_id: IncidentId,
    text: Annotated[str, typer.Argument(help="What is known now.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Tell engineers and management how an incident stands. Users are told by: productops status-page publish."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PRODUCT}/incidents/{incident_id}/tell", {"text": text})
    print(json.dumps(found) if as_json else f"{len(found['notices'])} channels are told")


@oncall_app.command("told")
def told(
    *,
    incident: Annotated[str | None, typer.Option("--incident", help="Of this incident only.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="waiting, sending, sent, failed or dropped.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="How many.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """What was told, to whom, when, and whether it arrived."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PRODUCT}/incident-notices", incident=incident, state=state, limit=limit)
    print(json.dumps(found) if as_json else told_text(found))


@oncall_app.command("channels")
def channels(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Ways to reach people."""
    from productops.cli.stack.tables import render

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PRODUCT}/channels")
    rows = [(c["name"], c["way"], "one person" if c["personal"] else c["audience"], ", ".join(c["severities"])) for c in found["items"]]
    print(json.dumps(found) if as_json else render(("channel", "way", "for", "severities"), rows) if rows else "no channels")


@oncall_app.command("try")
def try_(
    channel: Annotated[str, typer.Argument(help="Name of the channel.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Send a test message by a channel."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PRODUCT}/channels/{channel}/try", {})
    print(json.dumps(found) if as_json else "it is on its way; see whether it arrived: productops oncall told --limit 5")


def duty_text(duty: Mapping[str, Any]) -> str:
    """One schedule, in a line."""
    until = f" until {duty['until'][:16].replace('T', ' ')} UTC" if duty["until"] else ""
    following = f", then {duty['following']}" if duty["following"] else ""
    if duty["person"] is None:
        return f"{duty['schedule']}: NOBODY{until}{following}"
    return f"{duty['schedule']}: {duty['person']} ({duty['layer']}){until}{following}"


def schedule_text(found: Mapping[str, Any]) -> str:
    """Shifts, overrides, gaps."""
    lines = [f"{found['name']} of {found['venture']}, local times of {found['timezone']}; below, all times are UTC"]
    lines += [f"  {_minute(s['starts_at'])} to {_minute(s['ends_at'])}  {s['person']} ({s['layer']})" for s in found["shifts"]]
    lines += [f"override {override_text(each)}" for each in found["overrides"]]
    lines += [f"NOBODY from {_minute(g['starts_at'])} to {_minute(g['ends_at'])}" for g in found["gaps"]]
    return "\n".join(lines)


def override_text(made: Mapping[str, Any]) -> str:
    """One override, in a line."""
    return f"{made['id']}: {made['person']} from {_minute(made['starts_at'])} to {_minute(made['ends_at'])} UTC, by {made['by']}"


def page_text(found: Mapping[str, Any]) -> str:
    """A run through an escalation."""
    from productops.cli.release_text import plain

    due = f"; the next level at {found['due_at'][11:19]} UTC" if found["due_at"] else ""
    lines = [f"{found['policy']}: {found['state']}{' by ' + plain(found['by']) if found['by'] else ''}{due}"]
    for each in found["called"]:
        what = plain(each["problem"]) if "problem" in each else f"{plain(each['person'])} by {each['channel']} ({plain(each['via'])})"
        lines.append(f"  {each['at'][11:19]} round {each['round'] + 1} level {each['level'] + 1}: {what}")
    return "\n".join(lines)


def told_text(found: Mapping[str, Any]) -> str:
    """A table of what was told."""
    from productops.cli.release_text import plain
    from productops.cli.stack.tables import render

    rows = [
        (n["created_at"][:19].replace("T", " "), n["state"], n["moment"], n["channel"], plain(n["recipient"]),
         plain(n["error"])[:60] or plain(n["subject"])[:60])
        for n in found["items"]
    ]  # fmt: skip
    return render(("when (UTC)", "state", "moment", "channel", "to", "what"), rows) if rows else "nothing was told"


def _minute(text: str) -> str:
    return text[:16].replace("T", " ")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(oncall_app)
