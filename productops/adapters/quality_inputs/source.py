"""One input while it is read: where its bytes come from, what they are as text, and what had to be left out."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from productops.adapters.quality_inputs.limits import CHUNK_BYTES, FILE_BYTES_MAX, HEAD_BYTES, LINE_CHARACTERS_MAX, NOTES_MAX
from productops.domain.quality import Skipped
from productops.errors import QualityInputError

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
         (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))  # fmt: skip
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
# Only character sets: Python also knows "encodings" that unpack archives.
_CHARACTER_SETS = re.compile(r"^(utf-8|ascii|iso8859-\d+|latin-1|cp\d+|koi8-[ru]|gb(k|2312|18030)|big5|shift_jis|euc_(jp|kr)|mac-roman)$")


def refusal(name: str, reason: str, where: str = "") -> QualityInputError:
    """The error for an input that cannot be used. ``where`` is a line and column or a JSON path."""
    return QualityInputError(f"{name}{', ' + where if where else ''}: {reason}", file=name, where=where)


def clean_text(text: str) -> str:
    """Without what databases refuse: zero bytes, and halves of characters that JSON can name."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


@dataclass(slots=True)
class Notes:
    """What could not be read although the rest could."""

    gaps: list[Skipped] = field(default_factory=list)
    more: int = 0

    def add(self, where: str, reason: str) -> None:
        """Remember one; past ``NOTES_MAX`` only how many."""
        if len(self.gaps) < NOTES_MAX:
            self.gaps.append(Skipped(where[:500], reason[:500]))
        else:
            self.more += 1

    def all(self) -> tuple[Skipped, ...]:
        """In the order they were found."""
        return (*self.gaps, Skipped("", f"and {self.more:,} more")) if self.more else tuple(self.gaps)


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or bytes. Either can be read more than once. Make it with ``Source.of``."""

    name: str
    path: Path | None
    content: bytes

    @classmethod
    def of(cls, given: Path | bytes, name: str = "") -> Source:
        """``name`` stands in errors; without one it is the path."""
        if isinstance(given, bytes):
            return cls(name or "input", None, given)
        return cls(name or str(given), given, b"")

    def chunks(self) -> Iterator[bytes]:
        """The bytes, piece by piece. Raises: QualityInputError when it is no file, cannot be opened or is too large."""
        if self.path is None:
            self._measure(len(self.content))
            for start in range(0, len(self.content), CHUNK_BYTES):
                yield self.content[start : start + CHUNK_BYTES]
            return
        with os.fdopen(self._open(self.path), "rb", buffering=0) as stream:
            done = 0
            while piece := stream.read(CHUNK_BYTES):
                done += len(piece)
                self._measure(done)
                yield piece

    def head(self) -> bytes:
        """The first bytes, up to ``HEAD_BYTES``. Raises: QualityInputError."""
        return next(self.chunks(), b"")[:HEAD_BYTES]

    def bytes(self) -> bytes:
        """All of it. Raises: QualityInputError."""
        return b"".join(self.chunks())

    def _open(self, path: Path) -> int:
        try:
            # Opening a pipe or a device must not wait for whoever is at its other end.
            opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise refusal(self.name, f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error
        found = os.fstat(opened)
        try:
            if not stat.S_ISREG(found.st_mode):
                raise refusal(self.name, "is not a plain file")
            self._measure(found.st_size)
        except QualityInputError:
            os.close(opened)
            raise
        return opened

    def _measure(self, size: int) -> None:
        if size > FILE_BYTES_MAX:
            raise refusal(self.name, f"has {size:,} bytes or more; at most {FILE_BYTES_MAX:,} are read")


def texts(source: Source, notes: Notes) -> Iterator[str]:
    """The input as text, piece by piece. The first bytes decide on the encoding, then the declaration of XML, then UTF-8.

    A byte that is not UTF-8 although it should be is read as Latin-1, which is what it nearly always is; ``notes`` says so.
    Raises: QualityInputError.
    """
    pieces = source.chunks()
    first = next(pieces, b"")
    encoding, skip = _encoding_of(first, source.name)
    decoder = _Decoder(encoding, source.name, notes)
    yield decoder.decode(first[skip:])
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def whole_text(source: Source, notes: Notes) -> str:
    """All of it as text. Raises: QualityInputError."""
    return "".join(texts(source, notes))


def lines(source: Source, notes: Notes) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that is not blank. Raises: QualityInputError for a line that is too long."""
    number, rest = 0, ""
    for piece in texts(source, notes):
        *whole, rest = (rest + piece).split("\n")
        if len(rest) > LINE_CHARACTERS_MAX:
            raise refusal(source.name, f"the line has more than {LINE_CHARACTERS_MAX:,} characters", f"line {number + len(whole) + 1}")
        for line in whole:
            number += 1
            if line and not line.isspace():
                yield number, line.rstrip("\r")
    if rest and not rest.isspace():
        yield number + 1, rest


def _encoding_of(first: bytes, name: str) -> tuple[str, int]:
    """The encoding, and how many bytes of its mark to leave out."""
    for mark, encoding in _BOMS:
        if first.startswith(mark):
            return encoding, len(mark)
    if len(first) >= 2 and first[0] != 0 and first[1] == 0:
        return "utf-16-le", 0
    if len(first) >= 2 and first[0] == 0 and first[1] != 0:
        return "utf-16-be", 0
    declared = _DECLARED.match(first[:1000])
    return (_known(declared[1].decode("ascii"), name), 0) if declared else ("utf-8", 0)


def _known(declared: str, name: str) -> str:
    if declared.lower().startswith(("utf-16", "utf16", "utf-32", "ucs-2", "iso-10646")):
        return "utf-8"  # it declares itself in one byte per character: the declaration is wrong
    try:
        encoding = codecs.lookup(declared).name
    except LookupError:
        encoding = declared
    if not _CHARACTER_SETS.match(encoding):
        raise refusal(name, f"declares the encoding {declared!r}, which is not read; write it as UTF-8", "line 1")
    return encoding


def _as_latin(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("productops-latin-1", _as_latin)


class _Decoder:
    """Bytes to text, in pieces that may end inside a character."""

    def __init__(self, encoding: str, name: str, notes: Notes) -> None:
        self._utf8 = encoding == "utf-8"
        self._name, self._notes, self._told = name, notes, False
        self._rest = b""
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")

    def decode(self, data: bytes, *, final: bool = False) -> str:
        """The next piece."""
        text = self._utf8_text(data, final) if self._utf8 else self._decoder.decode(data, final)
        if not self._utf8 and "\ufffd" in text:
            self._tell("some bytes are none in its encoding and were replaced")
        return text

    def _utf8_text(self, data: bytes, final: bool) -> str:  # noqa: FBT001 - as the codecs' own functions have it
        data = self._rest + data
        try:
            text, used = codecs.utf_8_decode(data, "strict", final)
        except UnicodeDecodeError:
            text, used = codecs.utf_8_decode(data, "productops-latin-1", final)
            self._tell("is not UTF-8 throughout; the bytes that are not were read as Latin-1")
        self._rest = data[used:]
        return text

    def _tell(self, reason: str) -> None:
        if not self._told:
            self._told = True
            self._notes.add(self._name, reason)
