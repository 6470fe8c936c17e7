"""What each request to Prefect's REST interface is: a look, a start of a run, a change of one, or a matter for admins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from productops.domain.governance_access import Operation


class Kind(StrEnum):
    """How a request is judged."""

    OPEN = "open"  # tells nothing of anybody's work
    READ = "read"
    START = "start"
    STATE = "state"
    RESUME = "resume"
    MANAGE = "manage"
    CHATTER = "chatter"  # what workers and runs report all the time: for admins' tokens, and not on record


@dataclass(frozen=True, slots=True)
class Rule:
    """``id`` is the deployment's or the flow run's."""

    kind: Kind
    id: str = ""


_ID = r"(?P<id>[0-9a-fA-F-]{32,36})"
_START = re.compile(rf"/deployments/{_ID}/create_flow_run/?")
_STATE = re.compile(rf"/flow_runs/{_ID}/set_state/?")
_RESUME = re.compile(rf"/flow_runs/{_ID}/resume/?")
_OPEN = re.compile(r"/(health|ready|hello|version|admin/version|csrf-token|collections/views/[\w-]+)/?")
# Prefect reads with POST, too. Whatever is not here and not a GET changes something.
_READS = re.compile(
    r"/(artifacts|artifacts/latest|automations|block_documents|block_schemas|block_types|concurrency_limits|deployments|flow_runs|flows"
    r"|logs|saved_searches|task_runs|task_workers|v2/concurrency_limits|variables|work_pools|work_queues|events)/(filter|count|paginate)/?"
    r"|/(flow_runs|task_runs|ui/flow_runs)/(history|lateness)/?"
    r"|/events/count-by/[\w-]+/?"
    rf"|/flow_runs/{_ID}/input/filter/?"
    r"|/ui/flow_runs/count-task-runs/?|/ui/flows/(count-deployments|next-runs)/?|/ui/schemas/validate/?"
    r"|/ui/task_runs/(count|dashboard/counts)/?|/(automations/)?templates/validate/?"
    r"|/work_pools/[^/]+/(queues|workers)/filter/?|/work_pools/[^/]+/concurrency_status/?|/work_queues/[^/]+/concurrency_status/?"
)
_CHATTER = re.compile(
    r"/(logs|events|task_runs)/?|/task_runs/[^/]+/set_state/?|/work_pools/[^/]+/(workers/heartbeat|get_scheduled_flow_runs)/?"
    r"|/work_queues/[^/]+/get_runs/?|/deployments/get_scheduled_flow_runs/?|/v2/concurrency_limits/(in|de)crement(-with-lease)?/?"
    r"|/v2/concurrency_limits/leases/[^/]+/renew/?|/concurrency_limits/(in|de)crement/?"
)
READ_SOCKETS = re.compile(r"/(events|logs)/out/?")
# Whatever else a body may name (job variables, work queues) decides which program runs where.
START_FIELDS = frozenset({"parameters", "state", "name", "tags", "idempotency_key", "enforce_parameter_schema", "labels"})
_PAUSES = frozenset({"PAUSED"})
_ENDS = frozenset({"CANCELLING", "CANCELLED"})


def classify(method: str, path: str) -> Rule:
    """``path`` begins after ``/prefect/api``."""
    if method in {"GET", "HEAD"}:
        return Rule(Kind.OPEN if _OPEN.fullmatch(path) else Kind.READ)
    if method != "POST":
        return Rule(Kind.MANAGE)
    for pattern, kind in ((_START, Kind.START), (_STATE, Kind.STATE), (_RESUME, Kind.RESUME)):
        if found := pattern.fullmatch(path):
            return Rule(kind, found["id"])
    if _READS.fullmatch(path):
        return Rule(Kind.READ)
    return Rule(Kind.CHATTER if _CHATTER.fullmatch(path) else Kind.MANAGE)


def operation_of_state(body: Any) -> Operation:
    """What a new state of a run is: its end, its pause, or something that takes an admin."""
    state = body.get("state") if isinstance(body, dict) else None
    kind = str(state.get("type", "")).upper() if isinstance(state, dict) else ""
    if kind in _ENDS:
        return Operation.RELEASE_ROLL_BACK
    return Operation.RELEASE_PAUSE if kind in _PAUSES else Operation.PREFECT_MANAGE


def beyond_the_form(body: Any) -> list[str]:
    """Fields of a start that are more than Prefect's form for our flows: they take an admin."""
    if not isinstance(body, dict):
        return ["a body that is no object"]
    extra = [name for name, value in body.items() if name not in START_FIELDS and value not in (None, {}, [], "")]
    state = body.get("state")
    if isinstance(state, dict) and str(state.get("type", "SCHEDULED")).upper() != "SCHEDULED":
        extra.append("state")
    return sorted(extra)
