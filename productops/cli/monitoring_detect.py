"""Commands of detection: heartbeats, and how the watch is; what they need is imported when they run."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

PRODUCT = "/api/v1/product-ops"
heartbeat_app = typer.Typer(
    name="heartbeats", help="What has to report now and then; its silence is an alert.", no_args_is_help=True, rich_markup_mode=None
)
watch_app = typer.Typer(name="watch", help="The process that looks for trouble.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add ``productops heartbeats`` and ``productops watch``."""
    app.add_typer(heartbeat_app)
    app.add_typer(watch_app)


@heartbeat_app.command("list")
def list_(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Who has to report, and when it last did."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PRODUCT}/heartbeats")
    lines = [_heartbeat(each) for each in found["items"]]
    print(json.dumps(found) if as_json else "\n".join(lines) or "no heartbeats; declare kind: Heartbeat")


@heartbeat_app.command("send")
def send(
    name: Annotated[str, typer.Argument(help="Name in the catalog.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """A sign of life, for the end of a job in cron."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PRODUCT}/heartbeats/{quote(name, safe='')}", {})
    print(json.dumps(found) if as_json else _heartbeat(found))


@watch_app.command("show")
def show(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Every watch process with its parts."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PRODUCT}/watch")
    if as_json:
        print(json.dumps(found))
        return
    for watch in found["items"]:
        role = "looks for trouble" if watch["elected"] else "stands by"
        print(f"{watch['holder']}: {role if watch['fresh'] else 'silent'}, last word {watch['at']}")
        for part in watch["parts"]:
            line = f"  {part['name']:<13} {part['state']:<8} {part['turns']:>8} turns"
            line = f"{line}  {part['took_ms']:>8.1f} ms  {part['failures']:>4} failures"
            print(f"{line}  {part['problem']}".rstrip())
    if not found["items"]:
        print("no watch has reported; `productops up` starts one")


def _heartbeat(found: dict[str, Any]) -> str:
    state = "SILENT" if found["silent"] else "well"
    last = found["last_at"] or "never"
    return f"{found['name']} of {found['venture']}: {state}, every {found['interval_s']} s, last {last}, {found['beats']} in all"
