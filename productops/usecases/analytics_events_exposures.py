"""Evaluations of flags as usage events: who was shown which variant, once a person, flag, variant and day.

It is called with each answer of the flag service, so it only looks into a set; events are made later, by another thread.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from typing import Final

from productops.adapters.analytics_events_json import dumps
from productops.adapters.analytics_events_segments import frame_of
from productops.domain.analytics_events import EXPOSURE, Row, event_id
from productops.domain.analytics_events_intake import PERSON_MAX
from productops.domain.release import Environment
from productops.errors import EventsBusyError
from productops.usecases.analytics_events import EventIntake

SEEN_MAX: Final = 1_000_000
WAITING_MAX: Final = 200_000
_DAY_S: Final = 86_400
Shown = tuple[str, str, str, str, float]


class Exposures:
    """What one program has shown. One thread notes and one flushes; neither waits for the other."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._day = 0
        self._waiting: deque[tuple[Shown, Environment, bool]] = deque()

    @property
    def waiting(self) -> int:
        """How many are not handed to the disk yet."""
        return len(self._waiting)

    def note(self, venture: str, flag: str, variant: str, person: str, environment: Environment, *, bulk: bool) -> None:
        """Somebody was shown a variant; forgotten when it was noted today, or when too many wait."""
        now = time.time()
        day = int(now // _DAY_S)
        key = hash((flag, variant, person, environment, day))
        if key in self._seen:
            return
        if day != self._day or len(self._seen) >= SEEN_MAX:
            self._seen, self._day = set(), day
        self._seen.add(key)
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append(((venture, flag, variant, person, now), environment, bulk))

    def forget(self) -> None:
        """Without a place to keep them."""
        self._waiting.clear()

    def flush(self, intake: EventIntake) -> int:
        """Hand what was noted to the disk; how many. Raises: EventsBusyError; it is kept for the next time, StoreUnavailableError."""
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        rows: dict[str, list[Row]] = defaultdict(list)
        for shown, environment, bulk in waiting:
            if 0 < len(shown[3]) <= PERSON_MAX:
                rows[shown[0]].append(_row(shown, environment, intake.person_key(shown[0], shown[3]), bulk=bulk))
        try:
            for venture, events in rows.items():
                intake.writer.submit(frame_of(venture, events))
        except EventsBusyError:
            self._waiting.extend(waiting[: WAITING_MAX - len(self._waiting)])
            raise
        return len(waiting)


def _row(shown: Shown, environment: Environment, person: str, *, bulk: bool) -> Row:
    """The same exposure has the same id in every program, so that it counts once."""
    _, flag, variant, key, now = shown
    at = round(now * 1e6)
    id_ = event_id(f"exposure\x00{environment}\x00{flag}\x00{variant}\x00{key}\x00{int(now // _DAY_S)}")
    properties = {"flag": flag, "variant": variant, "experiment": ""} | ({"bulk": True} if bulk else {})
    return [id_, person, EXPOSURE, "", "", "", environment.value, "", "", "", at, at, None, None, None, dumps(properties).decode()]
