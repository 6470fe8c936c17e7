"""``productops security``: findings, posture, and evidence with who had it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

SECURITY = "/api/v1/product-ops/security"
EVIDENCE = f"{SECURITY}/evidence"
TAKE_S = 60.0
security_app = typer.Typer(
    name="security", help="What looks like an attack, how well we are protected, and evidence.", no_args_is_help=True, rich_markup_mode=None
)
evidence_app = typer.Typer(name="evidence", help="Sealed copies, and who had them.", no_args_is_help=True, rich_markup_mode=None)
security_app.add_typer(evidence_app)
EvidenceId = Annotated[str, typer.Argument(help="Id of the evidence.")]
Venture = Annotated[str | None, typer.Option("--venture", help="Only of this venture.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it stands in the chain of custody.")]


@security_app.command("findings")
def findings(
    *,
    every: Annotated[bool, typer.Option("--all", help="Also what holds no more.")] = False,
    rule: Annotated[str | None, typer.Option("--rule", help="Only of this rule.")] = None,
    venture: Venture = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="Most of them.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """What rules see now, newest first."""
    from productops.cli.release_text import plain

    query: dict[str, Any] = {"every": "true" if every else None, "rule": rule, "venture": venture, "limit": limit}
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{SECURITY}/findings", **query)
    lines = [f"{f['severity']} {f['rule']:<24} since {_time(f['began_at'])}{_ended(f)}  {plain(f['summary'])}" for f in found["items"]]
    print(json.dumps(found) if as_json else "\n".join(lines) or "no findings")


@security_app.command("posture")
def posture(*, venture: Venture = None, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """A score for each area, with the reasons."""
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{SECURITY}/posture", venture=venture)
    if as_json:
        print(json.dumps(found))
        return
    print(f"{_score(found['score'])} of 100, that of the worst area; {found['open_findings']} findings hold")
    for area in found["areas"]:
        print(f"{_score(area['score']):>3} {area['name']}")
        for reason in area["reasons"]:
            lost = f"-{reason['points']}" if reason["points"] else ""
            print(f"    {lost:>4} {plain(reason['text'])}\n         {plain(reason['remedy'])}")


@evidence_app.command("take")
def take(
    *,
    reason: Why,
    incident: Annotated[str | None, typer.Option("--incident", help="Of this incident.")] = None,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture; without an incident or a venture: of all.")] = None,
    title: Annotated[str, typer.Option("--title", help="A title.")] = "",
    since: Annotated[str | None, typer.Option("--since", help="From here on: 2026-11-21T03:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="To here.")] = None,
    person: Annotated[list[str] | None, typer.Option("--person", help="Whose sessions and tokens, too. Again for more.")] = None,
    service: Annotated[list[str] | None, typer.Option("--service", help="Whose log lines, too. Again for more.")] = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", help="A file of this machine. Again for more.", exists=True, dir_okay=False)
    ] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Copy what is known, seal it, and anchor the seal in the audit log."""
    files = [{"name": each.name, "content_base64": base64.b64encode(each.read_bytes()).decode()} for each in file or []]
    body = {
        "reason": reason, "title": title, "incident_id": incident, "venture": venture, "since": since, "until": until,
        "people": person or [], "services": service or [], "files": files,
    }  # fmt: skip
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(EVIDENCE, body, timeout_s=TAKE_S)
    print(json.dumps(found) if as_json else _bundle_text(found))


@evidence_app.command("list")
def list_(
    *,
    incident: Annotated[str | None, typer.Option("--incident", help="Only of this incident.")] = None,
    venture: Venture = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="Most of them.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Evidence, newest first."""
    from productops.cli.release_text import plain

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(EVIDENCE, incident=incident, venture=venture, limit=limit)
    lines = [f"{e['id']} {_time(e['taken_at'])} {len(e['items']):>3} items  {plain(e['title'])}" for e in found["items"]]
    print(json.dumps(found) if as_json else "\n".join(lines) or "no evidence")


@evidence_app.command("show")
def show(evidence_id: EvidenceId, *, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """What is in it, and who had it."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{EVIDENCE}/{evidence_id}")
    print(json.dumps(found) if as_json else f"{_bundle_text(found['evidence'])}\n{_custody_text(found['custody'])}")


@evidence_app.command("verify")
def verify(
    evidence_id: Annotated[str | None, typer.Argument(help="Id of the evidence; or name an export.")] = None,
    *,
    export: Annotated[
        Path | None, typer.Option("--export", help="An exported file instead; needs no installation.", exists=True, dir_okay=False)
    ] = None,
    key: Annotated[list[str] | None, typer.Option("--key", help="Public key, or a file with it, that is trusted.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Check that nothing was changed. Exit code 0: it is as it was taken; 1: it is not."""
    from productops.cli.release_text import plain
    from productops.errors import InvalidInputError

    if (evidence_id is None) is (export is None):
        raise InvalidInputError("name either the id of evidence or an exported file (--export)")
    if export is not None:
        found = _verify_file(export, key or [], home)
    else:
        with api(home, api_url, as_json=as_json) as client:
            found = client.get(f"{EVIDENCE}/{evidence_id}/verification")
    if as_json:
        print(json.dumps(found))
    elif found["fits"]:
        vouched = (
            "the audit log says the same"
            if export is None
            else "signed by a trusted key"
            if found["anchored"]
            else "no trusted key was given"
        )
        print(f"{found['items']} items are as they were taken; {vouched}\nmanifest {found['manifest_hash']}")
    else:
        print("\n".join(f"CHANGED: {plain(problem)}" for problem in found["problems"]))
    if not found["fits"]:
        raise typer.Exit(1)


@evidence_app.command("export")
def export(
    evidence_id: EvidenceId,
    *,
    reason: Why,
    to: Annotated[Path | None, typer.Option("--to", help="File; default: evidence-ID.tar.gz here.", dir_okay=False)] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Write it into a file. Who did, and why, becomes a line of the chain of custody."""
    from productops.errors import InvalidInputError

    target = to or Path(f"evidence-{evidence_id}.tar.gz")
    with api(home, api_url, as_json=as_json) as client:
        content = client.get_raw(f"{EVIDENCE}/{evidence_id}/export", reason=reason)
    try:
        target.write_bytes(content)
    except OSError as error:
        raise InvalidInputError(f"the export cannot be written to {target}: {error.strerror}") from error
    said = f"written to {target} ({len(content):,} bytes); check it with: productops security evidence verify --export {target}"
    print(json.dumps({"id": evidence_id, "file": str(target), "bytes": len(content)}) if as_json else said)


@evidence_app.command("hand-over")
def hand_over(
    evidence_id: EvidenceId,
    *,
    to: Annotated[str, typer.Option("--to", help="Who has it from now on.")],
    reason: Why,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Note that somebody else has it."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{EVIDENCE}/{evidence_id}/hand-over", {"to": to, "reason": reason})
    print(json.dumps(found) if as_json else _custody_text(found["items"]))


def _verify_file(file: Path, given: list[str], home: Path | None) -> dict[str, Any]:
    from productops.adapters.audit_anchors import trusted_keys
    from productops.adapters.governance_evidence_archive import check_evidence
    from productops.cli.installation import settings_of

    proof = check_evidence(file.read_bytes(), trusted_keys(given, settings_of(home).anchor_key))
    return {
        "bundle_id": proof.bundle_id, "fits": proof.fits, "items": proof.items, "manifest_hash": proof.manifest_hash,
        "anchored": proof.anchored, "problems": list(proof.problems),
    }  # fmt: skip


def _bundle_text(found: Mapping[str, Any]) -> str:
    from productops.cli.release_text import plain

    lines = [f"{found['id']}  {plain(found['title'])}", f"taken {_time(found['taken_at'])} by {plain(found['taken_by'])}"]
    lines += [
        f"{e['position']:>4} {e['kind']:<10} {e['bytes']:>10,} bytes  {e['sha256'][:16]}…  {plain(e['name'])}" for e in found["items"]
    ]
    return "\n".join([*lines, f"manifest {found['manifest_hash']}"])


def _custody_text(custody: list[Mapping[str, Any]]) -> str:
    from productops.cli.release_text import plain

    lines = []
    for c in custody:
        to = f" to {plain(c['to'])}" if c["to"] else ""
        lines.append(f"{c['number']:>4} {_time(c['at'])} {c['action']:<9} {plain(c['who'])}{to}: {plain(c['reason'])}")
    return "\n".join(lines)


def _time(at: str) -> str:
    return at[:16].replace("T", " ")


def _ended(found: Mapping[str, Any]) -> str:
    return f" to {_time(found['ended_at'])}" if found["ended_at"] else ""


def _score(score: int | None) -> str:
    return "?" if score is None else str(score)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(security_app)
