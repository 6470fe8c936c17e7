"""The command of delivery figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, Reason, api

DEVELOPMENT = "/api/v1/product-ops/development"
TITLES = {
    "lead_time": "lead time", "deployment_frequency": "deployment frequency", "change_failure_rate": "change failure rate",
    "failed_deployment_recovery_time": "failed deployment recovery time", "rework_rate": "rework rate",
    "time_to_restore_service": "time to restore service (2023)", "reliability": "reliability (objectives kept)",
}  # fmt: skip
dora_app = typer.Typer(name="dora", help="Delivery figures by the definitions of DORA.", no_args_is_help=True, rich_markup_mode=None)


@dora_app.command("show")
def show(
    venture: Annotated[str, typer.Argument(help="Name of the venture.")],
    *,
    service: Annotated[str | None, typer.Option("--service", help="Of this service only.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="Beginning of the window, UTC; default: 90 days before its end.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="End of the window, UTC; default: now.")] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Also the deployments behind the figures.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show the five keys of today and the one of 2023 that differs, with their denominators."""
    window = {"from": since, "to": until}
    asked: dict[str, Any] = {name: at.replace(tzinfo=at.tzinfo or UTC).isoformat() if at else None for name, at in window.items()}
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{DEVELOPMENT}/dora", venture=venture, service=service, **asked)
    print(json.dumps(found) if as_json else dora_page(found, rows=rows))


@dora_app.command("causes")
def causes(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    incident: Annotated[str | None, typer.Option("--incident", help="Of this incident only.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List which deployments caused incidents, as the machine and people say."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get_all(f"{DEVELOPMENT}/attributions", venture=venture, incident=incident)
    from productops.cli.development_progress_text import columns

    table = columns(
        ("attribution", "incident", "deployment", "sure", "by", "why"),
        [
            (a["id"], a["incident_id"], a["deployment"] or "none", f"{a['confidence']:.0%}", a["by"], a["reason"][:70])
            for a in found["items"]
        ],
    )
    print(json.dumps(found) if as_json else table if found["items"] else "no causes of incidents are known")


@dora_app.command("overrule")
def overrule(
    attribution: Annotated[str, typer.Argument(help="Id of an attribution of the incident.")],
    *,
    reason: Reason,
    deployment: Annotated[str | None, typer.Option("--deployment", help="release/<id> or deployment/<id>; left out: none did it.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Say what really caused an incident; the figures show both."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{DEVELOPMENT}/attributions/{attribution}/overrule", {"deployment": deployment, "reason": reason})
    print(
        json.dumps(found)
        if as_json
        else f"incident {found['incident_id']}: {found['deployment'] or 'no deployment'} caused it, says {found['by']}"
    )


def dora_page(found: Mapping[str, Any], *, rows: bool) -> str:
    """The figures as a table, and where people and the machine differ."""
    from productops.cli.development_progress_text import columns

    machine = {figure["name"]: figure for part in found["machine"].values() for figure in part}
    people = {figure["name"]: figure for part in found["people"].values() for figure in part}
    lines = [
        (title, _value(people[name]["values"]), _made_of(people[name]["values"]), _value(machine[name]["values"]))
        for name, title in TITLES.items()
    ]
    where = found["venture"] + (f", {found['service']}" if found["service"] else "")
    parts = [
        f"{where} from {found['since'][:10]} to {found['until'][:10]}",
        "",
        columns(("figure", "value", "made of", "machine alone"), lines),
    ]
    if found["overruled"]:
        parts.append(f"people decided the cause of {found['overruled']} incidents otherwise than the machine")
    parts += ["", *(f"note: {note}" for note in found["notes"])] if found["notes"] else []
    if rows:
        table = [
            (d["finished_at"][:16].replace("T", " "), d["service"], d["version"], d["outcome"], str(d["commits"]),
             "yes" if d["unplanned"] else "", str(len(d["incidents"])), d["id"])
            for d in found["deployments"]
        ]  # fmt: skip
        parts += ["", columns(("finished (UTC)", "service", "version", "outcome", "commits", "unplanned", "incidents", "id"), table)]
    return "\n".join(parts)


def _value(values: Mapping[str, Any]) -> str:
    if "median_s" in values:
        return "-" if values["median_s"] is None else f"{_span(values['median_s'])} (p90 {_span(values['p90_s'])})"
    if "share" in values:
        return "-" if values["share"] is None else f"{values['share']:.1%}"
    return f"{values['per_day']:.2f} a day ({values['bucket']})"


def _made_of(values: Mapping[str, Any]) -> str:
    if "median_s" in values:
        more = [f"{values[name]} {word}" for name, word in (("open", "not over"), ("excluded", "with a wrong clock")) if values[name]]
        return ", ".join([str(values["count"]), *more])
    if "share" in values:
        return f"{values['part']} of {values['whole']}"
    return f"{values['count']} in {values['days']:.0f} days"


def _span(value_s: float) -> str:
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if value_s < limit:
            return f"{value_s / divisor:.1f} {unit}"
    return f"{value_s / 86_400:.1f} d"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(dora_app)
