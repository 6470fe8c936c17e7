"""Commands of quality gates; what they need is imported when they run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

if TYPE_CHECKING:
    from productops.cli.api_client import ApiClient
    from productops.cli.quality_gather import Report
    from productops.domain.quality_verdict import QualityVerdict

QUALITY = "/api/v1/product-ops/quality"
# What the shell learns: 0 passed. Other errors (a report that cannot be read, no API) have the exit codes of productops.errors.
FAILED_EXIT = 3
INCONCLUSIVE_EXIT = 4
NOT_JUDGED_EXIT = 5
STILL_WAITING_EXIT = 6
LOOK_S = 0.5
quality_app = typer.Typer(name="quality", help="Quality gates: may this version go out?", no_args_is_help=True, rich_markup_mode=None)
Service = Annotated[str, typer.Option("--service", help="Name of the service.")]
Version = Annotated[str, typer.Option("--version", help="Version the reports are of.")]
Reports = list[str] | None


def _reports(option: str, what: str) -> Any:
    return typer.Option(f"--{option}", help=f"{what} File, folder or pattern; may be repeated. The format is told by the content.")


@quality_app.command("validate")
def validate(
    *,
    service: Service,
    version: Version,
    commit: Annotated[str, typer.Option("--commit", help="Default: what the build says, else git.")] = "",
    branch: Annotated[str, typer.Option("--branch", help="Default: what the build says, else git.")] = "",
    junit: Annotated[Reports, _reports("junit", "Test results: JUnit, TestNG, Jest, Playwright, go test -json.")] = None,
    coverage: Annotated[Reports, _reports("coverage", "Coverage: Cobertura, JaCoCo, LCOV, coverage.py.")] = None,
    sarif: Annotated[Reports, _reports("sarif", "Scanners: SARIF, Bandit, Semgrep, Trivy, Grype, pip-audit, gitleaks …")] = None,
    sbom: Annotated[Reports, _reports("sbom", "Parts lists: CycloneDX, SPDX.")] = None,
    performance: Annotated[Reports, _reports("performance", "Measurements: k6, JMeter, wrk, hyperfine, Lighthouse, CSV …")] = None,
    diff: Annotated[str | None, typer.Option("--diff", help="The change: a file, or a range for git, e.g. origin/main...HEAD.")] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="File with a QualityPolicy; offline only.")] = None,
    policy_name: Annotated[str | None, typer.Option("--policy-name", help="A policy of the catalog; default: the service's.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Judge here, without a server: no history, waivers or sign-offs.")] = False,
    link: Annotated[list[str] | None, typer.Option("--link", help="A page that says more, e.g. the build; may be repeated.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write a summary there; GitHub: $GITHUB_STEP_SUMMARY.")] = None,
    idempotency_key: Annotated[str | None, typer.Option("--idempotency-key", help="The same key makes one run only.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Longest wait for large reports, seconds.")] = 600.0,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Judge a version. Exit code 0: may go out; 3: a gate failed; 4: inconclusive; 5: not judged; 6: not yet; 65: unreadable report."""
    from productops.cli.quality_gather import branch_here, commit_here, gather, read_diff
    from productops.errors import InvalidInputError

    if policy is not None and not offline:
        raise InvalidInputError("--policy FILE is judged with --offline only; an API judges by the catalog, --policy-name chooses there")
    given = {"junit": junit, "coverage": coverage, "sarif": sarif, "sbom": sbom, "performance": performance}
    reports = gather({option: patterns or [] for option, patterns in given.items()})
    if not reports:
        raise InvalidInputError("there is nothing to judge: name reports with --junit, --coverage, --sarif, --sbom or --performance")
    fields = {
        "service": service, "version": version, "commit": commit or commit_here(), "branch": branch or branch_here(),
        "diff": read_diff(diff) if diff else None,
    }  # fmt: skip
    if offline:
        document = _judge_here(reports, fields, policy)
    else:
        wished = fields | {"policy": policy_name, "link": link or []}
        document = _judge_there(reports, wished, key=idempotency_key, wait_s=timeout, as_json=as_json, api_url=api_url, home=home)
    _tell(document, title=f"{service} {version}", markdown=markdown, as_json=as_json)


def _judge_here(reports: Sequence[Report], fields: Mapping[str, str | None], policy: Path | None) -> dict[str, Any]:
    """With the same code as the API, and without what only its store knows."""
    from datetime import UTC, datetime

    from productops.adapters.catalog_files.quality_policy import read_policy
    from productops.adapters.quality_files import ReportFile, read_files
    from productops.domain.catalog_quality import BUILT_IN
    from productops.domain.quality_gates import Collected, judge_gates, read_diff
    from productops.domain.quality_report import verdict_document

    wanted = BUILT_IN if policy is None else read_policy(_text(policy), str(policy))
    parsed = read_files([ReportFile(report.path, report.name) for report in reports])
    change = read_diff(fields["diff"]) if fields["diff"] else None
    collected = Collected(parsed=parsed, diff=change, commit=fields["commit"] or "", now=datetime.now(UTC))
    told = {name: fields[name] for name in ("service", "version", "commit", "branch")}
    return told | {"policy": wanted.metadata.name, "offline": True} | verdict_document(judge_gates(wanted, collected))


def _text(policy: Path) -> str:
    from productops.errors import NotFoundError

    try:
        return policy.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFoundError(f"the policy {policy} cannot be read: {error.strerror}") from error


def _judge_there(
    reports: Sequence[Report], fields: Mapping[str, Any], *, key: str | None, wait_s: float, as_json: bool, api_url: str | None,
    home: Path | None,
) -> dict[str, Any]:  # fmt: skip
    with api(home, api_url, as_json=as_json) as client:
        form = {name: value for name, value in fields.items() if value}
        answer = client.post_files(f"{QUALITY}/validate", form, [(report.name, report.path) for report in reports], key=key)
        return answer if "gates" in answer else _await_run(client, answer, wait_s)


def _await_run(client: ApiClient, upload: dict[str, Any], wait_s: float) -> dict[str, Any]:
    """The run of reports that are judged later."""
    import time

    from productops.errors import QualityInputError

    sys.stderr.write(f"{upload['files']} files, {upload['size_bytes']:,} bytes: judged as upload {upload['id']}\n")
    deadline = time.monotonic() + wait_s
    while upload["state"] not in {"judged", "failed"}:
        if time.monotonic() > deadline:
            sys.stderr.write(f"not judged within {wait_s:g} s; look with: productops quality runs --service {upload['service']}\n")
            raise typer.Exit(STILL_WAITING_EXIT)
        time.sleep(LOOK_S)
        upload = client.get(f"{QUALITY}/uploads/{upload['id']}")
    if upload["state"] == "failed":
        raise QualityInputError(upload["reason"])
    return client.get(f"{QUALITY}/runs/{upload['run_id']}")


def _tell(document: Mapping[str, Any], *, title: str, markdown: Path | None, as_json: bool) -> None:
    from productops.cli.quality_text import verdict_text
    from productops.domain.quality_report import verdict_from, verdict_markdown

    verdict = verdict_from(document)
    if markdown is not None:
        _write(markdown, verdict_markdown(verdict, title=title))
    if as_json:
        print(json.dumps(document))
    else:
        print(verdict_text(verdict))
        if "id" in document:
            print(f"run {document['id']}, policy {document['policy']} revision {document['policy_revision']}")
    _leave(verdict)


def _leave(verdict: QualityVerdict) -> None:
    codes = {"passed": 0, "failed": FAILED_EXIT, "inconclusive": INCONCLUSIVE_EXIT, "error": NOT_JUDGED_EXIT}
    if codes[verdict.state.value]:
        raise typer.Exit(codes[verdict.state.value])


def _write(file: Path, text: str) -> None:
    """GitHub's summary is added to, for other steps write there, too; any other file is ours alone."""
    from productops.errors import InvalidInputError

    shared = os.environ.get("GITHUB_STEP_SUMMARY", "") == str(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if shared else "w", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        raise InvalidInputError(f"the summary {file} cannot be written: {error.strerror}") from error


@quality_app.command("runs")
def runs(
    *,
    service: Annotated[str | None, typer.Option("--service", help="Of this service only.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Of this version only.")] = None,
    branch: Annotated[str | None, typer.Option("--branch", help="Of this branch only.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="passed, failed, inconclusive or error.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 20,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List judgements, newest first."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{QUALITY}/runs", service=service, version=version, branch=branch, state=state, limit=limit)
    from productops.cli.quality_text import runs_text

    print(json.dumps(found) if as_json else runs_text(found["items"]))


@quality_app.command("show")
def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show a run: its gates, what speaks against it, and what would make it pass."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{QUALITY}/runs/{run_id}")
    from productops.cli.quality_text import verdict_text
    from productops.cli.release_text import plain
    from productops.domain.quality_report import verdict_from

    if as_json:
        print(json.dumps(found))
        return
    commit = f", commit {plain(found['commit'])}" if found["commit"] else ""
    judged = f"judged {found['at'][:16].replace('T', ' ')} UTC by {plain(found['by'])}"
    print(f"{plain(found['service'])} {plain(found['version'])}{commit}, {judged}")
    print(verdict_text(verdict_from(found)))


@quality_app.command("waive")
def waive(
    key: Annotated[str, typer.Argument(help="The key of the objection, as `quality show` prints it with --json.")],
    *,
    service: Service,
    gate: Annotated[str, typer.Option("--gate", help="Of this gate only; default: all.")] = "*",
    owner: Annotated[str, typer.Option("--owner", help="Who bears the risk.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; at least 10 characters.")],
    span: Annotated[str, typer.Option("--for", help="For how long, e.g. 30d or 12h; then it counts again.")] = "30d",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Bear one objection for a time; the newest run is judged again at once."""
    from productops.cli.quality_gather import until
    from productops.cli.release_text import plain

    body = {"service": service, "gate": gate, "key": key, "owner": owner, "reason": reason, "expires_at": until(span).isoformat()}
    with api(home, api_url, as_json=as_json) as client:
        done = client.post(f"{QUALITY}/waivers", body)
    ends = str(done["expires_at"])[:16].replace("T", " ")
    print(json.dumps(done) if as_json else f"waiver {done['id']}: {plain(owner)} bears {plain(key)} of {service} until {ends} UTC")


@quality_app.command("waivers")
def waivers(
    *,
    service: Annotated[str | None, typer.Option("--service", help="Of this service only.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended or expired.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List what is borne, by whom and until when."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get_all(f"{QUALITY}/waivers", service=service, holding=not everything)
    from productops.cli.quality_text import waivers_text

    print(json.dumps(found) if as_json else waivers_text(found["items"]))


@quality_app.command("end-waiver")
def end_waiver(
    waiver_id: Annotated[str, typer.Argument(metavar="WAIVER", help="Id of the waiver.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")] = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Take a waiver back; what it bore counts again."""
    with api(home, api_url, as_json=as_json) as client:
        done = client.post(f"{QUALITY}/waivers/{waiver_id}/end", {"reason": reason})
    print(json.dumps(done) if as_json else f"waiver {waiver_id} has ended")


@quality_app.command("sign-off")
def sign_off(
    item: Annotated[str, typer.Argument(help="The item of the checklist, as the policy words it.")],
    *,
    service: Service,
    version: Version,
    gate: Annotated[str, typer.Option("--gate", help="Name of the sign-off gate.")],
    commit: Annotated[str, typer.Option("--commit", help="Default: any of the version.")] = "",
    note: Annotated[str, typer.Option("--note", help="What you looked at.")] = "",
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Vouch for one item of a checklist."""
    from productops.cli.release_text import plain

    body = {"service": service, "version": version, "commit": commit, "gate": gate, "item": item, "note": note}
    with api(home, api_url, as_json=as_json) as client:
        done = client.post(f"{QUALITY}/sign-offs", body)
    print(json.dumps(done) if as_json else f"{plain(done['by'])} signed {plain(item)!r} for {service} {version}")


@quality_app.command("policy")
def policy(*, service: Service, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Show which policy holds for a service."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{QUALITY}/policy", service=service)
    from productops.cli.quality_text import policy_text

    print(json.dumps(found) if as_json else policy_text(found))


@quality_app.command("backtest")
def backtest(
    *,
    policy: Annotated[Path | None, typer.Option("--policy", help="File with the QualityPolicy to try.")] = None,
    approval: Annotated[str | None, typer.Option("--approval", help="Id of the approval that the policy waits in, instead.")] = None,
    service: Annotated[str | None, typer.Option("--service", help="Runs of this service only.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, max=500, help="How many runs to judge again, newest first.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Judge stored runs by another policy: which would it have stopped, which let pass?"""
    body = {"policy": _text(policy) if policy else None, "approval_id": approval, "service": service, "last": last}
    with api(home, api_url, as_json=as_json) as client:
        found = client.post(f"{QUALITY}/backtest", {name: value for name, value in body.items() if value is not None})
    from productops.cli.quality_text import backtest_text

    print(json.dumps(found) if as_json else backtest_text(found))


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(quality_app)
