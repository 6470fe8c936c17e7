"""Commands of freezes and change windows; what they need is imported when they run."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, In, Reason, api
from productops.domain.release import Environment

WINDOWS = "/api/v1/product-ops/windows"
windows_app = typer.Typer(
    name="windows", help="Freezes and change windows: when releases may start.", no_args_is_help=True, rich_markup_mode=None
)
bypass_app = typer.Typer(
    name="bypass", help="Start during a freeze: one asks, another approves.", no_args_is_help=True, rich_markup_mode=None
)
windows_app.add_typer(bypass_app)

Service = Annotated[str, typer.Argument(help="Name of the service in the catalog.")]
OnlyService = Annotated[str | None, typer.Option("--service", help="What applies to this service only.")]
BypassId = Annotated[str, typer.Argument(metavar="BYPASS", help="Id of the bypass.")]


@windows_app.command("list")
def list_(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    service: OnlyService = None,
    environment: Annotated[Environment | None, typer.Option("--environment", help="In this environment only.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Category of an event, or label of its calendar: audit, or team=web.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="How far ahead.")] = 30,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List calendars, how fresh they are, and their events."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(WINDOWS, venture=venture, service=service, environment=environment, label=label, ahead_days=days)
    _show(found, as_json=as_json)


@windows_app.command("show")
def show(
    calendar: Annotated[str, typer.Argument(help="Name of the calendar.")],
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="How far ahead.")] = 90,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show one calendar with its events."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{WINDOWS}/calendars/{_segment(calendar)}", ahead_days=days)
    _show(found, as_json=as_json)


@windows_app.command("next")
def next_(
    service: Service, *, environment: In = Environment.PRODUCTION, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None
) -> None:
    """Say whether a release may start now, and when next. Exit code 0: now; 75: not now."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{WINDOWS}/next", service=service, environment=environment)
    from productops.cli.windows_text import opening_text
    from productops.errors import ChangeFrozenError

    print(json.dumps(found) if as_json else opening_text(found))
    if not found["open"]:
        raise typer.Exit(ChangeFrozenError.exit_code)


@windows_app.command("refresh")
def refresh(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Read all calendars now. Exit code 69: one of them cannot be read, its last good copy stays in force."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{WINDOWS}/refresh", {})
    from productops.cli.windows_text import refreshed_text
    from productops.errors import CalendarSourceError

    print(json.dumps(found) if as_json else refreshed_text(found["items"]))
    if any(item["outcome"] == "failed" for item in found["items"]):
        raise typer.Exit(CalendarSourceError.exit_code)


@windows_app.command("feed")
def feed(
    venture: Annotated[str, typer.Argument(help="Name of the venture.")],
    *,
    environment: In = Environment.PRODUCTION,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Print the address to which a calendar program subscribes. Whoever has it can read the feed."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{WINDOWS}/feed", venture=venture, environment=environment)
    print(json.dumps(found) if as_json else found["url"])


@bypass_app.command("list")
def list_bypasses(*, service: OnlyService = None, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """List bypasses, newest first."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get_all(f"{WINDOWS}/bypasses", service=service)
    from productops.cli.windows_text import bypasses_table

    print(json.dumps(found) if as_json else bypasses_table(found["items"]))


@bypass_app.command("request")
def request(
    service: Service,
    *,
    reason: Reason,
    environment: In = Environment.PRODUCTION,
    version: Annotated[str | None, typer.Option("--version", help="Only this version. Default: any.")] = None,
    valid: Annotated[int, typer.Option("--valid", min=60, max=604_800, help="Seconds for which it may be used.")] = 14_400,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Ask to release during a freeze; somebody else has to approve it."""
    body = {"service": service, "environment": environment, "version": version, "reason": reason, "valid_s": valid}
    with api(home, api_url, as_json=as_json) as client:
        _told(client.post(f"{WINDOWS}/bypasses", body), as_json=as_json)


@bypass_app.command("approve")
def approve(
    bypass: BypassId,
    *,
    note: Annotated[str, typer.Option("--note", help="Why; kept in the audit.")] = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Approve what somebody else asked for."""
    with api(home, api_url, as_json=as_json) as client:
        _told(client.post(f"{WINDOWS}/bypasses/{_segment(bypass)}/approve", {"note": note}), as_json=as_json)


def _segment(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="") or "%20"


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    from productops.cli.windows_text import windows_page

    print(json.dumps(found) if as_json else windows_page(found))


def _told(found: dict[str, Any], *, as_json: bool) -> None:
    from productops.cli.windows_text import bypass_text

    print(json.dumps(found) if as_json else bypass_text(found))


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(windows_app)
