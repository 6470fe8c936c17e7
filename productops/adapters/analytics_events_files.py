"""Events in files: JSON lines, CSV and Parquet, a part at a time, whatever their columns are called."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

from productops.adapters.analytics_events_json import loads
from productops.errors import InvalidInputError, NotFoundError

BATCH: Final = 1_000
LINE_BYTES_MAX: Final = 1_048_576
# Columns that stand beside the properties, by the names that files have for them; in lower case.
NAMES: Final[dict[str, str]] = {
    "event": "event", "event_name": "event", "event_type": "event", "userid": "userId", "user_id": "userId", "person": "userId",
    "distinct_id": "userId", "anonymousid": "anonymousId", "anonymous_id": "anonymousId", "device_id": "anonymousId",
    "timestamp": "timestamp", "time": "timestamp", "at": "timestamp", "event_time": "timestamp", "messageid": "messageId",
    "event_id": "messageId", "insert_id": "messageId", "uuid": "messageId", "session_id": "session_id", "sessionid": "session_id",
    "feature": "feature", "service": "service", "version": "version", "environment": "environment", "platform": "platform",
    "country": "country", "duration_ms": "duration_ms", "failed": "failed", "value": "value", "properties": "properties",
}  # fmt: skip


def read_mapping(texts: Sequence[str]) -> dict[str, str]:
    """``userId=customer`` for each: our name, then the file's column. Raises: InvalidInputError."""
    found: dict[str, str] = {}
    known = set(NAMES.values())
    for text in texts:
        ours, _, theirs = text.partition("=")
        if not ours or not theirs or not (ours in known or ours.startswith("properties.")):
            raise InvalidInputError(f"{text!r} maps nothing; write OURS=THEIRS, OURS of {', '.join(sorted(known))} or properties.NAME")
        found[theirs] = ours
    return found


def read_events_file(path: Path, mapping: Mapping[str, str]) -> Iterator[list[dict[str, Any]]]:
    """Events of a file as the API takes them, a thousand at a time. ``mapping``: ours by the file's columns.

    By its ending: .ndjson, .jsonl, .json (one object a line), .csv, .parquet; all but the last also with .gz.
    Raises: NotFoundError, InvalidInputError with the line.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    readers = {"ndjson": _json_lines, "jsonl": _json_lines, "json": _json_lines, "csv": _csv_rows, "parquet": _parquet_rows}
    if kind not in readers:
        raise InvalidInputError(f"{path} has to end in .ndjson, .jsonl, .json, .csv or .parquet, the first four perhaps with .gz")
    batch: list[dict[str, Any]] = []
    for row in readers[kind](path):
        batch.append(_event(row, mapping))
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Raises: NotFoundError, InvalidInputError."""
    try:
        with path.open("rb") as file:
            yield gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file  # type: ignore[misc]
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except (OSError, EOFError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}") from error


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with _opened(path) as file:
        number = 0
        while line := file.readline(LINE_BYTES_MAX):
            number += 1
            if not line.strip():
                continue
            try:
                row = loads(line)
            except ValueError as error:
                raise InvalidInputError(f"{path}:{number}: the line is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise InvalidInputError(f"{path}:{number}: the line is no JSON object")
            yield row


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    with _opened(path) as file:
        reader = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), strict=True)
        try:
            for row in reader:
                yield {key: value for key, text in row.items() if key is not None and (value := _from_text(text)) is not None}
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidInputError(f"{path}:{reader.line_num}: {error}") from error


def _from_text(text: str | None) -> Any:
    """A cell: a number, true or false where it is written like one, nothing where it is empty."""
    if text is None or text == "":
        return None
    if text in {"true", "True", "false", "False"}:
        return text in {"true", "True"}
    # A number with leading zeros is a code, and one with many digits is an id.
    if len(text) < 16 and (text[0] != "0" or len(text) == 1 or text[1] == "."):
        for kind in (int, float):
            try:
                return kind(text) if text.strip("0123456789+-.eE") == "" else text
            except ValueError:
                continue
    return text


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    from productops.adapters.analytics_events_table import arrow

    lib = arrow()
    from pyarrow import parquet

    if not path.exists():
        raise NotFoundError(f"there is no file {path}")
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=BATCH):
            for row in batch.to_pylist():
                yield {key: _plain(value) for key, value in row.items() if value is not None}
    except (lib.ArrowInvalid, OSError) as error:
        raise InvalidInputError(f"{path} is no Parquet file that can be read: {error}") from error


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _event(row: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """Columns that have a name of ours stand beside the properties, all others are properties."""
    if not mapping and isinstance(row.get("properties"), dict) and "event" in row:
        return dict(row)
    event: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    taken = set(mapping.values())
    for column, value in row.items():
        ours = mapping.get(column)
        if ours is None:
            named = NAMES.get(column.lower())
            ours = named if named is not None and named not in taken else f"properties.{column}"
        if ours == "properties":
            properties |= _object(value)
        elif ours.startswith("properties."):
            properties[ours.removeprefix("properties.")] = value
        else:
            event[ours] = str(value) if ours in {"userId", "anonymousId", "messageId"} else value
    return event | {"properties": properties}


def _object(value: Any) -> dict[str, Any]:
    """Properties in one column, perhaps as JSON text."""
    if isinstance(value, str):
        try:
            value = loads(value)
        except ValueError:
            return {"properties": value}
    return dict(value) if isinstance(value, dict) else {}
