"""Commands of use: a feature, funnels, retention, cohorts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

ANALYTICS = "/api/v1/product-ops/analytics"
NO_EVENTS_EXIT = 3
Venture = Annotated[str, typer.Option("--venture", help="Name of the venture.")]
Days = Annotated[int, typer.Option("--days", min=1, max=1100, help="The last so many days.")]
Until = Annotated[str | None, typer.Option("--until", help="Day after the last, as 2026-06-30; default: now.")]
CohortName = Annotated[str | None, typer.Option("--cohort", help="Only people of this saved cohort.")]
cohort_app = typer.Typer(no_args_is_help=True, help="Groups of people, by what they did or by a list.")


class OrderName(StrEnum):
    """How the steps follow each other."""

    ORDERED = "ordered"
    STRICT = "strict"
    ANY = "any"


class UnitName(StrEnum):
    """Rows of a table."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def time_range(days: int, until: str | None) -> dict[str, str]:
    """``since`` and ``until`` of a question. Raises: InvalidInputError."""
    from productops.errors import InvalidInputError

    try:
        end = datetime.fromisoformat(until).replace(tzinfo=UTC) if until else datetime.now(UTC)
    except ValueError as error:
        raise InvalidInputError(f"--until {until[:40] if until else ''!r} is no day; write it as 2026-06-30") from error
    return {"since": (end - timedelta(days=days)).isoformat(), "until": end.isoformat()}


def usage(
    feature: Annotated[str, typer.Argument(help="Key of the feature, as events name it.")],
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Where several ventures have one of that key.")] = None,
    days: Days = 30,
    until: Until = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """How a feature is used: people by day, new ones, versions, releases. Exit code 3: nobody used it."""
    given = {name: text[:10] for name, text in time_range(days, until).items()}
    if until is None:
        given["until"] = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{ANALYTICS}/{quote(feature, safe='')}", venture=venture, since=given["since"], until=given["until"])
    from productops.cli.analytics_usage_text import feature_page

    print(json.dumps(found) if as_json else feature_page(found))
    if found["empty"]:
        raise typer.Exit(NO_EVENTS_EXIT)


def funnel(
    name: Annotated[str | None, typer.Argument(help="Name of a saved funnel; or give --step.")] = None,
    *,
    venture: Venture,
    step: Annotated[list[str] | None, typer.Option("--step", help="Name of an event; once for each step, in their order.")] = None,
    order: Annotated[OrderName, typer.Option("--order", help="ordered, strict (nothing between) or any.")] = OrderName.ORDERED,
    window_h: Annotated[float, typer.Option("--window-hours", min=0.001, help="From the first step to the last.")] = 336,
    by: Annotated[str | None, typer.Option("--by", help="Split by: platform, country, version, properties.plan.")] = None,
    cohort: CohortName = None,
    days: Days = 30,
    until: Until = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """How far people came. Exit code 3: there are no events."""
    from productops.errors import InvalidInputError

    if (name is None) == (not step):
        raise InvalidInputError("name a saved funnel, or give its steps: productops funnel --venture apollo --step view --step buy")
    given = time_range(days, until)
    with api(home, api_url, as_json=as_json) as client:
        if name is not None:
            found = client.get(f"{ANALYTICS}/funnels/{quote(name, safe='')}", venture=venture, since=given["since"], until=given["until"])
        else:
            spec: dict[str, Any] = {
                "steps": [{"name": each} for each in step or ()],
                "order": order,
                "window_s": max(1, int(window_h * 3600)),
            }
            spec |= {"breakdown": by} if by else {}
            found = client.post(f"{ANALYTICS}/funnels", {"venture": venture, "funnel": spec, "cohort": cohort, **given})
    _told(found, "funnel_text", as_json=as_json)


def retention(
    *,
    venture: Venture,
    start: Annotated[str | None, typer.Option("--start", help="Event that makes somebody count; default: any.")] = None,
    back: Annotated[str | None, typer.Option("--back", help="Event that is a return; default: any.")] = None,
    unit: Annotated[UnitName, typer.Option("--by", help="day, week or month.")] = UnitName.WEEK,
    periods: Annotated[int, typer.Option("--periods", min=1, max=60, help="Columns.")] = 8,
    zone: Annotated[str, typer.Option("--zone", help="Time zone: Europe/Zurich.")] = "UTC",
    recurring: Annotated[bool, typer.Option("--recurring", help="Count people in each period with a start, not in their first.")] = False,
    or_after: Annotated[bool, typer.Option("--or-after", help="Count who came back then or at any later time.")] = False,
    cohort: CohortName = None,
    days: Days = 60,
    until: Until = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Who came back. Exit code 3: there are no events."""
    body: dict[str, Any] = {
        "venture": venture, "unit": unit, "periods": periods, "zone": zone, "cohort": cohort,
        "start": {"name": start}, "back": {"name": back},
        "first": "recurring" if recurring else "first-time", "kind": "on-or-after" if or_after else "on",
    }  # fmt: skip
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{ANALYTICS}/retention", body | time_range(days, until))
    _told(found, "retention_text", as_json=as_json)


def _told(found: dict[str, Any], text: str, *, as_json: bool) -> None:
    from productops.cli import analytics_usage_text

    print(json.dumps(found) if as_json else getattr(analytics_usage_text, text)(found))
    if found["basis"]["empty"]:
        raise typer.Exit(NO_EVENTS_EXIT)


def cohort_list(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List saved cohorts."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{ANALYTICS}/cohorts", venture=venture)
    from productops.cli.analytics_usage_text import cohorts_text

    print(json.dumps(found) if as_json else cohorts_text(found["items"]))


def cohort_show(
    name: Annotated[str, typer.Argument(help="Name of the cohort.")],
    *,
    venture: Venture,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Keys of so many people.")] = 20,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """How many people are in a cohort now, and some of their keys."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{ANALYTICS}/cohorts/{quote(name, safe='')}", venture=venture, limit=limit)
    from productops.cli.analytics_usage_text import cohort_text

    print(json.dumps(found) if as_json else cohort_text(found))


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("usage")(usage)
    app.command("funnel")(funnel)
    app.command("retention")(retention)
    cohort_app.command("list")(cohort_list)
    cohort_app.command("show")(cohort_show)
    app.add_typer(cohort_app, name="cohort")
