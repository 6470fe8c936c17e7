"""Commands of the audit log. ``list`` and ``show`` ask the API; the others need the database, or only a file."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

if TYPE_CHECKING:
    from productops.domain.governance_audit import Anchor
    from productops.domain.governance_audit_proof import AuditProof
    from productops.settings import Settings
    from productops.usecases.context import Actor, Context

AUDIT = "/api/v1/product-ops/audit"
PAGE = 500
audit_app = typer.Typer(name="audit", help="The audit log: read it, prove it, export it.", no_args_is_help=True, rich_markup_mode=None)

Anchors = Annotated[
    Path | None, typer.Option("--anchors", help="File or folder of anchors. Default: the folder of this installation, where there is one.")
]
Keys = Annotated[
    list[str] | None, typer.Option("--key", help="Public key to trust, or a file of it; may be repeated. Default: this installation's.")
]


@audit_app.command("list")
def list_(
    *,
    subject: Annotated[str | None, typer.Option("--subject", help="Of this subject only, e.g. flag/new-checkout.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="By this actor only.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Of this action only, e.g. release.promoted.")] = None,
    since: Annotated[datetime | None, typer.Option("--since", help="Not before this time (UTC).", show_default=False)] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="Before this time (UTC).", show_default=False)] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List entries, newest first."""
    asked: dict[str, Any] = {"subject": subject, "actor": actor, "action": action, "since": _utc(since), "until": _utc(until)}
    items: list[dict[str, Any]] = []
    after = None
    with api(home, api_url, as_json=as_json) as client:
        while len(items) < limit:
            page = client.get(AUDIT, **asked, limit=min(PAGE, limit - len(items)), after=after)
            items += page["items"]
            after = page["next"]
            if after is None:
                break
    if as_json:
        print(json.dumps({"items": items, "next": after}))
        return
    from productops.cli.audit_text import entries_table

    print(entries_table(items))


@audit_app.command("show")
def show(
    seq: Annotated[int, typer.Argument(min=1, help="Number of the entry.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show one entry with its hashes."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{AUDIT}/{seq}")
    from productops.cli.audit_text import entry_page

    print(json.dumps(found) if as_json else entry_page(found))


@audit_app.command("verify")
def verify(
    *,
    export_file: Annotated[
        Path | None, typer.Option("--export", help="Check this export instead of the live log; needs no installation.")
    ] = None,
    anchors: Anchors = None,
    keys: Keys = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Check every hash, from the first entry to the last, and against anchors. Exit code 76: something does not fit."""
    from productops.cli.audit_text import proof_document, proof_text
    from productops.cli.installation import settings_of

    settings = settings_of(home)
    proof = _proof(settings, export_file, anchors, keys or [])
    print(json.dumps(proof_document(proof)) if as_json else proof_text(proof))
    if not proof.fits:
        from productops.errors import AuditBrokenError

        raise typer.Exit(AuditBrokenError.exit_code)


def _proof(settings: Settings, export_file: Path | None, anchors: Path | None, given: list[str]) -> AuditProof:
    """Raises: InvalidInputError for a file that cannot be read, SettingsError, StoreUnavailableError."""
    from productops.adapters.audit_anchors import is_signed, trusted_keys
    from productops.errors import InvalidInputError
    from productops.usecases.governance_audit import trust
    from productops.usecases.governance_audit_verify import verify_export, verify_log

    trusted, found = trusted_keys(given, settings.anchor_key), _anchors(settings, anchors, live=export_file is None)
    if export_file is None:
        with _Opened(settings) as context:
            return verify_log(context, trust(found, signed=is_signed, keys=trusted), actor=_actor(settings))
    try:
        return verify_export(export_file.expanduser(), found, signed=is_signed, keys=trusted)
    except OSError as error:
        raise InvalidInputError(f"the export {export_file} cannot be read: {error.strerror}") from error


def _anchors(settings: Settings, given: Path | None, *, live: bool) -> list[Anchor]:
    """An export may be of another installation, and older than the newest anchor here: only the given ones count for it."""
    from productops.adapters.audit_anchors import read_anchors
    from productops.errors import InvalidInputError

    if given is not None and not given.expanduser().exists():
        raise InvalidInputError(f"there are no anchors at {given}")
    folder = given or (settings.anchor_folder.expanduser() if live else None)
    return list(read_anchors(folder)) if folder and folder.exists() else []


@audit_app.command("export")
def export(
    to: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Where to; default: standard output.")] = None,
    *,
    home: Home = None,
) -> None:
    """Write the whole log as JSON Lines; the last line is a signed anchor. It names people: keep it as you keep personal data."""
    from productops.adapters.audit_anchors import read_or_make_key
    from productops.cli.installation import settings_of
    from productops.errors import InvalidInputError
    from productops.usecases.governance_audit import export_lines

    settings = settings_of(home)
    with _Opened(settings) as context:
        lines = (f"{line}\n" for line in export_lines(context, read_or_make_key(settings.anchor_key)))
        if to is None:
            sys.stdout.writelines(lines)
            return
        try:
            fresh = to.with_name(f".{to.name}.new")
            with fresh.open("w", encoding="ascii", newline="\n") as file:
                file.writelines(lines)
            fresh.replace(to)
        except OSError as error:
            raise InvalidInputError(f"the export cannot be written to {to}: {error.strerror}") from error
    print(f"written to {to}; check it with: productops audit verify --export {to}")


@audit_app.command("anchor")
def anchor(*, as_json: AsJson = False, home: Home = None) -> None:
    """Check what is new since the last anchor, and sign where the log stands. The flow `audit` does it every ten minutes."""
    from productops.adapters.audit_anchors import AnchorFolder, read_or_make_key
    from productops.cli.installation import settings_of
    from productops.usecases.governance_audit import write_anchor

    settings = settings_of(home)
    with _Opened(settings) as context:
        key = read_or_make_key(settings.anchor_key)
        done = write_anchor(context, key, AnchorFolder(settings.anchor_folder), actor=_actor(settings))
    if as_json:
        print(json.dumps({"anchor": done.anchor.document(), "checked": done.checked, "written_to": done.place or None}))
        return
    said = f"written to {done.place}" if done.place else "nothing is new since"
    print(f"entry {done.anchor.seq} has hash {done.anchor.hash}\n{done.checked} new entries fit; {said}\nkey {done.anchor.key}")


@audit_app.command("erase")
def erase(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names and addresses of one person, as they may stand in the log.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, e.g. the number of the request; kept in the audit, so name nobody.")],
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be erased and write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Put [erased] in the place of a person's names. It cannot be undone; the chain still fits, and verify says how many were erased."""
    from productops.cli.installation import settings_of
    from productops.usecases.governance_audit_erase import erase_person

    settings = settings_of(home)
    with _Opened(settings) as context:
        found = erase_person(context, names, reason=reason, actor=_actor(settings), plan_only=True)
        if not plan and (yes or _confirmed(f"erase {found.acted + found.named} places?")):
            found = erase_person(context, names, reason=reason, actor=_actor(settings))
        elif not plan:
            raise typer.Exit(1)
    if as_json:
        print(json.dumps({"erased": not plan, "names": found.names, "acted": found.acted, "named": found.named}))
        return
    known = ", ".join(found.names) or "nobody of that name"
    print(f"{'would erase' if plan else 'erased'}: {known} as the actor of {found.acted} entries; named in the text of {found.named}")


def _confirmed(question: str) -> bool:
    return typer.confirm(question, err=True)


class _Opened:
    """The database of an installation for as long as the block lasts."""

    def __init__(self, settings: Settings) -> None:
        from productops.adapters.doorbell import Doorbell
        from productops.cli.installation import database_url
        from productops.store import Store
        from productops.usecases.context import Context

        store = Store(database_url(settings))
        self._context = Context(store=store, doorbell=Doorbell(settings.doorbell_port), lease_ttl_s=settings.lease_ttl_s)

    def __enter__(self) -> Context:
        return self._context

    def __exit__(self, *_: object) -> None:
        self._context.store.close()


def _actor(settings: Settings) -> Actor:
    from productops.cli.installation import local_actor

    return local_actor(settings)


def _utc(time: datetime | None) -> str | None:
    return f"{time.isoformat()}Z" if time else None


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(audit_app)
