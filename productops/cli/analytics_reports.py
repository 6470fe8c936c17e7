"""The commands of performance, predictions of success and weekly reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.development_progress import segment
from productops.cli.release import ApiUrl, AsJson, Home, api

PRODUCT = "/api/v1/product-ops"


def optimize(
    subject: Annotated[str, typer.Argument(help="Name of the service, or key of a feature with --feature.")],
    *,
    feature: Annotated[bool, typer.Option("--feature", help="It is a feature, measured by usage events.")] = False,
    venture: Annotated[str, typer.Option("--venture", help="Venture of the feature, where several use it.")] = "",
    environment: Annotated[str, typer.Option("--environment", "-e", help="Where.")] = "production",
    days: Annotated[float, typer.Option("--days", help="How far back is looked.")] = 14.0,
    act: Annotated[bool, typer.Option("--act", help="Start the first step that is possible: roll back, flag, instances.")] = False,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key: the same request with it acts once.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Look at performance over versions and load, and say what to do."""
    wish = {"environment": environment, "days": days, "act": act, "venture": venture, "feature" if feature else "service": subject}
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{PRODUCT}/performance/optimize", wish, key=key, timeout_s=120)
    print(json.dumps(found) if as_json else performance_page(found))


def performance_page(found: Mapping[str, Any]) -> str:
    """One look, in lines."""
    lines = [f"{found['subject']} in {found['environment']}: {found['sentence']}"]
    lines += [_version_line(each) for each in found["facts"].get("versions", []) if each["minutes"]]
    lines += [f"  {each['kind']}: {each['sentence']}" for each in found["findings"]]
    lines += [f"  not compared: {each}" for each in found["facts"].get("silent", [])]
    for each in found["recommendations"]:
        lines.append(f"do: {each['sentence']}" + (f" (not now: {each['why']})" if each["why"] else ""))
    if found["state"] != "done":
        lines.append(f"{found['state']}: {found['action'].get('started') or found['action'].get('refused') or 'repeat the request'}")
    if found["effect"]:
        lines.append(f"brought: {found['effect']['sentence']}")
    return "\n".join([*lines, f"look {found['id']}"])


def _version_line(each: Mapping[str, Any]) -> str:
    latency = f"p50 {each['p50_ms'] or 0:.4g} ms  p99 {each['p99_ms'] or 0:.4g} ms  failures {each['failure_ratio']:.3%}"
    return f"  {each['version']:<12} {each['minutes']:>6} minutes  {each['requests']:>10,} requests  {latency}"


def predict(
    venture: Annotated[str, typer.Argument(help="Name of the venture.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Say with which probability features reach their goals, why, and how good such words were so far."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PRODUCT}/predictions/{segment(venture)}")
    print(json.dumps(found) if as_json else predictions_page(found))


def predictions_page(found: Mapping[str, Any]) -> str:
    """All predictions of a venture, in lines."""
    lines = []
    for each in found["items"]:
        lines.append(f"{each['feature']}: {each['probability']:.0%} that {each['target']:.1%} use it by {each['due_at'][:10]}")
        lines += [f"  - {reason}" for reason in each["reasons"]]
    lines += [f"{each['feature']}: no prediction, {each['why']}" for each in found["silent"]]
    return "\n".join([*(lines or ["no feature has a goal that is predicted"]), found["reliability"]["sentence"]])


def report(
    venture: Annotated[str, typer.Argument(help="Name of the venture.")],
    *,
    week: Annotated[str, typer.Option("--week", help="Like 2026-W47; left out: the last whole week.")] = "last",
    out: Annotated[Path | None, typer.Option("--html", help="File to write the page to.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send it by mail to those who have not got it.")] = False,
    to: Annotated[list[str] | None, typer.Option("--to", help="Recipient in place of the configured ones; may be repeated.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show the weekly report of a venture on one page."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{PRODUCT}/reports/{segment(venture)}/{segment(week)}")
        if out is not None:
            out.write_bytes(client.get_raw(f"{PRODUCT}/reports/{segment(venture)}/{segment(week)}", format="html"))
        mails = client.post(f"{PRODUCT}/reports/{segment(venture)}/{segment(week)}/mails", {"to": to or []}) if send else None
    print(json.dumps(found | {"mails": mails["items"] if mails else []}) if as_json else found["text"])
    for mail in mails["items"] if mails and not as_json else []:
        print(f"{mail['recipient']}: {mail['state']}" + (f" ({mail['error']})" if mail["error"] else ""))


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("optimize")(optimize)
    app.command("predict")(predict)
    app.command("report")(report)
