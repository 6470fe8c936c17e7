"""Commands of what is learned from quality runs; added to ``productops quality``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.quality import QUALITY, quality_app
from productops.cli.release import ApiUrl, AsJson, Home, api
from productops.domain.quality_insight import InsightKind, InsightState

PAGE = 200
ServiceName = Annotated[str, typer.Argument(help="Name of the service.")]
InsightId = Annotated[str, typer.Argument(help="Id of the finding.")]
TestKey = Annotated[str, typer.Argument(help="Key of the test, as `productops quality flaky` shows it.")]
Why = Annotated[str, typer.Option("--reason", help="Why; at least 10 characters.")]


def flaky(
    service: ServiceName,
    *,
    review: Annotated[bool, typer.Option("--review", help="Quarantine and release now, as the evidence asks for.")] = False,
    sure: Annotated[float, typer.Option("--sure", min=0.0, max=1.0, help="Tests from this probability of chance.")] = 0.8,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Tests that answer by chance, what they cost, and what is in quarantine."""
    with api(home, api_url, as_json=as_json) as client:
        path = f"{QUALITY}/flaky/{service}"
        found = client.post(f"{path}/review", {}) if review else client.get(path, sure=sure)
    print(json.dumps(found) if as_json else flaky_text(found, done=review))


def quarantine(
    service: ServiceName,
    test: TestKey,
    *,
    reason: Why,
    owner: Annotated[str, typer.Option("--owner", help="Who mends it; default: the service's venture.")] = "",
    days: Annotated[float, typer.Option("--days", min=1 / 24, max=90, help="For how long.")] = 14,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Let a test warn only, for a time."""
    body = {"service": service, "test_key": test, "reason": reason, "owner": owner, "days": days}
    with api(home, api_url, as_json=as_json) as client:
        done = client.post(f"{QUALITY}/quarantine", body)
    print(json.dumps(done) if as_json else _held(done))


def release(
    service: ServiceName, test: TestKey, *, reason: Why, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None
) -> None:  # fmt: skip
    """Let a quarantined test block again, at once."""
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        done = client.post(f"{QUALITY}/quarantine/{service}/{test}/release", {"reason": reason})
    print(json.dumps(done) if as_json else f"{plain(done['test_name'])} counts again")


def performance(
    service: ServiceName,
    series: Annotated[str | None, typer.Argument(help="Name of one series; default: all.")] = None,
    *,
    runner: Annotated[str | None, typer.Option("--runner", help="On this kind of machine only.")] = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="Draw the series into this SVG file.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Performance over the runs of the main branch, with the steps of its level."""
    from productops.errors import InvalidInputError

    if picture is not None and series is None:
        raise InvalidInputError("a picture shows one series: name it before --picture")
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{QUALITY}/performance/{service}", series=series, runner=runner)
    if picture is not None:
        _draw(picture, found["items"], series or "")
    print(json.dumps(found) if as_json else performance_text(found["items"]))


def insights(
    insight_id: Annotated[str | None, typer.Argument(help="Id of one finding: show all about it.")] = None,
    *,
    service: Annotated[str | None, typer.Option("--service", help="Of this service only.")] = None,
    kind: Annotated[InsightKind | None, typer.Option("--kind", help="Of this kind only.")] = None,
    state: Annotated[InsightState | None, typer.Option("--state", help="Only those; default: open.")] = InsightState.OPEN,
    review: Annotated[str | None, typer.Option("--review", help="Look at the runs of this service first.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=PAGE, help="How many.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """What would make the tests better, the dearest first."""
    with api(home, api_url, as_json=as_json) as client:
        if insight_id is not None:
            found = client.get(f"{QUALITY}/insights/{insight_id}")
            print(json.dumps(found) if as_json else _page(found))
            return
        if review is not None:
            client.post(f"{QUALITY}/insights/review/{review}", {})
        found = client.get(f"{QUALITY}/insights", service=service or review, kind=kind, state=state, limit=limit)
    print(json.dumps(found) if as_json else insights_text(found["items"]))


def accept(
    insight_id: InsightId,
    *,
    done: Annotated[bool, typer.Option("--done", help="The task is done.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, or what was done.")] = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Make a finding a task; with --done, end it."""
    _decide(insight_id, "finish" if done else "accept", reason, as_json=as_json, api_url=api_url, home=home)


def dismiss(insight_id: InsightId, *, reason: Why, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Not worth it; it comes back when the evidence doubles."""
    _decide(insight_id, "dismiss", reason, as_json=as_json, api_url=api_url, home=home)


def _decide(insight_id: str, what: str, reason: str, *, as_json: bool, api_url: str | None, home: Path | None) -> None:
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        done = client.post(f"{QUALITY}/insights/{insight_id}/{what}", {"reason": reason})
    print(json.dumps(done) if as_json else f"{plain(done['title'])}: {done['state']}")


def flaky_text(found: Mapping[str, Any], *, done: bool) -> str:
    """The tests, what they cost, the quarantine, and what a review did or would do."""
    from productops.cli.release_text import plain
    from productops.cli.stack.tables import render

    rows = [
        (
            t["key"], f"{t['probability']:.0%}", f"{t['failed_runs']}/{t['runs']}", str(t["retried_runs"]), f"{t['broken']:.0%}",
            plain(t["name"]),
        )
        for t in found["tests"]
    ]  # fmt: skip
    head = ("key", "by chance", "failed", "retried", "broken now", "test")
    cost, each = found["cost"], found["people_minutes_each"]
    people = f"{cost['people_minutes']:.0f} min of people ({each:g} min each)"
    lines = [
        f"{found['service']}: {len(rows)} tests answer by chance, by {found['runs']} runs",
        *([render(head, rows)] if rows else []),
        f"cost: {cost['retry_minutes']:.1f} min of retries, {cost['blocked_runs']:g} blocked runs, {people}",
        *(_held(each) for each in found["quarantined"]),
        *(f"{'did' if done else 'would'} {d['move']} {plain(d['name'])}: {plain(d['reason'])}" for d in found["decisions"]),
    ]  # fmt: skip
    return "\n".join(lines)


def _held(held: Mapping[str, Any]) -> str:
    from productops.cli.release_text import plain

    until = str(held["until"])[:16].replace("T", " ")
    return f"quarantined until {until} UTC: {plain(held['test_name'])}; {plain(held['owner'])} mends it: {plain(held['reason'])}"


def performance_text(found: list[dict[str, Any]]) -> str:
    """Each series in a line, and its steps below it."""
    from productops.cli.release_text import plain

    lines = []
    for each in found:
        seen = f"a change of {each['detectable']:.1%} would be seen" if each["detectable"] is not None else "too few runs to compare"
        where = f" on {plain(each['runner'])}" if each["runner"] else ""
        newest = f"{each['medians'][-1]:.4g} {plain(each['unit'])}".rstrip()
        lines.append(f"{plain(each['series'])}{where}: {newest} in the newest of {len(each['medians'])} runs; {seen}")
        lines += [
            f"  run {s['index']} ({plain(each['commits'][s['index']])[:12]}): {s['before']:.4g} → {s['after']:.4g}, {s['change']:+.1%}"
            + (f" (sure: {s['low']:+.1%} to {s['high']:+.1%})" if s["low"] is not None else "")
            + (" worse" if s["worse"] else " better")
            for s in each["steps"]
        ]
    return "\n".join(lines) or "no series are kept"


def insights_text(items: list[dict[str, Any]]) -> str:
    """A table, the dearest first."""
    from productops.cli.release_text import plain
    from productops.cli.stack.tables import render

    dear = sorted(items, key=lambda item: (-item["minutes"], -item["weight"]))
    rows = [(i["id"], i["state"], i["kind"], f"{i['minutes']:.0f}" if i["minutes"] else "–", plain(i["title"])) for i in dear]
    return render(("finding", "state", "kind", "min a month", "what"), rows) if rows else "no findings"


def _page(item: Mapping[str, Any]) -> str:
    from productops.cli.release_text import plain

    lines = [
        f"finding {item['id']} of {item['service']}: {item['state']}, {item['kind']}",
        plain(item["title"]), plain(item["sentence"]), f"to do: {plain(item['action'])}",
        f"costs {item['minutes']:.0f} min a month; found {item['found_at']}, seen last {item['seen_at']}",
        *([f"{item['state']} by {plain(item['decided_by'])}: {plain(item['reason'])}"] if item["decided_by"] else []),
        *(f"  {name}: {plain(json.dumps(value, ensure_ascii=False))}" for name, value in item["evidence"].items()),
    ]  # fmt: skip
    return "\n".join(lines)


def _draw(picture: Path, found: list[dict[str, Any]], series: str) -> None:
    """Raises: NotFoundError when there is no such series."""
    from productops.adapters.quality_performance_picture import draw
    from productops.domain.quality_performance import HistoryStep
    from productops.errors import NotFoundError

    if not found:
        raise NotFoundError(f"there is no series {series!r}; list them without a name")
    one = found[0]
    steps = [
        HistoryStep(
            index=s["index"], before=s["before"], after=s["after"], change=s["change"], low=_known(s["low"]), high=_known(s["high"]),
            detectable=_known(s["detectable"]), evidence=1.0, worse=s["worse"],
        )
        for s in one["steps"]
    ]  # fmt: skip
    picture.write_bytes(draw(f"{one['service']}: {one['series']}", one["unit"], one["medians"], steps))


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def register(app: typer.Typer) -> None:  # noqa: ARG001 - the commands are part of `productops quality`, which is added by its own file
    """Put the commands beside the others of ``productops quality``."""
    quality_app.command("flaky")(flaky)
    quality_app.command("quarantine")(quarantine)
    quality_app.command("release")(release)
    quality_app.command("performance")(performance)
    quality_app.command("insights")(insights)
    quality_app.command("accept")(accept)
    quality_app.command("dismiss")(dismiss)
