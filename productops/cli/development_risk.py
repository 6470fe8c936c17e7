"""The commands of risk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from productops.cli.development_progress import segment
from productops.cli.release import ApiUrl, AsJson, Home, api

DEVELOPMENT = "/api/v1/product-ops/development"
risk_app = typer.Typer(name="risk", help="How risky changes and releases are.", no_args_is_help=True, rich_markup_mode=None)


@risk_app.command("show")
def show(
    subject: Annotated[str, typer.Argument(help="Key or id of a change (acme/shop#12), or id of a release.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Rate a change or a release, with reasons."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{DEVELOPMENT}/risk/{segment(subject)}")
    print(json.dumps(found) if as_json else risk_page(found))


@risk_app.command("list")
def list_(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List what was said of changes and releases, and what became of them."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get_all(f"{DEVELOPMENT}/risk", venture=venture)
    from productops.cli.development_progress_text import columns, share

    rows = [(p["at"][:10], p["level"], share(p["probability"]), p["method"], p["outcome"] or "-", p["title"][:70]) for p in found["items"]]
    table = columns(("said", "level", "breaks", "by", "outcome", "what"), rows) if rows else "nothing was rated yet"
    print(json.dumps(found) if as_json else table)


@risk_app.command("models")
def models(
    venture: Annotated[str, typer.Argument(help="Name of the venture.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Say what rates risk in a venture, why, and what was learned before."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{DEVELOPMENT}/risk-models", venture=venture)
    lines = [f"{found['method']}: {found['why']}"]
    lines += [f"{m['at'][:10]}  {m['state']:<10}  {m['changes']} changes, {m['broke']} broke  {m['reason']}" for m in found["items"]]
    print(json.dumps(found) if as_json else "\n".join(lines))


def risk_page(found: Mapping[str, Any]) -> str:
    """One rating."""
    from productops.cli.development_progress_text import share

    lines = [found["title"], f"{found['level']} by {found['method']}: {found['why_method']}"]
    if found["probability"] is not None:
        lines.append(f"{share(found['probability'])} that it breaks something, usual are {share(found['usual'])} of changes")
    lines += [f"  - {reason}" for reason in found["reasons"]]
    if found["stored"] is not None:
        kept = found["stored"]
        became = kept["outcome"] or "nobody knows yet"
        lines.append(f"said {kept['at'][:16].replace('T', ' ')} UTC: {kept['level']}; what became of it: {became}")
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(risk_app)
