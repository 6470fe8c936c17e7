"""JMeter's result file (JTL) as CSV with its line of column names: how long each request took, by label, and the share of failures."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from productops.adapters.quality_inputs.numbers import number_of
from productops.adapters.quality_inputs.samples import Samples
from productops.adapters.quality_inputs.source import Notes, Source, clean_text, lines, refusal
from productops.domain.quality import Parsed

FORMAT = "jmeter"

_NEEDED = frozenset({"elapsed", "label", "success"})


def fits(header: str) -> bool:
    """Whether a first line names JMeter's columns."""
    return set(columns(header)) >= _NEEDED


def columns(header: str) -> list[str]:
    """The names in a first line; nothing where it is no CSV."""
    try:
        return [name.strip() for name in next(csv.reader([header.lstrip("\ufeff").strip()], delimiter=separator(header)), [])]
    except csv.Error:
        return []


def separator(header: str) -> str:
    """The character between columns: JMeter lets its users choose."""
    return max((",", ";", "\t", "|"), key=header.count)


def read(given: Path | bytes, name: str = "") -> Parsed:
    """Milliseconds per request by label. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    samples = Samples(notes, lambda reason: refusal(source.name, reason))
    outcomes: dict[str, list[int]] = {}
    for number, row in _rows(source, notes):
        elapsed = number_of(row["elapsed"])
        if elapsed is None or elapsed < 0 or row["success"].lower() not in {"true", "false"}:
            notes.add(f"line {number}", f"is no sample: elapsed {row['elapsed'][:40]!r}, success {row['success'][:40]!r}")
            continue
        label = clean_text(row["label"])
        samples.add(label, "ms", elapsed, higher_is_better=False)
        count = outcomes.setdefault(label, [0, 0])
        count[0] += 1
        count[1] += row["success"].lower() == "false"
    for label, (total, failed) in outcomes.items():
        samples.add(f"{label} failures", "1", failed / total, higher_is_better=False)
    return Parsed(formats=(FORMAT,), series=samples.all(), skipped=notes.all())


def _rows(source: Source, notes: Notes) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and the columns that are needed. Raises: QualityInputError."""
    texts = (line + "\n" for _, line in lines(source, notes))
    header = next(texts, "")
    if not fits(header):
        raise refusal(source.name, f"is no result file of JMeter: its first line must name {', '.join(sorted(_NEEDED))}", "line 1")
    names = columns(header)
    places = {name: names.index(name) for name in _NEEDED}
    rows = csv.reader(texts, delimiter=separator(header))
    try:
        for row in rows:
            if len(row) < len(names):
                notes.add(f"line {rows.line_num + 1}", f"has {len(row)} columns of {len(names)}")
            else:
                yield rows.line_num + 1, {name: row[place] for name, place in places.items()}
    except csv.Error as error:
        raise refusal(source.name, f"is no CSV here: {error}", f"line {rows.line_num + 1}") from error
