"""Commands of development sources: how far each tool was read, and reading one at once."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

SOURCES = "/api/v1/product-ops/development-sources"
INCOMPLETE_EXIT = 3
POLL_S = 0.5
development_app = typer.Typer(
    name="development", help="The work on products, as their tools tell it.", no_args_is_help=True, rich_markup_mode=None
)
Name = Annotated[str, typer.Argument(help="Name of the source in the catalog.")]


@development_app.command("sources")
def sources(
    name: Annotated[str | None, typer.Argument(help="Name of one source: show its streams.")] = None,
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List the tools that are read, how far, and why not."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{SOURCES}/{name}" if name else SOURCES)
    if as_json:
        print(json.dumps(found))
    elif name:
        _page(found)
    else:
        head = ("source", "system", "venture", "state", "lag", "items", "changes", "error")
        _table(head, [_row(each) for each in found["items"]], none="no development sources are declared")


@development_app.command("sync")
def sync(
    name: Name,
    *,
    full: Annotated[bool, typer.Option("--full", help="Look at all there is: finds what was deleted.")] = False,
    accept_deletions: Annotated[bool, typer.Option("--accept-deletions", help="Believe it when most of a project is gone.")] = False,
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for its end; 0: only ask for it.")] = 60.0,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Read a source now. Exit code 3: not all of it could be read, or not within the wait."""
    with api(home, api_url, as_json=as_json) as client:
        asked = client.post(f"{SOURCES}/{name}/sync", {"full": full or accept_deletions, "accept_deletions": accept_deletions})
        end = time.monotonic() + wait_s
        found = asked
        while (found["wanted_at"] or found["running"]) and time.monotonic() < end:
            time.sleep(POLL_S)
            found = client.get(f"{SOURCES}/{name}")
    if as_json:
        print(json.dumps(found))
    else:
        _page(found)
    under_way = bool(found["wanted_at"] or found["running"])
    if found["last_error"] or (under_way and wait_s > 0):
        raise typer.Exit(INCOMPLETE_EXIT)


def _row(found: dict[str, Any]) -> tuple[str, ...]:
    from productops.cli.release_text import plain

    counts = found["counts"]
    return (
        found["name"], found["system"], found["venture"], _state(found), _span(found["lag_s"]), str(counts.get("work items", 0)),
        str(counts.get("changes", 0)), plain(found["last_error"])[:80],
    )  # fmt: skip


def _state(found: dict[str, Any]) -> str:
    if found["paused"]:
        return "paused"
    if found["running"]:
        return "reading"
    if found["wanted_at"]:
        return "wanted"
    if not found["token_set"]:
        return "no token"
    return "failing" if found["last_error"] else "ok" if found["succeeded_at"] else "never read"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _page(found: dict[str, Any]) -> None:
    from productops.cli.release_text import plain

    print(f"{found['name']}: {found['system']} at {found['address']}, venture {found['venture']}, {_state(found)}")
    print(f"all read {_span(found['lag_s'])} ago" if found["lag_s"] is not None else "never read to its end")
    if found["last_error"]:
        print(f"last error: {plain(found['last_error'])}")
    if found["paused_until"]:
        print(f"it asked for peace until {str(found['paused_until'])[:19]}")
    print("known: " + (", ".join(f"{number} {kind}" for kind, number in found["counts"].items() if number) or "nothing"))
    rows = [
        (s["stream"], s["project"], "yes" if s["filled"] else "no", str(s["pages"]), str(s["items"]), str(s["since"] or "-")[:19],
         plain(s["error"])[:80])
        for s in found["streams"]
    ]  # fmt: skip
    _table(("stream", "project", "filled", "pages", "new", "next look from", "error"), rows, none="no stream was begun")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, none: str) -> None:
    from productops.cli.stack.tables import render

    print(render(head, rows) if rows else none)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(development_app)
