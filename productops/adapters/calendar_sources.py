"""Where calendars come from: files beside the catalog, addresses, and the catalog itself."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from productops.adapters.calendar_files import BYTES_MAX
from productops.adapters.calendar_http import Fetched, fetch_calendar
from productops.adapters.calendar_writing import write_declared
from productops.domain.catalog_windows import ChangeWindowSpec, FileSource, Source, UrlSource
from productops.domain.release_windows import ChangeCalendar
from productops.errors import CalendarSourceError

_SOURCE: TypeAdapter[FileSource | UrlSource] = TypeAdapter(Source)


class CalendarSources:
    """Reads the source of a calendar. ``allow_private``: addresses that are not public may be fetched from, and without TLS."""

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private

    def read(self, calendar: ChangeCalendar) -> Fetched:
        """What the source has now; ``content`` None when an address says that nothing changed.

        Raises: CalendarSourceError when it cannot be had.
        """
        if calendar.kind == "ChangeWindow":
            spec = ChangeWindowSpec.model_validate(dict(calendar.spec))
            try:
                return Fetched(write_declared(calendar.name, spec, written_at=datetime(2000, 1, 1, tzinfo=UTC)), "")
            except ValueError as error:
                raise CalendarSourceError(f"the times of change window {calendar.name} make no calendar: {error}") from error
        source = _SOURCE.validate_python(dict(calendar.spec["source"]))
        if isinstance(source, UrlSource):
            return fetch_calendar(source.url, etag=calendar.state.etag, allow_private=self._allow_private)
        return Fetched(_read_file(Path(calendar.base) / source.path), "")


def _read_file(path: Path) -> bytes:
    try:
        # Without O_NONBLOCK, a named pipe would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CalendarSourceError(f"{path} is not a regular file")
            return stream.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise CalendarSourceError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
