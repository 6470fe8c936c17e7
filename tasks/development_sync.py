"""The steps of reading development sources as Prefect tasks."""

from __future__ import annotations

import asyncio

from prefect import task
from prefect.artifacts import acreate_table_artifact

from blocks.installation import context
from productops.agent.election import Identity
from productops.api.governance_webhooks_worker import is_dead
from productops.errors import ConflictError
from productops.usecases import development_sync
from productops.usecases.development_sync import SyncReport
from tasks.artifacts import publish
from tasks.callers import caller
from tasks.release import retrying

KEY = "development-sync"


@task(**retrying("sources", "which sources"))
async def sources(source: str) -> list[str]:
    """The named source, or all that are due."""
    return [source] if source else await asyncio.to_thread(development_sync.all_sources, context())


@task(**retrying("read", "read {source}"))
async def read(source: str, *, full: bool) -> SyncReport | None:
    """Read one source to its end, or as far as its limit allows; ``None`` while another program reads it. Raises: NotFoundError."""
    who = await caller()
    try:
        return await asyncio.to_thread(
            development_sync.sync_source, context(), source, actor=who, owner=Identity.here().name, full=full, is_dead=is_dead
        )
    except ConflictError:
        return None


@task(**retrying("show", "show what was read"))
async def show(reports: list[SyncReport]) -> None:
    """A table for the Prefect UI."""
    rows = [
        {"source": report.source, "what": kind, "new": w.created, "changed": w.changed, "deleted": w.deleted, "error": report.error[:200]}
        for report in reports
        for kind, w in sorted(report.totals.items())
    ] or [{"source": r.source, "what": "nothing new", "new": 0, "changed": 0, "deleted": 0, "error": r.error[:200]} for r in reports]
    said = "; ".join(f"{r.source}: {r.pages} pages in {r.took_s:.0f} s" for r in reports) or "no development source is due"
    await publish(acreate_table_artifact(table=rows, key=KEY, description=said))
