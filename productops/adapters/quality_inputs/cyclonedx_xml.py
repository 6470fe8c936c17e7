"""CycloneDX as XML."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.cyclonedx import Bill, Hole, Part
from productops.adapters.quality_inputs.numbers import number_of
from productops.adapters.quality_inputs.source import Notes, Source
from productops.adapters.quality_inputs.xml_stream import Elements, parse_xml
from productops.domain.quality import Parsed
from productops.errors import QualityInputError

ROOTS = frozenset({"bom"})


def read(given: Path | bytes, name: str = "") -> Parsed:
    """Components and vulnerabilities. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    report = _Bom(notes)
    parse_xml(source, report, notes)
    found = report.bill.parsed()
    return Parsed(
        formats=found.formats, components=found.components, findings=found.findings, suppressed=found.suppressed, skipped=notes.all()
    )


class _Bom(Elements):
    texts = frozenset(
        {"group", "name", "version", "purl", "id", "expression", "description", "detail", "recommendation", "state", "score", "severity",
         "method", "cwe", "ref"}
    )  # fmt: skip

    def __init__(self, notes: Notes) -> None:
        self.bill = Bill(notes, self._refuse)
        self._open: list[str] = []
        self._parts: list[Part] = []
        self._hole: Hole | None = None
        self._rating: dict[str, str] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open and tag not in ROOTS:
            raise self.refusal(f"is no CycloneDX list: it begins with <{tag[:60]}>")
        self._open.append(tag)
        if tag == "component":
            self._parts.append(Part(reference=attributes.get("bom-ref", "")))
        elif tag == "vulnerability" and self._within("vulnerabilities"):
            self._hole = Hole(where=f"vulnerability {attributes.get('bom-ref', '')}".strip())
        elif tag == "rating":
            self._rating = {}

    def end(self, tag: str, text: str) -> None:
        self._open.pop()
        text = text.strip()
        if tag == "component":
            part = self._parts.pop()
            # Right under the metadata stands what the list is of; the tools that wrote it are no parts either.
            if self._open[-1:] != ["metadata"] and "tools" not in self._open:
                self.bill.part(part)
        elif self._hole is not None:
            self._of_hole(self._hole, tag, text)
        elif self._parts and text:
            self._of_part(self._parts[-1], tag, text)

    def _refuse(self, reason: str) -> QualityInputError:
        return self.refusal(reason)  # whoever reads the document sets it later

    def _within(self, parent: str) -> bool:
        return self._open[-2:-1] == [parent]

    def _of_part(self, part: Part, tag: str, text: str) -> None:
        above = self._open[-1]
        if above == "component" and tag in {"group", "name", "version", "purl"}:
            setattr(part, tag, text)
        elif (above == "license" and tag in {"id", "name"}) or (above == "licenses" and tag == "expression"):
            part.licences.append(text)

    def _of_hole(self, hole: Hole, tag: str, text: str) -> None:
        above = self._open[-1]
        if tag == "vulnerability":
            self.bill.hole(hole)
            self._hole = None
        elif tag == "rating":
            score = number_of(self._rating.get("score", ""))
            hole.ratings.append((score, self._rating.get("severity", ""), self._rating.get("method", "")))
        elif above == "rating":
            self._rating[tag] = text
        elif above == "vulnerability" and tag in {"id", "description", "recommendation"}:
            setattr(hole, tag, text)
        elif above == "analysis" and tag == "state":
            hole.state = text
        elif tag == "cwe":
            hole.weaknesses.append(text[:9])
        elif above == "target" and tag == "ref":
            hole.affects.append(text)
