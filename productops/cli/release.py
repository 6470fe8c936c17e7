"""Commands of releases; what they need is imported when they run."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.domain.release import Environment, Strategy

if TYPE_CHECKING:
    from productops.cli.api_client import ApiClient
    from productops.cli.release_views import View

# What the shell learns: 0 promoted, or accepted without --wait. Other errors have the exit codes of productops.errors.
FAILED_EXIT = 3
ROLLED_BACK_EXIT = 4
STILL_RUNNING_EXIT = 5
INTERRUPTED_EXIT = 130

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class PromoteOn(StrEnum):
    """When a step ends."""

    CERTIFICATE = "certificate"
    HOLD = "hold"


class Start(StrEnum):
    """When a release starts that is asked for in a freeze."""

    NOW = "now"
    NEXT_WINDOW = "next-window"


class OnInconclusive(StrEnum):
    """What happens when a hold ends with too little evidence."""

    PROCEED = "proceed"
    EXTEND = "extend"
    PAUSE = "pause"
    ROLL_BACK = "roll-back"


Home = Annotated[Path | None, typer.Option("--home", help="Folder of state and token. [env: PRODUCTOPS_HOME]")]
ApiUrl = Annotated[
    str | None, typer.Option("--api-url", envvar="PRODUCTOPS_API_URL", help="Where the API is; default: the stack of the home.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON object on standard output.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end, show progress, and exit by the outcome.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]
In = Annotated[Environment, typer.Option("--environment", help="Where.")]


def release(
    service: Annotated[str, typer.Argument(help="Name of the service in the catalog.")],
    version: Annotated[str, typer.Argument(help="Version to release.")],
    *,
    environment: In = Environment.PRODUCTION,
    strategy: Annotated[Strategy | None, typer.Option("--strategy", help="Default: the catalog's.")] = None,
    weights: Annotated[str | None, typer.Option("--weights", help="Shares of a canary in percent, e.g. 5,20,50.")] = None,
    hold: Annotated[float | None, typer.Option("--hold", help="Seconds each step is held.")] = None,
    alpha: Annotated[float | None, typer.Option("--alpha", help="Largest chance of rolling back a good version.")] = None,
    promote_on: Annotated[PromoteOn | None, typer.Option("--promote-on", help="When a step ends.")] = None,
    on_inconclusive: Annotated[OnInconclusive | None, typer.Option("--on-inconclusive", help="With too little evidence.")] = None,
    force_downgrade: Annotated[bool, typer.Option("--force-downgrade", help="Insist on an older version.")] = False,
    lift_quarantine: Annotated[bool, typer.Option("--lift-quarantine", help="Insist on a version rolled back before.")] = False,
    note: Annotated[str, typer.Option("--note", help="Why this release; kept in the audit.")] = "",
    start: Annotated[Start, typer.Option("--start", help="In a freeze: be refused, or wait for the next opening.")] = Start.NOW,
    bypass: Annotated[str | None, typer.Option("--bypass", help="Id of an approved bypass: start in spite of a freeze.")] = None,
    idempotency_key: Annotated[str | None, typer.Option("--idempotency-key", help="The same key makes one release only.")] = None,
    wait: Wait = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Longest wait in seconds.")] = 3600.0,
    plan: Annotated[bool, typer.Option("--plan", help="Show the steps and which harm they find; release nothing.")] = False,
    picture: Annotated[Path | None, typer.Option("--picture", help="With --plan: draw it into this SVG file, too.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Release a version. Exit code 0: promoted, or accepted without --wait; 3: no user saw it; 4: rolled back; 5: still running."""
    body = {
        "service": service, "environment": environment, "strategy": strategy, "weights_pct": _weights(weights), "hold_s": hold,
        "alpha": alpha, "promote_on": promote_on, "on_inconclusive": on_inconclusive, "force_downgrade": force_downgrade,
        "lift_quarantine": lift_quarantine, "note": note, "start": start, "bypass": bypass,
    }  # fmt: skip
    given = {name: value for name, value in body.items() if value is not None}
    with api(home, api_url, as_json=as_json) as client:
        path = f"/api/v1/product-ops/release/{_segment(version)}"
        if plan:
            _show_plan(client.post(f"{path}/plan", given), as_json=as_json)
            if picture is not None:
                _write_picture(picture, client.post_raw(f"{path}/plan/picture", given))
            return
        accepted = client.post(path, given, key=idempotency_key or _new_key())
        if wait:
            _await_end(client, accepted, timeout_s=timeout, as_json=as_json)
        else:
            _tell_accepted(accepted, as_json=as_json)


def releases(
    *,
    service: Annotated[str | None, typer.Option("--service", help="Of this service only.")] = None,
    environment: Annotated[Environment | None, typer.Option("--environment", help="In this environment only.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 20,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """List releases, newest first."""
    with api(home, api_url, as_json=as_json) as client:
        page = client.get("/api/v1/product-ops/releases", service=service, environment=environment, limit=limit)
        if as_json:
            print(json.dumps(page))
            return
        from productops.cli.release_tables import releases_table

        print(releases_table(page["items"]))


def show(
    release_or_service: Annotated[str, typer.Argument(metavar="RELEASE", help="Id of a release, or a service for its newest one.")],
    *,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Show a release: its steps, moves, evidence, traffic and incidents."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"/api/v1/product-ops/releases/{_release_id(client, release_or_service)}")
        if as_json:
            print(json.dumps(found))
            return
        from productops.cli.release_tables import release_page

        print(release_page(found))


def rollback(
    service_or_release: Annotated[
        str, typer.Argument(metavar="SERVICE|RELEASE", help="A service for its newest release, or a release's id.")
    ],
    *,
    reason: Reason,
    environment: In = Environment.PRODUCTION,
    wait: Wait = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Longest wait in seconds.")] = 300.0,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Give users the earlier version again. Exit code 0: begun, or with --wait confirmed by the router; 5: not confirmed in time."""
    with api(home, api_url, as_json=as_json) as client:
        if _UUID.fullmatch(service_or_release):
            begun = client.post(f"/api/v1/product-ops/releases/{service_or_release}/rollback", {"reason": reason})
        else:
            body = {"reason": reason, "environment": environment}
            begun = client.post(f"/api/v1/product-ops/services/{_segment(service_or_release)}/rollback", body)
        ended: Mapping[str, Any] | None = begun
        if wait:
            from productops.cli.release_follow import await_rolled_back

            ended = await_rolled_back(client, begun["id"], timeout_s=timeout)
        _tell_rollback(ended or begun, as_json=as_json)
        if ended is None:
            sys.stderr.write(f"the router has not confirmed it within {timeout:g} s; look with: productops show {begun['id']}\n")
            raise typer.Exit(STILL_RUNNING_EXIT)


def pause(
    release_or_service: Annotated[str, typer.Argument(metavar="RELEASE", help="Id of a release, or a service for its newest one.")],
    *,
    reason: Reason,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Stop a rollout where it is: its step is held, still judged, until `productops resume`."""
    with api(home, api_url, as_json=as_json) as client:
        path = f"/api/v1/product-ops/releases/{_release_id(client, release_or_service)}/pause"
        paused = client.post(path, {"reason": reason})
        if as_json:
            print(json.dumps(paused))
            return
        print(f"{paused['title']} is paused; let it go on with `productops resume {paused['id']} --reason …`")


def resume(
    release_or_service: Annotated[str, typer.Argument(metavar="RELEASE", help="Id of a paused release, or its service.")],
    *,
    reason: Reason,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Let a paused release go on."""
    with api(home, api_url, as_json=as_json) as client:
        path = f"/api/v1/product-ops/releases/{_release_id(client, release_or_service)}/resume"
        _tell(client.post(path, {"reason": reason}), as_json=as_json)


@contextmanager
def api(home: Path | None, api_url: str | None, *, as_json: bool) -> Iterator[ApiClient]:
    """A client for one command. Errors go on to the program's boundary, with ``--json`` also as an object on standard output."""
    from productops.cli.api_client import to_problem
    from productops.cli.installation import connect
    from productops.errors import ProductOpsError

    client = None
    try:
        client = connect(home, api_url)
        yield client
    except ProductOpsError as error:
        if as_json:
            print(json.dumps(to_problem(error), default=str))
        raise
    finally:
        if client is not None:
            client.close()


def _await_end(client: ApiClient, accepted: Mapping[str, Any], *, timeout_s: float, as_json: bool) -> None:
    from productops.cli.release_follow import follow

    release_id, service = accepted["id"], accepted["service"]
    try:
        ended = follow(client, release_id, _view(client, accepted, as_json=as_json), timeout_s=timeout_s)
    except KeyboardInterrupt:
        sys.stderr.write(
            f"\nrelease {release_id} goes on without this terminal. Look: productops show {release_id}\n"
            f"Roll back: productops rollback {release_id} --reason '…'\n"
        )
        raise typer.Exit(INTERRUPTED_EXIT) from None
    if ended is None:
        _tell(_newest(client, accepted), as_json=as_json)
        sys.stderr.write(f"{service} has not ended within {timeout_s:g} s and goes on; look with: productops show {release_id}\n")
        raise typer.Exit(STILL_RUNNING_EXIT)
    _tell(ended, as_json=as_json)
    raise typer.Exit({"promoted": 0, "passed": 0, "rolled_back": ROLLED_BACK_EXIT}.get(ended["phase"], FAILED_EXIT))


def _view(client: ApiClient, accepted: Mapping[str, Any], *, as_json: bool) -> View:
    from productops.cli import release_views as views

    if as_json:
        return views.JsonView()
    if not sys.stdout.isatty():
        return views.LineView(accepted)

    def read() -> Mapping[str, Any] | None:
        found = _newest(client, accepted)
        return None if found is accepted else found

    return views.LiveView(accepted, read)


def _newest(client: ApiClient, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The release as it stands; what is known of it while the API is away."""
    from productops.errors import ProductOpsError

    try:
        return client.get(f"/api/v1/product-ops/releases/{known['id']}", timeout_s=2.0)
    except ProductOpsError:
        return known


def _tell(found: Mapping[str, Any], *, as_json: bool) -> None:
    from productops.cli.release_text import sentence

    print(json.dumps(found) if as_json else sentence(found))


def _tell_accepted(accepted: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(accepted))
        return
    from productops.cli.release_text import plain

    print(f"release {accepted['id']}: {plain(accepted['title'])}")
    run, starts_at = accepted["flow_run"], accepted["plan"].get("starts_at")
    approval = accepted["plan"].get("approval")
    if approval and not run:
        print(f"it {plain(approval['waits_for'])}\nsign it with: productops approve {accepted['id']}")
    elif starts_at and not run:
        print(f"it waits for a change window and begins soon after {starts_at[:16].replace('T', ' ')} UTC")
    else:
        print(run["url"] if run else "Prefect does not answer: the release begins when it does")
    print(f"follow it with: productops show {accepted['id']}")


def _tell_rollback(found: Mapping[str, Any], *, as_json: bool) -> None:
    _tell(found, as_json=as_json)
    if not as_json and found["phase"] == "promoted":
        run = f": {found['flow_run']['url']}" if found["flow_run"] else ""
        print(f"{found['baseline_version']} is being started; users get it as soon as it is healthy{run}")


def _write_picture(path: Path, content: bytes) -> None:
    """Raises: InvalidInputError when the file cannot be written."""
    try:
        path.write_bytes(content)
    except OSError as error:
        from productops.errors import InvalidInputError

        raise InvalidInputError(f"--picture {path}: {error.strerror or error}") from error


def _show_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(plan))
        return
    from productops.cli.release_tables import plan_page

    print(plan_page(plan))


def _release_id(client: ApiClient, given: str) -> str:
    """The id itself, or the newest release of the service. Raises: NotFoundError."""
    from productops.errors import NotFoundError

    if _UUID.fullmatch(given):
        return given
    items = client.get("/api/v1/product-ops/releases", service=given, limit=1)["items"]
    if not items:
        raise NotFoundError(f"{given[:80]!r} is no release's id, and no service with a release")
    return str(items[0]["id"])


def _weights(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter("give percentages with commas between them, e.g. 5,20,50", param_hint="--weights") from None


def _segment(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="") or "%20"


def _new_key() -> str:
    import uuid

    return f"cli-{uuid.uuid4()}"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (release, releases, show, rollback, pause, resume):
        app.command()(command)
