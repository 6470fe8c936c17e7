"""Archives that others packed: what is in them never lands elsewhere, and never becomes more than so much (zip bombs)."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from productops.errors import InvalidInputError

_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Limits:
    """``ratio_max``: unpacked bytes per packed byte, for all of it together, once more than ``ratio_free_bytes`` came out."""

    packed_bytes_max: int = 100_000_000
    bytes_max: int = 500_000_000
    file_bytes_max: int = 200_000_000
    files_max: int = 20_000
    ratio_max: float = 100.0
    ratio_free_bytes: int = 1_000_000


DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One regular file of an archive; ``name`` is relative, with slashes, without `..`."""

    name: str
    content: bytes


def read_archive(content: bytes, *, what: str, limits: Limits = DEFAULT) -> Iterator[Unpacked]:
    """The regular files of a zip or tar (also gzip, bzip2, xz), one after the other. Folders are left out.

    Raises: InvalidInputError for what is no archive, is encrypted, holds links, devices or names that lead out of it, or unpacks to
    more than ``limits``; files before that were given already.
    """
    if len(content) > limits.packed_bytes_max:
        raise InvalidInputError(f"{what} has {len(content):,} bytes; at most {limits.packed_bytes_max:,} are read")
    counter = _Counter(what, limits, packed=len(content))
    try:
        yield from _read_zip(content, counter) if zipfile.is_zipfile(io.BytesIO(content)) else _read_tar(content, counter)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise InvalidInputError(f"{what} is no archive that can be read: {error}") from error


def unpack_archive(content: bytes, folder: Path, *, what: str, limits: Limits = DEFAULT) -> list[Path]:
    """Write its files below an empty ``folder``; returns them. Nobody may execute them. Raises: InvalidInputError."""
    root = folder.resolve()
    made = []
    for file in read_archive(content, what=what, limits=limits):
        path = root / file.name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("xb") as target:  # a name that comes twice would be written through what came first
            target.write(file.content)
        path.chmod(0o600)
        made.append(path)
    return made


class _Counter:
    """Counts what comes out, while it does: what an archive says of itself may be a lie."""

    def __init__(self, what: str, limits: Limits, *, packed: int) -> None:
        self.what, self.limits, self._packed = what, limits, max(packed, 1)
        self._files = self._bytes = 0
        self._names: set[str] = set()

    def name(self, name: str) -> str:
        """The name as it may be written. Raises: InvalidInputError."""
        self._files += 1
        if self._files > self.limits.files_max:
            raise InvalidInputError(f"{self.what} holds more than {self.limits.files_max:,} files")
        path = PurePosixPath(name)
        odd = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name or not name.isprintable()
        if odd or not path.parts or len(name) > 1000:
            raise InvalidInputError(f"{self.what} holds a file that would land elsewhere: {name[:100]!r}")
        key = str(path).casefold()
        if key in self._names:
            raise InvalidInputError(f"{self.what} holds {str(path)[:100]!r} twice")
        self._names.add(key)
        return str(path)

    def read(self, stream: IO[bytes], name: str) -> bytes:
        """All of one file. Raises: InvalidInputError past the limits."""
        content = bytearray()
        while piece := stream.read(_CHUNK):
            content += piece
            self._bytes += len(piece)
            grown = self._bytes > self.limits.ratio_free_bytes and self._bytes / self._packed > self.limits.ratio_max
            if len(content) > self.limits.file_bytes_max or self._bytes > self.limits.bytes_max or grown:
                raise InvalidInputError(f"{self.what} unpacks to more than is read (at {name[:100]!r}, {self._bytes:,} bytes)")
        return bytes(content)


def _read_zip(content: bytes, counter: _Counter) -> Iterator[Unpacked]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.is_dir():
                continue
            _refuse(counter, entry.filename, odd=kind not in {0, stat.S_IFREG} or bool(entry.flag_bits & 1))
            name = counter.name(entry.filename)
            with archive.open(entry) as stream:
                yield Unpacked(name, counter.read(stream, name))


def _read_tar(content: bytes, counter: _Counter) -> Iterator[Unpacked]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r|*") as archive:  # a stream: nothing is looked for at the end first
        entries: Iterable[tarfile.TarInfo] = archive
        for entry in entries:
            if entry.isdir():
                continue
            _refuse(counter, entry.name, odd=not entry.isreg())
            name = counter.name(entry.name)
            stream = archive.extractfile(entry)
            if stream is not None:
                yield Unpacked(name, counter.read(stream, name))


def _refuse(counter: _Counter, name: str, *, odd: bool) -> None:
    if odd:
        raise InvalidInputError(f"{counter.what} holds {name[:100]!r}, which is a link, a device, or encrypted: only plain files are read")
