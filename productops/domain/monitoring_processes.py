"""The product's own processes, and when their silence says something."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

BEAT_S: Final = 5.0
SILENT: Final = timedelta(seconds=25)
"""Five signs of life in a row did not come. The supervisor has started a process again by then, where there is one."""
FORGOTTEN: Final = timedelta(days=1)
# What people lose, by kind of process.
LOST: Final = {
    "api": "the API and the console do not answer there",
    "dispatcher": "flows are not begun there: releases and rollouts wait, traffic that is shifted goes back by its lease",
    "watch": "nobody looks for trouble: no detection, no response, nobody is paged",
}


@dataclass(frozen=True, slots=True)
class ProcessBeat:
    """A process and its last sign of life. ``name`` is its kind and place: ``api/host-1/8700``."""

    name: str
    kind: str
    pid: int
    began_at: datetime
    at: datetime

    def is_silent(self, *, now: datetime) -> bool:
        """Whether it should have been heard since."""
        return now - self.at > SILENT

    def is_gone(self, *, now: datetime) -> bool:
        """Whether nobody expects it any more."""
        return now - self.at > FORGOTTEN


def process_name(kind: str, machine: str, place: object) -> str:
    """The same after a new start on the same machine; at most 150 characters."""
    return f"{kind}/{machine.partition('/')[0]}/{place}"[:150]
