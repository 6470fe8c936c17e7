"""What a person sees in the Prefect UI: tables, pictures, links and progress. Never in the way of the work."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from tasks.rush import calm

log = structlog.get_logger(__name__)
PATIENCE_S = 3.0
_background: set[asyncio.Task[None]] = set()


async def publish(work: Coroutine[Any, Any, Any]) -> Any:
    """Await an artifact for at most 3 s; a Prefect server that is away costs a line in the log, not a release."""
    try:
        return await asyncio.wait_for(work, PATIENCE_S)
    except Exception as error:  # noqa: BLE001 - a boundary: whatever Prefect's client raises, traffic goes first
        log.warning("artifact not published", reason=f"{type(error).__name__}: {error}")
        return None


def publish_soon(work: Coroutine[Any, Any, Any]) -> None:
    """Publish beside the work; the loop keeps a reference until it is done."""

    async def run() -> None:
        await calm()
        await publish(work)

    task = asyncio.get_running_loop().create_task(run())
    _background.add(task)
    task.add_done_callback(_background.discard)


async def settle() -> None:
    """Let what was published soon come to its end, for at most 3 s."""
    if _background:
        await asyncio.wait(list(_background), timeout=PATIENCE_S)
