"""What goes on behind the webhooks: works out what came in, sends what is to be told. Runs within each API, and may run alone.

``python -m productops.api.governance_webhooks_worker`` is one more sender, for a fleet that wants it apart. However many there are, each
delivery is one's at a time; what a killed one had claimed is freed at once on its machine, and when its lease ends elsewhere.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from anyio import to_thread

from productops.agent.election import Identity, machine_name
from productops.domain.governance_outbox import OutboxDelivery
from productops.errors import ProductOpsError
from productops.ports import Courier
from productops.settings import Settings
from productops.usecases import governance_outbox, governance_webhooks_process
from productops.usecases.context import Context
from productops.usecases.governance_webhooks import Refusals, tell_refusals

if TYPE_CHECKING:
    from fastapi import FastAPI

log = structlog.get_logger(__name__)
POLL_S = 0.25
AT_ONCE = 16
AT_ONCE_PER_TARGET = 3
TIDY_EVERY_S = 5.0
PRUNE_EVERY_S = 3_600.0
AGAIN_S = 1.0
END_S = 1.0


def is_dead(owner: str) -> bool:
    """Whether a program that ran on this machine has ended; of others nobody here can know."""
    identity = Identity.parse(owner)
    return identity is not None and identity.machine == machine_name() and not identity.lives()


@dataclass(slots=True)
class WebhookWorker:
    """One per process. ``context_of`` is asked at each turn; ``source`` is the URI that names this installation to others."""

    context_of: Callable[[], Context]
    courier: Courier
    source: str
    retention: timedelta
    refusals: Refusals = field(default_factory=Refusals)
    owner: str = field(default_factory=lambda: Identity.here().name)
    sending: Counter[str] = field(default_factory=Counter)
    news_out: threading.Event = field(default_factory=threading.Event)
    news_in: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _loops: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin; returns at once."""
        for name, turn, news, pause_s in (
            ("webhooks-out", self.send, self.news_out, POLL_S), ("webhooks-in", self.process, self.news_in, POLL_S),
            ("webhooks-tidy", self._tidier(), self.stopping, TIDY_EVERY_S),
        ):  # fmt: skip
            thread = threading.Thread(target=self._repeat, args=(turn, news, pause_s), name=name, daemon=True)
            self._loops.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ask the loops to end and wait a moment; what is being sent is left to whoever comes next."""
        self.stopping.set()
        self.news_out.set()
        self.news_in.set()
        deadline = time.monotonic() + END_S
        for thread in self._loops:
            thread.join(max(0.0, deadline - time.monotonic()))
        while sum(self.sending.values()) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _repeat(self, turn: Callable[[], bool], news: threading.Event, pause_s: float) -> None:
        while not self.stopping.is_set():
            try:
                busy = turn()
            except ProductOpsError as error:
                log.warning("webhooks wait", reason=str(error))
                self.stopping.wait(AGAIN_S)
                continue
            except Exception:  # the boundary of a thread: whatever it was, the next turn may go well, and without turns all would stop
                log.exception("unexpected error in the webhooks' loop")
                self.stopping.wait(AGAIN_S)
                continue
            if not busy and news.wait(pause_s) and news is not self.stopping:
                news.clear()

    def process(self) -> bool:
        """One turn over what came in; whether there was anything."""
        return governance_webhooks_process.process_due(self.context_of(), owner=self.owner) > 0

    def send(self) -> bool:
        """One turn over what is to be sent: each claimed delivery goes out in a thread of its own."""
        with self._lock:
            free = AT_ONCE - sum(self.sending.values())
            busy = [name for name, count in self.sending.items() if count >= AT_ONCE_PER_TARGET]
        if free <= 0:
            return False
        context = self.context_of()
        claimed = governance_outbox.claim_due(context, owner=self.owner, busy=busy, most=free, per_target=AT_ONCE_PER_TARGET)
        with self._lock:
            self.sending.update(delivery.target for delivery in claimed)
        for delivery in claimed:
            threading.Thread(target=self._send_one, args=(context, delivery), name=f"webhook-{delivery.target}", daemon=True).start()
        return bool(claimed)  # others may have something for other targets; the end of each delivery is news

    def _send_one(self, context: Context, delivery: OutboxDelivery) -> None:
        try:
            governance_outbox.send_claimed(context, self.courier, delivery, source=self.source)
        except ProductOpsError as error:
            log.warning("webhook sent, but not written down; it is sent again when its lease ends", id=delivery.id, reason=str(error))
        except Exception:  # the boundary of a thread: the delivery's lease ends and it is tried again
            log.exception("unexpected error while sending a webhook", id=delivery.id)
        finally:
            with self._lock:
                self.sending[delivery.target] -= 1
                if not self.sending[delivery.target]:
                    del self.sending[delivery.target]
            self.news_out.set()

    def _tidier(self) -> Callable[[], bool]:
        pruned_at = time.monotonic()

        def tidy() -> bool:
            nonlocal pruned_at
            context = self.context_of()
            governance_webhooks_process.free_dead_processors(context, is_dead=is_dead)
            if governance_outbox.free_dead_senders(context, is_dead=is_dead):
                self.news_out.set()
            tell_refusals(context, self.refusals)
            if time.monotonic() - pruned_at > PRUNE_EVERY_S:
                pruned_at = time.monotonic()
                before = context.clock.now() - self.retention
                governance_outbox.forget_delivered(context, before=before)
                governance_webhooks_process.forget_received(context, before=before)
            return False

        return tidy


@asynccontextmanager
async def webhooks_running(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Send and process as long as the application runs, where its program has somebody to take webhooks to others."""
    context: Context = app.state.context
    if context.courier is None:
        yield
        return
    worker = WebhookWorker(
        lambda: app.state.context, context.courier, settings.public_url, timedelta(seconds=settings.webhook_retention_s),
        refusals=app.state.webhooks.refusals, news_in=app.state.webhooks.news,
    )  # fmt: skip
    worker.start()
    try:
        yield
    finally:
        await to_thread.run_sync(worker.stop)


def main() -> int:
    """The exit code. Serves until SIGTERM."""
    from productops.api.wiring import build_context
    from productops.logs import set_up_logs
    from productops.settings import load_settings

    try:
        settings = load_settings()
        set_up_logs(settings, program="webhooks")
        context = build_context(settings)
    except ProductOpsError as error:
        print(f"productops webhooks: {error}", file=sys.stderr)
        return error.exit_code
    if context.courier is None:
        return 0
    worker = WebhookWorker(lambda: context, context.courier, settings.public_url, timedelta(seconds=settings.webhook_retention_s))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    worker.start()
    log.info("sending webhooks", owner=worker.owner)
    ended.wait()
    worker.stop()
    context.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
