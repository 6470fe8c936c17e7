"""XML that others wrote, as a stream: no document type of its own, no entities, nothing from elsewhere, limits on all that grows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from xml.parsers import expat  # nosec - entities and document types are refused below

from productops.adapters.quality_inputs.limits import DEPTH_MAX, ELEMENTS_MAX, ROOTS_MAX, TOKEN_BYTES_MAX
from productops.adapters.quality_inputs.source import Notes, Source, refusal, texts
from productops.errors import QualityInputError

TEXT_CHARACTERS_MAX = 4_000

# What XML forbids and tools write all the same: colours of a terminal, zero bytes.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(?:x0*([0-9a-fA-F]{1,6})|0*([0-9]{1,7}));")
_CUT_REFERENCE = re.compile(r"&(?:#[0-9a-zA-Z]{0,40})?$")
_NO_ROOT = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]
_AFTER_ROOT = {
    expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT],
    expat.errors.codes[expat.errors.XML_ERROR_MISPLACED_XML_PI],
}


class Elements:
    """What a format does with elements, in the order of the document. Names come without their namespace's prefix."""

    # Elements whose text is wanted; the text of all others is passed over.
    texts: frozenset[str] = frozenset()
    # Whether one document may follow another in the same file.
    several_roots = False
    # An error with line and column; whoever drives the elements sets it.
    refusal: Callable[[str], QualityInputError]

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, tag: str, text: str) -> None:
        """An element ends; ``text`` is at most ``TEXT_CHARACTERS_MAX`` characters, empty where it is not wanted."""


def parse_xml(source: Source, elements: Elements, notes: Notes) -> None:
    """Drive ``elements`` through the document.

    Raises: QualityInputError with line and column for what is no XML, ends early, declares entities, or goes past a limit.
    """
    stream = _Stream(source.name, elements)
    for text in _clean(texts(source, notes), source.name, notes):
        stream.feed(text.encode("utf-8", "replace"))
    stream.close()


def _clean(pieces: Iterator[str], name: str, notes: Notes) -> Iterator[str]:
    """Characters that XML forbids become U+FFFD, also where they are written as references; one note tells of it."""
    rest, told = "", False
    for piece in pieces:
        text = rest + piece
        cut = _CUT_REFERENCE.search(text, max(0, len(text) - 50))
        rest = text[cut.start() :] if cut else ""
        text = text[: cut.start()] if cut else text
        cleaned = _FORBIDDEN.sub("\ufffd", text) if _FORBIDDEN.search(text) else text
        cleaned = _REFERENCE.sub(_allowed_reference, cleaned) if "&#" in cleaned else cleaned
        if cleaned != text and not told:
            told = True
            notes.add(name, "has characters that XML forbids (control characters); they were replaced")
        yield cleaned
    yield rest


def _allowed_reference(found: re.Match[str]) -> str:
    number = int(found[1], 16) if found[1] else int(found[2])
    allowed = number in {9, 10, 13} or 0x20 <= number <= 0xD7FF or 0xE000 <= number <= 0xFFFD or 0x10000 <= number <= 0x10FFFF
    return found[0] if allowed else "\ufffd"


class _Stream:
    """The parser of one input, which may hold several documents."""

    def __init__(self, name: str, elements: Elements) -> None:
        self._name, self._elements = name, elements
        elements.refusal = self._refusal
        self._roots = self._count = self._lines_before = 0
        self._window = b""
        self._begin()

    def _begin(self) -> None:
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.ExternalEntityRefHandler = self._outside
        parser.SkippedEntityHandler = self._skipped
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self._depth, self._fed = 0, 0
        self._wanted: list[list[str]] = []
        self._left = 0
        self._root_ended = False

    def feed(self, data: bytes) -> None:
        """The next bytes, as UTF-8."""
        while data:
            self._window += data
            self._fed += len(data)
            rest = self._parse(data)
            done = len(self._window) - (self._fed - max(self._parser.CurrentByteIndex, 0))
            self._window = self._window[max(done, 0) :]
            if len(self._window) > TOKEN_BYTES_MAX + len(data):
                raise self._refusal(f"one tag, comment or attribute has more than {TOKEN_BYTES_MAX:,} bytes")
            data = rest

    def close(self) -> None:
        """The end of the input. Raises: QualityInputError when the document has not ended."""
        while rest := self._parse(b"", final=True):
            self.feed(rest)

    def _parse(self, data: bytes, *, final: bool = False) -> bytes:
        """Take a step; returns what belongs to a following document."""
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            return self._after(error)
        return b""

    def _after(self, error: expat.ExpatError) -> bytes:
        if self._root_ended and error.code in _AFTER_ROOT and self._elements.several_roots:
            self._roots += 1
            if self._roots > ROOTS_MAX:
                raise self._refusal(f"holds more than {ROOTS_MAX:,} documents") from error
            rest = self._window[len(self._window) - (self._fed - self._parser.ErrorByteIndex) :]
            self._lines_before += error.lineno - 1
            self._window = b""
            self._begin()
            return rest
        if self._roots and error.code == _NO_ROOT and not self._depth:
            return b""  # blank lines after the last of several documents
        where = f"line {self._lines_before + error.lineno}, column {error.offset + 1}"
        ended = error.code in {_NO_ROOT, 5, 20} or "unclosed" in expat.ErrorString(error.code)
        reason = expat.ErrorString(error.code)
        raise refusal(self._name, f"ends in the middle ({reason})" if ended else f"is no XML here: {reason}", where) from error

    def _refusal(self, reason: str) -> QualityInputError:
        where = f"line {self._lines_before + self._parser.CurrentLineNumber}, column {self._parser.CurrentColumnNumber + 1}"
        return refusal(self._name, reason, where)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._count += 1
        if self._depth > DEPTH_MAX or self._count > ELEMENTS_MAX:
            raise self._refusal(f"has more than {ELEMENTS_MAX:,} elements, or elements within {DEPTH_MAX} others")
        if ":" in tag:
            tag = tag.rpartition(":")[2]
        if tag in self._elements.texts:
            self._wanted.append([])
            self._left = TEXT_CHARACTERS_MAX
            self._parser.CharacterDataHandler = self._text
        self._elements.start(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if ":" in tag:
            tag = tag.rpartition(":")[2]
        text = ""
        if tag in self._elements.texts:
            text = "".join(self._wanted.pop())
            if not self._wanted:
                self._parser.CharacterDataHandler = None
        self._root_ended = self._depth == 0
        self._elements.end(tag, text)

    def _text(self, data: str) -> None:
        if self._left > 0:
            self._wanted[-1].append(data[: self._left])
            self._left -= len(data)

    def _doctype(self, _name: str, _system: str | None, _public: str | None, internal: int) -> None:
        # JaCoCo and Cobertura name a document type and need nothing of it; one that is written out can define entities.
        if internal:
            raise self._refusal("has a document type of its own (DTD); that is not read")

    def _entity(self, *_about: object) -> None:
        raise self._refusal("declares entities; that is not read")

    def _outside(self, *_about: object) -> int:
        raise self._refusal("refers to something outside itself; that is not read")

    def _skipped(self, name: str, _parameter: bool) -> None:  # noqa: FBT001 - expat calls it so
        raise self._refusal(f"uses the entity &{name[:40]};, which XML does not know")
