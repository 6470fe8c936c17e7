"""Commands of features: how far they are, whether they are ready, whether they were a success."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import typer

from productops.cli.development_sync import development_app
from productops.cli.release import ApiUrl, AsJson, Home, api

DEVELOPMENT = "/api/v1/product-ops/development"
NOT_PASSED_EXIT = 3
Feature = Annotated[str, typer.Argument(help="Key of the feature in its tool (APOLLO-12), or its id.")]


class StageName(StrEnum):
    """How far a feature is."""

    BACKLOG = "backlog"
    READY = "ready"
    DOING = "doing"
    REVIEW = "review"
    TESTING = "testing"
    DONE = "done"


def segment(name: str) -> str:
    """A key as a part of a path; of ``acme/shop#12`` the end is enough."""
    return quote(name.rpartition("/")[2], safe="")


def list_(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Of this tool only.")] = None,
    stage: Annotated[StageName | None, typer.Option("--stage", help="At this stage only.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Part of key or title.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List features with how much of each is done."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get_all(f"{DEVELOPMENT}/features", venture=venture, source=source, stage=stage, text=text)
    from productops.cli.development_progress_text import features_table

    print(json.dumps(found) if as_json else features_table(found["items"]))


def show(feature: Feature, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Show how far a feature is, how good, how risky, and what to do next."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{DEVELOPMENT}/{segment(feature)}")
    from productops.cli.development_progress_text import feature_page

    print(json.dumps(found) if as_json else feature_page(found))


def ready(feature: Feature, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Say whether a feature may be released, and what is missing. Exit code 3: not, or nobody knows."""
    _answer(feature, "readiness", as_json=as_json, api_url=api_url, home=home)


def success(feature: Feature, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Say whether a feature reached what it was made for. Exit code 3: not, or nobody knows yet."""
    _answer(feature, "success", as_json=as_json, api_url=api_url, home=home)


def _answer(feature: str, kind: str, *, as_json: bool, api_url: ApiUrl, home: Home) -> None:
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{DEVELOPMENT}/{segment(feature)}/{kind}")
    from productops.cli.development_progress_text import answer_page

    print(json.dumps(found) if as_json else answer_page(found))
    if found["state"] != "passed":
        raise typer.Exit(NOT_PASSED_EXIT)


def register(app: typer.Typer) -> None:  # noqa: ARG001 - they belong to the group of the sources
    """Add the commands to the program."""
    development_app.command("list")(list_)
    development_app.command("show")(show)
    development_app.command("ready")(ready)
    development_app.command("success")(success)
