"""Counts users' answers by what a flag gave them, from the log the router writes of answers that say so."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import structlog

from productops.adapters.envoy.exposure_log import ExposedAnswer, read_line
from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.exposures import upper_bound_ms
from productops.domain.routing import VersionKey

log = structlog.get_logger(__name__)
READ_MAX = 4_000_000
"""Bytes read at a time, some 30,000 answers. More in one second cannot be counted in time: that second is then unknown."""
FILE_MAX = 32_000_000
"""Bytes after which the log is emptied. What is written between the last look and that, well below a millisecond, is lost."""
ARMS_MAX = 200


@dataclass(slots=True)
class _Arm:
    requests: int = 0
    failures: int = 0
    latency: Counter[float] = field(default_factory=Counter)

    def add(self, answer: ExposedAnswer) -> None:
        self.requests += 1
        self.failures += answer.failed
        self.latency[upper_bound_ms(answer.duration_ms)] += 1

    def second(self) -> ArmSecond:
        upper = sorted(self.latency)
        return ArmSecond(self.requests, self.failures, LatencyHistogram(tuple(upper), tuple(self.latency[u] for u in upper)))


@dataclass(slots=True)
class ExposureTail:
    """Follows ``path``, also when it is replaced, emptied or made anew. One thread at a time.

    It begins at the end: what was written before it came belongs to no second it could name. ``skipped`` counts bytes it gave up.
    """

    path: Path
    read_max: int = READ_MAX
    file_max: int = FILE_MAX
    skipped: int = 0
    _file: BinaryIO | None = None
    _rest: bytes = b""

    def take(self) -> dict[VersionKey, ArmSecond] | None:
        """What was answered since the last call; ``None`` when that cannot be known: the first time, without a log, or with too much."""
        try:
            return self._take()
        except OSError as error:
            log.warning("exposures not readable", path=str(self.path), reason=str(error))
            self.close()
            return None

    def close(self) -> None:
        """Let go of the file; the next ``take`` begins at its end again."""
        self._rest = b""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self) -> dict[VersionKey, ArmSecond] | None:
        if self._file is None:
            self._file = self._open(at_end=True)
            return None
        replaced = self._is_replaced(self._file)
        data = self._read(self._file)
        if replaced:  # its last lines first, then the new one's
            data = self._rest + data
            self._file = self._open(at_end=False)
            data += self._read(self._file)
        self._empty(self._file)
        if len(data) >= self.read_max:
            self.skipped += self._skip(self._file)
            log.warning("too many exposures in a second", bytes=len(data), skipped=self.skipped)
            return None
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        return counted(lines)

    def _read(self, file: BinaryIO) -> bytes:
        """What is new, ``read_max`` bytes at most; from the beginning when the file was emptied."""
        if os.fstat(file.fileno()).st_size < file.tell():
            self._rest = b""
            file.seek(0)
        return file.read(self.read_max)

    def _open(self, *, at_end: bool) -> BinaryIO:
        self.close()
        file = self.path.open("rb", buffering=0)
        if at_end:
            file.seek(0, os.SEEK_END)
        return file

    def _is_replaced(self, file: BinaryIO) -> bool:
        try:
            now, ours = self.path.stat(), os.fstat(file.fileno())
        except FileNotFoundError:
            return False  # between the moving away of the old one and the making of the next
        return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)

    def _empty(self, file: BinaryIO) -> None:
        """The router appends, so it goes on at the beginning."""
        if file.tell() > self.file_max and os.fstat(file.fileno()).st_size == file.tell():
            os.truncate(self.path, 0)
            file.seek(0)

    def _skip(self, file: BinaryIO) -> int:
        self._rest = b""
        before = file.tell()
        left = file.seek(0, os.SEEK_END) - before
        self._empty(file)
        return left


def counted(lines: list[bytes]) -> dict[VersionKey, ArmSecond]:
    """Answers by service, environment and arm. Arms beyond two hundred are left out: their names come from the services."""
    arms: dict[VersionKey, _Arm] = {}
    for line in lines:
        answer = read_line(line)
        if answer is None:
            continue
        for name in answer.arms:
            key = (answer.service, answer.environment, name)
            if key in arms or len(arms) < ARMS_MAX:
                arms.setdefault(key, _Arm()).add(answer)
    return {key: arm.second() for key, arm in arms.items()}
