"""An incident, told as the runbook: what is known, what it comes from, what is done, whether users are well again, what was learned."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from productops.errors import ProductOpsError
from tasks import claims
from tasks import incident as steps

AGAIN = 3


@flow(
    name="incident",
    description="Answers an incident by a playbook, undoes what does not work, and ends the incident when users are well again.",
    flow_run_name="incident {incident_id}",
    retries=0,
    persist_result=False,
)
async def incident(
    incident_id: Annotated[str, Field(title="Incident id", description="As `productops incident list` shows it.")] = "",
    playbook: Annotated[
        str, Field(title="Playbook", description="Empty: the response that was begun, else the playbook that fits the likeliest cause.")
    ] = "",
    dry_run: Annotated[bool, Field(title="Dry run", description="Only say what would be done.")] = False,  # noqa: FBT002
) -> State[Any]:
    """The store holds the truth: a run that is killed changes nothing, the watch process carries the response on."""
    await claims.enter()
    try:
        response = await steps.assemble(incident_id, playbook, dry_run=dry_run)
    except ProductOpsError as error:
        return Failed(message=str(error), name="Refused")
    if response is None:
        return Completed(message=f"another flow run follows incident {incident_id}, or nothing is left to be done", name="Followed")
    conclusion = None
    for _ in range(AGAIN):
        response = await steps.respond(response)
        conclusion = await steps.verify(response) if response.ended and not dry_run else None
        following = await steps.follow_on(response) if conclusion and conclusion.state in {"reopened", "person"} else None
        if following is None:
            break
        response = following
    told = await steps.record(response, conclusion)
    return Completed(message=told.sentence, name=told.outcome)
