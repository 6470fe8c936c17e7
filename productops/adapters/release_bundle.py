"""Evidence bundles as archives: ZIP files without compression that can be written in one way only.

Whoever reads a bundle of unknown origin unpacks nothing and trusts no header: the archive is read from front to back, and what was read
has to give, written anew, the very same bytes. Nothing can be hidden between, before or behind the files.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from productops.errors import BundleUnreadableError, InvalidInputError

BYTES_MAX = 512 * 1024 * 1024
FILES_MAX = 100
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_LOCAL_SIGN, _CENTRAL_SIGN, _END_SIGN = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_VERSION, _TIME, _DATE, _MODE = 20, 0, 0x21, 0o100644 << 16  # midnight of 1980-01-01, the first that the format has a word for
_UNIX = 3 << 8
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*(/[a-zA-Z0-9][a-zA-Z0-9._-]*)*")
_NAME_CHARACTERS = 120


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of these files, in the order of their names. Raises: InvalidInputError when it would be too large to be read again."""
    heads, central, at = [], [], 0
    for name, content in sorted(files.items()):
        written, crc, size = name.encode("ascii"), zlib.crc32(content), len(content)
        heads += [_LOCAL.pack(_LOCAL_SIGN, _VERSION, 0, 0, _TIME, _DATE, crc, size, size, len(written), 0), written, content]
        central += [
            _CENTRAL.pack(
                _CENTRAL_SIGN, _UNIX | _VERSION, _VERSION, 0, 0, _TIME, _DATE, crc, size, size, len(written), 0, 0, 0, 0, _MODE, at
            ),
            written,
        ]  # fmt: skip
        at += _LOCAL.size + len(written) + size
    if at > BYTES_MAX or len(files) > FILES_MAX:
        raise InvalidInputError(f"the bundle would have {at:,} bytes; {BYTES_MAX:,} fit")
    listing = b"".join(central)
    return b"".join([*heads, listing, _END.pack(_END_SIGN, 0, 0, len(files), len(files), len(listing), at, 0)])


def unpack(archive: bytes) -> dict[str, bytes]:
    """The files of an archive that ``pack`` wrote. Raises: BundleUnreadableError that names the first thing wrong, for any other."""
    files: dict[str, bytes] = {}
    at = 0
    while archive[at : at + 4] == _LOCAL_SIGN:
        name, content, at = _member(archive, at)
        if name in files:
            raise BundleUnreadableError(f"{name} is in it twice")
        if files and name < next(reversed(files)):
            raise BundleUnreadableError(f"{name} is out of order: this product wrote no such archive")
        files[name] = content
        if len(files) > FILES_MAX:
            raise BundleUnreadableError(f"it has more than {FILES_MAX} files")
    if not files:
        raise BundleUnreadableError("it is no ZIP archive" if archive else "it is empty")
    expected = pack(files)
    if archive != expected:
        raise BundleUnreadableError(_difference(archive, expected))
    return files


def _member(archive: bytes, at: int) -> tuple[str, bytes, int]:
    """Name, content and end of the file that begins at ``at``."""
    if len(archive) < at + _LOCAL.size:
        raise BundleUnreadableError(f"it was cut: it ends after {len(archive):,} bytes, within the head of a file")
    _, _, flags, method, _, _, crc, packed, size, name_bytes, extra = _LOCAL.unpack_from(archive, at)
    begin = at + _LOCAL.size + name_bytes
    name = _checked_name(archive[at + _LOCAL.size : begin])
    if method or packed != size:
        raise BundleUnreadableError(f"{name} is compressed; a bundle keeps its files as they are, so that none can swell")
    if flags or extra:
        raise BundleUnreadableError(f"{name} is encrypted or has extra fields; this product writes neither")
    if begin + size > len(archive):
        raise BundleUnreadableError(f"it was cut: {name} should have {size:,} bytes, {max(0, len(archive) - begin):,} are left")
    content = archive[begin : begin + size]
    if zlib.crc32(content) != crc:
        raise BundleUnreadableError(f"{name} was damaged: its check sum is another")
    return name, content, begin + size


def _checked_name(written: bytes) -> str:
    name = written.decode("ascii", "backslashreplace")
    if ".." in name or name.startswith(("/", "\\")) or ":" in name:
        raise BundleUnreadableError(f"the name {name[:80]!r} leads out of the archive")
    if len(name) > _NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise BundleUnreadableError(f"the name {name[:80]!r} is none that this product writes")
    return name


def _difference(archive: bytes, expected: bytes) -> str:
    if len(archive) < len(expected) and expected.startswith(archive):
        return f"it was cut: {len(expected) - len(archive):,} bytes at its end are missing"
    if archive.startswith(expected):
        return f"{len(archive) - len(expected):,} bytes were put behind its end"
    return "the list of its files does not fit the files: this product wrote no such archive"


def read_archive(path: Path) -> dict[str, bytes]:
    """The files of a bundle on disk. Raises: BundleUnreadableError, InvalidInputError when the file cannot be read."""
    try:
        with path.expanduser().open("rb") as file:
            archive = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise InvalidInputError(f"the bundle {path} cannot be read: {error.strerror}") from error
    if len(archive) > BYTES_MAX:
        raise BundleUnreadableError(f"{path} has more than {BYTES_MAX:,} bytes")
    try:
        return unpack(archive)
    except BundleUnreadableError as error:
        raise BundleUnreadableError(f"{path} cannot be taken as an evidence bundle: {error}") from error
