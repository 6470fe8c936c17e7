"""Events of a Mixpanel project: its raw export, day by day.

Source: Mixpanel, "Raw Event Export" (GET /api/2.0/export): one JSON object a line; 60 questions an hour, 3 a second.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final

from productops.adapters.analytics_events_http import EventHttp, Part, Wait
from productops.adapters.analytics_events_json import loads
from productops.errors import EventSourceError

ADDRESS: Final = "https://data.mixpanel.com"
BATCH: Final = 1_000
LINE_BYTES_MAX: Final = 1_048_576
# What Mixpanel calls what we have columns for; it is taken out of the properties.
_NAMES: Final = {
    "$insert_id": "messageId", "time": "timestamp", "$user_id": "userId", "$device_id": "anonymousId", "mp_country_code": "country",
    "$os": "platform", "$app_version_string": "version",
}  # fmt: skip


class MixpanelExport:
    """Reads the days of a project, whole ones, in UTC. ``project``: its number, needed with a service account."""

    def __init__(self, secret: str, *, where: str, project: str = "", url: str = ADDRESS, wait: Wait = time.sleep) -> None:
        """``secret``: ``service-account:secret``, or the project's API secret and a colon. Raises: SettingsError."""
        self._http = EventHttp(url, what="Mixpanel", secret=secret, where=where, wait=wait)
        self._project = project

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def read(self, *, since: date, until: date, cursor: Mapping[str, Any]) -> Iterator[Part]:
        """Events of the days from ``since`` to ``until`` inclusive, from the cursor's day on. Raises: EventSourceError, …BusyError."""
        day = max(since, date.fromisoformat(cursor["day"])) if "day" in cursor else since
        while day <= until:
            after = {"day": (day + timedelta(days=1)).isoformat()}
            yield from self._day(day, {"day": day.isoformat()}, after)
            day += timedelta(days=1)

    def _day(self, day: date, here: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Part]:
        params = {"from_date": day.isoformat(), "to_date": day.isoformat()} | ({"project_id": self._project} if self._project else {})
        events: list[dict[str, Any]] = []
        with tempfile.TemporaryFile() as file:
            self._http.download("/api/2.0/export", params, file)
            file.seek(0)
            while line := file.readline(LINE_BYTES_MAX):
                event = _event(line, day)
                if event is not None:
                    events.append(event)
                if len(events) >= BATCH:
                    yield Part(events, here)
                    events = []
        yield Part(events, after)


def _event(line: bytes, day: date) -> dict[str, Any] | None:
    """One line as an event of ours; None for an empty one. Raises: EventSourceError."""
    if not line.strip():
        return None
    try:
        raw = loads(line)
        properties = dict(raw["properties"])
        event: dict[str, Any] = {"event": raw["event"]}
    except (ValueError, TypeError, KeyError) as error:
        # Mixpanel ends an export that fails on the way with a plain sentence.
        raise EventSourceError(f"Mixpanel's export of {day} holds a line that is no event: {line[:80]!r}") from error
    for theirs, ours in _NAMES.items():
        if theirs in properties:
            event[ours] = properties.pop(theirs)
    person = properties.pop("distinct_id", None)
    if not event.get("userId") and not event.get("anonymousId"):
        event["userId"] = person
    event["properties"] = {key: value for key, value in properties.items() if key not in {"$city", "$region", "$lib_version"}}
    return event
