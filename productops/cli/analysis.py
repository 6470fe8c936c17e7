"""Commands of the judge: judge past releases with another policy, bring thresholds over from Argo Rollouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

PAGE = 20


def backtest(
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="Fields of rollout.analysis, e.g. alpha=0.01 weights.p50=0.3 judge=kayenta."),
    ] = None,
    *,
    service: Annotated[str | None, typer.Option("--service", help="Of this service only.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="How many releases, newest first.")] = 200,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Judge past releases with another policy: which would have stopped, and when? Nothing is written."""
    analysis = _analysis(changes or [])
    items: list[dict[str, Any]] = []
    before = None
    with api(home, api_url, as_json=as_json) as client:
        while len(items) < last:
            body = {"analysis": analysis, "limit": min(PAGE, last - len(items))} | ({"service": service} if service else {})
            page = client.post("/api/v1/product-ops/releases/backtest", body | ({"before": before} if before else {}))
            items += page["items"]
            before = page["next"]
            if before is None:
                break
    if as_json:
        print(json.dumps({"items": items}))
        return
    from productops.cli.release_tables import backtest_table

    print(backtest_table(items))
    stopped = sum(item["would_stop_s"] is not None for item in items)
    print(f"{stopped} of {len(items)} would have stopped, {sum(item['stopped_s'] is not None for item in items)} did")


def _analysis(changes: list[str]) -> dict[str, Any]:
    """Nested fields from ``name=value``; values are JSON where they are. Raises: InvalidInputError."""
    from productops.errors import InvalidInputError

    result: dict[str, Any] = {}
    for change in changes:
        name, sign, text = change.partition("=")
        if not sign or not name.strip():
            raise InvalidInputError(f"{change!r} is no change: write name=value, e.g. alpha=0.01")
        *groups, leaf = name.strip().split(".")
        place = result
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise InvalidInputError(f"{change!r}: {group} has a value already")
        try:
            place[leaf] = json.loads(text)
        except ValueError:
            place[leaf] = text
    return result


def import_argo(
    template: Annotated[Path, typer.Argument(metavar="FILE", help="YAML with one or more AnalysisTemplates.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Translate the thresholds of Argo Rollouts' AnalysisTemplates into `rollout.analysis` of the catalog."""
    import yaml

    from productops.domain.judge.threshold import policy_from_argo
    from productops.errors import InvalidInputError

    try:
        documents = [d for d in yaml.safe_load_all(template.read_text(encoding="utf-8")) if isinstance(d, dict)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInputError(f"{template} cannot be read: {error}") from error
    found = [d for d in documents if d.get("kind") in {"AnalysisTemplate", "ClusterAnalysisTemplate"}]
    if not found:
        raise InvalidInputError(f"{template} holds no AnalysisTemplate")
    translated = {}
    for document in found:
        name = str((document.get("metadata") or {}).get("name", "unnamed"))
        try:
            policy = policy_from_argo(document)
        except ValueError as error:
            raise InvalidInputError(f"{template}: {name}: {error}") from error
        limits = {limit.value: limit.most for limit in policy.limits}
        clock = {"interval_s": policy.interval_s, "count": policy.count, "failure_limit": policy.failure_limit}
        translated[name] = {"judge": "threshold", "thresholds": limits | clock}
    if as_json:
        print(json.dumps(translated))
        return
    for name, analysis in translated.items():
        print(f"# {name}: no statistics; `productops backtest judge=stratified` shows what the default judge would have said")
        print(yaml.safe_dump({"rollout": {"analysis": analysis}}, sort_keys=False), end="")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(backtest)
    group = typer.Typer(name="analysis", help="Policies of the judge.", no_args_is_help=True)
    group.callback()(_group)
    group.command("import-argo")(import_argo)
    app.add_typer(group)


def _group() -> None:
    """Policies of the judge."""
