"""Every day: does what has to hold, hold?"""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from productops.domain.governance_compliance import Outcome
from tasks import compliance as steps


@flow(name="compliance", description="Checks the controls of the catalog and keeps what it finds.", persist_result=False)
async def compliance(
    control: Annotated[str, Field(title="Control", description="Name of one control; empty: all of them.")] = "",
) -> State[Any]:
    """All controls, or the named one. Findings do not fail the run: they are there until somebody sees to them."""
    checked = await steps.check(control)
    await steps.show(checked)
    violated, unchecked = checked.controls(Outcome.VIOLATED), checked.controls(Outcome.UNCHECKED)
    if not violated and not unchecked:
        return Completed(message=f"{len(checked.results)} controls hold")
    said = [f"violated: {', '.join(violated)}"] if violated else []
    said += [f"could not be looked at: {', '.join(unchecked)}"] if unchecked else []
    return Completed(message="; ".join(said), name="Findings")
