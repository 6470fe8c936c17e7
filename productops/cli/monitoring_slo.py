"""Commands of objectives and alert rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

SLOS = "/api/v1/deployment-ops/slos"
ALERTS = "/api/v1/deployment-ops/alerts"
RULES = "/api/v1/deployment-ops/alert-rules"
PREVIEW_S = 120.0
slo_app = typer.Typer(
    name="slo", help="What is promised to users, and how much of the error budget is left.", no_args_is_help=True, rich_markup_mode=None
)
alert_app = typer.Typer(name="alert", help="Alert rules of your own.", no_args_is_help=True, rich_markup_mode=None)
Objective = Annotated[str, typer.Argument(help="Name of the objective.")]
RuleId = Annotated[str, typer.Argument(help="Id of the rule.")]
RuleFile = Annotated[Path, typer.Argument(help="JSON file with the rule; - reads standard input.", metavar="FILE")]


@slo_app.command("list")
def list_(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    service: Annotated[str | None, typer.Option("--service", help="Of this service only.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Objectives with their error budgets, and which burn too fast now."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(SLOS, venture=venture, service=service)
    print(json.dumps(found) if as_json else objectives_text(found))


@slo_app.command("show")
def show(objective: Objective, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """One: its budget, its burn rate rules, and what releases burned."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{SLOS}/{objective}")
    print(json.dumps(found) if as_json else objective_text(found))


@slo_app.command("release")
def release(
    release_id: Annotated[str, typer.Argument(help="Id of the release.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """What a release burned of error budgets."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"/api/v1/product-ops/releases/{release_id}/budget")
    lines = [f"{line['objective']}: {_burned(line['burn'])}" for line in found["items"]]
    print(json.dumps(found) if as_json else "\n".join(lines) or f"nothing was counted of {found['service']} {found['version']}")


@slo_app.command("allow")
def allow(
    objective: Objective,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; at least 10 characters.")],
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=10_080, help="For so long.")] = 60,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Let releases out though the budget is spent: for the one that mends it."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{SLOS}/{objective}/allowances", {"reason": reason, "minutes": minutes})
    print(json.dumps(found) if as_json else f"{objective}: releases may go out until {found['until']}")


@alert_app.command("rules")
def rules(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Alert rules, and which fire."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(RULES, venture=venture)
    print(json.dumps(found) if as_json else rules_text(found))


@alert_app.command("set")
def set_(
    file: RuleFile,
    *,
    rule_id: Annotated[str | None, typer.Option("--rule", help="Id of the rule to replace; without it a new one is made.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Make a rule, or replace one."""
    body = _body(file)
    with api(home, api_url, as_json=as_json) as client:
        if rule_id is None:
            found = client.post(ALERTS, body)
        else:
            found = client.put(f"{RULES}/{rule_id}", body, revision=client.get(f"{RULES}/{rule_id}")["revision"])
    print(json.dumps(found) if as_json else f"rule {found['rule_id']} ({found['name']}): {found['words']}, revision {found['revision']}")


@alert_app.command("try")
def try_(
    file: RuleFile,
    *,
    hours: Annotated[float, typer.Option("--hours", min=0.1, max=168, help="So far back.")] = 24.0,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """How often a rule would have fired; nothing is stored."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{RULES}/preview?hours={hours:g}", _body(file), timeout_s=PREVIEW_S)
    print(json.dumps(found) if as_json else preview_text(found))


@alert_app.command("show")
def show_rule(rule_id: RuleId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """One rule as JSON, as `set` takes it, and more."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{RULES}/{rule_id}")
    print(json.dumps(found, indent=None if as_json else 2))


@alert_app.command("delete")
def delete(rule_id: RuleId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Delete a rule; alerts that it raised end."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.delete(f"{RULES}/{rule_id}")
    print(json.dumps(found) if as_json else f"rule {found['name']} is deleted")


def _body(file: Path) -> dict[str, Any]:
    """Raises: InvalidInputError for a file that holds no JSON object."""
    from productops.errors import InvalidInputError

    try:
        text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInputError(f'{file} must hold one JSON object: {{"name": …, "venture": …, "selector": …, "condition": …}}')
    return found


def objectives_text(found: Mapping[str, Any]) -> str:
    """A table, what has least left first."""
    from productops.cli.release_text import plain
    from productops.cli.stack.tables import render

    rows = [
        (
            o["name"], f"{o['service']} ({o['environment']})", f"{100 * o['target']:g} %", _percent(o["sli"]), _left(o),
            f"{o['burned_minutes']:.1f} of {o['budget_minutes']:.1f}", plain(", ".join(o["firing"])) or "-",
        )
        for o in sorted(found["items"], key=lambda o: 2 if o["remaining_ratio"] is None else o["remaining_ratio"])
    ]  # fmt: skip
    columns = ("objective", "service", "target", "measured", "left", "minutes burned", "burns too fast")
    return render(columns, rows, right=("target", "measured", "left", "minutes burned")) if rows else "no objectives are declared"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.5g} %"


def _left(item: Mapping[str, Any]) -> str:
    return "-" if item["remaining_ratio"] is None else f"{100 * item['remaining_ratio']:.1f} %"


def _burned(burn: Mapping[str, Any]) -> str:
    return (
        f"{burn['version']} burned {burn['minutes']:.2f} minutes: {burn['bad']:,.0f} bad where {burn['expected']:,.1f} were expected "
        f"(release {burn['release_id']})"
    )  # fmt: skip


def objective_text(item: Mapping[str, Any]) -> str:
    """One objective for people."""
    from productops.cli.release_text import plain

    allowed = item["allowance"]
    span = f"{item['window_start'][:16]} to {item['window_end'][:16]}"
    lines = [
        plain(item["sentence"]),
        f"of {item['service']} in {item['environment']}, {item['method']} over {item['window']}: {span}",
        f"a spent budget does to a release: {item['on_spent']}",
        *([f"{plain(allowed['given_by'])} lets releases out until {allowed['until'][:16]}: {plain(allowed['reason'])}"] if allowed else []),
        *(
            f"  rule {r['name']:<5} {r['severity']}: more than {100 * r['limit_ratio']:.4g} % bad in {r['long_s']} s and {r['short_s']} s"
            + (" FIRES" if r["name"] in item["firing"] else "")
            for r in item["rules"]
        ),
        *(f"  {_burned(burn)}" for burn in item["releases"]),
    ]  # fmt: skip
    return "\n".join(lines)


def rules_text(found: Mapping[str, Any]) -> str:
    """A table."""
    from productops.cli.release_text import plain
    from productops.cli.stack.tables import render

    rows = [
        (
            r["rule_id"], r["venture"], plain(r["name"]), r["severity"], plain(r["words"]), f"{r['for_s']} s",
            plain(", ".join(r["firing"])) or ("-" if r["enabled"] else "off"),
        )
        for r in found["items"]
    ]  # fmt: skip
    return render(("rule", "venture", "name", "severity", "when", "for", "fires for"), rows) if rows else "no alert rules"


def preview_text(found: Mapping[str, Any]) -> str:
    """What a rule would have done."""
    from productops.cli.release_text import plain

    lines = [
        f"  {f['since'][:19]} to {f['until'][:19] if f['until'] else 'now'}: {plain(f['series'])}"
        + ("" if f["value"] is None else f" ({f['value']:.6g})")
        for f in found["firings"]
    ]
    return "\n".join([found["sentence"], *lines])


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(slo_app)
    app.add_typer(alert_app)
