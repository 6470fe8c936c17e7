"""pytest-benchmark's JSON: every round where the raw data was saved (``--benchmark-save-data``), else the median."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.samples import Samples
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Parsed

FORMAT = "pytest-benchmark"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("benchmarks") and (document.has("machine_info") or document.get("benchmarks").at(0).has("stats", "fullname"))


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The times of one run, in seconds. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The times of one run, in seconds. Raises: QualityInputError."""
    samples = Samples(notes, document.refusal)
    for benchmark in document.get("benchmarks").needs(list, "a list of benchmarks"):
        name = benchmark.get("fullname").text() or benchmark.get("name").text()
        rounds, group = list(benchmark.get("stats", "data")), benchmark.get("group").text()
        labels = (("group", group),) if group else ()
        if not rounds:
            rounds, labels = [benchmark.get("stats", "median")], (*labels, ("statistic", "median"))
        if not name:
            notes.add(benchmark.path, "has no name")
            continue
        values = (each.number() for each in rounds)
        samples.extend(name, "s", values, higher_is_better=False, labels=labels, where=benchmark.path)
    return Parsed(formats=(FORMAT,), series=samples.all())
