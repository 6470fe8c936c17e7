"""XML that others wrote: no entities, no document types from elsewhere, no more than so much of it."""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError  # only types and the error; what parses is defusedxml

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from productops.errors import InvalidInputError

BYTES_MAX = 32_000_000
ELEMENTS_MAX = 1_000_000
DEPTH_MAX = 100


def parse_xml(content: bytes, *, what: str, bytes_max: int = BYTES_MAX, elements_max: int = ELEMENTS_MAX) -> Element:
    """The root element. ``what`` names the document in errors.

    Raises: InvalidInputError for what is no XML, declares entities or refers to other files, or is too large or too deep.
    """
    if len(content) > bytes_max:
        raise InvalidInputError(f"{what} has {len(content):,} bytes; at most {bytes_max:,} are read")
    limits = _Limits(what, elements_max)
    parser = DefusedXMLParser(target=limits, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(content)
        root: Element = parser.close()
    except DefusedXmlException as error:
        raise InvalidInputError(f"{what} declares entities or refers to other files, which is not read: {type(error).__name__}") from error
    except (ParseError, ValueError, LookupError) as error:
        raise InvalidInputError(f"{what} is no XML: {error}") from error
    return root


class _Limits:
    """Builds the tree, and counts while it is built: a small file may describe a huge one."""

    def __init__(self, what: str, elements_max: int) -> None:
        from xml.etree.ElementTree import TreeBuilder

        self._what, self._left, self._depth, self._builder = what, elements_max, 0, TreeBuilder()

    def start(self, tag: str, attributes: dict[str, str]) -> Element:
        """An element begins. Raises: InvalidInputError past the limits."""
        self._left -= 1
        self._depth += 1
        if self._left < 0 or self._depth > DEPTH_MAX:
            raise InvalidInputError(f"{self._what} has too many elements, or elements within {DEPTH_MAX} others")
        return self._builder.start(tag, attributes)

    def end(self, tag: str) -> Element:
        """An element ends."""
        self._depth -= 1
        return self._builder.end(tag)

    def data(self, text: str) -> None:
        """Text."""
        self._builder.data(text)

    def close(self) -> Element:
        """The end."""
        return self._builder.close()
