"""Commands of the catalog: apply what is declared, see what is live."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

if TYPE_CHECKING:
    from productops.adapters.catalog_files import LoadedEntry
    from productops.settings import Settings
    from productops.usecases.catalog import Change
    from productops.usecases.context import Actor, Context


def apply(
    folder: Annotated[Path | None, typer.Argument(help="Folder of catalog files. [env: PRODUCTOPS_CATALOG]")] = None,
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change and write nothing.")] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Store the declared ventures and services, all or none; the plan is shown first."""
    from productops.adapters.catalog_files import load_catalog
    from productops.cli.api_client import to_problem
    from productops.cli.installation import settings_of
    from productops.cli.release_tables import changes_table
    from productops.errors import ProductOpsError

    try:
        settings = settings_of(home)
        changes = _apply(settings, load_catalog((folder or settings.catalog).expanduser()), plan_only=plan, quiet=as_json)
    except ProductOpsError as error:
        if as_json:
            print(json.dumps(to_problem(error), default=str))
        raise
    if as_json:
        print(json.dumps({"applied": not plan, "changes": changes}))
        return
    if plan:
        print(changes_table(changes))
    counted = sum(c["outcome"] != "unchanged" for c in changes)
    for change in changes:
        if change.get("waits_for"):
            print(f"{change['kind']} {change['name']}: {change['waits_for']}; list it with: productops approvals list")
    print(f"{counted} of {len(changes)} entries {'would change' if plan else 'changed'}")


def _apply(settings: Settings, entries: list[LoadedEntry], *, plan_only: bool, quiet: bool) -> list[dict[str, Any]]:
    """Plan, show the plan, then apply. Raises: NotFoundError, SettingsError, StoreUnavailableError."""
    from productops.adapters.doorbell import Doorbell
    from productops.cli.installation import database_url, local_actor
    from productops.cli.release_tables import changes_table
    from productops.store import Store
    from productops.store.migrate import upgrade
    from productops.usecases.catalog import apply_catalog
    from productops.usecases.context import Context

    url = database_url(settings)
    upgrade(url)
    context = Context(store=Store(url), doorbell=Doorbell(settings.doorbell_port), lease_ttl_s=settings.lease_ttl_s)
    actor = local_actor(settings)
    try:
        planned = [_told(c) for c in apply_catalog(context, entries, actor=actor, plan_only=True)]
        if plan_only:
            return planned
        if not quiet:
            print(changes_table(planned))
            sys.stdout.flush()
        applied = [_told(c) for c in apply_catalog(context, entries, actor=actor)]
        _read_calendars(context, settings, actor)
        return applied
    finally:
        context.store.close()


def _told(change: Change) -> dict[str, Any]:
    """As it is printed; only what waits says for whom."""
    return {name: value for name, value in asdict(change).items() if value}


def _read_calendars(context: Context, settings: Settings, actor: Actor) -> None:
    """Read calendars at once; what cannot be read is told, and stays in force as it was read last."""
    from productops.adapters.calendar_sources import CalendarSources
    from productops.usecases.release_windows_refresh import refresh_calendars

    sources = CalendarSources(allow_private=settings.calendar_allow_private)
    for found in refresh_calendars(context, sources, actor=actor, only_due=False):
        if found.outcome == "failed":
            sys.stderr.write(f"warning: {found.error}\n")


def services(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """List services with what their users have."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get_all("/api/v1/product-ops/services")
        if as_json:
            print(json.dumps(found))
            return
        from productops.cli.release_tables import services_table

        print(services_table(found["items"]))


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (apply, services):
        app.command()(command)
