"""Brings events from elsewhere to the API: in parts that fit into a request, and on from where the last run stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from productops.errors import EventsBusyError, ProductOpsError, SettingsError, StoreUnavailableError, TooManyRequestsError

if TYPE_CHECKING:
    from productops.adapters.analytics_events_http import Part
    from productops.cli.api_client import ApiClient

EVENTS: Final = "/api/v1/product-ops/events"
BODY_BYTES: Final = 700_000
EVENTS_MAX: Final = 2_000
BUSY_S: Final = 300.0
SECRETS: Final = {"mixpanel": "PRODUCTOPS_SECRET_MIXPANEL", "amplitude": "PRODUCTOPS_SECRET_AMPLITUDE"}
_COUNTS: Final = ("accepted", "duplicates", "refused")


@dataclass(slots=True)
class Imported:
    """What became of an import so far. ``reasons``: the first ones of what was refused."""

    id: str = ""
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    reasons: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {"id": self.id, "reasons": self.reasons} | {name: getattr(self, name) for name in _COUNTS}


class Importer:
    """Sends the events of one source and notes how far it is."""

    def __init__(self, client: ApiClient, venture: str) -> None:
        self._client, self._venture = client, venture
        self.done = Imported()
        self._noted = dict.fromkeys(_COUNTS, 0)

    def run(self, source: str, parts: Any) -> Imported:
        """``parts``: a function that gives parts from a cursor on. Raises: ProductOpsError; the next run goes on there."""
        begun = self._client.post(f"{EVENTS}/imports", {"venture": self._venture, "source": source})
        self.done.id = begun["id"]
        cursor: Mapping[str, Any] = begun["cursor"]
        try:
            for part in parts(cursor):
                for batch in _batches(part.events):
                    self._send(batch)
                if part.cursor != cursor:
                    cursor = part.cursor
                    self._note(cursor)
        except ProductOpsError as error:
            self._note(cursor, error=str(error))
            raise
        self._note(cursor, state="done")
        return self.done

    def _send(self, events: list[dict[str, Any]]) -> None:
        answer = _patiently(lambda: self._client.post(EVENTS, {"venture": self._venture, "batch": events}))
        self.done.accepted += answer["accepted"] + answer["dropped"]
        self.done.duplicates += answer["duplicates"]
        self.done.refused += answer["refused_total"]
        self.done.reasons += [each["reason"] for each in answer["refused"]][: 5 - len(self.done.reasons)]

    def _note(self, cursor: Mapping[str, Any], *, state: str = "running", error: str = "") -> None:
        counts = {name: getattr(self.done, name) - self._noted[name] for name in _COUNTS}
        body = {"cursor": dict(cursor), "state": state, "error": error[:2000]} | counts
        _patiently(lambda: self._client.post(f"{EVENTS}/imports/{self.done.id}", body))
        self._noted = {name: getattr(self.done, name) for name in _COUNTS}


def _patiently(ask: Any) -> dict[str, Any]:
    """Ask again while the API is busy. Raises: ProductOpsError."""
    end = time.monotonic() + BUSY_S
    while True:
        try:
            answer: dict[str, Any] = ask()
            return answer
        except (EventsBusyError, TooManyRequestsError, StoreUnavailableError) as error:
            if time.monotonic() > end:
                raise
            time.sleep(float(error.extra.get("retry_after_s", 1.0)))


def _batches(events: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Events in parts that fit into a request."""
    batch: list[dict[str, Any]] = []
    size = 0
    for event in events:
        own = len(json.dumps(event))
        if batch and (size + own > BODY_BYTES or len(batch) >= EVENTS_MAX):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += own
    if batch:
        yield batch


def import_file(importer: Importer, path: Path, mapping: Mapping[str, str]) -> Imported:
    """A file; after a failure it goes on behind what was kept. Raises: ProductOpsError."""
    from productops.adapters.analytics_events_files import read_events_file
    from productops.adapters.analytics_events_http import Part

    def parts(cursor: Mapping[str, Any]) -> Iterator[Part]:
        skipped, seen = int(cursor.get("events", 0)), 0
        for batch in read_events_file(path, mapping):
            seen += len(batch)
            if seen > skipped:
                yield Part(batch, {"events": seen})

    size = path.stat().st_size if path.exists() else 0
    return importer.run(f"file {path.name} {size}"[:300], parts)


def import_from(
    importer: Importer, source: str, *, secrets: Path, since: date, until: date, project: str, url: str | None
) -> Imported:  # fmt: skip
    """Days of Mixpanel or Amplitude. Raises: SettingsError without their secret, EventSourceError, ProductOpsError."""
    from productops.adapters.webhook_secrets import SecretFolder

    name = SECRETS[source]
    found = SecretFolder(secrets).values([name])
    if not found:
        raise SettingsError(f"set {name} to name:secret, or write it into the file {secrets / name}")
    if source == "mixpanel":
        from productops.adapters.analytics_mixpanel import ADDRESS, MixpanelExport

        with closing(MixpanelExport(found[0], where=name, project=project, url=url or ADDRESS)) as mixpanel:
            what = f"mixpanel {project} {since}..{until}".replace("  ", " ")
            return importer.run(what, lambda cursor: mixpanel.read(since=since, until=until, cursor=cursor))
    from productops.adapters.analytics_amplitude import ADDRESS as AMPLITUDE
    from productops.adapters.analytics_amplitude import AmplitudeExport

    with closing(AmplitudeExport(found[0], where=name, url=url or AMPLITUDE)) as amplitude:
        return importer.run(f"amplitude {since}..{until}", lambda cursor: amplitude.read(since=since, until=until, cursor=cursor))
