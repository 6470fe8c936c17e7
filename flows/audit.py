"""Every ten minutes: check what is new in the audit log, and sign where it stands."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from productops.errors import AuditBrokenError
from tasks import audit as steps


@flow(
    name="audit", description="Checks what is new in the audit log and signs where it stands, outside the database.", persist_result=False
)
async def audit() -> State[Any]:
    """An anchor is written only when everything since the last one fits; else an incident is open and this run has failed."""
    try:
        anchored = await steps.anchor()
    except AuditBrokenError as error:
        await steps.show_break(str(error))
        return Failed(message=str(error), name="AuditBroken")
    await steps.show_anchor(anchored)
    return Completed(message=f"entry {anchored.anchor.seq} has hash {anchored.anchor.hash}")
