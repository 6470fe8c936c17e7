"""Commands of post-mortems: draft, show, edit, publish; and of the tasks that follow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

PRODUCT = "/api/v1/product-ops"
TASKS = f"{PRODUCT}/incident-tasks"
DRAFT_S = 60.0
postmortem_app = typer.Typer(
    name="postmortem", help="What is learned from incidents, and what has to be done.", no_args_is_help=True, rich_markup_mode=None
)
IncidentId = Annotated[str, typer.Argument(help="Id of the incident.")]
TaskId = Annotated[str, typer.Argument(help="Id of the task.")]


@postmortem_app.command("list")
def list_(
    *,
    drafts: Annotated[bool, typer.Option("--drafts", help="Only those that are not published.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Post-mortems, newest first."""
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PRODUCT}/postmortems", state="draft" if drafts else None)
    lines = [f"{p['incident_id']} {p['state']:<9} revision {p['revision']}: {plain(p['title'])}" for p in found["items"]]
    print(json.dumps(found) if as_json else "\n".join(lines) or "no post-mortems")


@postmortem_app.command("draft")
def draft(
    incident_id: IncidentId,
    *,
    again: Annotated[bool, typer.Option("--again", help="Also where people edited it; the earlier text stays a version.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Write the draft from what is stored."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(_path(incident_id), {"again": again}, timeout_s=DRAFT_S)
    print(json.dumps(found) if as_json else found["text"], end="" if not as_json else "\n")


@postmortem_app.command("show")
def show(
    incident_id: IncidentId,
    *,
    html: Annotated[Path | None, typer.Option("--html", help="Write it as a page into this file instead.", dir_okay=False)] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """The present text, as Markdown."""
    with api(home, api_url, as_json=as_json) as client:
        if html is not None:
            html.write_bytes(client.get_raw(f"{_path(incident_id)}/html"))
            print(f"written to {html}")
            return
        found = client.get(_path(incident_id))
    print(json.dumps(found) if as_json else found["text"], end="" if not as_json else "\n")


@postmortem_app.command("edit")
def edit(
    incident_id: IncidentId,
    file: Annotated[Path, typer.Argument(help="Markdown file with the whole new text.", exists=True, dir_okay=False)],
    *,
    revision: Annotated[int | None, typer.Option("--revision", help="The one that was read. Default: the present one.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Another title.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Put another text in its place; the one before stays a version."""
    with api(home, api_url, as_json=as_json) as client:
        known = revision or client.get(_path(incident_id))["revision"]
        wish = {"text": file.read_text(encoding="utf-8"), "revision": known} | ({"title": title} if title else {})
        found = client.post(f"{_path(incident_id)}/text", wish)
    print(json.dumps(found) if as_json else f"revision {found['revision']} is kept")


@postmortem_app.command("publish")
def publish(incident_id: IncidentId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Say that others may rely on it."""
    with api(home, api_url, as_json=as_json) as client:
        known = client.get(_path(incident_id))["revision"]
        found = client.post(f"{_path(incident_id)}/publish", {"revision": known})
    print(json.dumps(found) if as_json else f"published as revision {found['revision']}")


@postmortem_app.command("versions")
def versions(incident_id: IncidentId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Every text it had: who wrote it, and when."""
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{_path(incident_id)}/versions")
    lines = [f"{v['revision']:>4} {v['at'][:16].replace('T', ' ')} {plain(v['by'])}, {len(v['text'])} characters" for v in found["items"]]
    print(json.dumps(found) if as_json else "\n".join(lines))


@postmortem_app.command("add-action")
def add_action(
    incident_id: IncidentId,
    title: Annotated[str, typer.Argument(help="What has to be done.")],
    *,
    owner: Annotated[str | None, typer.Option("--owner", help="Who does it.")] = None,
    due: Annotated[str | None, typer.Option("--due", help="By this day: 2026-12-01.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Make a task of an incident."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PRODUCT}/incidents/{incident_id}/tasks", {"title": title, "owner": owner, "due_day": due})
    print(json.dumps(found) if as_json else task_text(found))


@postmortem_app.command("actions")
def actions(
    *,
    incident: Annotated[str | None, typer.Option("--incident", help="Of this incident only.")] = None,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Of this person only.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only open ones whose day is over.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Done ones, too.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Tasks of incidents, those due first come first."""
    query: dict[str, Any] = {"incident": incident, "venture": venture, "owner": owner, "state": None if every else "open"}
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(TASKS, **query, overdue="true" if overdue else None)
    print(json.dumps(found) if as_json else "\n".join(task_text(each) for each in found["items"]) or "no tasks")


@postmortem_app.command("done")
def done(task_id: TaskId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """A task is done."""
    _change(task_id, {"state": "done"}, as_json=as_json, api_url=api_url, home=home)


@postmortem_app.command("assign")
def assign(
    task_id: TaskId,
    owner: Annotated[str, typer.Argument(help="Who does it.")],
    *,
    due: Annotated[str | None, typer.Option("--due", help="By this day: 2026-12-01.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Give a task to somebody."""
    _change(task_id, {"owner": owner} | ({"due_day": due} if due else {}), as_json=as_json, api_url=api_url, home=home)


def _change(task_id: str, change: Mapping[str, Any], *, as_json: bool, api_url: str | None, home: Path | None) -> None:
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{TASKS}/{task_id}", change)
    print(json.dumps(found) if as_json else task_text(found))


def _path(incident_id: str) -> str:
    return f"{PRODUCT}/incidents/{incident_id}/postmortem"


def task_text(task: Mapping[str, Any]) -> str:
    """One task, in a line."""
    from productops.cli.release_text import plain

    due = f", due {task['due_day']}{' (OVERDUE)' if task['overdue'] else ''}" if task["due_day"] else ""
    return f"{task['id']} {task['state']}: {plain(task['title'])} ({plain(task['owner'] or 'nobody yet')}{due})"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(postmortem_app)
