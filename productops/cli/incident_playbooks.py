"""Commands of playbooks: list, show, run, follow, let begin, stop; and holds of people."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, Reason, api
from productops.domain.release import Environment

BASE = "/api/v1/product-ops"
INCIDENTS = "/api/v1/deployment-ops/incidents"
playbook_app = typer.Typer(
    name="playbook", help="What is done about incidents, by whom and within which limits.", no_args_is_help=True, rich_markup_mode=None
)
IncidentId = Annotated[str, typer.Argument(help="Id of the incident.")]
ResponseId = Annotated[str, typer.Argument(help="Id of the response, as `playbook status` shows it.")]


@playbook_app.command("list")
def list_(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """List playbooks in the order in which they are tried."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{BASE}/playbooks")
    from productops.cli.incident_playbooks_text import table

    rows = [[p["rank"], p["name"], "yes" if p["automatic"] else "asks", ", ".join(p["steps"]), p["title"]] for p in found["items"]]
    print(json.dumps(found) if as_json else table(("rank", "playbook", "automatic", "steps", "title"), rows))


@playbook_app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Name of the playbook.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show a playbook."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{BASE}/playbooks/{name}")
    from productops.cli.incident_playbooks_text import playbook_page

    print(json.dumps(found) if as_json else playbook_page(found))


@playbook_app.command("run")
def run(
    incident_id: IncidentId,
    playbook: Annotated[str | None, typer.Argument(help="Name of the playbook; left out: the one that fits the likeliest cause.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Begin a playbook for an incident."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{INCIDENTS}/{incident_id}/responses", {"playbook": playbook, "dry_run": dry_run}, timeout_s=60)
    _shown(found, as_json=as_json)


@playbook_app.command("status")
def status(incident_id: IncidentId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Show what was and is done about an incident."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{INCIDENTS}/{incident_id}/responses")
    from productops.cli.incident_playbooks_text import response_page

    pages = "\n\n".join(response_page(each) for each in found["items"]) or "nothing was begun"
    print(json.dumps(found) if as_json else pages)


@playbook_app.command("go")
def go(response_id: ResponseId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Let a proposed response begin."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{BASE}/responses/{response_id}/go", {}, timeout_s=60)
    _shown(found, as_json=as_json)


@playbook_app.command("stop")
def stop(response_id: ResponseId, *, reason: Reason = "", as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Do nothing more; what was done stays done."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{BASE}/responses/{response_id}/stop", {"reason": reason})
    _shown(found, as_json=as_json)


@playbook_app.command("hold")
def hold(
    why: Annotated[str, typer.Argument(help="Why; everybody reads it.")],
    *,
    service: Annotated[str | None, typer.Option("--service", help="Of this service.")] = None,
    venture: Annotated[str | None, typer.Option("--venture", help="Of the whole venture.")] = None,
    incident: Annotated[str | None, typer.Option("--incident", help="For this incident only.")] = None,
    environment: Annotated[Environment | None, typer.Option("--environment", help="There only.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="So long; left out: until it is lifted.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Keep programs from acting: people have it in hand."""
    body = {
        "reason": why, "service": service, "venture": venture, "incident_id": incident,
        "environment": environment.value if environment else None, "for_s": minutes * 60 if minutes else None,
    }  # fmt: skip
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{BASE}/response-holds", body)
    print(json.dumps(found) if as_json else f"held; lift it with: productops playbook lift {found['hold_id']}")


@playbook_app.command("holds")
def holds(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """List where programs keep their hands off."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{BASE}/response-holds")
    from productops.cli.incident_playbooks_text import table

    rows = [
        [h["hold_id"], h["service"] or h["incident_id"] or h["venture"], h["environment"] or "all", h["until"] or "-", h["by"], h["reason"]]
        for h in found["items"]
    ]
    print(json.dumps(found) if as_json else table(("hold", "what", "where", "until", "by", "why"), rows))


@playbook_app.command("lift")
def lift(
    hold_id: Annotated[str, typer.Argument(help="Id of the hold.")], *, reason: Reason = "", api_url: ApiUrl = None, home: Home = None
) -> None:
    """Let programs act there again."""
    with api(home, api_url, as_json=False) as client:
        client.post(f"{BASE}/response-holds/{hold_id}/lift", {"reason": reason})
    print("lifted")


def _shown(found: dict[str, Any], *, as_json: bool) -> None:
    from productops.cli.incident_playbooks_text import response_page

    print(json.dumps(found) if as_json else response_page(found))


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(playbook_app)
