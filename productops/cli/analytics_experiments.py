"""Commands of experiments: list, show, plan, start, stop, decide, check."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, Reason, api

EXPERIMENTS = "/api/v1/product-ops/experiments"
BREACHED_EXIT = 3
LOOK_S = 600.0
experiment_app = typer.Typer(
    name="experiment", help="Try a variant on some users, and learn whether it works.", no_args_is_help=True, rich_markup_mode=None
)
Name = Annotated[str, typer.Argument(help="Name of the experiment.")]


class StateName(StrEnum):
    """Where an experiment stands."""

    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"
    DECIDED = "decided"


class ChoiceName(StrEnum):
    """What is done with it."""

    SHIP = "ship"
    DROP = "drop"
    NO_DIFFERENCE = "no-difference"


@experiment_app.command("list")
def list_(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    state: Annotated[StateName | None, typer.Option("--state", help="In this state only.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List experiments and where they stand."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get_all(EXPERIMENTS, venture=venture, state=state.value if state else None)
    from productops.cli.analytics_experiments_text import experiments_table

    print(json.dumps(found) if as_json else experiments_table(found["items"]))


@experiment_app.command("show")
def show(
    name: Name,
    *,
    picture: Annotated[Path | None, typer.Option("--picture", help="Write the newest look as SVG into this file, too.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show an experiment with its newest look."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{EXPERIMENTS}/{name}")
        if picture is not None:
            picture.write_bytes(client.get_raw(f"{EXPERIMENTS}/{name}/picture"))
    _shown(found, as_json=as_json)


@experiment_app.command("plan")
def plan(
    name: Name,
    *,
    mean: Annotated[float | None, typer.Option("--mean", help="Of the metric today, e.g. 0.041; left out: learned from events.")] = None,
    deviation: Annotated[float | None, typer.Option("--deviation", help="Standard deviation between people; not for rates.")] = None,
    people_per_day: Annotated[float | None, typer.Option("--people-per-day", help="Who will meet it.")] = None,
    effect: Annotated[float | None, typer.Option("--effect", help="Relative effect worth knowing, e.g. 0.05.")] = None,
    learn_days: Annotated[float | None, typer.Option("--learn-days", help="Days of events to learn from; 28.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Say how many people it takes, and how many days."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(
            f"{EXPERIMENTS}/{name}/size", timeout_s=LOOK_S, mean=mean, deviation=deviation, people_per_day=people_per_day, effect=effect,
            learn_days=learn_days,
        )  # fmt: skip
    from productops.cli.analytics_experiments_text import size_page

    print(json.dumps(found) if as_json else size_page(found))


@experiment_app.command("start")
def start(name: Name, *, reason: Reason = "", as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Start a run: people who meet a variant from now on are counted."""
    _move(name, "start", {"reason": reason}, as_json=as_json, api_url=api_url, home=home)


@experiment_app.command("stop")
def stop(name: Name, *, reason: Reason = "", as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Stop a run: nobody who comes later is counted."""
    _move(name, "stop", {"reason": reason}, as_json=as_json, api_url=api_url, home=home)


@experiment_app.command("decide")
def decide(
    name: Name,
    choice: Annotated[ChoiceName, typer.Argument(help="What is done with it.")],
    *,
    variant: Annotated[str | None, typer.Option("--variant", help="The one to ship.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Decide it; the flag is not touched."""
    _move(name, "decide", {"choice": choice.value, "variant": variant, "reason": reason}, as_json=as_json, api_url=api_url, home=home)


@experiment_app.command("check")
def check(name: Name, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Look at it now, and keep what is found. Exits with 3 when a guardrail does not hold."""
    with api(home, api_url, as_json=as_json) as client:
        looked = client.post(f"{EXPERIMENTS}/{name}/looks", {}, timeout_s=LOOK_S)
    if as_json:
        print(json.dumps(looked))
    else:
        _shown(looked["experiment"] | {"look": looked["look"], "spec": None}, as_json=False)
    if any(rail["holds"] is False for rail in looked["look"]["guardrails"]):
        raise typer.Exit(BREACHED_EXIT)


def _move(name: str, verb: str, body: dict[str, Any], *, as_json: bool, api_url: str | None, home: Path | None) -> None:
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{EXPERIMENTS}/{name}/{verb}", body)
    from productops.cli.analytics_experiments_text import head

    print(json.dumps(found) if as_json else "\n".join(head(found)))


def _shown(found: dict[str, Any], *, as_json: bool) -> None:
    from productops.cli.analytics_experiments_text import experiment_page

    print(json.dumps(found) if as_json else experiment_page(found))


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(experiment_app)
