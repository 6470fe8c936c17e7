"""Commands of plans: who does what when, what would be if, and by when it is done; what they need is imported when they run."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

if TYPE_CHECKING:
    from productops.cli.api_client import ApiClient

DEVELOPMENT = "/api/v1/product-ops/development"
# What the shell learns: 0 there is a plan. Other errors have the exit codes of productops.errors.
INFEASIBLE_EXIT = 3
LATE_EXIT = 4
STILL_WAITING_EXIT = 6
LOOK_S = 0.5
# The first plan of an installation compiles the search, which takes most of a minute.
PATIENCE_S = 300.0
WIDTH_MIN = 80
plan_app = typer.Typer(name="plan", help="Plan the work: who does what when, and by when it is done.", rich_markup_mode=None)
Venture = Annotated[str, typer.Option("--venture", help="Whose work.")]
Team = Annotated[str, typer.Option("--team", help="Only the work of this team.")]
File = Annotated[Path | None, typer.Option("--file", help="Work, people and hours as YAML or JSON: planned here, without a server.")]
Limit = Annotated[float | None, typer.Option("--limit", min=0.1, max=120, help="How long to search, seconds.")]
PlanArgument = Annotated[str, typer.Argument(metavar="PLAN", help="Id of a plan.")]


@plan_app.callback(invoke_without_command=True)
def plan(
    ctx: typer.Context,
    *,
    venture: Venture = "",
    team: Team = "",
    file: File = None,
    feature: Annotated[list[str] | None, typer.Option("--feature", help="Only this feature; may be repeated.")] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Only look: what people work by stays what it is.")] = False,
    forget_changes: Annotated[bool, typer.Option("--forget-changes", help="Assume no longer what was accepted before.")] = False,
    level: Annotated[bool, typer.Option("--level", help="Spread the work evenly where it costs nothing.")] = False,
    limit: Limit = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 4 when a deadline of a feature is not kept.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write a picture there.")] = None,
    note: Annotated[str, typer.Option("--note", help="What it is for; kept with the plan.")] = "",
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Longest wait for much work, seconds.")] = 300.0,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Plan the work: who does what when, and by when it is done. Exit code 3: nothing can keep all constraints; 4: late; 6: not yet."""
    if ctx.invoked_subcommand is not None:
        return
    with _infeasible(as_json=as_json):
        if file is not None:
            document = _plan_here(file, limit)
        else:
            body = {
                "venture": _needed(venture), "team": team, "features": feature or [], "keep": "draft" if draft else "current",
                "keep_changes": not forget_changes, "level": level, "limit_s": limit, "note": note,
            }  # fmt: skip
            with api(home, api_url, as_json=as_json) as client:
                document = _plan_there(client, body, wait_s=wait_s)
        _tell(document, as_json=as_json, svg=svg)
    if strict and document["plan"] and any(each["late_h"] for each in document["plan"]["features"]):
        raise typer.Exit(LATE_EXIT)


def _needed(venture: str) -> str:
    from productops.errors import InvalidInputError

    if not venture:
        raise InvalidInputError("say whose work is planned: --venture NAME, or --file WORK.yaml without a server")
    return venture


@contextmanager
def _infeasible(*, as_json: bool) -> Iterator[None]:
    """An exit code of its own, and the constraints one below the other."""
    from productops.cli.api_client import to_problem
    from productops.errors import ImpossiblePlanError

    try:
        yield
    except ImpossiblePlanError as error:
        if as_json:
            print(json.dumps(to_problem(error)))
        else:
            lines = ["no plan can keep all of these:", *(f"  - {each}" for each in error.extra.get("conflict", ()))]
            typer.echo("\n".join([*lines, "Move a deadline, drop a dependency, or add a person."]), err=True)
        raise typer.Exit(INFEASIBLE_EXIT) from error


def _plan_here(file: Path, limit_s: float | None) -> dict[str, Any]:
    """With the same code as the API, and without what only its store knows."""
    from datetime import UTC, datetime

    from productops.adapters.development_plan_file import read_work_file
    from productops.domain.development_plan_change import bottleneck
    from productops.domain.development_plan_facts import DrawnWork
    from productops.domain.development_plan_make import make_plan
    from productops.domain.development_plan_text import as_document
    from productops.errors import InvalidInputError
    from productops.usecases.development_forecast import forecasts_of

    request = read_work_file(file).request(now=datetime.now(UTC))
    seconds = limit_s or (4.0 if len(request.items) <= 60 else 20.0)
    found = make_plan(request, limit_s=seconds)
    try:
        narrow = bottleneck(request, found, limit_s=min(1.0, seconds))
    except InvalidInputError:  # it is an extra
        narrow = None
    forecasts = forecasts_of(request, found, DrawnWork(request), places=())
    told = {"skill": narrow.skill, "people": list(narrow.people), "share": narrow.share, "saved_h": narrow.saved_h} if narrow else None
    return {
        "id": str(file), "venture": "", "team": "", "state": "draft", "scenario": "", "error": None, "plan": as_document(found),
        "changed": None, "changes": [], "dropped_changes": [], "gaps": [], "bottleneck": told, "timezone": request.calendar.timezone,
        "forecasts": [{name: value for name, value in each.items() if name != "grid"} for each in forecasts],
    }  # fmt: skip


def _plan_there(client: ApiClient, body: Mapping[str, Any], *, wait_s: float) -> dict[str, Any]:
    from productops.cli.api_client import from_problem

    document = client.post(f"{DEVELOPMENT}/plans", body, timeout_s=PATIENCE_S)
    deadline = time.monotonic() + wait_s
    if document["state"] == "waiting":
        typer.echo(f"much work: plan {document['id']} is being made", err=True)
    while document["state"] == "waiting":
        if time.monotonic() > deadline:
            typer.echo(f"not made within {wait_s:g} s; look with: productops plan show {document['id']}", err=True)
            raise typer.Exit(STILL_WAITING_EXIT)
        time.sleep(LOOK_S)
        document = client.get(f"{DEVELOPMENT}/plans/{document['id']}")
    if document["state"] == "failed":
        error = document["error"]
        raise from_problem({"slug": error["slug"], "detail": error["detail"], "status": 422, **error["extra"]})
    return document if "plan" in document else client.get(f"{DEVELOPMENT}/plans/{document['id']}")


def _tell(document: Mapping[str, Any], *, as_json: bool, svg: Path | None = None) -> None:
    from productops.cli.development_plan_text import plan_text
    from productops.domain.development_plan_facts_document import plan_from
    from productops.domain.development_plan_picture import draw_gantt

    zone = document.get("timezone", "UTC")
    if svg is not None and document["plan"]:
        _write(svg, draw_gantt(plan_from(document["plan"]), title=document["venture"] or document["id"], timezone=zone))
    if as_json:
        print(json.dumps(document))
    else:
        width = max(WIDTH_MIN, min(140, shutil.get_terminal_size((100, 40)).columns))
        print(plan_text(document, width=width, timezone=zone))


def _write(file: Path, text: str) -> None:
    from productops.errors import InvalidInputError

    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"the picture {file} cannot be written: {error.strerror}") from error


@plan_app.command("show")
def show(
    plan_id: Annotated[str, typer.Argument(metavar="[PLAN]", help="Id of a plan. Left out: the current one of --venture.")] = "",
    *,
    venture: Venture = "",
    team: Team = "",
    svg: Annotated[Path | None, typer.Option("--svg", help="Write a picture there.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show a plan, or the one people work by."""
    with api(home, api_url, as_json=as_json) as client:
        if plan_id:
            document = client.get(f"{DEVELOPMENT}/plans/{plan_id}")
        else:
            document = client.get(f"{DEVELOPMENT}/plans/current", venture=_needed(venture), team=team)
    _tell(document, as_json=as_json, svg=svg)


@plan_app.command("list")
def list_plans(
    *,
    venture: Venture = "",
    team: Team = "",
    state: Annotated[str | None, typer.Option("--state", help="waiting, draft, current, superseded or failed.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 20,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List plans, newest first."""
    from productops.cli.development_plan_text import plans_text

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{DEVELOPMENT}/plans", venture=venture or None, team=team or None, state=state, limit=limit)
    print(json.dumps(found) if as_json else plans_text(found["items"]))


@plan_app.command("what-if")
def what_if(
    plan_id: Annotated[str, typer.Argument(metavar="[PLAN]", help="Id of a plan. Left out: the current one of --venture.")] = "",
    *,
    venture: Venture = "",
    team: Team = "",
    file: File = None,
    add_person: Annotated[list[str] | None, typer.Option("--add-person", help="One more: NAME=skill,skill or NAME=skill@50%.")] = None,
    remove_person: Annotated[list[str] | None, typer.Option("--remove-person", help="Without this person.")] = None,
    share: Annotated[list[str] | None, typer.Option("--share", help="Another share of time: NAME=50%.")] = None,
    drop_feature: Annotated[list[str] | None, typer.Option("--drop-feature", help="Without this feature.")] = None,
    deadline: Annotated[
        list[str] | None, typer.Option("--deadline", help="Another date: FEATURE=2026-12-01; with ! at the end it is a must.")
    ] = None,
    together: Annotated[bool, typer.Option("--together", help="All of it as one case, instead of one case each.")] = False,
    limit: Limit = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Compare what would be with one more person, one feature less, another date. Each option is a case; it can be accepted later."""
    from productops.cli.development_plan_text import comparison_text
    from productops.cli.development_plan_wishes import compare_here, scenarios_of

    scenarios = scenarios_of(
        add_person=add_person, remove_person=remove_person, share=share, drop_feature=drop_feature, deadline=deadline, together=together
    )
    if file is not None:
        with _infeasible(as_json=as_json):
            found = compare_here(file, scenarios, limit_s=limit or 4.0)
    else:
        body: dict[str, Any] = {"scenarios": scenarios, "limit_s": limit}
        body |= {"plan_id": plan_id} if plan_id else {"venture": _needed(venture), "team": team}
        with api(home, api_url, as_json=as_json) as client:
            found = client.post(f"{DEVELOPMENT}/plans/what-if", body, timeout_s=PATIENCE_S)
    print(json.dumps(found) if as_json else comparison_text(found["cases"]))


@plan_app.command("accept")
def accept(
    plan_id: PlanArgument,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")] = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Let a draft be the plan people work by; what it assumes holds for the plans after it, too."""
    with api(home, api_url, as_json=as_json) as client:
        done = client.post(f"{DEVELOPMENT}/plans/{plan_id}/accept", {"reason": reason})
    print(
        json.dumps(done) if as_json else f"plan {plan_id} is the current one now; it ends {str(done['ends_at'])[:16].replace('T', ' ')} UTC"
    )


@plan_app.command("forecast")
def forecast(
    *,
    venture: Venture = "",
    feature: Annotated[str | None, typer.Option("--feature", help="All forecasts of this feature, newest first.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """By when features and sprints are done, with a chance of 50, 80 and 95 %, and how many past forecasts held."""
    from zoneinfo import ZoneInfo

    from productops.cli.development_plan_text import dates_text

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{DEVELOPMENT}/forecasts", venture=venture or None, key=feature, limit=limit)
    if as_json:
        print(json.dumps(found))
        return
    newest: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for each in found["items"]:
        newest.setdefault((each["venture"], each["key"], "" if feature is None else each["id"]), each)
    print(dates_text(list(newest.values()), ZoneInfo("UTC")) if newest else "there are no forecasts yet; a plan makes some")
    print(f"\n{found['calibration']['sentence']}")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(plan_app)
