"""Commands of alerts and silences; what they need is imported when they run."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api
from productops.domain.release import Environment
from productops.errors import InvalidInputError

ALERTS = "/api/v1/product-ops/alerts"
SILENCES = "/api/v1/product-ops/alert-silences"
alerts_app = typer.Typer(name="alerts", help="Alerts: what became of each and why; silences.", no_args_is_help=True, rich_markup_mode=None)
AlertId = Annotated[str, typer.Argument(metavar="ALERT", help="Id of the alert.")]
SIGNS = (("!=", "is-not"), ("~", "like"), ("=", "is"))


class StateName(StrEnum):
    """What became of an alert."""

    GROUPED = "grouped"
    LISTED = "listed"
    SILENCED = "silenced"
    MAINTENANCE = "maintenance"
    DAMPED = "damped"
    LOW_TRAFFIC = "low-traffic"
    ENDED = "ended"


@alerts_app.command("list")
def list_(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    service: Annotated[str | None, typer.Option("--service", help="About this service.")] = None,
    environment: Annotated[Environment | None, typer.Option("--environment", help="In this environment only.")] = None,
    state: Annotated[list[StateName] | None, typer.Option("--state", help="That became one of these.")] = None,
    incident: Annotated[str | None, typer.Option("--incident", help="Of this incident.")] = None,
    firing: Annotated[bool, typer.Option("--firing", help="Those only that still fire.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="The newest so many.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Alerts, newest first: what became of each, and why."""
    from productops.cli.incident_text import alerts_text

    states = [each.value for each in state or ()] or None
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(
            ALERTS, venture=venture, service=service, environment=environment, state=states, incident_id=incident,
            status="firing" if firing else None, limit=limit,
        )  # fmt: skip
    print(json.dumps(found) if as_json else alerts_text(found["items"]))


@alerts_app.command("show")
def show(alert_id: AlertId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """One alert with its labels."""
    from productops.cli.incident_text import alert_text

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{ALERTS}/{alert_id}")
    print(json.dumps(found) if as_json else alert_text(found))


@alerts_app.command("silence")
def silence(
    venture: Annotated[str, typer.Argument(help="Whose alerts.")],
    matchers: Annotated[
        list[str], typer.Argument(help="service=shop, name!=Down, labels.team=web, component~host/*; all of them have to fit.")
    ],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands beside every alert that is held back.")],
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=43_200, help="For so long.")] = 60,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Hold alerts back for a time; they are kept all the same."""
    from productops.cli.incident_text import silences_text

    body = {"venture": venture, "matchers": [_matcher(each) for each in matchers], "reason": reason, "minutes": minutes}
    with api(home, api_url, as_json=as_json) as client:
        made = client.post(SILENCES, body)
    print(json.dumps(made) if as_json else silences_text([made]))


@alerts_app.command("silences")
def silences(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those too that have ended.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Silences that hold or will hold."""
    from productops.cli.incident_text import silences_text

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(SILENCES, venture=venture, all=everything or None)
    print(json.dumps(found) if as_json else silences_text(found["items"]))


@alerts_app.command("unsilence")
def unsilence(
    silence_id: Annotated[str, typer.Argument(metavar="SILENCE", help="Id of the silence.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """End a silence; alerts that still fire become incidents within a second or two."""
    from productops.cli.incident_text import silences_text

    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{SILENCES}/{silence_id}/end", {})
    print(json.dumps(found) if as_json else silences_text([found]))


def _matcher(written: str) -> dict[str, Any]:
    """Raises: InvalidInputError for what is no condition."""
    places = [(written.find(sign), sign, how) for sign, how in SIGNS if sign in written]
    if not places:
        raise InvalidInputError(f"{written!r} is no condition; write it like service=shop, name!=Down or component~host/*")
    at, sign, how = min(places)
    return {"field": written[:at], "how": how, "value": written[at + len(sign) :]}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(alerts_app)
