"""Which format an input has, told by what is in it, and the reader for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from productops.adapters.quality_inputs import (
    bandit,
    cobertura,
    coverage_json,
    cyclonedx,
    cyclonedx_json,
    cyclonedx_xml,
    gitleaks,
    go_json,
    grype,
    hyperfine,
    jacoco,
    jest_json,
    jmeter,
    junit,
    k6,
    lcov,
    lighthouse,
    npm_audit,
    pip_audit,
    plain_series,
    playwright_json,
    pytest_benchmark,
    sarif,
    semgrep,
    spdx,
    testng,
    trivy,
    wrk,
)
from productops.adapters.quality_inputs.json_document import Node, load_json, load_line
from productops.adapters.quality_inputs.source import Notes, Source, texts
from productops.domain.quality import Parsed
from productops.errors import QualityInputError

Read = Callable[[Path | bytes, str], Parsed]
Parse = Callable[[Node, Notes], Parsed]
Fits = Callable[[Node], bool]

# The first element → its format.
_XML: dict[str, tuple[str, Read]] = {
    **dict.fromkeys(junit.ROOTS, (junit.FORMAT, junit.read)),
    **dict.fromkeys(testng.ROOTS, (testng.FORMAT, testng.read)),
    **dict.fromkeys(cobertura.ROOTS, (cobertura.FORMAT, cobertura.read)),
    **dict.fromkeys(jacoco.ROOTS, (jacoco.FORMAT, jacoco.read)),
    **dict.fromkeys(cyclonedx_xml.ROOTS, (cyclonedx.FORMAT, cyclonedx_xml.read)),
}
# The first that fits; those that are told by one key stand behind those that need several.
_JSON: tuple[tuple[str, Fits, Parse], ...] = (
    (sarif.FORMAT, sarif.fits, sarif.parse),
    (cyclonedx.FORMAT, cyclonedx_json.fits, cyclonedx_json.parse),
    (spdx.FORMAT, spdx.fits, spdx.parse),
    (lighthouse.FORMAT, lighthouse.fits, lighthouse.parse),
    (jest_json.FORMAT, jest_json.fits, jest_json.parse),
    (playwright_json.FORMAT, playwright_json.fits, playwright_json.parse),
    (coverage_json.FORMAT, coverage_json.fits, coverage_json.parse),
    (bandit.FORMAT, bandit.fits, bandit.parse),
    (semgrep.FORMAT, semgrep.fits, semgrep.parse),
    (gitleaks.FORMAT, gitleaks.fits, gitleaks.parse),
    (npm_audit.FORMAT, npm_audit.fits, npm_audit.parse),
    (trivy.FORMAT, trivy.fits, trivy.parse),
    (grype.FORMAT, grype.fits, grype.parse),
    (pip_audit.FORMAT, pip_audit.fits, pip_audit.parse),
    (pytest_benchmark.FORMAT, pytest_benchmark.fits, pytest_benchmark.parse),
    (hyperfine.FORMAT, hyperfine.fits, hyperfine.parse),
    (k6.FORMAT, k6.fits, k6.parse),
    (plain_series.FORMAT, plain_series.fits, plain_series.parse),
)
_LINES: tuple[tuple[str, Fits, Read], ...] = (
    (go_json.FORMAT, go_json.fits, go_json.read),
    (k6.FORMAT, k6.fits_line, k6.read_lines),
    (plain_series.FORMAT, plain_series.fits_line, plain_series.read_lines),
)
_TEXTS: tuple[tuple[str, Callable[[str], bool], Read], ...] = (
    (lcov.FORMAT, lambda line: line.startswith(lcov.BEGINNINGS), lcov.read),
    (jmeter.FORMAT, jmeter.fits, jmeter.read),
    (plain_series.FORMAT, plain_series.fits_header, plain_series.read_csv),
    (wrk.FORMAT, lambda line: bool(wrk.BEGINNING.match(line)), wrk.read),
)
FORMATS: tuple[str, ...] = tuple(
    sorted(
        {found[0] for found in _XML.values()} | {each[0] for each in _JSON} | {each[0] for each in _LINES} | {each[0] for each in _TEXTS}
    )
)
_ROOT = re.compile(r"<(?:[\w.-]{1,60}:)?([A-Za-z_][\w.-]{0,60})")
_BEFORE_ROOT = (("<?", "?>"), ("<!--", "-->"), ("<!", ">"))


class UnknownFormatError(QualityInputError):
    """It is fine as far as one can see, and of none of the formats."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What an input is, and how to read it."""

    format: str
    read: Callable[[], Parsed]


def recognise(source: Source, wanted: str = "") -> Recognised:
    """The format of an input; only ``wanted`` is looked for where it is given.

    Raises: UnknownFormatError; QualityInputError for JSON that is broken and for a format that nobody knows.
    """
    if wanted and wanted not in FORMATS:
        raise QualityInputError(f"{source.name}: there is no format {wanted!r}; known are {', '.join(FORMATS)}", file=source.name)
    beginning = next(texts(source, Notes()), "").lstrip("\ufeff \t\r\n")
    if beginning.startswith("<"):
        return _xml(source, beginning, wanted)
    if beginning.startswith(("{", "[")):
        return _line_by_line(source, beginning, wanted) or _json(source, wanted)
    first = beginning.partition("\n")[0].rstrip("\r")
    for name, fits, read in _TEXTS:
        if wanted in {"", name} and fits(first):
            return Recognised(name, _later(read, source))
    if not beginning:
        raise UnknownFormatError(
            f"{source.name}: is empty; did the tool that should have written it run?", file=source.name, where="line 1"
        )
    raise _unknown(source, f"its first line is {first[:80]!r}", wanted)


def detect(given: Path | bytes, name: str = "") -> str:
    """The name of the format, one of ``FORMATS``. Raises: QualityInputError when it is none of them."""
    return recognise(Source.of(given, name)).format


def read(given: Path | bytes, name: str = "", *, expected: str = "") -> Parsed:
    """What one input says. ``expected`` names its format where its content cannot tell (an empty list). Raises: QualityInputError."""
    source = Source.of(given, name)
    found = recognise(source, expected).read()
    prefix = f"{source.name}: "
    gaps = tuple(gap if gap.where == source.name else replace(gap, where=prefix + gap.where) for gap in found.skipped)
    return replace(found, skipped=gaps) if gaps else found


def _later(read_it: Read, source: Source) -> Callable[[], Parsed]:
    return partial(read_it, source.content if source.path is None else source.path, source.name)


def _xml(source: Source, beginning: str, wanted: str) -> Recognised:
    root = _root_of(beginning)
    name, read_it = _XML.get(root, ("", None))
    if read_it is None or wanted not in {"", name}:
        raise _unknown(source, f"its first element is <{root}>", wanted)
    return Recognised(name, _later(read_it, source))


def _root_of(text: str) -> str:
    """The name of the first element, past declarations and comments; empty where none follows."""
    place = 0
    while True:
        place = text.find("<", place)
        if place < 0:
            return ""
        for opening, closing in _BEFORE_ROOT:
            if text.startswith(opening, place):
                end = text.find(closing, place + len(opening))
                place = end + len(closing) if end >= 0 else len(text)
                break
        else:
            found = _ROOT.match(text, place)
            return found[1] if found else ""


def _line_by_line(source: Source, beginning: str, wanted: str) -> Recognised | None:
    """A line that is an object by itself, of a format that has one on each line."""
    first, ended, _ = beginning.partition("\n")
    if not beginning.startswith("{") or not (ended or len(beginning) < 100_000):
        return None
    try:
        entry = load_line(first, name=source.name, line=1)
    except QualityInputError:
        return None
    for name, fits, read_it in _LINES:
        if wanted in {"", name} and fits(entry):
            return Recognised(name, _later(read_it, source))
    return None


def _json(source: Source, wanted: str) -> Recognised:
    notes = Notes()
    document = load_json(source, notes)
    for name, fits, parse in _JSON:
        if (not wanted and fits(document)) or wanted == name:
            return Recognised(name, partial(_parsed, parse, document, notes))
    if document.value == []:
        raise _unknown(source, "an empty list may be any tool's; say which format is expected", wanted)
    keys = ", ".join(key[:40] for key, _ in list(document.pairs())[:8])
    raise _unknown(source, f"it is JSON with the keys {keys}" if keys else "it is JSON", wanted)


def _parsed(parse: Parse, document: Node, notes: Notes) -> Parsed:
    found = parse(document, notes)
    return replace(found, skipped=(*found.skipped, *notes.all()))


def _unknown(source: Source, why: str, wanted: str) -> UnknownFormatError:
    looked_for = f"is not of the format {wanted}" if wanted else "is of no known format"
    return UnknownFormatError(f"{source.name}: {looked_for}: {why}", file=source.name, where="line 1")
