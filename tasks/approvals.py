"""What the Prefect UI shows of something that waits for signatures, and the reconciler's part in approvals and changes."""

from __future__ import annotations

import asyncio

from prefect import task
from prefect.artifacts import acreate_markdown_artifact

from blocks.installation import context, settings
from productops.errors import ApprovalNeededError
from productops.usecases import governance_approvals, governance_changes_report
from tasks.artifacts import publish
from tasks.release import actor, retrying


async def show_page(error: ApprovalNeededError) -> None:
    """An artifact with the way to the page where it is read and signed."""
    page = f"{settings().api_url}/approvals/{error.extra.get('approval_id', '')}"
    text = f"## Waiting for approval\n\n{error.detail}\n\n[Read it and sign]({page})\n\nThis run ends; a new one begins once it is signed."
    await publish(acreate_markdown_artifact(markdown=text, key="approval", description="waiting for approval"))


@task(**retrying("approvals", "expire approvals"))
async def expire_approvals() -> list[str]:
    """Ids of requests for signatures that ended now: expired, or about something that is over."""
    return await asyncio.to_thread(governance_approvals.expire_due, context(), actor=actor())


@task(**retrying("changes", "report changes"))
async def report_changes() -> list[str]:
    """Ids of changes that the outside change system took now; none where there is no such system."""
    from productops.adapters.governance_changes import change_system  # brings the HTTP client

    system = await asyncio.to_thread(change_system, settings())
    if system is None:
        return []
    return await asyncio.to_thread(governance_changes_report.report_changes, context(), system, actor=actor())
