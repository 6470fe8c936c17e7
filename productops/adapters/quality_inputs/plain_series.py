"""Series from anywhere: ``name,value[,unit]`` as CSV, or objects with those names as JSON or NDJSON.

A JSON document may also be one object of name → number or list of numbers, or hold objects with ``values`` under ``series``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from productops.adapters.quality_inputs.jmeter import columns, separator
from productops.adapters.quality_inputs.json_document import Node, load_line, read_json
from productops.adapters.quality_inputs.numbers import number_of
from productops.adapters.quality_inputs.samples import Labels, Samples
from productops.adapters.quality_inputs.source import Notes, Source, clean_text, lines, refusal
from productops.domain.quality import Parsed
from productops.errors import QualityInputError

FORMAT = "series"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    first = document.at(0) if isinstance(document.value, list) else document.get("series").at(0)
    return fits_line(first) or _is_map(document)


def fits_line(first: Node) -> bool:
    """Whether an object is one value, or several, of a series."""
    return first.has("name") and (first.has("value") or first.has("values"))


def fits_header(header: str) -> bool:
    """Whether a first line names the columns."""
    return {"name", "value"} <= {name.lower() for name in columns(header)}


def _is_map(document: Node) -> bool:
    values = [value for _, value in document.pairs()]
    return bool(values) and all(_numbers(value) is not None for value in values)


def _numbers(value: Node) -> list[Node] | None:
    """The values of a number or a list of numbers; None for anything else. A text is no number here, or any JSON would fit."""
    several = list(value) if isinstance(value.value, list) else [value]
    fine = all(isinstance(each.value, (int, float)) and not isinstance(each.value, bool) for each in several)
    return several if fine and several else None


def read(given: Path | bytes, name: str = "") -> Parsed:
    """All series of a JSON document. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """All series of a JSON document. Raises: QualityInputError."""
    samples = Samples(notes, document.refusal)
    if _is_map(document):
        for name, value in document.pairs():
            values = [each.number() for each in _numbers(value) or []]
            samples.extend(name, "1", values, higher_is_better=None, where=value.path)
    else:
        for entry in document if isinstance(document.value, list) else document.get("series").needs(list, "a list of series"):
            _entry(samples, entry, notes)
    return Parsed(formats=(FORMAT,), series=samples.all())


def _entry(samples: Samples, entry: Node, notes: Notes) -> None:
    name = entry.get("name").text()
    if not name:
        notes.add(entry.path, "has no name")
        return
    values = list(entry.get("values")) or [entry.get("value")]
    better = entry.get("higher_is_better").value
    labels: Labels = tuple(sorted((key[:100], value.text(200)) for key, value in entry.get("labels").pairs()))
    numbers = [value.number() for value in values]
    higher = better if isinstance(better, bool) else None
    samples.extend(name, entry.get("unit").text(60) or "1", numbers, higher_is_better=higher, labels=labels, where=entry.path)


def read_lines(given: Path | bytes, name: str = "") -> Parsed:
    """NDJSON. A line that is none is left out and told. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    samples = Samples(notes, lambda reason: refusal(source.name, reason))
    for number, text in lines(source, notes):
        try:
            entry = load_line(text, name=source.name, line=number)
        except QualityInputError:
            notes.add(f"line {number}", "is no JSON")
            continue
        _entry(samples, entry, notes)
    return Parsed(formats=(FORMAT,), series=samples.all(), skipped=notes.all())


def read_csv(given: Path | bytes, name: str = "") -> Parsed:
    """CSV with a line of column names. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    samples = Samples(notes, lambda reason: refusal(source.name, reason))
    for number, row in _rows(source, notes):
        if not row.get("name"):
            notes.add(f"line {number}", "has no name")
            continue
        value = number_of(row.get("value", ""))
        samples.add(row["name"], row.get("unit") or "1", value, higher_is_better=_better(row), where=f"line {number}")
    return Parsed(formats=(FORMAT,), series=samples.all(), skipped=notes.all())


def _better(row: dict[str, str]) -> bool | None:
    return {"true": True, "false": False}.get(row.get("higher_is_better", "").lower())


def _rows(source: Source, notes: Notes) -> Iterator[tuple[int, dict[str, str]]]:
    texts = (clean_text(line) + "\n" for _, line in lines(source, notes))
    header = next(texts, "")
    if not fits_header(header):
        raise refusal(source.name, "is no table of series: its first line must name the columns name and value", "line 1")
    names = [name.lower() for name in columns(header)]
    rows = csv.reader(texts, delimiter=separator(header))
    try:
        for row in rows:
            yield rows.line_num + 1, dict(zip(names, (cell.strip() for cell in row), strict=False))
    except csv.Error as error:
        raise refusal(source.name, f"is no CSV here: {error}", f"line {rows.line_num + 1}") from error
