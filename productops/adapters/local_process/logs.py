"""Output of instances: bounded files, and their last lines as plain text."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

LINE_CHARACTERS = 500
_BLOCK_BYTES = 65_536
_BYTES_PER_LINE = 8192
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor moves
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # titles, links and other strings
    r"|\x1b[ -/]*[0-~]?"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
# Control characters, and those that reorder or break a line where it is shown.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def open_log(path: Path) -> int:
    """A file descriptor that appends to ``path``; its folders are made. The caller closes it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def last_lines(path: Path, lines: int) -> str:
    """The last ``lines`` lines of an output, of at most LINE_CHARACTERS characters each; empty when there is no output.

    Reads a bounded part from the end, whatever the size; takes the part that was moved aside when the rest is too short.
    """
    if lines <= 0:
        return ""
    wanted = min(max(_BLOCK_BYTES, lines * _BYTES_PER_LINE), 4_000_000)
    found = _tail(path, wanted)
    if len(found) < lines:
        found = _tail(_aside(path), wanted) + found
    return "\n".join(found[-lines:])


def trim(folder: Path, max_bytes: int) -> int:
    """Cut every ``*.log`` below ``folder`` that exceeds ``max_bytes``; returns how many were.

    The writer keeps its descriptor, so the file is emptied in place after its end was copied to ``<name>.1``; what is written
    between the copy and the cut (microseconds) is lost. What is kept has about ``max_bytes``.
    """
    return sum(_trim_file(path, max_bytes) for path in sorted(folder.rglob("*.log")) if path.is_file() and not path.is_symlink())


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _trim_file(path: Path, max_bytes: int) -> bool:
    try:
        log = path.open("r+b")
    except FileNotFoundError:  # somebody tidied up
        return False
    with log:
        size = log.seek(0, os.SEEK_END)
        if size <= max_bytes:
            return False
        log.seek(size - max_bytes)
        # A full disk must not keep us from making room on it: then the end is lost, too.
        with suppress(OSError):
            _keep(log, _aside(path), max_bytes)
        log.truncate(0)
    return True


def _keep(log: IO[bytes], aside: Path, max_bytes: int) -> None:
    """Copy what is left to read, and as much again of what is written meanwhile."""
    fresh = aside.with_suffix(".new")
    try:
        with fresh.open("wb") as kept:
            left = 2 * max_bytes
            while left > 0 and (block := log.read(min(left, 1_048_576))):
                kept.write(block)
                left -= len(block)
        fresh.replace(aside)
    finally:
        fresh.unlink(missing_ok=True)


def _tail(path: Path, wanted: int) -> list[str]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # never written, or moved: there is no output to show
        return []
    try:
        info = os.fstat(descriptor)
        start = max(0, info.st_size - wanted)
        text = os.pread(descriptor, wanted, start).decode("utf-8", errors="replace") if stat.S_ISREG(info.st_mode) else ""
    finally:
        os.close(descriptor)
    lines = text.removesuffix("\n").split("\n") if text else []
    if start > 0 and len(lines) > 1:
        lines = lines[1:]  # its beginning was not read
    return [_printable(line) for line in lines]


def plain_line(line: str) -> str:
    """What a terminal would show of a line, however long it is."""
    if line.isprintable():
        return line
    return _UNPRINTABLE.sub("", _ESCAPES.sub("", line.rstrip("\r")).rpartition("\r")[2])


def _printable(line: str) -> str:
    """What a terminal would show of a line: after a carriage return, the text written over the former."""
    shown = _ESCAPES.sub("", line.rstrip("\r")).rpartition("\r")[2]
    return _UNPRINTABLE.sub("", shown).expandtabs(4)[:LINE_CHARACTERS]
