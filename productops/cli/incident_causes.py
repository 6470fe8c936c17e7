"""``productops incident cause``: what an incident may come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

PRODUCT = "/api/v1/product-ops"
LOOK_S = 60.0
SHOWN = 3


def cause(
    incident_id: Annotated[str, typer.Argument(help="Id of the incident.")],
    *,
    look: Annotated[bool, typer.Option("--look", help="Look again, with what is known now.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="All hypotheses with all evidence, not the first three.")] = False,
    confirm: Annotated[str | None, typer.Option("--confirm", help="Say that this hypothesis is the cause: release:<id>.")] = None,
    refute: Annotated[str | None, typer.Option("--refute", help="Say that it is not.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="How you know.")] = "",
    picture: Annotated[Path | None, typer.Option("--picture", help="Write the picture (SVG) into this file.", dir_okay=False)] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show what an incident may come from, with evidence for and against."""
    path = f"{PRODUCT}/incidents/{incident_id}/causes"
    if confirm and refute:
        raise typer.BadParameter("--confirm and --refute at once: say one, then the other")
    with api(home, api_url, as_json=as_json) as client:
        if confirm or refute:
            body = {"hypothesis": confirm or refute, "verdict": "confirmed" if confirm else "refuted", "reason": reason}
            decision = client.post(f"{path}/decisions", body)
            print(json.dumps(decision) if as_json else decision_text(decision, client.get(f"{PRODUCT}/incident-causes/record")))
            return
        if picture is not None:
            picture.write_bytes(client.get_raw(f"{path}/picture"))
            print(f"written to {picture}")
            return
        found = client.post(path, {}, timeout_s=LOOK_S) if look else client.get(path)
    print(json.dumps(found) if as_json else ledger_text(found, everything=all_))


def ledger_text(ledger: Mapping[str, Any], *, everything: bool = False) -> str:
    """A ledger for people."""
    from productops.cli.release_text import plain

    lines = [f"looked at {ledger['at'][:19]} by {plain(ledger['by'])} in {ledger['took_s']:.1f} s"]
    if ledger["onset"]:
        lines.append(plain(ledger["onset"]["sentence"]))
    shown = ledger["hypotheses"] if everything else [h for h in ledger["hypotheses"][:SHOWN] if h["probability"] >= 0.005]
    for number, each in enumerate(shown or ledger["hypotheses"][:1], 1):
        said = f" ({each['verdict']} by a person)" if each["verdict"] else ""
        lines.append(f"{number}. {each['probability']:>4.0%}  {plain(each['key'])}{said}")
        lines += [f"     + {plain(e['text'])}" for e in each["supporting"]]
        lines += [f"     - {plain(e['text'])}" for e in each["refuting"]]
        if each["remedy"]:
            lines.append("     remedy: " + ", ".join(f"{name} {plain(str(value))}" for name, value in each["remedy"].items()))
    if len(shown) < len(ledger["hypotheses"]):
        lines.append(f"{len(ledger['hypotheses']) - len(shown)} more, less likely: --all")
    lines += [f"not looked at: {plain(gap)}" for gap in ledger["missing"]]
    return "\n".join(lines)


def decision_text(decision: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """What was said, and how often the first look was right by now."""
    from productops.cli.release_text import plain

    place = f"number {decision['rank']} of the first look" if decision["rank"] else "in no first look"
    return f"{plain(decision['hypothesis'])} is {decision['verdict']}; it was {place}\n{record['sentence']}"
