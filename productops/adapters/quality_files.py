"""Reports as they are handed in, each with its own name, as one; and names that are safe below a folder of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from productops.adapters.quality_inputs import read, read_archive
from productops.adapters.quality_inputs.formats import UnknownFormatError
from productops.domain.quality import Parsed, Skipped, merged
from productops.errors import InvalidInputError, QualityInputError

NAME_CHARACTERS_MAX = 200
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_UNSAFE = re.compile(r"[^A-Za-z0-9._ +@=,-]")


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One file: where it lies, and what its owner calls it."""

    path: Path
    name: str


def read_files(files: Sequence[ReportFile]) -> Parsed:
    """All of them as one; an archive counts as what is in it, and what is of no known format is named in ``skipped``.

    Raises: InvalidInputError for no file at all; QualityInputError for a broken one, or when none is of a known format.
    """
    if not files:
        raise InvalidInputError("there is nothing to judge: hand in at least one report")
    together = merged(_each(files))
    if not together.formats:
        raise QualityInputError(
            f"none of the {len(files)} files is of a known format; the first: {together.skipped[0].where}: {together.skipped[0].reason}",
            where=together.skipped[0].where,
        )
    return together


def _each(files: Iterable[ReportFile]) -> Iterator[Parsed]:
    for file in files:
        with file.path.open("rb") as opened:
            packed = opened.read(8).startswith(_ARCHIVES)
        if packed:
            yield read_archive(file.path.read_bytes(), file.name)
            continue
        try:
            yield read(file.path, file.name)
        except UnknownFormatError as error:
            yield Parsed(skipped=(Skipped(file.name, error.detail.removeprefix(f"{file.name}: ")),))


def safe_name(name: str) -> str:
    """A relative path with the parts of ``name`` that say something, and none that leads anywhere else. Raises: InvalidInputError."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in {"/", "..", "."}]
    safe = "/".join(_UNSAFE.sub("_", part).lstrip(".") or "_" for part in parts)
    if not safe or len(safe) > NAME_CHARACTERS_MAX:
        raise InvalidInputError(f"{name[:80]!r} is no name for a report: 1 to {NAME_CHARACTERS_MAX} characters")
    return safe


def kept_files(folder: Path) -> list[ReportFile]:
    """Every file below a folder that we filled, in the order of their names."""
    return [ReportFile(path, path.relative_to(folder).as_posix()) for path in sorted(folder.rglob("*")) if path.is_file()]
