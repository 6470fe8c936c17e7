"""Commands of webhooks: what came in, what went out, and what to do about what did not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api
from productops.errors import NotFoundError

if TYPE_CHECKING:
    from productops.cli.api_client import ApiClient

WEBHOOKS = "/api/v1/product-ops/webhooks"
webhooks_app = typer.Typer(
    name="webhooks", help="What other systems tell us, and what we tell them.", no_args_is_help=True, rich_markup_mode=None
)
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a webhook that came in, or of a delivery.")]
Why = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]
Page = Mapping[str, Any]


class Way(StrEnum):
    """In or out."""

    IN = "in"
    OUT = "out"


@webhooks_app.command("list")
def list_(
    way: Annotated[Way, typer.Argument(help="What came in, or what goes out.")] = Way.OUT,
    *,
    status: Annotated[str | None, typer.Option("--status", help="out: pending, delivered, dead, discarded; in: received, done, …")] = None,
    of: Annotated[str | None, typer.Option("--of", help="Of this target, or source, only.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 20,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List deliveries or received webhooks, newest first. Dead letters: productops webhooks list --status dead."""
    with api(home, api_url, as_json=as_json) as client:
        if way is Way.IN:
            page, table = client.get(f"{WEBHOOKS}/received", status=status, source=of, limit=limit), _received
        else:
            page, table = client.get(f"{WEBHOOKS}/deliveries", status=status, target=of, limit=limit), _deliveries
    _tell(page, table, as_json=as_json)


@webhooks_app.command("events")
def events(
    *,
    kind: Annotated[str | None, typer.Option("--kind", help="Exact, or all of a subject: 'build.*'.")] = None,
    service: Annotated[str | None, typer.Option("--service", help="Of this service only.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 20,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List what other systems told, in one form, newest first."""
    with api(home, api_url, as_json=as_json) as client:
        page = client.get(f"{WEBHOOKS}/events", kind=kind, service=service, limit=limit)
    _tell(page, _events, as_json=as_json)


@webhooks_app.command("show")
def show(found: Id, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Show a delivery, or a webhook that came in, with all that is known."""
    with api(home, api_url, as_json=as_json) as client:
        document = _find(client, found)
    _tell(document, _document, as_json=as_json)


@webhooks_app.command("replay")
def replay(found: Id, *, reason: Why = "", as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Work out once more what a received webhook means. What it started before is not started twice."""
    with api(home, api_url, as_json=as_json) as client:
        document = client.post(f"{WEBHOOKS}/received/{_segment(found)}/replay", {"reason": reason})
    _tell(document, _said("is worked out once more"), as_json=as_json)


@webhooks_app.command("retry")
def retry(found: Id, *, reason: Why = "", as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Send a dead letter after all, under the id it had."""
    with api(home, api_url, as_json=as_json) as client:
        document = client.post(f"{WEBHOOKS}/deliveries/{_segment(found)}/retry", {"reason": reason})
    _tell(document, _said("is sent again"), as_json=as_json)


@webhooks_app.command("discard")
def discard(found: Id, *, reason: Why, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Never send a delivery; what comes after it goes on."""
    with api(home, api_url, as_json=as_json) as client:
        document = client.post(f"{WEBHOOKS}/deliveries/{_segment(found)}/discard", {"reason": reason})
    _tell(document, _said("is discarded"), as_json=as_json)


@webhooks_app.command("targets")
def targets(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """List who is told, with counts of deliveries."""
    with api(home, api_url, as_json=as_json) as client:
        page = client.get(f"{WEBHOOKS}/targets")
    _tell(page, _targets, as_json=as_json)


@webhooks_app.command("sources")
def sources(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """List who may send, with counts of what came."""
    with api(home, api_url, as_json=as_json) as client:
        page = client.get(f"{WEBHOOKS}/sources")
    _tell(page, _sources, as_json=as_json)


@webhooks_app.command("test")
def try_out(
    target: Annotated[str, typer.Argument(help="Name of a target.")], *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None
) -> None:
    """Send a target an event that means nothing."""
    with api(home, api_url, as_json=as_json) as client:
        document = client.post(f"{WEBHOOKS}/targets/{_segment(target)}/test", {})
    _tell(document, lambda each: f"event {each['event']} is on its way; see: productops webhooks list --of {target}", as_json=as_json)


def _find(client: ApiClient, found: str) -> dict[str, Any]:
    try:
        return client.get(f"{WEBHOOKS}/deliveries/{_segment(found)}")
    except NotFoundError:
        return client.get(f"{WEBHOOKS}/received/{_segment(found)}")


def _tell(document: Page, table: Callable[[Page], str], *, as_json: bool) -> None:
    print(json.dumps(document) if as_json else table(document))


def _said(what: str) -> Callable[[Page], str]:
    return lambda document: f"{document['id']} {what}"


def _deliveries(page: Page) -> str:
    rows = [
        (_when(e["created_at"]), e["target"], e["type"], e["subject"], e["status"], str(e["attempts"]), e["reason"], e["id"])
        for e in page["items"]
    ]
    return _render(("when (UTC)", "target", "type", "subject", "stands", "attempts", "why", "id"), rows, "no deliveries")


def _received(page: Page) -> str:
    rows = [
        (_when(e["received_at"]), e["source"], e["status"], str(e["bytes"]), str(e["repetitions"]), e["reason"], e["id"])
        for e in page["items"]
    ]
    return _render(("when (UTC)", "source", "stands", "bytes", "again", "why", "id"), rows, "no webhooks came in")


def _events(page: Page) -> str:
    rows = [
        (_when(e["at"]), e["source"], e["kind"], e["service"] or "–", e["version"] or "–", e["subject"], e["effect"] or e["reason"])
        for e in page["items"]
    ]
    return _render(("when (UTC)", "source", "kind", "service", "version", "about", "what was done"), rows, "nothing was told")


def _targets(page: Page) -> str:
    rows = [
        (
            t["name"], t["venture"] or "all", t["spec"]["format"], " ".join(t["spec"]["types"]), t["spec"]["url"],
            "paused" if t["spec"]["paused"] else "on", f"{t['secrets_set']} of {len(t['spec']['secrets'])}",
            *(str(t["counts"].get(state, 0)) for state in ("pending", "delivered", "dead")),
        )
        for t in page["items"]
    ]  # fmt: skip
    columns = ("target", "venture", "format", "types", "address", "", "secrets", "pending", "delivered", "dead")
    return _render(columns, rows, "nobody is told; declare a WebhookTarget in the catalog")


def _sources(page: Page) -> str:
    rows = [
        (
            s["name"], s["venture"], s["spec"]["provider"], s["path"], f"{s['secrets_set']} of {len(s['spec']['secrets'])}",
            *(str(s["counts"].get(state, 0)) for state in ("received", "done", "unrecognised", "dead")),
        )
        for s in page["items"]
    ]  # fmt: skip
    columns = ("source", "venture", "provider", "path", "secrets", "waiting", "done", "unrecognised", "dead")
    return _render(columns, rows, "nobody may send; declare a WebhookSource in the catalog")


def _document(document: Page) -> str:
    from productops.cli.release_text import plain

    def shown(value: Any) -> str:
        return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))

    width = max(len(name) for name in document)
    return "\n".join(f"{name.ljust(width)}  {shown(value)}" for name, value in document.items())


def _render(columns: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> str:
    from productops.cli.release_text import plain
    from productops.cli.stack.tables import render

    return render(columns, [tuple(plain(cell) for cell in row) for row in rows]) if rows else nothing


def _when(at: str) -> str:
    return str(at)[:19].replace("T", " ")


def _segment(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="") or "%20"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(webhooks_app)
