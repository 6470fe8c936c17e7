"""Commands of usage events: how they come in, what they are, bringing in others, and removing a person's."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api
from productops.errors import InvalidInputError

if TYPE_CHECKING:
    from productops.cli.analytics_events_import import Imported

EVENTS = "/api/v1/product-ops/events"
REFUSED_EXIT = 3
POLL_S = 1.0
events_app = typer.Typer(name="events", help="Usage events: what people do with the products.", no_args_is_help=True, rich_markup_mode=None)
Venture = Annotated[str, typer.Option("--venture", help="Name of the venture.")]


class Source(StrEnum):
    """Whose events are brought in."""

    MIXPANEL = "mixpanel"
    AMPLITUDE = "amplitude"


@events_app.command("status")
def status(*, venture: Venture, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Show how many there are, what waits to be sorted in, and what was refused."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{EVENTS}/status", venture=venture)
    if as_json:
        print(json.dumps(found))
        return
    newest = str(found["newest_received_at"] or "-")[:19]
    print(f"{venture}: {found['events']:,} events in {found['files']:,} files, {_size(found['size_bytes'])}; newest sorted in: {newest}")
    lag = f", the oldest for {found['lag_s']:.0f} s" if found["waiting_segments"] else ""
    print(f"waiting: {_size(found['waiting_bytes'])} in {found['waiting_segments']} segments{lag}")
    rows = [(each["day"], f"{each['events']:,}", str(each["files"])) for each in found["days"]]
    _table(("day", "events", "files"), rows, none="no day has events")
    if found["refusals"]:
        refused = [(r["day"], _plain(r["name"])[:40], f"{r['events']:,}", _plain(r["reason"])[:80]) for r in found["refusals"]]
        _table(("day", "event", "refused", "why"), refused, none="")
    for each in found["imports"]:
        counts = f"{each['accepted']:,} accepted, {each['refused']:,} refused"
        print(f"import {each['source']}: {each['state']}, {counts} {_plain(each['error'])}".rstrip())
    for each in found["erasures"]:
        print(f"erasure {each['id']}: {each['state']}{', for ever' if each['forever'] else ''}, {each['events']:,} events removed")


@events_app.command("schema")
def schema(
    *,
    venture: Venture,
    name: Annotated[str | None, typer.Option("--name", help="This event: with its properties.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List the events that were seen, or the properties of one."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{EVENTS}/schema", venture=venture, name=name)
    if as_json:
        print(json.dumps(found))
    elif name:
        rows = [
            (_plain(p["name"]), ", ".join(f"{kind} {count:,}" for kind, count in p["types"].items()), p["first_at"][:10], p["last_at"][:10])
            for p in found["events"][0]["properties"]
        ]
        _table(("property", "types", "first", "last"), rows, none=f"{name} has no properties")
    else:
        events = [
            (
                _plain(e["name"]), f"{e['events']:,}", str(len(e["properties"])), "yes" if e["planned"] else "no", e["first_at"][:10],
                e["last_at"][:10],
            )
            for e in found["events"]
        ]  # fmt: skip
        _table(("event", "events", "properties", "planned", "first", "last"), events, none="no events were seen")
        if found["unseen"]:
            print(f"in the tracking plan {found['plan']}, and never seen: {', '.join(map(_plain, found['unseen']))}")


@events_app.command("tail")
def tail(
    *,
    venture: Venture,
    name: Annotated[str | None, typer.Option("--name", help="Of this name.")] = None,
    person: Annotated[str | None, typer.Option("--person", help="Of this user id.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show the newest events of the last quarter of an hour; what came in a second ago is among them."""
    shown: dict[str, None] = {}
    with api(home, api_url, as_json=as_json) as client:
        while True:
            found = client.get(f"{EVENTS}/tail", venture=venture, name=name, person=person, limit=limit if not shown else 500)
            for each in found["items"]:
                if each["event_id"] not in shown:
                    shown[each["event_id"]] = None
                    print(json.dumps(each) if as_json else _line(each), flush=True)
            if not follow:
                return
            time.sleep(POLL_S)


@events_app.command("import")
def import_(
    files: Annotated[list[Path] | None, typer.Argument(help="Files: .ndjson, .csv, .parquet; the first two perhaps with .gz.")] = None,
    *,
    venture: Venture,
    source: Annotated[Source | None, typer.Option("--from", help="Fetch them there instead.")] = None,
    since: Annotated[datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="First day.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day.")] = None,
    project: Annotated[str, typer.Option("--project", help="Mixpanel: number of the project.")] = "",
    source_url: Annotated[str | None, typer.Option("--source-url", help="Address of its API, e.g. of the EU region.")] = None,
    mapping: Annotated[list[str] | None, typer.Option("--map", help="OURS=THEIRS: userId=customer; may be repeated.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Bring in events from files, Mixpanel or Amplitude. Stopped, it goes on where it was. Exit code 3: some were refused."""
    from productops.adapters.analytics_events_files import read_mapping
    from productops.cli.analytics_events_import import Importer, import_file, import_from
    from productops.cli.installation import settings_of

    if bool(files) == bool(source):
        raise InvalidInputError("name files, or --from mixpanel or --from amplitude")
    done: list[Imported] = []
    with api(home, api_url, as_json=as_json) as client:
        if source is not None:
            if since is None or until is None or until < since:
                raise InvalidInputError("name the first day with --since and the last one with --until")
            secrets = settings_of(home).secret_folder
            days = {"since": since.date(), "until": until.date()}
            done.append(import_from(Importer(client, venture), source.value, secrets=secrets, project=project, url=source_url, **days))
        done += [import_file(Importer(client, venture), path, read_mapping(mapping or [])) for path in files or []]
    for each in done:
        print(json.dumps(each.document()) if as_json else _told(each))
    if any(each.refused for each in done):
        raise typer.Exit(REFUSED_EXIT)


@events_app.command("erase")
def erase(
    *,
    venture: Venture,
    person: Annotated[str, typer.Option("--person", help="User id or anonymous id, as clients send it.")],
    forever: Annotated[bool, typer.Option("--forever", help="Drop what comes later, too.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")] = "",
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for its end; 0: only ask for it.")] = 60.0,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Remove a person's events from all files. Exit code 3: it is not done within the wait; it goes on."""
    body = {"venture": venture, "person": person, "forever": forever, "reason": reason}
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{EVENTS}/erasures", body)
        end = time.monotonic() + wait_s
        while found["state"] != "done" and time.monotonic() < end:
            time.sleep(POLL_S / 2)
            found = client.get(f"{EVENTS}/erasures/{found['id']}")
    if as_json:
        print(json.dumps(found))
    else:
        print(f"erasure {found['id']}: {found['state']}, {found['events']:,} events removed from {found['files']:,} files")
    if wait_s > 0 and found["state"] != "done":
        raise typer.Exit(REFUSED_EXIT)


def _told(done: Imported) -> str:
    text = f"{done.accepted:,} accepted, {done.duplicates:,} known already, {done.refused:,} refused"
    return text + "".join(f"\n  {_plain(reason)}" for reason in dict.fromkeys(done.reasons))


def _line(event: dict[str, Any]) -> str:
    columns = " ".join(f"{key}={_plain(str(value))}" for key, value in event["columns"].items())
    properties = _plain(json.dumps(event["properties"], ensure_ascii=False))
    return f"{event['at'][:23]}  {event['person'][:8]}  {_plain(event['name'])}  {columns}  {properties}"[:300]


def _plain(text: str) -> str:
    from productops.cli.release_text import plain

    return plain(text)


def _size(count: int) -> str:
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, none: str) -> None:
    from productops.cli.stack.tables import render

    print(render(head, rows) if rows else none)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(events_app)
