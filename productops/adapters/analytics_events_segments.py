"""Segments: files that new events are appended to, and synced, before their senders hear that they are kept.

A segment is a sequence of frames: magic, length, CRC-32, JSON ``{"venture": …, "rows": […]}``. Its writer holds a lock on it; while it is
written its name ends in ``.open``, afterwards in ``.seg``. What a killed writer left is adopted by whoever sorts events in.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Final

import structlog

from productops.adapters.analytics_events_json import dumps, loads
from productops.domain.analytics_events import Row
from productops.errors import EventsBusyError, EventsDiskFullError

log = structlog.get_logger(__name__)
MIB: Final = 1_048_576
MAGIC: Final = b"POE1"
_HEAD = struct.Struct(">4sII")
SEGMENT_BYTES_MAX = 32 * MIB
SEGMENT_AGE_S = 2.0
WAITING_BYTES_MAX = 64 * MIB
FRAME_BYTES_MAX = 64 * MIB
TICK_S = 0.5
# A file system that has no locks: a segment nobody has touched for so long has no writer.
ABANDONED_S = 600.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


@dataclass(frozen=True, slots=True)
class Frame:
    """The events of one request, or of one moment of the flag service."""

    venture: str
    rows: list[Row]


@dataclass(slots=True)
class _Open:
    path: Path
    descriptor: int
    inode: int
    since: float
    size: int = 0


def frame_of(venture: str, rows: list[Row]) -> bytes:
    """One frame as it is written."""
    body = dumps({"venture": venture, "rows": rows})
    return _HEAD.pack(MAGIC, len(body), zlib.crc32(body)) + body


def read_frames(path: Path) -> Iterator[Frame]:
    """The frames of a segment that are whole; what a crash cut off was never answered. None of a file that is gone."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        while True:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return
            magic, length, checksum = _HEAD.unpack(head)
            body = file.read(length) if magic == MAGIC and length <= FRAME_BYTES_MAX else b""
            if len(body) < length or zlib.crc32(body) != checksum or not body:
                return
            document = loads(body)
            yield Frame(document["venture"], document["rows"])


class SegmentWriter:
    """Appends frames and says when they are on the disk. One thread writes: while it syncs, others gather and share the next sync."""

    def __init__(
        self, folder: Path, *, free_bytes_min: int = 0, backlog_bytes_max: int = 1024 * MIB, segment_age_s: float = SEGMENT_AGE_S,
        segment_bytes_max: int = SEGMENT_BYTES_MAX, waiting_bytes_max: int = WAITING_BYTES_MAX,
    ) -> None:  # fmt: skip
        self._folder, self._age_s, self._bytes_max = folder, segment_age_s, segment_bytes_max
        self._free_min, self._backlog_max, self._waiting_max = free_bytes_min, backlog_bytes_max, waiting_bytes_max
        self._queue: SimpleQueue[tuple[bytes, Future[None]] | None] = SimpleQueue()
        self._lock = Lock()
        self._waiting = 0
        self._thread: Thread | None = None
        self._open: _Open | None = None
        self._looked = 0.0
        self._backlog = 0
        self.syncs = 0

    def submit(self, frame: bytes) -> Future[None]:
        """Ends when the frame is on the disk. Raises: EventsBusyError; the future as well, or EventsDiskFullError."""
        with self._lock:
            if self._waiting + len(frame) > self._waiting_max:
                detail = f"{self._waiting // MIB} MiB of events wait for the disk; send them again in a moment"
                raise EventsBusyError(detail, retry_after_s=1)
            self._waiting += len(frame)
            if self._thread is None:
                self._thread = Thread(target=self._repeat, name="event-segments", daemon=True)
                self._thread.start()
        done: Future[None] = Future()
        self._queue.put((frame, done))
        return done

    def close(self) -> None:
        """Write what waits, and give the segment to whoever sorts in."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join(10)

    def _repeat(self) -> None:
        ending = False
        while not ending:
            batch, ending = self._gather()
            if batch:
                self._commit(batch)
            if self._open is not None and (ending or self._is_full(self._open)):
                self._seal(self._open)

    def _gather(self) -> tuple[list[tuple[bytes, Future[None]]], bool]:
        """All that waits; waits a while when nothing does."""
        found: list[tuple[bytes, Future[None]]] = []
        with suppress(Empty):
            item = self._queue.get(timeout=TICK_S if self._open is not None else None)
            while item is not None:
                found.append(item)
                item = self._queue.get_nowait()
            return found, True
        return found, False

    def _commit(self, batch: list[tuple[bytes, Future[None]]]) -> None:
        size = sum(len(frame) for frame, _ in batch)
        problem: EventsBusyError | None = None
        try:
            self._check_space(size)
            self._append(b"".join(frame for frame, _ in batch))
        except OSError as error:
            kind = EventsDiskFullError if error.errno in _FULL else EventsBusyError
            problem = kind(f"events could not be written: {error.strerror}; send them again later", retry_after_s=10)
        except EventsBusyError as error:
            problem = error
        with self._lock:
            self._waiting -= size
        for _, done in batch:
            if problem is None:
                done.set_result(None)
            else:
                done.set_exception(problem)
        if problem is not None:
            with suppress(OSError):  # the log may be on the same full disk
                log.error("events are refused", reason=str(problem))

    def _check_space(self, size: int) -> None:
        """Raises: EventsDiskFullError, EventsBusyError when events are not sorted in as fast as they come."""
        if self._free_min:
            self._folder.mkdir(parents=True, exist_ok=True)
            state = os.statvfs(self._folder)
            if state.f_bavail * state.f_frsize < self._free_min + size:
                raise EventsDiskFullError("there is too little space left for events; send them again later", retry_after_s=10)
        now = time.monotonic()
        if now - self._looked > 1.0:
            self._looked, self._backlog = now, backlog_bytes(self._folder)
        if self._backlog > self._backlog_max:
            detail = f"{self._backlog // MIB} MiB of events wait to be sorted in; send them again later"
            raise EventsBusyError(detail, retry_after_s=5)

    def _append(self, content: bytes) -> None:
        """Write and sync. After a failure the file ends where it ended before, or another one is begun. Raises: OSError."""
        for _ in range(3):
            segment = self._open or self._begin()
            try:
                _write_all(segment.descriptor, content)
                os.fdatasync(segment.descriptor)
                self.syncs += 1
            except OSError:
                self._take_back(segment)
                raise
            segment.size += len(content)
            # Another program that took us for dead moved the file away: it may not have read what was just written.
            if _inode(segment.path) == segment.inode:
                return
            self._leave(segment)
        raise OSError(errno.EAGAIN, "another program takes the files away while they are written")

    def _begin(self) -> _Open:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}.open"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_APPEND, 0o600)
        with suppress(OSError):  # without locks, age tells
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sync_folder(self._folder)
        self._open = _Open(path, descriptor, os.fstat(descriptor).st_ino, time.monotonic())
        return self._open

    def _take_back(self, segment: _Open) -> None:
        try:
            os.ftruncate(segment.descriptor, segment.size)
        except OSError:
            self._leave(segment)

    def _is_full(self, segment: _Open) -> bool:
        return segment.size >= self._bytes_max or time.monotonic() - segment.since >= self._age_s

    def _seal(self, segment: _Open) -> None:
        with suppress(OSError):
            if segment.size:
                segment.path.rename(segment.path.with_suffix(".seg"))
            else:
                segment.path.unlink()
        self._leave(segment)

    def _leave(self, segment: _Open) -> None:
        with suppress(OSError):
            os.close(segment.descriptor)
        self._open = None


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1


def sync_folder(folder: Path) -> None:
    """Put names of new files on the disk. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def backlog_bytes(folder: Path) -> int:
    """Size of all segments that wait."""
    total = 0
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for each in found:
            with suppress(FileNotFoundError):
                total += each.stat().st_size
    return total


def segments(folder: Path) -> list[Path]:
    """All segments, open ones too, the oldest first."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith((".seg", ".open")))
    except FileNotFoundError:
        return []
    return [folder / name for name in names]


def sealed_segments(folder: Path) -> list[Path]:
    """Those whose writer has ended with them, or has ended; the oldest first."""
    found = []
    for path in segments(folder):
        if path.suffix == ".seg":
            found.append(path)
        elif (adopted := _adopt(path)) is not None:
            found.append(adopted)
    return found


def _adopt(path: Path) -> Path | None:
    """Take over the segment of a writer that is no more."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between its birth and its lock a segment has no lock, and nothing in it.
        if os.fstat(descriptor).st_size == 0 and time.time() - os.fstat(descriptor).st_mtime < ABANDONED_S:
            return None
    except OSError as error:
        if error.errno not in _NO_LOCKS or time.time() - os.fstat(descriptor).st_mtime < ABANDONED_S:
            return None
    finally:
        os.close(descriptor)
    adopted = path.with_suffix(".seg")
    try:
        path.rename(adopted)
    except FileNotFoundError:
        return None
    return adopted
