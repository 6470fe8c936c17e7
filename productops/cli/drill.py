"""``productops drill``: break something on purpose on this machine, watch what the product does, mend it, show the scores."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, In, api
from productops.domain.release import Environment

if TYPE_CHECKING:
    from productops.cli.api_client import ApiClient

BASE = "/api/v1/product-ops"
DRILLS = f"{BASE}/drills"
LOOK_S = 0.5
FAILED_EXIT = 3
DEPENDENCY = "dependency"
LIST = "list"
MEND = "mend"


class Doors:
    """What a fault may ask of the installation, over its API."""

    def __init__(self, client: ApiClient, drill_id: str) -> None:
        self._client = client
        self._drill_id = drill_id

    def instances(self, service: str) -> Sequence[Mapping[str, Any]]:
        """Living instances of what users have."""
        found = self._client.get(f"{DRILLS}/{self._drill_id}/instances")
        return [each for each in found["items"] if each["service"] == service]

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the API for something."""
        return self._client.post(_full(path), body, timeout_s=30)

    def get(self, path: str) -> Mapping[str, Any]:
        """Read from the API."""
        return self._client.get(_full(path))


def _full(path: str) -> str:
    return path if path.startswith("/api/") else f"{BASE}{path}"


def drill(
    playbook: Annotated[str, typer.Argument(help="The playbook; `list`: what was rehearsed; `mend`: undo what was left broken.")],
    *,
    service: Annotated[str, typer.Option("--service", help="The service that is to suffer.")] = "storefront",
    environment: In = Environment.PRODUCTION,
    fault: Annotated[str, typer.Option("--fault", help="What is broken; left out: the playbook's own.")] = "",
    option: Annotated[list[str] | None, typer.Option("--option", help="name=value that the fault wants, e.g. version=2.1.0.")] = None,
    wait_s: Annotated[float, typer.Option("--wait", help="Seconds until it counts as failed.")] = 120.0,
    production: Annotated[bool, typer.Option("--production", help="Users of production may be harmed, and that is meant.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Break something on purpose and score what happens. What was broken is mended at the end, also by the next drill. 3: it failed."""
    with api(home, api_url, as_json=as_json) as client:
        if playbook == LIST:
            _list(client, as_json=as_json)
            return
        wanted = _options(option or [])
        body = {
            "playbook": playbook if playbook != MEND else "", "service": service, "environment": environment.value, "fault": fault,
            "even_production": production,
        }  # fmt: skip
        if playbook == MEND:
            print(f"{_mend_left(client)} drills were mended")
            return
        ended = rehearse(client, body, wanted, wait_s=wait_s, say=(lambda _text: None) if as_json else print)
    from productops.cli.incident_playbooks_text import drill_page

    print(json.dumps(ended) if as_json else drill_page(ended))
    if ended["state"] != "passed":
        raise typer.Exit(FAILED_EXIT)


def _options(given: Sequence[str]) -> dict[str, str]:
    """Raises: InvalidInputError."""
    from productops.errors import InvalidInputError

    wrong = [each for each in given if "=" not in each]
    if wrong:
        raise InvalidInputError(f"--option {wrong[0]}: write name=value")
    return dict(each.split("=", 1) for each in given)


def _list(client: ApiClient, *, as_json: bool) -> None:
    from productops.cli.incident_playbooks_text import drills_table

    found = client.get(DRILLS)
    print(json.dumps(found) if as_json else drills_table(found["items"]))


def _mend_left(client: ApiClient) -> int:
    """Undo what earlier drills left broken; returns how many."""
    left = [each for each in client.get_all(DRILLS)["items"] if each["undone_at"] is None]
    for each in left:
        _mend(client, each, why="cut short; mended afterwards")
    return len(left)


def rehearse(client: ApiClient, body: dict[str, Any], wanted: dict[str, str], *, wait_s: float, say: Any) -> dict[str, Any]:
    """One drill from its first word to its end; whatever happens, what was broken is mended. Raises: ProductOpsError."""
    from productops.adapters.incident_faults import fault as fault_of

    begun = client.post(DRILLS, body)
    for each in begun["mend"]:
        say(f"an earlier drill ({each['playbook']}) left something broken: mending it first")
        _mend(client, each, why="cut short; mended by the next drill")
    drill_id = str(begun["drill"]["drill_id"])
    fault, doors = fault_of(begun["drill"]["fault"]), Doors(client, drill_id)
    wishes = _wishes(begun, wanted)
    previous = signal.signal(signal.SIGTERM, _interrupted)
    try:
        planned = fault.plan(doors, wishes) | {"cause": fault.cause}
        client.post(f"{DRILLS}/{drill_id}/injection", {"injected": planned})
        say(f"breaking: {begun['drill']['fault']} on {body['service']}")
        planned |= fault.inject(doors, planned)
        client.post(f"{DRILLS}/{drill_id}/injection", {"injected": planned, "done": True})
        _watch(client, drill_id, lambda: fault.hold(doors, planned), wait_s=wait_s, say=say)
        ended = client.post(f"{DRILLS}/{drill_id}/score", {"last": True})
    finally:
        signal.signal(signal.SIGTERM, previous)
        _mend(client, client.get(f"{DRILLS}/{drill_id}"), why="interrupted")
    return client.get(f"{DRILLS}/{ended['drill_id']}")


def _wishes(begun: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, str]:
    """What the fault is given: where it is to be, what the catalog knows, and what was said."""
    drilled = begun["drill"]
    known = {"service": drilled["service"], "environment": drilled["environment"]}
    if begun["dependencies"]:
        known[DEPENDENCY] = begun["dependencies"][0]
    report = {"kind": "quality", "title": f"drill of {drilled['playbook']}"}
    return known | report | dict(wanted)


def _watch(client: ApiClient, drill_id: str, hold: Any, *, wait_s: float, say: Any) -> None:
    """Until users are well again, or it takes too long."""
    deadline, told = time.monotonic() + wait_s, set[str]()
    while time.monotonic() < deadline:
        hold()
        found = client.post(f"{DRILLS}/{drill_id}/score", {"last": False})
        scores = found["scores"]
        for name, words in (("detected_s", "seen"), ("right_cause_s", "right cause"), ("responded_s", "response"), ("mitigated_s", "well")):
            if scores.get(name) is not None and name not in told:
                told.add(name)
                say(f"  {words} after {scores[name]:.1f} s")
        if scores.get("mitigated_s") is not None or (found["fault"] == "report" and scores.get("responded_s") is not None):
            return
        time.sleep(LOOK_S)


def _mend(client: ApiClient, found: Mapping[str, Any], *, why: str) -> None:
    """Undo exactly what was written down, then say so."""
    from productops.adapters.incident_faults import fault as fault_of

    if found["undone_at"] is not None:
        return
    drill_id = str(found["drill_id"])
    if found["injected"]:
        fault_of(found["fault"]).undo(Doors(client, drill_id), found["injected"])
    client.post(f"{DRILLS}/{drill_id}/mended", {"note": why})


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    sys.exit(130)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("drill")(drill)
