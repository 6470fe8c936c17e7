"""Follow a release to its end, through restarts of the API."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from productops.cli.api_client import OPS, ApiClient
from productops.cli.release_views import View
from productops.errors import DependencyError, NotRunningError, ProductOpsError

TICK_S = 0.25
RECONNECT_S = (0.3, 2.0)


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone; the feed asks again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The release has ended; this is how it stands."""

    release: dict[str, Any]


Item = dict[str, Any] | Lost | Ended | ProductOpsError


class EventFeed:
    """Reads a release's events in a thread and goes on where it was whenever the connection was lost."""

    def __init__(self, client: ApiClient, release_id: str) -> None:
        self._client = client
        self._release_id = release_id
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._after = 0
        self._stop = threading.Event()
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def next(self, timeout_s: float) -> Item | None:
        """The next item; None when there was none in time."""
        try:
            return self._items.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None

    def stop(self) -> None:
        """Read no more; the thread ends with the next sign of the server, or with the program."""
        self._stop.set()

    def _run(self) -> None:
        pause_s = RECONNECT_S[0]
        while not self._stop.is_set():
            before = self._after
            try:
                if self._read():
                    return
            except (NotRunningError, DependencyError) as error:
                self._items.put(Lost(str(error)))
            except ProductOpsError as error:
                self._items.put(error)
                return
            pause_s = RECONNECT_S[0] if self._after > before else min(pause_s * 2, RECONNECT_S[1])
            self._stop.wait(pause_s)

    def _read(self) -> bool:
        """Read one connection to its end; true when the release's end was the reason."""
        for event in self._client.events(self._release_id, after=self._after):
            if self._stop.is_set():
                return True
            if event:
                self._after = event["seq"]
                self._items.put(event)
        release = self._client.get(f"{OPS}/releases/{self._release_id}")
        if release["ended"]:
            self._items.put(Ended(release))
        return bool(release["ended"])


def follow(client: ApiClient, release_id: str, view: View, *, timeout_s: float) -> dict[str, Any] | None:
    """Show a release until it ends and return it; None when it has not ended in time. Raises: ProductOpsError."""
    deadline = time.monotonic() + timeout_s
    feed = EventFeed(client, release_id)
    try:
        with view:
            while (left := deadline - time.monotonic()) > 0:
                match feed.next(min(left, TICK_S)):
                    case Ended(release):
                        return release
                    case Lost(reason):
                        view.lost(reason)
                    case ProductOpsError() as error:
                        raise error
                    case dict() as event:
                        view.event(event)
                        continue  # draw when there is nothing more to read
                view.tick()
            return None
    finally:
        feed.stop()


def await_rolled_back(client: ApiClient, release_id: str, *, timeout_s: float) -> Mapping[str, Any] | None:
    """Wait until users have the baseline and return the release; None when that is not confirmed in time. Raises: ProductOpsError."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            release = client.get(f"{OPS}/releases/{release_id}", timeout_s=5.0)
            if release["phase"] in {"rolled_back", "failed"}:
                return release
        except (NotRunningError, DependencyError):
            if time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            return None
        time.sleep(0.3)
