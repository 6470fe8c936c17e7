"""Work and its plan: read what is new, plan, say by when what is done, show it, tell who is concerned."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from productops.domain.development_plan_facts_stored import StoredPlan
from productops.errors import ImpossiblePlanError, InvalidInputError
from tasks import development as steps
from tasks import development_sync as healing


@flow(
    name="development",
    description="Plans the work of a venture: who does what when, and by when features are done.",
    persist_result=False,
)
async def development(
    venture: Annotated[str, Field(title="Venture", description="Empty: every venture with work or a plan.")] = "",
    team: Annotated[str, Field(title="Team", description="Only its work. Empty: that of all teams.")] = "",
    features: Annotated[str, Field(title="Features", description="Keys, with commas. Empty: all open work.")] = "",
    heal: Annotated[bool, Field(title="Read first", description="Ask GitHub, GitLab and Jira what is new before planning.")] = True,  # noqa: FBT002
    draft: Annotated[bool, Field(title="Only look", description="People go on working by the plan they have.")] = False,  # noqa: FBT002
    level: Annotated[bool, Field(title="Level", description="Spread the work evenly where it costs nothing.")] = False,  # noqa: FBT002
    note: Annotated[str, Field(title="Note", description="What it is for; kept with the plan.")] = "",
) -> State[Any]:
    """A venture whose constraints cannot all be kept fails the run; the others are planned all the same."""
    wanted = await steps.plans(venture, team, features, draft=draft, level=level, note=note)
    made: list[StoredPlan] = []
    problems: list[str] = []
    for each in wanted:
        if heal:
            for source in await steps.sources(each.wish.venture):
                await healing.read(source, full=False)
        try:
            made.append(await one(each))
        except (ImpossiblePlanError, InvalidInputError) as error:
            problems.append(f"{each.title}: {error}")
    return _told(made, problems)


async def one(wanted: steps.Wanted) -> StoredPlan:
    """One venture, or one team."""
    plan = await steps.plan(wanted, wanted.title)
    forecasts = await steps.forecast(plan, wanted, wanted.title)
    await steps.show(plan, forecasts, wanted, wanted.title)
    await steps.tell(plan, forecasts, wanted, wanted.title)
    return plan


def _told(made: list[StoredPlan], problems: list[str]) -> State[Any]:
    if problems:
        return Failed(message="; ".join(problems)[:2000], name="NotPlanned")
    if not made:
        return Completed(message="there is no stored work and no plan; declare a DevelopmentSource, or name a venture", name="NothingToDo")
    said = [f"{plan.venture} {plan.team}".strip() + f" ends {plan.ends_at:%Y-%m-%d}" for plan in made]
    return Completed(message="; ".join(said)[:2000], name="Planned")
