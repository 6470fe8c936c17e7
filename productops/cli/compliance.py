"""Commands of compliance."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api
from productops.domain.governance_compliance_words import FindingState, Severity

COMPLIANCE = "/api/v1/product-ops/compliance"
VIOLATED_EXIT = 3
PAGE = 200
compliance_app = typer.Typer(name="compliance", help="What has to hold, and what does not.", no_args_is_help=True, rich_markup_mode=None)
_SPAN = re.compile(r"([1-9][0-9]{0,3})([hd])")


@compliance_app.command("controls")
def controls(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """List the controls with how they stand."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(COMPLIANCE)
    if as_json:
        print(json.dumps(found))
        return
    rows = [
        (c["name"], c["outcome"] or "never checked", str(c["open"]), str(c["waived"]), c["severity"], c["owner"], c["title"])
        for c in found["items"]
    ]
    _table(("control", "outcome", "open", "waived", "severity", "owner", "what has to hold"), rows, none="no controls are declared")


@compliance_app.command("check")
def check(
    control: Annotated[str | None, typer.Argument(help="Name of one control; default: all.")] = None,
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Check the controls now. Exit code 3: something is open, or could not be looked at."""
    with api(home, api_url, as_json=as_json) as client:
        done = client.post(f"{COMPLIANCE}/check", {"control": control} if control else {})
    if as_json:
        print(json.dumps(done))
    else:
        _show_check(done)
    if any(result["opened"] + result["still"] > result["waived"] or result["outcome"] == "unchecked" for result in done["results"]):
        raise typer.Exit(VIOLATED_EXIT)


def _show_check(done: dict[str, Any]) -> None:
    from productops.cli.release_text import plain

    counted = ("looked_at", "opened", "still", "resolved", "waived")
    rows = [(r["control"], r["outcome"], *(str(r[name]) for name in counted), plain(r["note"])) for r in done["results"]]
    _table(("control", "outcome", "looked at", "new", "still", "resolved", "waived", "note"), rows, none="no controls are declared")
    for result in done["results"]:
        for sentence in result["remedied"]:
            print(f"{result['control']}: {plain(sentence)}")


@compliance_app.command("findings")
def findings(
    finding_id: Annotated[str | None, typer.Argument(help="Id of one finding: show all about it.")] = None,
    *,
    state: Annotated[FindingState | None, typer.Option("--state", help="Only those; default: open and waived.")] = None,
    control: Annotated[str | None, typer.Option("--control", help="Of this control only.")] = None,
    severity: Annotated[Severity | None, typer.Option("--severity", help="Of this severity only.")] = None,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List findings, newest first, or show one with its evidence."""
    with api(home, api_url, as_json=as_json) as client:
        if finding_id is not None:
            found = client.get(f"{COMPLIANCE}/findings/{finding_id}")
            print(json.dumps(found) if as_json else _page(found))
            return
        states = [state] if state else [FindingState.OPEN, FindingState.WAIVED]
        items = [item for each in states for item in _all(client, limit, state=each, control=control, severity=severity, venture=venture)]
    items = sorted(items, key=lambda item: str(item["id"]), reverse=True)[:limit]
    if as_json:
        print(json.dumps({"items": items}))
        return
    from productops.cli.release_text import plain

    rows = [
        (i["id"], i["state"], i["severity"], i["control"], str(i["opened_at"])[:16].replace("T", " "), plain(i["sentence"])) for i in items
    ]
    _table(("finding", "state", "severity", "control", "since (UTC)", "what is not as it should be"), rows, none="no findings")


def _all(client: Any, limit: int, **asked: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    after = None
    while len(items) < limit:
        page = client.get(f"{COMPLIANCE}/findings", **asked, limit=min(PAGE, limit - len(items)), after=after)
        items += page["items"]
        after = page["next"]
        if after is None:
            break
    return items


@compliance_app.command("waive")
def waive(
    finding_id: Annotated[str, typer.Argument(help="Id of the finding.")],
    *,
    owner: Annotated[str, typer.Option("--owner", help="Who bears the risk.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; at least 10 characters.")],
    span: Annotated[str, typer.Option("--for", help="For how long, e.g. 30d or 12h; then it is open again.")] = "30d",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Bear a finding for a time."""
    from productops.cli.release_text import plain

    body = {"finding_id": finding_id, "owner": owner, "reason": reason, "expires_at": _until(span).isoformat()}
    with api(home, api_url, as_json=as_json) as client:
        done = client.post(f"{COMPLIANCE}/waivers", body)
    until = str(done["waiver"]["expires_at"])[:16].replace("T", " ")
    print(json.dumps(done) if as_json else f"finding {finding_id} is borne by {plain(owner)} until {until} UTC")


def _until(span: str) -> datetime:
    """Raises: InvalidInputError for what is no span."""
    from productops.errors import InvalidInputError

    found = _SPAN.fullmatch(span)
    if found is None:
        raise InvalidInputError(f"{span!r} is no span of time: write it like 30d or 12h")
    number = int(found[1])
    return datetime.now(UTC).replace(microsecond=0) + (timedelta(days=number) if found[2] == "d" else timedelta(hours=number))


def _page(item: dict[str, Any]) -> str:
    from productops.cli.release_text import plain

    lines = [
        f"finding {item['id']}: {item['state']}, {item['severity']}, control {item['control']}, owner {plain(item['owner'])}",
        plain(item["sentence"]),
        f"subject {plain(item['subject'])}; since {item['opened_at']}, seen last {item['seen_at']}",
        *([f"resolved {item['resolved_at']}"] if item["resolved_at"] else []),
        *([f"to do: {plain(item['remediation'])}"] if item["remediation"] else []),
        *(f"  {name}: {plain(json.dumps(value, ensure_ascii=False))}" for name, value in item["evidence"].items()),
    ]
    for waiver in item["waivers"]:
        ended = f", ended {waiver['ended_at']}" if waiver["ended_at"] else ""
        span = f"until {waiver['expires_at']}{ended}"
        lines.append(f"waived by {plain(waiver['given_by'])} for {plain(waiver['owner'])} {span}: {plain(waiver['reason'])}")
    return "\n".join(lines)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, none: str) -> None:
    from productops.cli.stack.tables import render

    print(render(head, rows) if rows else none)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(compliance_app)
