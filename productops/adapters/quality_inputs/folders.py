"""Many inputs at once: a folder, a pattern, or an archive as builders hand over their artefacts."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from productops.adapters import safe_archive
from productops.adapters.quality_inputs import formats
from productops.adapters.quality_inputs.limits import (
    ARCHIVE_RATIO_FREE_BYTES,
    ARCHIVE_RATIO_MAX,
    FILE_BYTES_MAX,
    FILES_MAX,
    UNPACKED_BYTES_MAX,
)
from productops.adapters.quality_inputs.source import Source, refusal
from productops.domain.quality import Parsed, Skipped, merged
from productops.errors import InvalidInputError, QualityInputError

# What stands in a folder of results: the first are told when they are of no known format, the others may be anything.
_RESULTS = frozenset({".xml", ".json", ".sarif", ".info", ".lcov", ".csv", ".jtl", ".ndjson", ".jsonl", ".cdx", ".spdx"})
_PERHAPS = frozenset({".txt", ".out", ".log", ""})
_NEVER = frozenset({"node_modules", "__pycache__"})
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_LIMITS = safe_archive.Limits(
    packed_bytes_max=FILE_BYTES_MAX,
    bytes_max=UNPACKED_BYTES_MAX,
    file_bytes_max=FILE_BYTES_MAX,
    files_max=FILES_MAX,
    ratio_max=ARCHIVE_RATIO_MAX,
    ratio_free_bytes=ARCHIVE_RATIO_FREE_BYTES,
)


def read_all(where: Path | str) -> Parsed:
    """All inputs of a file, a folder (and those in it), a pattern like ``reports/**/*.xml``, or a zip or tar archive, as one.

    A file of a folder that is of no known format is named in ``skipped``; a broken one is refused, and so is a place without any input.
    Raises: QualityInputError.
    """
    path = Path(where)
    if path.is_dir():
        return _together(str(where), _read_files(path, _below(path)))
    if not path.exists() and glob.has_magic(str(where)):
        return _together(str(where), _read_files(Path(), _matching(str(where))))
    source = Source.of(path)
    if source.head().startswith(_ARCHIVES):
        return read_archive(source.bytes(), str(where))
    return formats.read(path)


def read_archive(content: bytes, name: str) -> Parsed:
    """All inputs of a zip or tar archive. Nothing is written to a disk. Raises: QualityInputError for a hostile one, too."""
    return _together(name, _read_archive(content, name))


def _together(name: str, found: Iterator[Parsed | Skipped]) -> Parsed:
    parts = [Parsed(skipped=(each,)) if isinstance(each, Skipped) else each for each in found]
    together = merged(parts)
    if not together.formats:
        seen = f"; looked at {len(parts)} files, the first: {parts[0].skipped[0].where}" if parts else ""
        raise refusal(name, f"holds no input of a known format{seen}")
    return together


def _read_archive(content: bytes, name: str) -> Iterator[Parsed | Skipped]:
    try:
        for file in safe_archive.read_archive(content, what=name, limits=_LIMITS):
            if _interesting(file.name):
                yield from _read_one(f"{name}/{file.name}", file.content)
    except QualityInputError:
        raise
    except InvalidInputError as error:
        raise refusal(name, error.detail.removeprefix(f"{name} ")) from error


def _read_files(root: Path, paths: Iterator[Path]) -> Iterator[Parsed | Skipped]:
    count = size = 0
    for path in paths:
        if not _interesting(path.name):
            continue
        count += 1
        if count > FILES_MAX:
            raise refusal(str(root), f"holds more than {FILES_MAX:,} files")
        if path.is_symlink():
            yield Skipped(str(path), "is a link; links are not followed")
            continue
        size += path.stat().st_size
        if size > UNPACKED_BYTES_MAX:
            raise refusal(str(root), f"holds more than {UNPACKED_BYTES_MAX:,} bytes")
        yield from _read_one(str(path), path)


def _read_one(name: str, given: Path | bytes) -> Iterator[Parsed | Skipped]:
    try:
        yield formats.read(given, name)
    except formats.UnknownFormatError as error:
        if Path(name).suffix.lower() not in _PERHAPS:
            yield Skipped(name, error.detail.removeprefix(f"{name}: "))


def _interesting(name: str) -> bool:
    parts = Path(name).parts
    hidden = any((part.startswith(".") and part not in {".", ".."}) or part in _NEVER for part in parts)
    return not hidden and Path(name).suffix.lower() in _RESULTS | _PERHAPS


def _below(folder: Path) -> Iterator[Path]:
    """Files of a folder and its folders, in the order of their names; links to folders are not followed."""
    for here, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NEVER)
        yield from (Path(here) / name for name in sorted(files))


def _matching(pattern: str) -> Iterator[Path]:
    yield from (Path(found) for found in sorted(glob.iglob(pattern, recursive=True)) if not Path(found).is_dir())
