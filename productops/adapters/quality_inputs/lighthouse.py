"""Lighthouse's JSON: the scores of its categories, and the timings of the page in milliseconds."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.samples import Samples
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Parsed
from productops.redaction import redact

FORMAT = "lighthouse"

_TIMINGS = (
    "first-contentful-paint", "largest-contentful-paint", "speed-index", "total-blocking-time", "cumulative-layout-shift", "interactive",
    "max-potential-fid", "server-response-time", "total-byte-weight", "interaction-to-next-paint",
)  # fmt: skip
_UNITS = {"millisecond": "ms", "second": "s", "byte": "By", "unitless": "1", "element": "1"}


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("lighthouseVersion", "audits")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """Scores and timings of one page. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """Scores and timings of one page. Raises: QualityInputError."""
    samples = Samples(notes, document.refusal)
    failed = document.get("runtimeError", "code").text()
    if failed and failed != "NO_ERROR":
        notes.add("$.runtimeError", f"the page could not be measured: {failed}")
    page = (("page", redact(document.get("requestedUrl").text() or document.get("finalUrl").text())),)
    for key, category in document.get("categories").pairs():
        score = category.get("score").number()
        samples.add(f"{key} score", "1", score, higher_is_better=True, labels=page, where=category.path)
    for key in _TIMINGS:
        audit = document.get("audits", key)
        if audit.get("scoreDisplayMode").text() == "error":
            notes.add(audit.path, audit.get("errorMessage").text(300) or "could not be measured")
        elif audit.get("numericValue").value is not None:
            unit = audit.get("numericUnit").text()
            samples.add(
                key, _UNITS.get(unit, unit), audit.get("numericValue").number(), higher_is_better=False, labels=page, where=audit.path
            )
    return Parsed(formats=(FORMAT,), series=samples.all())
