"""Many releases at the same moment: what is cheap is done for all of them before anything that is dear."""

from __future__ import annotations

import asyncio
import time

from blocks.installation import context
from productops.errors import StoreUnavailableError
from productops.usecases.release_rush import count_unbegun

CALM_WITHIN_S = 8.0
"""Longest that one release holds back for others, from the first time it does."""
FEW = 2
_LOOK_S = 0.3
_over: asyncio.Task[None] | None = None


async def calm() -> None:
    """Return when hardly any release waits for its first step, at the latest after ``CALM_WITHIN_S``; at once for a single release."""
    global _over  # noqa: PLW0603 - one wait for all that holds back in this process, which carries out one run
    if _over is None:
        _over = asyncio.get_running_loop().create_task(_await_calm())
    await asyncio.shield(_over)


async def _await_calm() -> None:
    deadline = time.monotonic() + CALM_WITHIN_S
    while await _rush() and time.monotonic() < deadline:  # noqa: ASYNC110 - other processes write what is waited for
        await asyncio.sleep(_LOOK_S)


async def _rush() -> bool:
    try:
        return await asyncio.to_thread(count_unbegun, context()) > FEW
    except StoreUnavailableError:
        return False
