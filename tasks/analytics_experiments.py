"""The steps of looking at experiments as Prefect tasks."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass

from prefect import task
from prefect.artifacts import acreate_image_artifact, acreate_table_artifact

from blocks.installation import context
from productops.domain.analytics_experiment_document import look_from
from productops.domain.analytics_experiment_picture import look_picture
from productops.errors import ConflictError, NotFoundError, ProductOpsError
from productops.usecases import analytics_experiment_look
from tasks.artifacts import publish
from tasks.callers import caller
from tasks.release import retrying

KEY = "experiments"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look found, in words; ``error``: why there is none."""

    name: str
    sentence: str
    standing: str
    people: int
    breached: bool
    error: str
    picture: str


@task(**retrying("experiments", "which experiments"))
async def experiments(name: str) -> list[str]:
    """The named one, or all that are under way. Raises: StoreUnavailableError."""
    if name:
        return [name]
    return [each.name for each in await asyncio.to_thread(analytics_experiment_look.due_experiments, context())]


@task(**retrying("look", "look at {name}"))
async def look(name: str) -> Seen:
    """One experiment. What is wrong with it alone keeps nobody from the others; what may pass is tried again.

    Raises: DependencyError, StoreUnavailableError, NotFoundError.
    """
    who = await caller()
    try:
        found = await asyncio.to_thread(analytics_experiment_look.look_at, context(), name, actor=who)
    except ProductOpsError as error:
        if error.retryable or isinstance(error, NotFoundError):
            raise
        # Somebody else looked at this moment: that look counts.
        return Seen(name, str(error), "", 0, breached=False, error="" if isinstance(error, ConflictError) else str(error), picture="")
    assert found.look is not None  # noqa: S101 - a look that failed raised
    result = look_from(found.look.result)
    drawn = look_picture(f"{name}, look {found.look.number}", result)
    broken = any(rail.holds is False for rail in result.guardrails)
    return Seen(name, result.sentence, result.standing.value, sum(result.people.values()), broken, "", drawn)


@task(**retrying("show", "show what was found"))
async def show(looks: list[Seen]) -> None:
    """A table of all, and a picture of each, for the Prefect UI."""
    rows = [
        {"experiment": each.name, "stands": each.standing or each.error, "people": each.people, "says": each.sentence} for each in looks
    ]
    said = f"{len(looks)} experiments were looked at" if looks else "no experiment is under way"
    await publish(acreate_table_artifact(table=rows, key=KEY, description=said))
    for each in looks:
        if each.picture:
            url = f"data:image/svg+xml;base64,{base64.b64encode(each.picture.encode()).decode()}"
            await publish(acreate_image_artifact(image_url=url, key=f"experiment-{each.name}", description=each.sentence[:500]))
