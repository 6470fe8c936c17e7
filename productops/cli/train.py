"""Commands of trains: several services released together."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.cli.release import FAILED_EXIT, ROLLED_BACK_EXIT, STILL_RUNNING_EXIT, ApiUrl, AsJson, Home, In, Reason, Wait, api
from productops.domain.release import Environment

if TYPE_CHECKING:
    from productops.cli.api_client import ApiClient

TRAINS = "/api/v1/product-ops/trains"
LOOK_EVERY_S = 1.0
train_app = typer.Typer(name="train", help="Release several services together.", no_args_is_help=True, rich_markup_mode=None)
TrainId = Annotated[str, typer.Argument(metavar="TRAIN", help="Id of the train.")]


class Mode(StrEnum):
    """What a failed member means for the others."""

    ALL_OR_NOTHING = "all-or-nothing"
    BEST_EFFORT = "best-effort"


@train_app.command("start")
def start(
    members: Annotated[list[str], typer.Argument(metavar="SERVICE=VERSION...", help="What to release: cart=2.0.0 storefront=1.1.0.")],
    *,
    after: Annotated[
        list[str] | None, typer.Option("--after", help="Order as later:earlier; may be repeated. Default: the catalog's depends_on.")
    ] = None,
    environment: In = Environment.PRODUCTION,
    mode: Annotated[
        Mode, typer.Option("--mode", help="When a member fails: give the others back, or let them go on.")
    ] = Mode.ALL_OR_NOTHING,
    side_by_side: Annotated[int, typer.Option("--side-by-side", min=1, max=20, help="Most members on their way at once.")] = 4,
    note: Annotated[str, typer.Option("--note", help="Why this train; kept in the audit.")] = "",
    bypass: Annotated[list[str] | None, typer.Option("--bypass", help="Id of an approved bypass; may be repeated.")] = None,
    idempotency_key: Annotated[str | None, typer.Option("--idempotency-key", help="The same key makes one train only.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Check everything and show the order; release nothing.")] = False,
    wait: Wait = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Longest wait in seconds.")] = 7200.0,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Release a train. Exit code 0: promoted, or accepted without --wait; 3: partly or stuck; 4: rolled back; 5: still running."""
    body = {
        "members": _members(members, after or []), "environment": environment, "mode": mode, "side_by_side": side_by_side, "note": note,
        "bypasses": bypass or [],
    }  # fmt: skip
    with api(home, api_url, as_json=as_json) as client:
        if plan:
            _tell(client.post(f"{TRAINS}/plan", body), as_json=as_json)
            return
        accepted = client.post(TRAINS, body, key=idempotency_key or _new_key())
        if not wait:
            _tell(accepted, as_json=as_json)
            return
        ended = _await_end(client, accepted["id"], timeout_s=timeout, quiet=as_json)
    _tell(ended, as_json=as_json)
    raise typer.Exit(_exit_code(ended))


@train_app.command("show")
def show(train: TrainId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Show a train and where each of its members stands."""
    with api(home, api_url, as_json=as_json) as client:
        _tell(client.get(f"{TRAINS}/{_segment(train)}"), as_json=as_json)


@train_app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100)] = 20,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List trains, newest first."""
    with api(home, api_url, as_json=as_json) as client:
        page = client.get(TRAINS, limit=limit)
    from productops.cli.train_text import trains_table

    print(json.dumps(page) if as_json else trains_table(page["items"]))


@train_app.command("abort")
def abort(
    train: TrainId,
    *,
    reason: Reason,
    wait: Wait = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Longest wait in seconds.")] = 600.0,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Turn a train around: members on their way go back at once, promoted ones in reverse order (unless it is best-effort)."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{TRAINS}/{_segment(train)}/abort", {"reason": reason})
        if wait:
            found = _await_end(client, train, timeout_s=timeout, quiet=as_json)
    _tell(found, as_json=as_json)
    if wait and not found["ended"]:
        raise typer.Exit(STILL_RUNNING_EXIT)


def _members(texts: list[str], after: list[str]) -> list[dict[str, Any]]:
    from productops.domain.release_train import parse_members

    wished = parse_members(texts, after)
    return [
        {"service": m.service, "version": m.version} | ({} if m.depends_on is None else {"depends_on": list(m.depends_on)}) for m in wished
    ]


def _await_end(client: ApiClient, train_id: str, *, timeout_s: float, quiet: bool) -> dict[str, Any]:
    """The train when it has ended, or as it stands when the time is over; one line for each change of a member."""
    from productops.cli.train_text import changes

    deadline = time.monotonic() + timeout_s
    seen: dict[str, str] = {}
    while True:
        found = client.get(f"{TRAINS}/{_segment(train_id)}")
        if not quiet:
            for line in changes(found, seen):
                print(line, flush=True)
        if found["ended"] or time.monotonic() > deadline:
            return found
        time.sleep(LOOK_EVERY_S)


def _exit_code(train: Mapping[str, Any]) -> int:
    return {"promoted": 0, "rolled_back": ROLLED_BACK_EXIT, "partial": FAILED_EXIT, "stuck": FAILED_EXIT}.get(
        train["phase"], STILL_RUNNING_EXIT
    )


def _tell(train: Mapping[str, Any], *, as_json: bool) -> None:
    from productops.cli.train_text import train_page

    print(json.dumps(train) if as_json else train_page(train))


def _segment(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="") or "%20"


def _new_key() -> str:
    import uuid

    return f"cli-{uuid.uuid4()}"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(train_app)
