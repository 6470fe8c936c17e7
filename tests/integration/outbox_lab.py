"""An outbox under trial: a receiver that notes what it got."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from productops.domain.catalog_webhooks import WebhookTargetSpec
from productops.usecases.context import Context
from tests.integration.http_support import Reply, Request, Server, answering

SECRET = "an-outbox-secret"
SECRET_NAME = "PRODUCTOPS_SECRET_OUTBOX"


@dataclass
class Receiver:
    """What arrived, in order: (webhook-id, subject, number)."""

    server: Server
    got: list[tuple[str, str, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, subject: str) -> list[int]:
        """Numbers of a subject as they came first: repetitions are what a receiver drops by their id."""
        seen: set[str] = set()
        with self.lock:
            return [n for i, s, n in self.got if s == subject and not (i in seen or seen.add(i))]  # type: ignore[func-returns-value]


@contextmanager
def receiving(answer: Callable[[Request], Reply] | None = None) -> Iterator[Receiver]:
    """Listen on loopback; ``answer`` decides before a request counts as received (only 2xx does)."""

    def take(request: Request) -> Reply:
        reply = answer(request) if answer else Reply(204, raw=b"")
        if 200 <= reply.status < 300:
            document = json.loads(request.body)
            with found.lock:
                found.got.append((request.headers["webhook-id"], document["subject"], document["data"].get("number", -1)))
        return reply

    with answering(take) as server:
        found = Receiver(server)
        yield found


def add_target(context: Context, url: str, name: str = "receiver", **spec: object) -> None:
    """Somebody who is told of everything, in plain JSON."""
    wanted = WebhookTargetSpec.model_validate({"url": url, "format": "plain"} | spec)
    with context.store.write() as unit:
        unit.targets.put(name, venture=None, spec=wanted, base="", now=context.clock.now())


def tell(context: Context, subject: str, number: int) -> str:
    """Put one event into the outbox."""
    with context.store.write() as unit:
        return unit.outbox.add("flag.changed", subject, {"number": number}, now=context.clock.now())


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
