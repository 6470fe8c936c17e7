"""Grype's JSON; matches that its rules ignore are told apart."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.findings import identifiers, severity_of, told, within_limit
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Finding, FindingKind, Parsed, normal_path

FORMAT = "grype"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("matches") and (document.has("descriptor") or document.get("matches").at(0).has("vulnerability", "artifact"))


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The vulnerable packages. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The vulnerable packages. Raises: QualityInputError."""
    kept: dict[str, list[Finding]] = {"matches": [], "ignoredMatches": []}
    document.get("matches").needs(list, "a list of matches")
    for kind, findings in kept.items():
        for match in document.get(kind):
            within_limit(findings, match)
            findings.append(_finding(match, notes))
    return Parsed(formats=(FORMAT,), findings=tuple(kept["matches"]), suppressed=tuple(kept["ignoredMatches"]))


def _finding(match: Node, notes: Notes) -> Finding:
    hole, part = match.get("vulnerability"), match.get("artifact")
    related = list(match.get("relatedVulnerabilities"))
    scores = [each.get("metrics", "baseScore").number() for about in (hole, *related) for each in about.get("cvss")]
    score = max((score for score in scores if score is not None and 0 <= score <= 10), default=None)
    names = [hole.get("id").text(), *(each.get("id").text() for each in related)]
    return Finding(
        kind=FindingKind.VULNERABILITY,
        tool="grype",
        rule=names[0],
        severity=severity_of(hole.get("severity"), notes, score=score),
        message=told(hole.get("description")) or next((text for text in (told(each.get("description")) for each in related) if text), ""),
        path=normal_path(part.get("locations").at(0).get("path").text()),
        package=part.get("name").text(),
        version=part.get("version").text(),
        fixed_in=", ".join(version.text(100) for version in hole.get("fix", "versions"))[:300],
        identifiers=identifiers(names),
        cvss=score,
    )
