"""How tasks retry: only what may succeed later, with backoff and jitter."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from productops.errors import ProductOpsError

RETRIES = 3
BACKOFF = exponential_backoff(backoff_factor=0.5)
JITTER = 0.5


async def may_succeed_later(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Prefect's retry condition: our errors say of themselves whether a retry makes sense; anything else does not."""
    try:
        await state.result(raise_on_failure=True)
    except ProductOpsError as error:
        return error.retryable
    except BaseException:  # noqa: BLE001 - the question is only what kind of error it was
        return False
    return False
