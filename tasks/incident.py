"""The steps of an incident's response as Prefect tasks; each calls one use case in a thread."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from prefect import runtime, task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

from blocks.installation import context
from productops.domain.incident_playbook import PAGE_A_PERSON, Response
from productops.errors import InvalidInputError
from productops.usecases import incident_respond, incident_respond_people, incident_start
from productops.usecases.incident_log import read_incident_log
from productops.usecases.incident_playbooks import list_responses
from productops.usecases.incident_respond_conclude import Conclusion, conclude_response
from productops.usecases.incident_respond_plan import DRY_RUN, Wish
from tasks.artifacts import publish
from tasks.callers import by_automation, caller
from tasks.release import actor, retrying

LOOK_S = 0.25
CONCLUDE_S = 1.0
ATTEND_S = incident_start.PATIENCE.total_seconds() + 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """How it ended, for the state of the run."""

    outcome: str
    sentence: str


@task(**retrying("assemble", "assemble what is known"))
async def assemble(incident_id: str, playbook: str, *, dry_run: bool) -> Response | None:
    """The response that was begun already, or the one that whoever started this run asks for. None: another run follows it.

    Raises: InvalidInputError without an incident; NotFoundError, ForbiddenError, ConflictError.
    """
    if not incident_id.strip():
        raise InvalidInputError("say which incident: Incident id is empty; list them with: productops incident list")
    if not playbook and not dry_run and await by_automation():
        return await _attend(incident_id)
    found = await asyncio.to_thread(list_responses, context(), incident_id, actor=actor())
    if found and not playbook and not dry_run:
        return found[-1]
    wish = Wish(incident_id, playbook or None, DRY_RUN if dry_run else "act")
    return await asyncio.to_thread(incident_respond_people.respond_now, context(), wish, actor=await caller())


async def _attend(incident_id: str) -> Response | None:
    """What the watch process does each second, for this one: a flow by an event does no more by itself than the product does."""
    mine, deadline = str(runtime.flow_run.id), time.monotonic() + ATTEND_S
    while True:
        response = await asyncio.to_thread(incident_start.attend_incident, context(), incident_id, mine)
        if response is not None:
            return response if response.flow_run_id == mine else None
        if time.monotonic() > deadline:
            return None
        await asyncio.sleep(LOOK_S)


@task(name="respond", task_run_name="carry out {response.playbook}", persist_result=False)
async def respond(response: Response) -> Response:
    """Carry the playbook out from its journal; whoever else does so is waited for. To be repeated at any time."""
    holder = f"flow run {runtime.flow_run.id} {incident_start.holder()}"
    while not response.ended and response.state.value != "proposed":
        response = await asyncio.to_thread(incident_respond.advance_response, context(), response.id, holder=holder, keep=True)
        if not response.ended:
            await asyncio.sleep(LOOK_S)
    return response


@task(name="verify recovery", task_run_name="verify recovery", persist_result=False)
async def verify(response: Response) -> Conclusion:
    """Mitigated, watched, resolved with a draft of the post-mortem, or opened again; a person's where nobody can tell."""
    while True:
        found = await asyncio.to_thread(conclude_response, context(), response.id)
        if found.over:
            return found
        await asyncio.sleep(CONCLUDE_S)


@task(name="record", task_run_name="record", persist_result=False)
async def record(response: Response, conclusion: Conclusion | None) -> Told:
    """What was done as a table, the timeline and the cause as pages, and one sentence."""
    key = f"{response.service}-{response.environment}".lower()
    response = (await asyncio.to_thread(list_responses, context(), response.incident_id, actor=actor(), dry_runs=response.mode == DRY_RUN))[
        -1
    ]
    await publish(
        acreate_table_artifact(key=f"response-{key}", table=_table(response), description=f"{response.title}: {response.state.value}")
    )
    await publish(acreate_markdown_artifact(markdown=_cause(response), key=f"cause-{key}", description="why this was done"))
    log = await asyncio.to_thread(read_incident_log, context(), response.incident_id, actor=actor())
    lines = [f"| {entry.at:%H:%M:%S} | {entry.kind} | {_cell(entry.text)} | {_cell(entry.actor)} |" for entry in log]
    timeline = "\n".join(["| UTC | what | | who |", "|---|---|---|---|", *lines])
    await publish(acreate_markdown_artifact(markdown=timeline, key=f"timeline-{key}", description=f"incident {response.incident_id}"))
    return _told(response, conclusion)


def _table(response: Response) -> list[dict[str, Any]]:
    return [
        {"role": step.role, "step": step.do, "state": step.state, "tries": step.attempts, "what came of it": step.result}
        for step in response.steps
    ]  # fmt: skip


def _cause(response: Response) -> str:
    cause = response.cause
    lines = [f"**{response.playbook}**", "", *(f"- {each}" for each in response.why.splitlines())]
    if cause:
        lines += ["", f"Cause: {cause['kind']} {_cell(str(cause['subject']))}, {cause['probability']:.0%}", ""]
        lines += [f"- for: {_cell(each)}" for each in cause["supporting"]] + [f"- against: {_cell(each)}" for each in cause["refuting"]]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")[:500]


def _told(response: Response, conclusion: Conclusion | None) -> Told:
    if response.mode == DRY_RUN:
        return Told("DryRun", "; ".join(step.result for step in response.steps))
    if conclusion is None:
        return Told("Proposed", f"{response.title} waits for somebody to say go: productops incident respond {response.incident_id} --go")
    outcome = {"resolved": "Resolved", "reopened": "Reopened", "person": "HandedOver"}.get(conclusion.state, conclusion.state.title())
    if response.playbook == PAGE_A_PERSON:
        outcome = "HandedOver"
    return Told(outcome, f"{response.title}: {conclusion.reason}")


async def follow_on(response: Response) -> Response | None:
    """Another response that was begun since; None where there is none."""
    found = await asyncio.to_thread(list_responses, context(), response.incident_id, actor=actor())
    return found[-1] if found and found[-1].id != response.id else None
