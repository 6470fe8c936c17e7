"""Where a process's output goes: one file each, never larger than a bound and one predecessor."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

LARGEST_BYTES = 10 * 1024 * 1024


def open_output(path: Path) -> int:
    """A descriptor to append to; a file grown large becomes the predecessor first. Raises: OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if path.stat().st_size > LARGEST_BYTES:
            path.replace(_predecessor(path))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def bound_output(path: Path) -> None:
    """Copy a file that a living process has made large to its predecessor and empty it: the process goes on at the start."""
    with suppress(OSError):
        if path.stat().st_size > LARGEST_BYTES:
            shutil.copyfile(path, _predecessor(path))
            os.truncate(path, 0)


def last_lines(path: Path, count: int = 15) -> list[str]:
    """The end of a process's output; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 32_768))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def _predecessor(path: Path) -> Path:
    return path.with_suffix(path.suffix + ".1")
