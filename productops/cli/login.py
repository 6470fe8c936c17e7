"""The commands that let people's browsers in, and Prefect's own command line."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[Path | None, typer.Option("--home", help="Folder of state, logs and database. [env: PRODUCTOPS_HOME]")]
ApiUrl = Annotated[str | None, typer.Option("--api-url", help="An API elsewhere; it takes a token. Default: the one that runs here.")]
LINKS, SESSIONS = "/api/v1/access/login-links", "/api/v1/access/sessions"

sessions = typer.Typer(
    name="sessions", help="Browsers that are logged in.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


def login(
    *,
    home: Home = None,
    api_url: ApiUrl = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in this machine's browser.")] = False,
) -> None:
    """Print a link that logs a browser in as you: it works once, for 60 seconds."""
    url = login_link(home, api_url)
    typer.echo(url)
    if open_browser:
        import webbrowser

        webbrowser.open(url)


def login_link(home: Path | None, api_url: str | None = None) -> str:
    """A fresh link for whoever the command acts as. Raises: NotRunningError, UnauthorizedError, ForbiddenError."""
    from productops.cli.installation import connect

    client = connect(home, api_url)
    try:
        return f"{client.url}{client.post(LINKS, {})['path']}"
    finally:
        client.close()


def prefect_env(*, home: Home = None) -> None:
    """Print what Prefect's own command line needs to reach the server here: eval "$(productops prefect-env)".

    For the owner of the home folder only; whoever has this secret is past every role and every record of who did what.
    """
    from productops.adapters.prefect_auth import owned_auth
    from productops.cli.installation import settings_of
    from productops.cli.stack.prefect_environment import running_api_url

    settings = settings_of(home)
    auth = owned_auth(settings)
    typer.echo(f"export PREFECT_API_URL={shlex.quote(running_api_url(settings))}")
    typer.echo(f"export PREFECT_API_AUTH_STRING={shlex.quote(auth)}")
    if sys.stdout.isatty():
        sys.stderr.write('that is a secret, and your terminal keeps it; better: eval "$(productops prefect-env)"\n')


@sessions.command("list")
def list_sessions(
    *,
    everybody: Annotated[bool, typer.Option("--everybody", help="Those of all people; takes the right to see who has access.")] = False,
    home: Home = None,
    api_url: ApiUrl = None,
) -> None:
    """Show the browsers that are logged in as you."""
    from productops.cli.installation import connect

    client = connect(home, api_url)
    try:
        found = client.get(SESSIONS, everybody=str(everybody).lower())["items"]
    finally:
        client.close()
    for each in found:
        typer.echo(f"{each['id']}  {each['principal']:<16} {each['way']:<5} used {each['used_at'][:16]}  {each['browser'][:60]}")
    if not found:
        typer.echo("no browser is logged in")


@sessions.command("end")
def end_session(session_id: str, *, home: Home = None, api_url: ApiUrl = None) -> None:
    """Log a browser out, wherever it is."""
    from productops.cli.installation import connect

    client = connect(home, api_url)
    try:
        client.post(f"{SESSIONS}/{session_id}/end", {})
    finally:
        client.close()
    typer.echo(f"{session_id} is logged out")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(login)
    app.command("prefect-env")(prefect_env)
    app.add_typer(sessions)
