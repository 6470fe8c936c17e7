"""The commands of the local stack; what they need is imported when they run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from productops.settings import Settings

UNHEALTHY_EXIT = 4
WRONG_EXIT = 1

Home = Annotated[Path | None, typer.Option("--home", help="Folder of state, logs and database. [env: PRODUCTOPS_HOME]")]
PortBase = Annotated[int | None, typer.Option("--port-base", help="First of the ports. [env: PRODUCTOPS_PORT_BASE]")]
Catalog = Annotated[Path | None, typer.Option("--catalog", help="Folder of declared services. [env: PRODUCTOPS_CATALOG]")]
DatabaseUrl = Annotated[str | None, typer.Option("--database-url", help="SQLite or PostgreSQL. [env: PRODUCTOPS_DATABASE_URL]")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def up(
    *,
    home: Home = None,
    catalog: Catalog = None,
    port_base: PortBase = None,
    database_url: DatabaseUrl = None,
    postgres: Annotated[bool, typer.Option("--postgres", help="Run an own PostgreSQL, kept beside the state.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Return once all is ready; `productops down` ends it.")] = False,
) -> None:
    """Start everything on this machine and keep it alive until Ctrl-C."""
    from productops.cli.stack.start import Stack, say
    from productops.errors import InvalidInputError

    if postgres and database_url:
        raise InvalidInputError("--postgres and --database-url exclude each other: either an own PostgreSQL or yours")
    settings = _settings(home=home, catalog=catalog, port_base=port_base, database_url=database_url)
    if not detach:
        Stack(settings, say=say).run(with_postgres=postgres)
        return
    from productops.cli.stack.detach import start_detached
    from productops.cli.stack.home import resolved
    from productops.cli.stack.login_link import told_link
    from productops.cli.stack.tables import ready_table

    record = start_detached(settings, say=say, options=("--postgres",) if postgres else ())
    say(ready_table(record.processes))
    for name, url in record.urls.items():
        say(f"  {name:<8} {url}")
    say(f"  log in   {told_link(resolved(settings))}")


def down(*, home: Home = None) -> None:
    """End the stack, and whatever a killed one left."""
    from productops.cli.stack.start import say
    from productops.cli.stack.stop import stop_stack

    stop_stack(_settings(home=home).home, say=say)


def status(*, home: Home = None, as_json: AsJson = False) -> None:
    """Show what every process does now. Exit code 0: all healthy; 4: something is not; 71: nothing runs."""
    from productops.cli.stack.start import say
    from productops.cli.stack.status import read_status

    found = read_status(_settings(home=home).home)
    if as_json:
        say(json.dumps(found.as_json(), indent=2))
    else:
        from productops.cli.stack.tables import status_table

        say(status_table(found))
    if not found.healthy:
        raise typer.Exit(UNHEALTHY_EXIT)


def doctor(
    *,
    home: Home = None,
    catalog: Catalog = None,
    port_base: PortBase = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine and say how to mend what is wrong. Exit code 0: nothing is wrong; 1: something is."""
    from productops.cli.stack.doctor import examine
    from productops.cli.stack.start import say

    found = examine(_settings(home=home, catalog=catalog, port_base=port_base, database_url=database_url))
    if as_json:
        say(json.dumps(found.as_json(), indent=2))
    else:
        from productops.cli.stack.tables import findings_table

        say(findings_table(found.findings))
        say("nothing is wrong" if found.healthy else "something is wrong; the last column says how to mend it")
    if not found.healthy:
        raise typer.Exit(WRONG_EXIT)


def _settings(**given: object) -> Settings:
    """The environment's settings with the options that were given over them."""
    from productops.settings import load_settings

    return load_settings(**{name: value for name, value in given.items() if value is not None})


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (up, down, status, doctor):
        app.command()(command)
