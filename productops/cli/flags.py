"""Commands of feature flags; what they need is imported when they run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, In, api
from productops.domain.release import Environment

if TYPE_CHECKING:
    from productops.cli.api_client import ApiClient

OPS = "/api/v1/product-ops"
flag_app = typer.Typer(
    name="flag", help="Feature flags: see, change, ramp, kill and restore them.", no_args_is_help=True, rich_markup_mode=None
)

Key = Annotated[str, typer.Argument(help="Key of the flag.")]
Why = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]
NeededWhy = Annotated[str, typer.Option("--reason", help="Why; kept in the history.", show_default=False)]
Everywhere = Annotated[list[Environment] | None, typer.Option("--environment", help="Where; may be repeated. Default: everywhere.")]
IfRevision = Annotated[int | None, typer.Option("--if-revision", min=1, help="Only if the flag is at this revision.")]
At = Annotated[str | None, typer.Option("--at", help="When: 2026-01-31T09:00:00Z, or +90m from now. Default: at once.")]
Venture = Annotated[str | None, typer.Option("--venture", help="Of this venture only.")]
ChangeId = Annotated[str, typer.Argument(metavar="CHANGE", help="Id of the change.")]
Segments = Annotated[
    list[str] | None,
    typer.Option("--segment", help="Users who get it first: country=NZ,AU, or level:=[1,2] as JSON. May be repeated; '' for none."),
]


@flag_app.command("list")
def list_(
    *, venture: Venture = None, archived: Annotated[bool, typer.Option("--archived", help="With archived ones.")] = False,
    as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None,
) -> None:  # fmt: skip
    """List flags with what users have in production."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get_all(f"{OPS}/flags", venture=venture, archived=archived or None)
        from productops.cli.flags_text import flags_table

        print(json.dumps(found) if as_json else flags_table(found["items"]))


@flag_app.command()
def show(key: Key, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Show a flag: its variants, who has which in each environment, and what waits to happen to it."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(_path(key))
        from productops.cli.flags_text import flag_page

        print(json.dumps(found) if as_json else flag_page(found))


@flag_app.command("set")
def set_(
    key: Key,
    *,
    venture: Annotated[
        str | None, typer.Option("--venture", help="Owner of a new flag; with it, a flag that is not there is made.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Person or team who removes it in the end.")] = None,
    description: Annotated[str | None, typer.Option("--description", help="What it switches.")] = None,
    variants: Annotated[str | None, typer.Option("--variants", help='Values by name as JSON: {"on": true, "off": false}.')] = None,
    default_variant: Annotated[str | None, typer.Option("--default-variant", help="For everybody whom no rule and no ramp names.")] = None,
    off_variant: Annotated[str | None, typer.Option("--off-variant", help="For everybody once the flag is killed.")] = None,
    targeting: Annotated[str | None, typer.Option("--targeting", help="flagd JSON rules, or @file with them; {} for none.")] = None,
    expires_on: Annotated[str | None, typer.Option("--expires-on", help="Day from which on it should be gone: 2026-01-31.")] = None,
    approval: Annotated[bool | None, typer.Option("--approval-required/--no-approval-required", help="Whether changes wait.")] = None,
    archived: Annotated[bool | None, typer.Option("--archive/--no-archive", help="Take it away, or bring it back.")] = None,
    reason: Why = "",
    if_revision: IfRevision = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Make a flag, or change its definition; what is not named stays as it is."""
    given = {
        "owner": owner, "description": description, "default_variant": default_variant, "off_variant": off_variant,
        "expires_on": expires_on, "approval_required": approval, "variants": _json(variants, "--variants"),
        "targeting": _json(targeting, "--targeting"),
    }  # fmt: skip
    spec = {name: value for name, value in given.items() if value is not None}
    if archived is None and not spec:
        raise typer.BadParameter("name what to change, e.g. --default-variant on")
    with api(home, api_url, as_json=as_json) as client:
        if venture is not None and not _is_there(client, key):
            body = {"key": key, "venture": venture, "spec": spec, "reason": reason}
            _tell(client.post(f"{OPS}/flags", body), as_json=as_json)
            return
        operations: list[dict[str, Any]] = [{"op": "edit", "patch": spec}] if spec else []
        operations += [{"op": "archive", "archived": archived}] if archived is not None else []
        for number, operation in enumerate(operations):
            _change(client, key, operation, reason=reason, if_revision=None if number else if_revision, as_json=as_json)


@flag_app.command()
def ramp(
    key: Key,
    percent: Annotated[float, typer.Argument(min=0, max=100, help="Share of users by a stable hash; 100 is everybody.")],
    *,
    environment: In = Environment.PRODUCTION,
    variant: Annotated[str | None, typer.Option("--variant", help="Default: the one ramped already, else 'on'.")] = None,
    segment: Segments = None,
    reason: Why = "",
    at: At = None,
    if_revision: IfRevision = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Give a variant to a share of users; nobody loses it while the share rises."""
    operation = _ramp(environment, percent, variant, segment)
    with api(home, api_url, as_json=as_json) as client:
        _change(client, key, operation, reason=reason, at=at, if_revision=if_revision, as_json=as_json)


@flag_app.command()
def kill(
    key: Key, *, reason: NeededWhy, environment: Everywhere = None, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None
) -> None:
    """Off for everybody, at once; never waits for approval."""
    with api(home, api_url, as_json=as_json) as client:
        body = {"reason": reason, "environments": environment or []}
        _tell(client.post(f"{_path(key)}/kill", body), as_json=as_json)


@flag_app.command()
def revive(
    key: Key, *, reason: NeededWhy, environment: Everywhere = None, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None
) -> None:
    """Undo a kill: rules and ramp hold again."""
    with api(home, api_url, as_json=as_json) as client:
        body = {"reason": reason, "environments": environment or []}
        _tell(client.post(f"{_path(key)}/revive", body), as_json=as_json)


@flag_app.command()
def restore(
    key: Key, *, revision: Annotated[int | None, typer.Option("--revision", min=1, help="Default: the one before the newest.")] = None,
    reason: Why = "", as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None,
) -> None:  # fmt: skip
    """Everything as it was after an earlier revision: definition, ramps and kills."""
    with api(home, api_url, as_json=as_json) as client:
        body = {"revision": revision, "reason": reason}
        _tell(client.post(f"{_path(key)}/restore", body), as_json=as_json)


@flag_app.command()
def history(
    key: Key, *, limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 20, as_json: AsJson = False, api_url: ApiUrl = None,
    home: Home = None,
) -> None:  # fmt: skip
    """Who changed what, when and why; newest first."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{_path(key)}/history", limit=limit)
        from productops.cli.flags_text import history_table

        print(json.dumps(found) if as_json else history_table(found["items"]))


@flag_app.command()
def schedule(
    key: Key,
    *,
    at: At = None,
    percent: Annotated[float | None, typer.Option("--percent", min=0, max=100, help="Ramp to this share.")] = None,
    environment: In = Environment.PRODUCTION,
    variant: Annotated[str | None, typer.Option("--variant", help="Variant to ramp.")] = None,
    segment: Segments = None,
    patch: Annotated[str | None, typer.Option("--patch", help='Fields of the definition as JSON: {"default_variant": "on"}.')] = None,
    kill: Annotated[bool, typer.Option("--kill", help="Kill it then, in that environment; needs --reason.")] = False,
    reason: Why = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Change a flag at a time (--at with one of --percent, --patch, --kill); without --at: list what waits."""
    with api(home, api_url, as_json=as_json) as client:
        if at is None:
            found = client.get(f"{_path(key)}/changes", waiting=True)
            from productops.cli.flags_text import changes_table

            print(json.dumps(found) if as_json else changes_table(found["items"]))
            return
        operation = _scheduled(environment, percent=percent, variant=variant, segment=segment, patch=patch, kill=kill)
        _change(client, key, operation, reason=reason, at=at, as_json=as_json)


@flag_app.command()
def approve(key: Key, change: ChangeId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Approve a proposed change of somebody else."""
    _decide(key, change, "approve", "", as_json=as_json, api_url=api_url, home=home)


@flag_app.command()
def reject(key: Key, change: ChangeId, *, reason: Why = "", as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Refuse a proposed change."""
    _decide(key, change, "reject", reason, as_json=as_json, api_url=api_url, home=home)


@flag_app.command()
def cancel(key: Key, change: ChangeId, *, reason: Why = "", as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Call off a proposed or scheduled change."""
    _decide(key, change, "cancel", reason, as_json=as_json, api_url=api_url, home=home)


@flag_app.command()
def stale(
    *, venture: Venture = None, environment: In = Environment.PRODUCTION,
    unused_days: Annotated[int, typer.Option("--unused-days", min=1, help="Not evaluated for so long.")] = 30,
    settled_days: Annotated[int, typer.Option("--settled-days", min=1, help="The same variant for everybody for so long.")] = 30,
    as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None,
) -> None:  # fmt: skip
    """List flags that should go: past their expiry, the same for everybody, or not asked for."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get_all(
            f"{OPS}/stale-flags", venture=venture, environment=environment, unused_days=unused_days, settled_days=settled_days
        )
        from productops.cli.flags_text import stale_table

        print(json.dumps(found) if as_json else stale_table(found["items"]))


@flag_app.command()
def evaluate(
    key: Key, *, environment: In = Environment.PRODUCTION,
    targeting_key: Annotated[str | None, typer.Option("--user", help="targetingKey of the context.")] = None,
    context: Annotated[str | None, typer.Option("--context", help='Further attributes as JSON: {"country": "NZ"}.')] = None,
    as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None,
) -> None:  # fmt: skip
    """Say which variant a user gets, and why; not counted as a use."""
    attributes = _json(context, "--context") or {}
    if targeting_key is not None:
        attributes["targetingKey"] = targeting_key
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{_path(key)}/evaluate", {"environment": environment, "context": attributes})
        from productops.cli.flags_text import evaluation_line

        print(json.dumps(found) if as_json else evaluation_line(found))


def _change(
    client: ApiClient, key: str, operation: Mapping[str, Any], *, reason: str, at: str | None = None,
    if_revision: int | None = None, as_json: bool,
) -> None:  # fmt: skip
    body = {"operation": operation, "reason": reason, "at": _time(at), "if_revision": if_revision}
    _tell(client.post(f"{_path(key)}/changes", body), as_json=as_json)


def _decide(key: str, change: str, verb: str, reason: str, *, as_json: bool, api_url: str | None, home: Path | None) -> None:
    with api(home, api_url, as_json=as_json) as client:
        answer = client.post(f"{_path(key)}/changes/{_quoted(change)}/{verb}", {"reason": reason})
        if verb == "approve":
            _tell(answer, as_json=as_json)
        else:
            print(json.dumps(answer) if as_json else f"change {answer['id']} ({answer['summary']}) is {answer['state']}")


def _tell(outcome: Mapping[str, Any], *, as_json: bool) -> None:
    from productops.cli.flags_text import outcome_lines

    print(json.dumps(outcome) if as_json else outcome_lines(outcome))


def _is_there(client: ApiClient, key: str) -> bool:
    from productops.errors import NotFoundError

    try:
        client.get(_path(key))
    except NotFoundError:
        return False
    return True


def _ramp(environment: Environment, percent: float, variant: str | None, segments: list[str] | None) -> dict[str, Any]:
    operation: dict[str, Any] = {"op": "ramp", "environment": environment, "percent": percent, "variant": variant}
    if segments is not None:
        operation["segments"] = [_parsed(text) for text in segments if text]
    return operation


def _scheduled(
    environment: Environment, *, percent: float | None, variant: str | None, segment: list[str] | None, patch: str | None, kill: bool
) -> dict[str, Any]:
    if (percent is not None) + (patch is not None) + kill != 1:
        raise typer.BadParameter("say what is to happen: exactly one of --percent, --patch and --kill")
    if kill:
        return {"op": "kill", "environments": [environment]}
    if percent is not None:
        return _ramp(environment, percent, variant, segment)
    return {"op": "edit", "patch": _json(patch, "--patch")}


def _parsed(text: str) -> dict[str, Any]:
    name, mark, values = text.partition("=")
    if not mark or not name.rstrip(":"):
        raise typer.BadParameter(f"{text!r} is no segment; write country=NZ,AU", param_hint="--segment")
    if name.endswith(":"):
        listed = _json(values, "--segment")
        return {"attribute": name[:-1], "values": listed if isinstance(listed, list) else [listed]}
    return {"attribute": name, "values": values.split(",")}


def _json(text: str | None, option: str) -> Any:
    if text is None:
        return None
    try:
        return json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except OSError as error:
        raise typer.BadParameter(f"{text[1:]} cannot be read: {error.strerror}", param_hint=option) from None
    except ValueError as error:
        raise typer.BadParameter(f"is not JSON: {error}", param_hint=option) from None


def _time(text: str | None) -> str | None:
    """ISO time; ``+90m`` is that long from now (s, m, h, d)."""
    from datetime import UTC, datetime, timedelta

    span = re.fullmatch(r"\+(\d{1,6})([smhd])", text or "")
    if span is None:
        return text
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[span[2]]
    return (datetime.now(UTC) + timedelta(**{unit: int(span[1])})).isoformat()


def _path(key: str) -> str:
    return f"{OPS}/flags/{_quoted(key)}"


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="") or "%20"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(flag_app)
