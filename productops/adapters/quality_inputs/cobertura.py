"""Cobertura XML, as coverage.py, Jest, coverlet, gcovr and others write it."""

from __future__ import annotations

import re
from pathlib import Path

from productops.adapters.quality_inputs.coverage_lines import CoveredLines
from productops.adapters.quality_inputs.numbers import whole_of
from productops.adapters.quality_inputs.source import Notes, Source
from productops.adapters.quality_inputs.xml_stream import Elements, parse_xml
from productops.domain.quality import Parsed

FORMAT = "cobertura"
ROOTS = frozenset({"coverage"})

_WAYS = re.compile(r"\((\d{1,9})/(\d{1,9})\)")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The coverage of one report. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    report = _Report(notes)
    parse_xml(source, report, notes)
    return Parsed(formats=(FORMAT,), coverage=report.covered.all(), skipped=notes.all())


class _Report(Elements):
    texts = frozenset({"source"})

    def __init__(self, notes: Notes) -> None:
        self.covered = CoveredLines()
        self._notes = notes
        self._path = ""
        self._roots: list[str] = []
        self._inside_methods = self._own_lines = False
        self._method_lines: list[dict[str, str]] = []
        self._began = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._began:
            self._began = True
            if tag not in ROOTS or "clover" in attributes:
                raise self.refusal(f"is no Cobertura report: it begins with <{tag[:60]}>")
        if tag == "methods":
            self._inside_methods = True
        elif tag == "class":
            self._own_lines, self._method_lines = False, []
            self._path = self._rooted(attributes.get("filename", ""))
            if self._path:
                self.covered.file(self._path)
            else:
                self._notes.add(f"class {attributes.get('name', '')[:200]!r}", "names no file; its lines were left out")
        elif tag == "line" and self._path and self._inside_methods:
            # Istanbul counts calls here; the lines of the class stand below again. Only some tools leave those out.
            self._method_lines.append(attributes)
        elif tag == "line" and self._path:
            self._own_lines = True
            self._line(attributes)

    def end(self, tag: str, text: str) -> None:
        if tag == "methods":
            self._inside_methods = False
        elif tag == "class":
            for attributes in [] if self._own_lines else self._method_lines:
                self._line(attributes)
            self._path, self._method_lines = "", []
        elif tag == "source":
            self._roots.append(text.strip())

    def _rooted(self, filename: str) -> str:
        """Below the folder of sources when there is one; of several nobody knows which is meant."""
        if not filename or len(self._roots) != 1 or filename.startswith("/") or filename[1:2] == ":":
            return filename
        return f"{self._roots[0]}/{filename}" if self._roots[0] else filename

    def _line(self, attributes: dict[str, str]) -> None:
        number, hits = whole_of(attributes.get("number", "")), whole_of(attributes.get("hits", ""), otherwise=-1)
        if not number or hits < 0:
            self._notes.add(f"a line of {self._path[:300]}", "has no number or no count of hits")
            return
        ways = _WAYS.search(attributes.get("condition-coverage", "")) if attributes.get("branch") in {"true", "True"} else None
        if not self.covered.line(self._path, number, hits, (int(ways[1]), int(ways[2])) if ways else None):
            raise self.refusal("has too many lines")
