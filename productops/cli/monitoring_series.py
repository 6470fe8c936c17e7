"""Commands of measured series: list, show, set thresholds, send a value, scrape targets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

METRICS = "/api/v1/product-ops/metrics"
SERIES = "/api/v1/product-ops/series"
TARGETS = "/api/v1/product-ops/scrape-targets"
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 60
metrics_app = typer.Typer(
    name="metrics",
    help="Measured series: of hosts, instances, services, and of what you send.",
    no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip
Number = Annotated[int, typer.Argument(help="Number of the series, as `metrics list` shows it.")]
Tag = Annotated[list[str] | None, typer.Option("--tag", help="name=value; may be repeated.")]


class StatusName(StrEnum):
    """What thresholds say."""

    NORMAL = "normal"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class StatisticName(StrEnum):
    """What of a step is told."""

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    LAST = "last"
    COUNT = "count"


@metrics_app.command("list")
def list_(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    component: Annotated[str | None, typer.Option("--component", help="storefront, 'host/*', 'storefront/*' …")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of this name only, e.g. service.p95_ms.")] = None,
    status: Annotated[StatusName | None, typer.Option("--status", help="In this status only.")] = None,
    tag: Tag = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many.")] = 100,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Which series there are, with their newest values."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(
            SERIES, venture=venture, component=component, name=name, status=status.value if status else None, tag=tag or None, limit=limit
        )  # fmt: skip
    print(json.dumps(found) if as_json else list_text(found))


@metrics_app.command("show")
def show(
    number: Number,
    *,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=1_051_200, help="The last so many.")] = 60,
    step: Annotated[int | None, typer.Option("--step", min=1, help="Seconds a value stands for; default: by the time shown.")] = None,
    statistic: Annotated[StatisticName, typer.Option("--statistic", help="What of a step is told.")] = StatisticName.MEAN,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """One series over time: its course, and its least, mean and greatest value."""
    now = datetime.now(UTC)
    with api(home, api_url, as_json=as_json) as client:
        info = client.get(f"{SERIES}/{number}")
        found = client.get(
            METRICS, venture=info["venture"], component=info["component"], name=info["name"],
            tag=[f"{name}={value}" for name, value in info["tags"].items()] or None, since=(now - timedelta(minutes=minutes)).isoformat(),
            until=(now + timedelta(seconds=1)).isoformat(), step_s=step or step_for(minutes), statistic=statistic.value,
        )  # fmt: skip
    own = [each for each in found["series"] if each["tags"] == info["tags"]]
    points = own[0]["points"] if own else []
    print(json.dumps(info | {"points": points}) if as_json else show_text(info, points, minutes=minutes))


@metrics_app.command("threshold")
def threshold(
    number: Number,
    *,
    warning: Annotated[float | None, typer.Option("--warning", help="From this value on it is a warning.")] = None,
    critical: Annotated[float | None, typer.Option("--critical", help="From this value on it is critical.")] = None,
    below: Annotated[bool, typer.Option("--below", help="Small values are bad.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Set thresholds; without any they are taken off."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{SERIES}/{number}/thresholds", {"warning": warning, "critical": critical, "below": below})
    print(json.dumps(found) if as_json else series_text(found))


@metrics_app.command("send")
def send(
    component: Annotated[str, typer.Argument(help="What it is of, e.g. storefront.")],
    name: Annotated[str, typer.Argument(help="Name of the series, e.g. queue.length.")],
    value: Annotated[float, typer.Argument(help="The value now.")],
    *,
    venture: Annotated[str, typer.Option("--venture", help="Whose it is.")],
    tag: Tag = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Send one value, measured now."""
    tags = dict(each.split("=", 1) for each in tag or () if "=" in each)
    series = {"venture": venture, "component": component, "name": name, "tags": tags, "points": [[datetime.now(UTC).timestamp(), value]]}
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(METRICS, {"series": [series]})
    print(json.dumps(found) if as_json else f"{found['kept']} point kept")


@metrics_app.command("targets")
def targets(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Where metrics are fetched, and how the last try went."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(TARGETS)
    print(json.dumps(found) if as_json else targets_text(found))


def step_for(minutes: int) -> int | None:
    """A step that gives some hundred values; None for a time so short that every point is shown."""
    if minutes <= 10:
        return None
    return next((step for step in (10, 60, 600, 3600, 21_600) if minutes * 60 / step <= 400), 86_400)


def list_text(found: dict[str, Any]) -> str:
    """A line for each series."""
    if not found["items"]:
        return "no series; `productops up` measures this machine, and POST /api/v1/product-ops/metrics takes others"
    lines = [series_text(each) for each in found["items"]]
    return "\n".join(lines + (["… and more: --limit, or --component and --name"] if found["next"] else []))


def series_text(each: dict[str, Any]) -> str:
    """One series in a line."""
    tags = " ".join(f"{name}={value}" for name, value in each["tags"].items())
    value = f"{each['last_value']:,.6g}" if each["last_value"] is not None else "-"
    limits = [f"{what} {each[what]:g}" for what in ("warning", "critical") if each[what] is not None]
    held = f"  {each['status']} ({'below ' if each['below'] else ''}{', '.join(limits)})" if limits else ""
    return f"{each['number']:>6}  {each['component']:<28.60} {each['name']:<28.60} {value:>14}  {tags}{held}".rstrip()


def show_text(info: dict[str, Any], points: list[list[float]], *, minutes: int) -> str:
    """The series, its course in a line, and what it reached."""
    head = series_text(info)
    if not points:
        return f"{head}\nno points in the last {minutes} minutes"
    values = [value for _, value in points]
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") for at in (points[0][0], points[-1][0]))
    told = f"least {min(values):,.6g}, mean {sum(values) / len(values):,.6g}, greatest {max(values):,.6g}, last {values[-1]:,.6g}"
    return f"{head}\n{course(values)}\n{first} to {last} UTC, {len(values):,} values: {told}"


def course(values: list[float]) -> str:
    """Bars as high as the means of equal parts of the values."""
    parts = min(WIDTH, len(values))
    edges = [len(values) * place // parts for place in range(parts + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    return "".join(BARS[round((mean - low) / (high - low) * (len(BARS) - 1)) if high > low else 0] for mean in means)


def targets_text(found: dict[str, Any]) -> str:
    """A line for each target."""
    lines = [
        f"{each['venture']}/{each['name']:<20} {each['url'] or 'source ' + each['source']}  every {each['interval_s']} s  "
        + (f"failed: {each['problem']}" if each["problem"] else f"{each['points']} points" if each["tried_at"] else "not tried yet")
        for each in found["items"]
    ]
    return "\n".join(lines) or "no scrape targets; declare one in the catalog (kind: ScrapeTarget)"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(metrics_app)
