"""Follows files that programs write: what is new in them, also when they are emptied, replaced or moved aside."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from productops.domain.monitoring_logs import LogOffset

HEAD = 256
MARK = 256
READ_MAX = 1_048_576
LINE_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Part:
    """Whole lines that are new, and where the file stands after each of them (bytes). ``begin`` is the offset of the first one.

    ``fresh``: this is another file than before, or the same one emptied; ``more``: there is more to read at once.
    """

    lines: tuple[tuple[str, int], ...]
    begin: int
    fresh: bool
    more: bool


@dataclass(slots=True)
class FileTail:
    """One file. It goes on where ``at`` says, which may have been written down by a program that was killed since."""

    path: Path
    at: LogOffset
    _mark: bytes = b""
    _first: bytes = b""

    def read(self) -> Part:
        """What came since the last call, at most 1 MiB; nothing when the file is not there. An unfinished line waits for its end."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return Part((), self.at.offset, fresh=False, more=False)
        try:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                return Part((), self.at.offset, fresh=False, more=False)
            return self._read(descriptor, info)
        finally:
            os.close(descriptor)

    def move(self, offset: int) -> LogOffset:
        """The place at an offset of the file that was read last."""
        return LogOffset(self.at.path, self.at.device, self.at.inode, offset, _hash(self._first[: min(HEAD, offset)]))

    def _read(self, descriptor: int, info: os.stat_result) -> Part:
        same = (info.st_dev, info.st_ino) == (self.at.device, self.at.inode) and info.st_size >= self.at.offset
        if same and self.at.offset == info.st_size:
            return Part((), self.at.offset, fresh=False, more=False)
        self._first = os.pread(descriptor, HEAD, 0) if same else b""
        fresh = not same or _hash(self._first[: self.at.offset]) != self.at.head
        if fresh:
            rest = self._aside()
            if rest:
                return self._part(rest, self.at.offset, fresh=False, more=True)
            self.at = LogOffset(str(self.path), info.st_dev, info.st_ino, 0, "")
            self._mark = b""
        data = os.pread(descriptor, READ_MAX, self.at.offset)
        part = self._part(data, self.at.offset, fresh=fresh, more=len(data) == READ_MAX)
        end = part.lines[-1][1] if part.lines else self.at.offset
        self._first = os.pread(descriptor, HEAD, 0)
        self.at = LogOffset(str(self.path), info.st_dev, info.st_ino, end, _hash(self._first[:end]))
        return part

    def _part(self, data: bytes, begin: int, *, fresh: bool, more: bool) -> Part:
        """Whole lines; one that is longer than 64 KiB is cut."""
        lines: list[tuple[str, int]] = []
        position, offset = 0, begin
        while position < len(data):
            end = data.find(b"\n", position, position + LINE_MAX)
            if end < 0 and len(data) - position < LINE_MAX:
                break
            after = end + 1 if end >= 0 else position + LINE_MAX
            text = data[position:after].decode("utf-8", errors="replace").rstrip("\r\n")
            lines.append((text, offset + after))
            position = after
        if position:
            self._mark = (self._mark + data[:position])[-MARK:]
        return Part(tuple(lines), begin, fresh, more)

    def _aside(self) -> bytes:
        """What of the former file was not read: it was moved to ``<name>.1``, or its end was copied there before it was emptied."""
        aside = self.path.with_name(f"{self.path.name}.1")
        try:
            descriptor = os.open(aside, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return b""
        try:
            info = os.fstat(descriptor)
            if not self.at.inode or not stat.S_ISREG(info.st_mode):
                return b""
            if (info.st_dev, info.st_ino) == (self.at.device, self.at.inode):
                data = os.pread(descriptor, READ_MAX, self.at.offset)
            else:
                data = self._after_mark(os.pread(descriptor, 8 * READ_MAX, max(0, info.st_size - 8 * READ_MAX)))
        finally:
            os.close(descriptor)
        # Read once: what comes next begins in the new file.
        self.at = LogOffset(self.at.path, 0, 0, self.at.offset, "")
        self._mark = b""
        return data if not data or data.endswith(b"\n") else data + b"\n"

    def _after_mark(self, data: bytes) -> bytes:
        """What follows the last bytes that were read, where they can be found."""
        at = data.rfind(self._mark) if len(self._mark) >= MARK // 4 else -1
        return data[at + len(self._mark) :] if at >= 0 else b""


def _hash(beginning: bytes) -> str:
    """A hash of the beginning, as far as it was read: an inode's number is given to another file one day."""
    return hashlib.blake2b(beginning, digest_size=16).hexdigest() if beginning else ""
