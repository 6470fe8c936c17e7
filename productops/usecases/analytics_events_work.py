"""What is done with events once they are taken in, by one program at a time: sort in, erase, merge, tidy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from productops.adapters.analytics_events_segments import segments
from productops.domain.analytics_events import Lease
from productops.errors import LeaseLostError
from productops.usecases.analytics_events_erase import erase_some
from productops.usecases.analytics_events_folder import folder_of, give_back, take_lease
from productops.usecases.analytics_events_sort import sort_in
from productops.usecases.analytics_events_tidy import GRACE, delete_replaced, merge_some, tidy
from productops.usecases.context import Context

log = structlog.get_logger(__name__)
TIDY_S: Final = 3_600.0
REPLACED_S: Final = 60.0


@dataclass(slots=True)
class EventWork:
    """One program's turn after turn. ``retention_days``: how long events are kept."""

    context: Context
    owner: str
    retention_days: int
    _held: Lease | None = None
    _tidied: float = float("-inf")
    _replaced: float = float("-inf")

    def turn(self, *, stopping: Callable[[], bool] = lambda: False) -> bool | None:
        """Do what there is to do; whether there was something. None: another program does it.

        Raises: EventsDiskFullError, DependencyError, StoreUnavailableError; what was being done is done again next time.
        """
        self._held = take_lease(self.context, self.owner)
        if self._held is None:
            return None
        worked = False
        try:
            while not stopping() and self._sorted(self._held):
                worked = True
            while not stopping() and (erase_some(self.context, self._held) or merge_some(self.context, self._held)):
                worked = True
                self._sorted(self._held)
            self._tidy(self._held)
        except LeaseLostError as error:
            log.warning("another program goes on with the events", reason=str(error))
            return None
        return worked

    def end(self) -> None:
        """Let the next program go on at once."""
        if self._held is not None:
            give_back(self.context, self._held)
            self._held = None

    def _sorted(self, held: Lease) -> bool:
        """Sort some in; whether more waits."""
        found = sort_in(self.context, held)
        if found.events or found.duplicates:
            log.info("events sorted in", events=found.events, duplicates=found.duplicates, left_out=found.left_out, files=len(found.files))
        return found.more

    def _tidy(self, held: Lease) -> None:
        now = self.context.clock.monotonic()
        if now - self._tidied > TIDY_S:
            self._tidied = now
            done = tidy(self.context, held, retention_days=self.retention_days)
            log.info("files of events tidied", expired=done.expired, replaced=done.replaced, orphans=done.orphans)
        elif now - self._replaced > REPLACED_S:
            self._replaced = now
            delete_replaced(self.context, grace=GRACE)


def is_work_waiting(context: Context) -> bool:
    """Whether events wait to be sorted in, or somebody to be erased. Raises: StoreUnavailableError."""
    if segments(folder_of(context).incoming):
        return True
    with context.store.read() as unit:
        return bool(unit.analytics_events.erasures.open())
