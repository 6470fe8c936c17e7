"""Give users the earlier version back: at once where it is warm, else as soon as its instances are healthy."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from productops.domain.release import Environment
from productops.errors import ProductOpsError
from tasks import claims
from tasks import release_report as report
from tasks import rollback as steps


@flow(
    name="rollback",
    description="Give users the earlier version back: of a release in flight at once, of a promoted one as soon as it is up.",
    flow_run_name="roll back {service} in {environment}",
    persist_result=False,
)
async def rollback(
    service: Annotated[str, Field(title="Service", description="Name of the service in the catalog, e.g. storefront.")],
    reason: Annotated[str, Field(title="Reason", description="Why; kept in the audit and shown to everybody.")],
    environment: Annotated[Environment, Field(title="Environment")] = Environment.PRODUCTION,
    release_id: Annotated[str | None, Field(title="Release id", description="Empty: the release in flight, else the newest one.")] = None,
) -> State[Any]:
    """Roll back ``release_id``, or what is newest of ``service``."""
    await claims.enter()
    try:
        found = await steps.find_release(release_id, service, environment)
        begun = await steps.begin(found, reason)
        ended = await steps.finish(begun, reason)
    except ProductOpsError as error:
        return Failed(message=str(error), name="Refused")
    told = await report.record(ended)
    if told.rolled_back:
        return Completed(message=told.sentence, name="RolledBack")
    return Failed(message=told.sentence, name=told.outcome)
