"""Every hour: what caused incidents, what became of what we said, and does the model of risk still fit?"""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from tasks import development_risk as steps


@flow(
    name="development-risk",
    description="Reviews risk: causes of incidents, what became of predictions, a better model where there is one, answers about features.",
    persist_result=False,
)
async def development_risk(
    venture: Annotated[str, Field(title="Venture", description="Name of one venture; empty: all that have changes or incidents.")] = "",
    learn_now: Annotated[bool, Field(title="Learn now", description="Try to learn a model even if little is new.")] = False,  # noqa: FBT002
) -> State[Any]:
    """One venture after the other. A drift does not fail the run: the rule decides until a new model is trusted."""
    names = await steps.ventures(venture)
    reviews = [await steps.review(name, learn_now=learn_now) for name in names]
    await steps.show(reviews)
    drifted = [each.venture for each in reviews if each.drift]
    said = "; ".join(f"{each.venture}: {each.settled} outcomes, {each.predicted} predictions" for each in reviews) or "nothing to review"
    return Completed(message=said, name="Drifted") if drifted else Completed(message=said)
