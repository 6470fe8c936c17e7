"""Commands of access: who one is, who may do what, tokens."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api
from productops.domain.governance_access import Operation, Role

ACCESS = "/api/v1/access"
_UNITS = {"m": 60, "h": 3600, "d": 86_400}
token_app = typer.Typer(
    name="token", help="Tokens for programs and people: made, listed, rotated, revoked.", no_args_is_help=True, rich_markup_mode=None
)
access_app = typer.Typer(name="access", help="Who may do what, and why.", no_args_is_help=True, rich_markup_mode=None)


class Kind(StrEnum):
    """What a grant is for."""

    PERSON = "person"
    SERVICE = "service"
    GROUP = "group"


class Place(StrEnum):
    """Where a grant holds."""

    ALL = "*"
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


TokenId = Annotated[str, typer.Argument(metavar="ID", help="Id of the token: what stands after po_.")]
InVenture = Annotated[str, typer.Option("--venture", help="In this venture only; * is all of them.")]
InPlace = Annotated[Place, typer.Option("--environment", help="In this environment only; * is all of them.")]
Life = Annotated[str, typer.Option("--expires", help="How long it lives: 90d, 12h, 30m; at most 366d.")]
Why = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]
Of = Annotated[Kind, typer.Option("--kind", help="A person, a service account, or everybody in a group.")]


@token_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is for, e.g. 'CI of the shop'.")],
    *,
    owner: Annotated[str | None, typer.Option("--for", help="Whose it is. Default: yours.")] = None,
    operations: Annotated[
        list[Operation] | None, typer.Option("--operation", help="Narrow it to this; may be repeated. Default: all its owner may do.")
    ] = None,
    venture: InVenture = "*",
    environment: InPlace = Place.ALL,
    expires: Life = "90d",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Make a token. Its secret is printed this once."""
    body = {
        "name": name, "owner": owner, "operations": [o.value for o in operations] if operations else None, "venture": venture,
        "environment": environment.value, "life_s": _seconds(expires),
    }  # fmt: skip
    with api(home, api_url, as_json=as_json) as client:
        made = client.post(f"{ACCESS}/tokens", body)
    _tell_secret(made, as_json=as_json)


@token_app.command("list")
def list_(
    *,
    owner: Annotated[str | None, typer.Option("--for", help="Of somebody else; * is everybody. Default: yours.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List tokens, newest first; secrets are kept nowhere."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{ACCESS}/tokens", owner=owner)
    from productops.cli.access_text import tokens_table

    print(json.dumps(found) if as_json else tokens_table(found["items"]))


@token_app.command("rotate")
def rotate(
    token: TokenId,
    *,
    overlap: Annotated[str, typer.Option("--overlap", help="So long the secret before holds, too: 24h, 0m.")] = "24h",
    expires: Life = "90d",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Give a token a new secret; the one before holds for a while, so that nothing fails meanwhile."""
    with api(home, api_url, as_json=as_json) as client:
        made = client.post(f"{ACCESS}/tokens/{_quoted(token)}/rotate", {"overlap_s": _seconds(overlap), "life_s": _seconds(expires)})
    _tell_secret(made, as_json=as_json)


@token_app.command("revoke")
def revoke_token(
    token: TokenId,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")],
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """End a token: it opens nothing any more within 5 s."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{ACCESS}/tokens/{_quoted(token)}/revoke", {"reason": reason})
    print(json.dumps(found) if as_json else f"token {found['id']} is revoked; nothing accepts it after 5 s")


@access_app.command("who")
def who(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Say who this terminal is to the API, and what it may do."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{ACCESS}/me")
    from productops.cli.access_text import caller_page

    print(json.dumps(found) if as_json else caller_page(found))


@access_app.command("people")
def people(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """List people, service accounts and groups with their grants."""
    with api(home, api_url, as_json=as_json) as client:
        found, groups = client.get(f"{ACCESS}/people"), client.get(f"{ACCESS}/groups")
    from productops.cli.access_text import people_table

    print(json.dumps({"people": found["items"], "groups": groups["items"]}) if as_json else people_table(found["items"], groups["items"]))


@access_app.command("grant")
def grant(
    name: Annotated[str, typer.Argument(help="Who; somebody new is made.")],
    role: Annotated[Role, typer.Argument(help="What they are to the venture.")],
    *,
    venture: InVenture = "*",
    environment: InPlace = Place.ALL,
    kind: Of = Kind.PERSON,
    email: Annotated[str, typer.Option("--email", help="For somebody new: the address an identity provider knows them by.")] = "",
    expires: Annotated[str | None, typer.Option("--expires", help="The grant ends after 8h, 30d, …; default: never.")] = None,
    reason: Why = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Give somebody a role. Nobody can give more than they have."""
    body = _grant(name, role, venture, environment, kind, reason) | {"email": email}
    if expires is not None:
        from datetime import UTC, datetime, timedelta

        body["expires_at"] = (datetime.now(UTC) + timedelta(seconds=_seconds(expires))).isoformat()
    with api(home, api_url, as_json=as_json) as client:
        held = client.post(f"{ACCESS}/grants", body)
    from productops.cli.access_text import grant_text

    print(json.dumps(held) if as_json else f"{name} is {grant_text(held)}")


@access_app.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="Who.")],
    role: Annotated[Role, typer.Argument(help="The role that is taken away.")],
    *,
    venture: InVenture = "*",
    environment: InPlace = Place.ALL,
    kind: Of = Kind.PERSON,
    reason: Why = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Take a role away again, exactly as it was given."""
    body = _grant(name, role, venture, environment, kind, reason)
    with api(home, api_url, as_json=as_json) as client:
        client.post_raw(f"{ACCESS}/revocations", body)
    from productops.cli.access_text import grant_text

    print(json.dumps(body) if as_json else f"{name} is no longer {grant_text(body)}")


@access_app.command("disable")
def disable(
    name: Annotated[str, typer.Argument(help="Who.")], *, reason: Why = "disabled", as_json: AsJson = False, api_url: ApiUrl = None,
    home: Home = None,
) -> None:  # fmt: skip
    """Shut somebody out, with all their tokens and sessions."""
    _set_state(name, reason, home, api_url, disabled=True, as_json=as_json)


@access_app.command("enable")
def enable(
    name: Annotated[str, typer.Argument(help="Who.")], *, reason: Why = "enabled", as_json: AsJson = False, api_url: ApiUrl = None,
    home: Home = None,
) -> None:  # fmt: skip
    """Let somebody in again."""
    _set_state(name, reason, home, api_url, disabled=False, as_json=as_json)


@access_app.command("check")
def check(
    operation: Annotated[Operation, typer.Argument(help="What is to be done, e.g. release.request.")],
    *,
    name: Annotated[str | None, typer.Option("--for", help="Who. Default: you.")] = None,
    venture: Annotated[str | None, typer.Option("--venture", help="Where; default: in all ventures.")] = None,
    environment: Annotated[Place, typer.Option("--environment", help="Where; * is in all of them.")] = Place.ALL,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Explain in a sentence whether somebody may do something. Exit code 77: no."""
    place = None if environment is Place.ALL else environment.value
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{ACCESS}/check", operation=operation.value, name=name, venture=venture, environment=place)
    print(json.dumps(found) if as_json else found["sentence"])
    if not found["allowed"]:
        from productops.errors import ForbiddenError

        raise typer.Exit(ForbiddenError.exit_code)


def _set_state(name: str, reason: str, home: Home, api_url: ApiUrl, *, disabled: bool, as_json: bool) -> None:
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{ACCESS}/people/state", {"name": name, "disabled": disabled, "reason": reason})
    print(json.dumps(found) if as_json else f"{name} is {'shut out; nothing of theirs works after 5 s' if disabled else 'let in again'}")


def _grant(name: str, role: Role, venture: str, environment: Place, kind: Kind, reason: str) -> dict[str, Any]:
    return {
        "name": name, "kind": kind.value, "role": role.value, "venture": venture, "environment": environment.value, "reason": reason
    }  # fmt: skip


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([mhd])", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no span of time; write 30m, 12h or 90d")
    return int(found[1]) * _UNITS[found[2]]


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text.removeprefix("po_").partition("_")[0], safe="") or "%20"


def _tell_secret(made: dict[str, Any], *, as_json: bool) -> None:
    from productops.cli.access_text import secret_text

    print(json.dumps(made) if as_json else secret_text(made))


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(token_app)
    app.add_typer(access_app)
