"""Commands of status pages: see a page, publish words for users, take them back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

PRODUCT = "/api/v1/product-ops"
PAGES = f"{PRODUCT}/status-pages"
status_page_app = typer.Typer(
    name="status-page", help="What users read about incidents.", no_args_is_help=True, rich_markup_mode=None
)  # fmt: skip
IncidentId = Annotated[str, typer.Argument(help="Id of the incident.")]


class WordName(StrEnum):
    """Where a public incident stands."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


class HarmName(StrEnum):
    """What components suffer."""

    OPERATIONAL = "operational"
    DEGRADED = "degraded-performance"
    PARTIAL = "partial-outage"
    MAJOR = "major-outage"


@status_page_app.command("list")
def list_(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Pages that the catalog declares."""
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(PAGES)
    lines = [f"{p['name']} of {p['venture']}: {plain(p['title'])} ({', '.join(map(plain, p['components']))})" for p in found["items"]]
    print(json.dumps(found) if as_json else "\n".join(lines) or "no status pages; declare kind: StatusPage")


@status_page_app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Name of the page.")], *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None
) -> None:
    """The page as users would see it."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PAGES}/{name}")
    print(json.dumps(found) if as_json else status_text(found))


@status_page_app.command("publish")
def publish(
    incident_id: IncidentId,
    status: Annotated[WordName, typer.Argument(help="Where it stands.")],
    text: Annotated[str, typer.Argument(help="What users are to read.")],
    *,
    title: Annotated[str, typer.Option("--title", help="What users call it; needed the first time.")] = "",
    page: Annotated[str | None, typer.Option("--page", help="The page, where the venture has several.")] = None,
    impact: Annotated[HarmName | None, typer.Option("--impact", help="What the components suffer.")] = None,
    component: Annotated[list[str] | None, typer.Option("--component", help="Public name of what suffers; may be repeated.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Put words on the status page, and tell customers' channels. Nothing of the incident itself is published."""
    wish: dict[str, Any] = {"text": text, "status": status, "title": title, "page": page, "components": component or []}
    if impact is not None:
        wish["impact"] = impact
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PRODUCT}/incidents/{incident_id}/updates", wish)
    concerned = ", ".join(found["components"]) or "no component"
    print(json.dumps(found) if as_json else f"published on {found['page']} as {found['id']}: {found['status']}, {concerned}")


@status_page_app.command("retract")
def retract(
    update_id: Annotated[str, typer.Argument(help="Id of the update.")],
    reason: Annotated[str, typer.Argument(help="Why; kept in the audit.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Take words off the page."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PRODUCT}/incident-updates/{update_id}/retract", {"reason": reason})
    print(json.dumps(found) if as_json else f"taken off {found['page']}")


@status_page_app.command("updates")
def updates(incident_id: IncidentId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """What was published about an incident."""
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PRODUCT}/incidents/{incident_id}/updates")
    lines = [
        f"{u['at'][:16].replace('T', ' ')} {u['id']} {u['status']} by {plain(u['by'])}{' (taken back)' if u['retracted_at'] else ''}: "
        f"{plain(u['text'])}"
        for u in found["items"]
    ]
    print(json.dumps(found) if as_json else "\n".join(lines) or "nothing was published")


def status_text(found: Mapping[str, Any]) -> str:
    """The page, in lines."""
    from productops.cli.release_text import plain

    lines = [f"{plain(found['page']['title'])}: {found['status']['description']}"]
    for each in found["components"]:
        uptime = "no traffic yet" if each["uptime"] is None else f"{each['uptime']:.3%} of 90 days"
        lines.append(f"  {plain(each['name'])}: {each['status']}, {uptime}")
    for incident in found["incidents"]:
        lines.append(f"{plain(incident['name'])}: {incident['status']}")
        lines += [f"  {w['created_at'][:16].replace('T', ' ')} {w['status']}: {plain(w['body'])}" for w in incident["incident_updates"]]
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(status_page_app)
