"""k6: its summary (``--summary-export`` and ``handleSummary``), and its stream of points (``--out json``). Thresholds become tests."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.cases import Cases
from productops.adapters.quality_inputs.json_document import Node, load_line, read_json
from productops.adapters.quality_inputs.samples import Samples
from productops.adapters.quality_inputs.source import Notes, Source, lines, refusal
from productops.domain.quality import CaseResult, Outcome, Parsed
from productops.errors import QualityInputError

FORMAT = "k6"

_UNITS = {"time": "ms", "data": "By"}
# k6's own metrics of which more is better; its other ones are times and failures.
_MORE_IS_BETTER = frozenset({"http_reqs", "iterations", "checks", "data_received", "data_sent"})
_NEUTRAL = frozenset({"vus", "vus_max", "data_received", "data_sent"})
_COUNTS = frozenset({"count", "passes", "fails"})
_SUITE = "k6 thresholds"


def fits(document: Node) -> bool:
    """Whether a document is a summary of k6."""
    return document.has("metrics") and (document.has("root_group") or document.get("metrics").has("iterations") or document.has("state"))


def fits_line(first: Node) -> bool:
    """Whether a first line is of the stream."""
    return first.get("type").text() in {"Metric", "Point"} and first.has("data")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """A summary: one value for each statistic of each metric. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """A summary: one value for each statistic of each metric. Raises: QualityInputError."""
    samples, cases = Samples(notes, document.refusal), Cases()
    document.get("metrics").needs(dict, "an object of metrics")
    for name, metric in document.get("metrics").pairs():
        for expression, threshold in metric.get("thresholds").pairs():
            # The older export says whether it was crossed, the newer one whether it held.
            held = threshold.get("ok").value is True if isinstance(threshold.value, dict) else threshold.value is False
            outcome = Outcome.PASSED if held else Outcome.FAILED
            cases.add(CaseResult(_SUITE, name, expression, outcome, message="" if held else "crossed"), twice_is_rerun=False)
        values = metric.get("values") if metric.has("values") else metric
        unit = _unit(name, metric.get("contains").text())
        for statistic, value in values.pairs():
            if isinstance(value.value, (int, float)) and not isinstance(value.value, bool):
                _statistic(samples, name, statistic, unit, value)
    return Parsed(formats=(FORMAT,), tests=cases.all(), series=samples.all())


def _statistic(samples: Samples, name: str, statistic: str, unit: str, value: Node) -> None:
    better = None if statistic in _COUNTS else _better(name)
    if statistic == "rate" and name != "checks":
        unit = "By/s" if name.startswith("data_") else "1/s"
    elif statistic in _COUNTS and unit == "ms":
        unit = "1"
    samples.add(f"{name} {statistic}", unit, value.number(), higher_is_better=better, where=value.path)


def _unit(name: str, contains: str) -> str:
    """A summary of the older form does not say what a metric contains; k6's own times are named so."""
    if contains:
        return _UNITS.get(contains, "1")
    bare = name.partition("{")[0]
    return "ms" if (bare.startswith("http_req_") and bare != "http_req_failed") or bare.endswith(("_duration", "_time")) else "1"


def _better(name: str) -> bool | None:
    bare = name.partition("{")[0]
    return None if bare in _NEUTRAL else bare in _MORE_IS_BETTER


def read_lines(given: Path | bytes, name: str = "") -> Parsed:
    """The stream of points: every value, by metric and scenario. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    samples = Samples(notes, lambda reason: refusal(source.name, reason))
    contains: dict[str, str] = {}
    for number, text in lines(source, notes):
        try:
            line = load_line(text, name=source.name, line=number)
        except QualityInputError:
            notes.add(f"line {number}", "is no JSON")
            continue
        if line.get("type").text() == "Metric":
            contains[line.get("data", "name").text()] = line.get("data", "contains").text()
        elif line.get("type").text() == "Point":
            metric, scenario = line.get("metric").text(), line.get("data", "tags", "scenario").text()
            labels = (("scenario", scenario),) if scenario and scenario != "default" else ()
            unit, value = _unit(metric, contains.get(metric, "")), line.get("data", "value").number()
            samples.add(metric, unit, value, higher_is_better=_better(metric), labels=labels, where=f"line {number}")
        else:
            notes.add(f"line {number}", "is neither a metric nor a point")
    return Parsed(formats=(FORMAT,), series=samples.all(), skipped=notes.all())
