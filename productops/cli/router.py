"""The commands of the router beside the stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

START_S = 10.0

router = typer.Typer(
    name="router", help="The router that users' requests go through.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)
Home = Annotated[Path | None, typer.Option("--home", help="Folder of state, logs and database. [env: PRODUCTOPS_HOME]")]


@router.callback()
def about() -> None:
    """The router that users' requests go through."""


@router.command()
def restart(*, home: Home = None) -> None:
    """Start another router that takes over from the one that runs; no request is lost. Exit code 71: no stack runs."""
    from productops.cli.stack.succession import follow_router
    from productops.settings import load_settings

    settings = load_settings(home=home) if home is not None else load_settings()
    taken = follow_router(settings.home.expanduser().resolve(), timeout_s=START_S)
    typer.echo(f"router {taken.new_pid} took over from {taken.old_pid} after {taken.took_s:.2f} s")
    typer.echo(f"{taken.old_pid} ends when its requests are answered")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(router)
