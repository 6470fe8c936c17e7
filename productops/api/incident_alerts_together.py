"""Alerts that come at the same moment are taken in together: a storm of small messages costs what a few large ones do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from anyio import CapacityLimiter, Lock, sleep, to_thread

from productops.domain.incident_alert import Alert, Taken
from productops.errors import ProductOpsError, StoreUnavailableError
from productops.usecases.context import Actor, Context
from productops.usecases.incident_alerts import AT_ONCE, take_together

Answer = Taken | ProductOpsError
STORM_S = 0.2
"""Messages that come so soon after others were taken in are part of a storm,"""
GATHER_S = 0.05
"""and wait so long for more of it, which a person does not notice and the database does."""


@dataclass(slots=True, eq=False)
class _Message:
    """One request that waits. ``answer`` is there once its alerts are kept, or cannot be."""

    alerts: Sequence[Alert]
    actor: Actor
    answer: Answer | None = None


@dataclass(slots=True)
class Together:
    """What the requests of one API process share. Whoever has its turn takes along those of the same caller that wait behind it.

    They wait outside of the threads that serve other requests, and the database has one of us to write alerts instead of forty.
    """

    _waiting: list[_Message] = field(default_factory=list)
    _turn: Lock = field(default_factory=Lock)
    _limiter: CapacityLimiter | None = None
    _done_at: float = float("-inf")

    async def take(self, context: Context, alerts: Sequence[Alert], *, actor: Actor) -> Taken:
        """What became of these alerts; the answer comes when they are kept. Raises: ForbiddenError, StoreUnavailableError."""
        mine = _Message(alerts, actor)
        self._waiting.append(mine)
        try:
            async with self._turn:
                if mine.answer is None:
                    await self._take(context, mine)
                    self._done_at = time.monotonic()
        finally:
            if mine in self._waiting:  # its caller is gone
                self._waiting.remove(mine)
        answer = mine.answer
        if isinstance(answer, Taken):
            return answer
        raise answer or StoreUnavailableError("the alerts were not taken in; send them again")

    async def _take(self, context: Context, mine: _Message) -> None:
        if time.monotonic() - self._done_at < STORM_S:
            await sleep(GATHER_S)
        batch, size = [mine], len(mine.alerts)
        for each in self._waiting:
            if each is not mine and each.actor == mine.actor and size + len(each.alerts) <= AT_ONCE:
                batch.append(each)
                size += len(each.alerts)
        self._waiting = [each for each in self._waiting if each not in batch]
        if self._limiter is None:
            self._limiter = CapacityLimiter(1)
        answers = await to_thread.run_sync(_work, context, batch, limiter=self._limiter)
        for each, answer in zip(batch, answers, strict=True):
            each.answer = answer


def _work(context: Context, batch: Sequence[_Message]) -> Sequence[Answer]:
    try:
        return take_together(context, [each.alerts for each in batch], actor=batch[0].actor)
    except StoreUnavailableError as error:
        return [error] * len(batch)
    except ProductOpsError as error:
        if len(batch) == 1:
            return [error]
    return [answer for each in batch for answer in _work(context, [each])]  # what is wrong with one is not the others' fault
