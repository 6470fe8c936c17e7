"""Commands of approvals and change records; what they need is imported when they run."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, Reason, api

if TYPE_CHECKING:
    from productops.cli.api_client import ApiClient

APPROVALS = "/api/v1/product-ops/approvals"
CHANGES = "/api/v1/product-ops/changes"
approvals_app = typer.Typer(
    name="approvals", help="What waits for signatures, and overrides to be looked at.", no_args_is_help=True, rich_markup_mode=None
)
changes_app = typer.Typer(
    name="changes", help="Change records: what was changed, and who approved it.", no_args_is_help=True, rich_markup_mode=None
)
Waiting = Annotated[str, typer.Argument(metavar="APPROVAL|RELEASE", help="Id of the request, of what waits, or a service's name.")]
Note = Annotated[str, typer.Option("--note", help="Kept with the signature and in the audit.")]
Since = Annotated[datetime | None, typer.Option("--since", help="From this time on (UTC).", show_default=False)]
Until = Annotated[datetime | None, typer.Option("--until", help="Before this time (UTC).", show_default=False)]
OfVenture = Annotated[str | None, typer.Option("--venture", help="Of this venture only.")]


class Form(StrEnum):
    """Forms of an export."""

    CSV = "csv"
    NDJSON = "ndjson"


def approve(waiting: Waiting, *, note: Note = "", as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Sign what waits for signatures. What is printed is what is signed; if it changed meanwhile, nothing is."""
    with api(home, api_url, as_json=as_json) as client:
        shown = _find(client, waiting)
        if not as_json:
            _show(shown)
        _told(client.post(f"{APPROVALS}/{shown['id']}/signatures", {"note": note, "content_hash": shown["content_hash"]}), as_json=as_json)


def refuse(waiting: Waiting, *, reason: Reason, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Refuse it, or withdraw what you asked for yourself. One refusal ends it."""
    with api(home, api_url, as_json=as_json) as client:
        shown = _find(client, waiting)
        _told(client.post(f"{APPROVALS}/{shown['id']}/refusals", {"reason": reason}), as_json=as_json)


def override(waiting: Waiting, *, reason: Reason, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Go past the signatures in an emergency (directors). Somebody else has to look at it afterwards."""
    with api(home, api_url, as_json=as_json) as client:
        shown = _find(client, waiting)
        _told(client.post(f"{APPROVALS}/{shown['id']}/override", {"reason": reason}), as_json=as_json)


@approvals_app.command("list")
def list_(
    *,
    every: Annotated[bool, typer.Option("--all", help="Also what was decided.")] = False,
    mine: Annotated[bool, typer.Option("--mine", help="Only what waits for a signature you could give.")] = False,
    venture: OfVenture = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List what waits for signatures, newest first."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(APPROVALS, state=None if every else "waiting", mine=mine or None, venture=venture, limit=limit)
    from productops.cli.approvals_text import approvals_table

    print(json.dumps(found) if as_json else approvals_table(found["items"]))


@approvals_app.command("show")
def show(waiting: Waiting, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Show what is asked, who has signed, and what is still missing."""
    with api(home, api_url, as_json=as_json) as client:
        found = _find(client, waiting)
    if as_json:
        print(json.dumps(found))
        return
    _show(found)


@approvals_app.command("reviews")
def reviews(
    *,
    every: Annotated[bool, typer.Option("--all", help="Also those that somebody closed.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List overrides that somebody else has to look at. Exit code 75: one of them is overdue."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{APPROVALS}/reviews", closed=every or None, limit=200)
    from productops.cli.approvals_text import reviews_table
    from productops.errors import ConflictError

    print(json.dumps(found) if as_json else reviews_table(found["items"]))
    if any(item["overdue"] for item in found["items"]):
        raise typer.Exit(ConflictError.exit_code)


@approvals_app.command("close")
def close(
    review: Annotated[str, typer.Argument(metavar="REVIEW", help="Id of the review.")],
    *,
    note: Annotated[str, typer.Option("--note", help="What you found.")],
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Say what you found of an override; not for the one who overrode."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{APPROVALS}/reviews/{_segment(review)}/close", {"note": note})
    print(json.dumps(found) if as_json else f"review {found['id']} is closed by {found['closed_by']}")


@approvals_app.command("link")
def link(waiting: Waiting, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Print a link that signs for you, for this one request, once, within a day. Keep it to yourself."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{APPROVALS}/{_find(client, waiting)['id']}/links", {})
    print(json.dumps(found) if as_json else found["url"])


@changes_app.command("list")
def list_changes(
    *,
    since: Since = None,
    until: Until = None,
    venture: OfVenture = None,
    kind: Annotated[str | None, typer.Option("--kind", help="release, train, flag, catalog or override.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List changes, newest first."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(CHANGES, since=_utc(since), until=_utc(until), venture=venture, kind=kind, limit=limit)
    from productops.cli.approvals_text import changes_table

    print(json.dumps(found) if as_json else changes_table(found["items"]))


@changes_app.command("show")
def show_change(
    change: Annotated[str, typer.Argument(metavar="CHANGE", help="Id of the change.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show one change: what, who, how risky, who approved it, how it is undone, how it ended."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{CHANGES}/{_segment(change)}")
    from productops.cli.approvals_text import change_page

    print(json.dumps(found) if as_json else change_page(found))


@changes_app.command("export")
def export(
    *,
    form: Annotated[Form, typer.Option("--form", help="Of the file.")] = Form.CSV,
    out: Annotated[Path | None, typer.Option("--out", help="File to write. Default: standard output.")] = None,
    since: Since = None,
    until: Until = None,
    venture: OfVenture = None,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Write all changes as a file, newest first."""
    with api(home, api_url, as_json=False) as client:
        content = client.get_raw(f"{CHANGES}/export", form=form.value, since=_utc(since), until=_utc(until), venture=venture)
    if out is None:
        sys.stdout.write(content.decode())
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        from productops.errors import InvalidInputError

        raise InvalidInputError(f"--out {out}: {error.strerror or error}") from error


def _find(client: ApiClient, waiting: str) -> dict[str, Any]:
    """By the id of the request or of what waits; by a service's name its newest release. Raises: NotFoundError."""
    from productops.cli.release import _UUID, _release_id

    name = waiting if _UUID.fullmatch(waiting) else _release_id(client, waiting)
    return client.get(f"{APPROVALS}/{_segment(name)}")


def _show(found: dict[str, Any]) -> None:
    from productops.cli.approvals_text import approval_page

    print(approval_page(found))


def _told(found: dict[str, Any], *, as_json: bool) -> None:
    from productops.cli.approvals_text import decision_text

    print(json.dumps(found) if as_json else decision_text(found))


def _utc(at: datetime | None) -> str | None:
    return None if at is None else (at.replace(tzinfo=UTC) if at.tzinfo is None else at).isoformat()


def _segment(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="") or "%20"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (approve, refuse, override):
        app.command()(command)
    app.add_typer(approvals_app)
    app.add_typer(changes_app)
