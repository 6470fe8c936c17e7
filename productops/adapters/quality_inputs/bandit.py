"""Bandit's JSON."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.findings import severity_of, told, within_limit
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Finding, FindingKind, Parsed, normal_path

FORMAT = "bandit"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("results", "metrics", "generated_at") or (
        document.has("results", "errors") and document.get("results").at(0).has("test_id")
    )


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The findings of one run. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The findings of one run. Raises: QualityInputError."""
    for error in document.get("errors"):
        notes.add(error.get("filename").text() or error.path, told(error.get("reason")) or "could not be scanned")
    findings: list[Finding] = []
    for result in document.get("results").needs(list, "a list of results"):
        within_limit(findings, result)
        weakness = result.get("issue_cwe", "id").text()
        findings.append(
            Finding(
                kind=FindingKind.CODE,
                tool="bandit",
                rule=result.get("test_id").text(),
                severity=severity_of(result.get("issue_severity"), notes),
                message=told(result.get("issue_text")),
                path=normal_path(result.get("filename").text()),
                line=result.get("line_number").whole(),
                identifiers=(f"CWE-{weakness}",) if weakness else (),
            )
        )
    return Parsed(formats=(FORMAT,), findings=tuple(findings))
