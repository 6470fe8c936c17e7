"""hyperfine's JSON (``--export-json``): every run of every command."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.samples import Samples
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Parsed

FORMAT = "hyperfine"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.get("results").at(0).has("command", "mean")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The times of all commands, in seconds. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The times of all commands, in seconds. Raises: QualityInputError."""
    samples = Samples(notes, document.refusal)
    for result in document.get("results").needs(list, "a list of commands"):
        command = result.get("command").text()
        failed = sum(1 for code in result.get("exit_codes") if code.value != 0)
        if failed:
            notes.add(result.path, f"{failed} runs of {command[:100]!r} ended with an error; how long that took says little")
        labels = tuple(sorted((name[:100], value.text(200)) for name, value in result.get("parameters").pairs()))
        times = list(result.get("times"))
        if not times:
            times, labels = [result.get("mean")], (*labels, ("statistic", "mean"))
        values = (each.number() for each in times)
        samples.extend(command, "s", values, higher_is_better=False, labels=labels, where=result.path)
    return Parsed(formats=(FORMAT,), series=samples.all())
