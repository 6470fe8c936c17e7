"""Commands of incidents."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from productops.cli.release import ApiUrl, AsJson, Home, In, api
from productops.domain.release import Environment

PATH = "/api/v1/deployment-ops/incidents"


class Severity(StrEnum):
    """How bad it is for users."""

    SEV1 = "SEV1"
    SEV2 = "SEV2"
    SEV3 = "SEV3"
    SEV4 = "SEV4"


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


def show(
    incident_id: Annotated[str, typer.Argument(help="Id of the incident.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show an incident."""
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PATH}/{incident_id}")
    if as_json:
        print(json.dumps(found))
        return
    for name in ("title", "severity", "status", "detected_at", "root_cause", "resolved_at", "description"):
        if found[name]:
            print(f"{name.replace('_', ' '):<12} {plain(str(found[name]))}")


def resolve(
    incident_id: Annotated[str, typer.Argument(help="Id of the incident.")],
    steps: Annotated[list[str], typer.Argument(help="What was done, a sentence each.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Resolve an incident."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PATH}/{incident_id}/resolution", {"steps": steps})
    print(json.dumps(found) if as_json else f"resolved after {found['mttr_minutes']} minutes")


def _group() -> None:
    """Report, show and resolve incidents."""


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(name="incident", help="Report, show and resolve incidents.", no_args_is_help=True)
    group.callback()(_group)
    for command in (report, show, resolve):
        group.command()(command)
    app.add_typer(group)
