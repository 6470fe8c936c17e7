"""The folder of events of this program, and the right to change what is in it."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from productops.adapters.analytics_events_store import EventFolder
from productops.domain.analytics_events import Lease
from productops.errors import ConflictError, DependencyError
from productops.usecases.context import Context

LEASE: Final = timedelta(seconds=60)
PAUSE_S = 0.1


@lru_cache(maxsize=16)
def _folder(path: Path) -> EventFolder:
    """One for each folder in a program: it remembers ids of files."""
    return EventFolder(path)


def folder_of(context: Context) -> EventFolder:
    """Raises: DependencyError when this program has none."""
    if context.analytics_folder is None:
        raise DependencyError("this program has no folder of usage events; set PRODUCTOPS_HOME, or PRODUCTOPS_ANALYTICS to the folder")
    return _folder(context.analytics_folder)


def who_we_are() -> str:
    """A name that no other holder has."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{threading.get_ident():x}:{uuid.uuid4().hex[:8]}"


def take_lease(context: Context, owner: str) -> Lease | None:
    """The right to change files; None while another program has it. Raises: StoreUnavailableError."""
    with context.store.write() as unit:
        return unit.analytics_events.take(owner, now=context.clock.now(), lease=LEASE)


def give_back(context: Context, held: Lease) -> None:
    """Raises: StoreUnavailableError."""
    with context.store.write() as unit:
        unit.analytics_events.give_back(held, now=context.clock.now())


@contextmanager
def holding(context: Context, *, patience_s: float = 120.0) -> Iterator[Lease]:
    """The right to change files for as long as the block lasts. Raises: ConflictError when others keep it for too long."""
    owner, end = who_we_are(), context.clock.monotonic() + patience_s
    while (held := take_lease(context, owner)) is None:
        if context.clock.monotonic() > end:
            raise ConflictError(f"another program has been changing the files of events for {patience_s:.0f} s; try again later")
        context.clock.sleep(PAUSE_S)
    try:
        yield held
    finally:
        give_back(context, held)
