"""Commands of incidents; what they need is imported when they run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.incident_causes import cause
from productops.cli.release import ApiUrl, AsJson, Home, In, api
from productops.domain.release import Environment

PATH = "/api/v1/deployment-ops/incidents"
INCIDENTS = "/api/v1/product-ops/incidents"
incident_app = typer.Typer(
    name="incident", help="Incidents: report, take up, note, merge, resolve, follow.", no_args_is_help=True, rich_markup_mode=None
)
IncidentId = Annotated[str, typer.Argument(metavar="INCIDENT", help="Id of the incident.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; everybody reads it in the log.")]


class Severity(StrEnum):
    """How bad it is for users."""

    SEV1 = "SEV1"
    SEV2 = "SEV2"
    SEV3 = "SEV3"
    SEV4 = "SEV4"


class RoleName(StrEnum):
    """What somebody does in an incident."""

    COMMANDER = "commander"
    COMMUNICATIONS = "communications"
    OPERATIONS = "operations"


class StatusName(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    INVESTIGATING = "investigating"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"


@incident_app.command("report")
def report(
    service: Annotated[str, typer.Argument(help="The service that users suffer from.")],
    title: Annotated[str, typer.Argument(help="What they suffer, in a sentence.")],
    *,
    environment: In = Environment.PRODUCTION,
    severity: Annotated[Severity, typer.Option("--severity")] = Severity.SEV2,
    version: Annotated[str | None, typer.Option("--version", help="The version that does it: its release is rolled back.")] = None,
    description: Annotated[str, typer.Option("--description")] = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Report an incident; one that is traced to a recent release rolls it back."""
    from productops.cli.release_text import plain

    body = {"title": title, "service": service, "environment": environment, "severity": severity, "description": description}
    with api(home, api_url, as_json=as_json) as client:
        done = client.post(PATH, body | ({"version": version} if version else {}))
    if as_json:
        print(json.dumps(done))
        return
    print(f"incident {done['incident']['incident_id']} {severity}: {plain(title)}\n{plain(done['note'])}")


@incident_app.command("list")
def list_(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    service: Annotated[str | None, typer.Option("--service", help="That hit this service.")] = None,
    environment: Annotated[Environment | None, typer.Option("--environment", help="In this environment only.")] = None,
    status: Annotated[list[StatusName] | None, typer.Option("--status", help="Any of these. Nothing: all that are not over.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those too that are over.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="The newest so many.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Incidents, newest first."""
    from productops.cli.incident_text import incidents_text

    wanted = [each.value for each in status or ()] or ([] if everything else ["open", "investigating", "mitigated"])
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(
            INCIDENTS, venture=venture, service=service, environment=environment, status=wanted or None, limit=limit
        )  # fmt: skip
    print(json.dumps(found) if as_json else incidents_text(found["items"]))


@incident_app.command("show")
def show(incident_id: IncidentId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """One incident: where it stands, who deals with it, what it did to users."""
    from productops.cli.incident_text import incident_text

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{INCIDENTS}/{incident_id}")
    print(json.dumps(found) if as_json else incident_text(found))


@incident_app.command("resolve")
def resolve(
    incident_id: IncidentId,
    steps: Annotated[list[str], typer.Argument(help="What was done, a sentence each.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Resolve an incident and say what was done."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PATH}/{incident_id}/resolution", {"steps": steps})
    print(json.dumps(found) if as_json else f"resolved after {found['mttr_minutes']} minutes")


@incident_app.command("ack")
def ack(incident_id: IncidentId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Take it up: you deal with it, and nobody else is woken up."""
    _change(incident_id, "acknowledge", {}, as_json=as_json, api_url=api_url, home=home)


@incident_app.command("role")
def role(
    incident_id: IncidentId,
    name: Annotated[RoleName, typer.Argument(help="commander, communications or operations.")],
    person: Annotated[str | None, typer.Argument(help="Who; nothing: nobody any more.")] = None,
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Give a role to somebody, or hand it over."""
    _change(incident_id, "roles", {"role": name.value, "person": person}, as_json=as_json, api_url=api_url, home=home)


@incident_app.command("severity")
def severity_(
    incident_id: IncidentId,
    severity: Annotated[Severity, typer.Argument(help="SEV1 is the worst.")],
    *,
    reason: Reason,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Say how severe it is; from then on no rule changes it."""
    _change(incident_id, "severity", {"severity": severity.value, "reason": reason}, as_json=as_json, api_url=api_url, home=home)


@incident_app.command("move")
def move(
    incident_id: IncidentId,
    status: Annotated[StatusName, typer.Argument(help="investigating (also to open it again), mitigated, closed.")],
    *,
    reason: Reason,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Move it on, or open it again."""
    _change(incident_id, "moves", {"status": status.value, "reason": reason}, as_json=as_json, api_url=api_url, home=home)


@incident_app.command("note")
def note(
    incident_id: IncidentId,
    text: Annotated[str, typer.Argument(help="What everybody should know.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Write into its log."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{INCIDENTS}/{incident_id}/notes", {"text": text})
    print(json.dumps(found) if as_json else f"line {found['seq']} of its log")


@incident_app.command("link")
def link(
    incident_id: IncidentId,
    kind: Annotated[str, typer.Argument(help="release, flag, alert or page.")],
    target: Annotated[str, typer.Argument(help="Id of the release, key of the flag, id of the alert, address of the page.")],
    *,
    text: Annotated[str, typer.Option("--text", help="What it is.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the link away.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Say what it is about."""
    body = {"kind": kind, "target": target, "text": text, "remove": remove}
    _change(incident_id, "links", body, as_json=as_json, api_url=api_url, home=home)


@incident_app.command("merge")
def merge(
    incident_id: IncidentId,
    others: Annotated[list[str], typer.Argument(help="Ids of incidents that are part of it.")],
    *,
    reason: Reason,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Others are part of this one: they are closed, their alerts go over."""
    _change(incident_id, "merge", {"incidents": others, "reason": reason}, as_json=as_json, api_url=api_url, home=home)


@incident_app.command("split")
def split(
    incident_id: IncidentId,
    alerts: Annotated[list[str], typer.Argument(help="Ids of its alerts that are something else.")],
    *,
    reason: Reason,
    title: Annotated[str, typer.Option("--title", help="Of the new incident.")] = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Some of its alerts become an incident of their own, which is shown."""
    body = {"alerts": alerts, "reason": reason, "title": title}
    _change(incident_id, "split", body, as_json=as_json, api_url=api_url, home=home)


@incident_app.command("log")
def log(
    incident_id: IncidentId,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on, line by line as they are written; Ctrl-C ends it.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """What happened, in order."""
    from productops.cli.incident_text import log_text

    with api(home, api_url, as_json=as_json) as client:
        found = client.get_all(f"{INCIDENTS}/{incident_id}/log", limit=500)
        print(json.dumps(found) if as_json else log_text(found["items"]) or "nothing yet")
        if not follow:
            return
        last = found["items"][-1]["seq"] if found["items"] else 0
        for line in client.follow(f"{INCIDENTS}/{incident_id}/log/events", last=str(last)):
            if line:
                print(json.dumps(line) if as_json else log_text([line]), flush=True)


def _change(
    incident_id: str, what: str, body: Mapping[str, Any], *, as_json: bool, api_url: str | None, home: Path | None
) -> None:  # fmt: skip
    from productops.cli.incident_text import changed_text

    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{INCIDENTS}/{incident_id}/{what}", body)
    print(json.dumps(found) if as_json else changed_text(found))


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    incident_app.command("cause")(cause)
    app.add_typer(incident_app)
