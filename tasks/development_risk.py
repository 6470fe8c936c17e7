"""The steps of the review of risk as Prefect tasks."""

from __future__ import annotations

import asyncio

from prefect import task
from prefect.artifacts import acreate_table_artifact

from blocks.installation import context
from productops.usecases import development_risk_train
from productops.usecases.development_risk_train import RiskReview
from tasks.artifacts import publish
from tasks.callers import caller
from tasks.release import retrying

KEY = "development-risk"


@task(**retrying("ventures", "which ventures"))
async def ventures(venture: str) -> list[str]:
    """The named venture, or all that have changes or incidents. Raises: StoreUnavailableError."""
    return [venture] if venture else await asyncio.to_thread(development_risk_train.ventures_to_review, context())


@task(**retrying("review", "review {venture}"))
async def review(venture: str, *, learn_now: bool) -> RiskReview:
    """One venture; a repetition finds nothing new. Raises: NotFoundError, ForbiddenError."""
    who = await caller()
    return await asyncio.to_thread(development_risk_train.review_risk, context(), venture, learn_now=learn_now, actor=who)


@task(**retrying("show", "show the review"))
async def show(reviews: list[RiskReview]) -> None:
    """A table for the Prefect UI."""
    rows = [
        {
            "venture": each.venture, "causes": each.attributed, "outcomes": each.settled, "predictions": each.predicted,
            "answers": each.answers, "learned": each.learned.state if each.learned else "", "model": each.model,
            "drift": "; ".join(each.drift),
        }
        for each in reviews
    ]  # fmt: skip
    said = "; ".join(f"{each.venture}: {each.model}" for each in reviews) or "no venture has changes or incidents"
    await publish(acreate_table_artifact(table=rows, key=KEY, description=said[:2000]))
