"""Events of an Amplitude project: its export, hour by hour.

Source: Amplitude, "Export API" (GET /api/2/export): a zip of gzipped files, one JSON object a line, times in UTC; 404: no events.
"""

from __future__ import annotations

import gzip
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import IO, Any, Final

from productops.adapters.analytics_events_http import DOWNLOAD_BYTES_MAX, EventHttp, Part, Wait
from productops.adapters.analytics_events_json import loads
from productops.errors import EventSourceError

ADDRESS: Final = "https://amplitude.com"
BATCH: Final = 1_000
LINE_BYTES_MAX: Final = 1_048_576
HOUR: Final = timedelta(hours=1)
_NOTHING: Final = frozenset({404})
_NAMES: Final = {
    "user_id": "userId", "device_id": "anonymousId", "platform": "platform", "version_name": "version", "country": "country",
}  # fmt: skip


class AmplitudeExport:
    """Reads the hours of a project, in UTC."""

    def __init__(self, secret: str, *, where: str, url: str = ADDRESS, wait: Wait = time.sleep) -> None:
        """``secret``: ``api-key:secret-key``. Raises: SettingsError."""
        self._http = EventHttp(url, what="Amplitude", secret=secret, where=where, wait=wait)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def read(self, *, since: date, until: date, cursor: Mapping[str, Any]) -> Iterator[Part]:
        """Events of the days from ``since`` to ``until`` inclusive, from the cursor's hour on. Raises: EventSourceError, …BusyError."""
        hour = datetime(since.year, since.month, since.day, tzinfo=UTC)
        if "hour" in cursor:
            hour = max(hour, datetime.fromisoformat(cursor["hour"]))
        end = datetime(until.year, until.month, until.day, tzinfo=UTC) + timedelta(days=1)
        while hour < end:
            yield from self._hour(hour)
            hour += HOUR

    def _hour(self, hour: datetime) -> Iterator[Part]:
        name = hour.strftime("%Y%m%dT%H")
        here, after = {"hour": hour.isoformat()}, {"hour": (hour + HOUR).isoformat()}
        events: list[dict[str, Any]] = []
        with tempfile.TemporaryFile() as file:
            if self._http.download("/api/2/export", {"start": name, "end": name}, file, empty=_NOTHING) == 200:
                for line in _lines(file, name):
                    events.append(_event(line, name))
                    if len(events) >= BATCH:
                        yield Part(events, here)
                        events = []
        yield Part(events, after)


def _lines(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Lines of all files in a zip; never more bytes than a download may have. Raises: EventSourceError."""
    left = DOWNLOAD_BYTES_MAX
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.is_dir() or not member.filename.endswith((".gz", ".json")):
                    continue
                with archive.open(member) as packed:
                    content: IO[bytes] = gzip.GzipFile(fileobj=packed) if member.filename.endswith(".gz") else packed  # type: ignore[assignment]
                    while line := content.readline(LINE_BYTES_MAX):
                        left -= len(line)
                        if left < 0:
                            raise EventSourceError(f"Amplitude's export of {name} unpacks to more than {DOWNLOAD_BYTES_MAX // 1024**3} GiB")
                        if line.strip():
                            yield line
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise EventSourceError(f"Amplitude's export of {name} is no zip that can be read: {error}") from error


def _event(line: bytes, name: str) -> dict[str, Any]:
    """One line as an event of ours. Raises: EventSourceError."""
    try:
        raw = loads(line)
        event: dict[str, Any] = {"event": raw["event_type"], "timestamp": _utc(raw["event_time"])}
    except (ValueError, TypeError, KeyError) as error:
        raise EventSourceError(f"Amplitude's export of {name} holds a line that is no event: {line[:80]!r}") from error
    for theirs, ours in _NAMES.items():
        if raw.get(theirs):
            event[ours] = raw[theirs]
    event["messageId"] = raw.get("$insert_id") or raw.get("insert_id") or raw.get("uuid")
    if raw.get("session_id") not in {None, -1}:
        event["session_id"] = str(raw["session_id"])
    event["properties"] = dict(raw.get("event_properties") or {})
    return event


def _utc(text: str) -> str:
    """Amplitude writes UTC without saying so."""
    return text.replace(" ", "T") + ("" if text.endswith("Z") or "+" in text else "Z")
