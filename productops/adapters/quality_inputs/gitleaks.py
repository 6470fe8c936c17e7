"""Gitleaks' JSON: a list of leaks. What leaked is never kept."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.findings import told, within_limit
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Finding, FindingKind, Parsed, Severity, normal_path

FORMAT = "gitleaks"


def fits(document: Node) -> bool:
    """Whether a document is of this format. An empty list may be that of any tool."""
    return document.at(0).has("RuleID", "StartLine")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The leaks of one run. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The leaks of one run. Raises: QualityInputError."""
    findings: list[Finding] = []
    for leak in document.needs(list, "a list of leaks"):
        within_limit(findings, leak)
        if not leak.has("RuleID"):
            notes.add(leak.path, "is no leak of gitleaks")
            continue
        commit = leak.get("Commit").text(40)
        findings.append(
            Finding(
                kind=FindingKind.SECRET,
                tool="gitleaks",
                rule=leak.get("RuleID").text(),
                severity=Severity.HIGH,
                message=told(leak.get("Description")) or "a secret",
                path=normal_path(leak.get("File").text()),
                line=leak.get("StartLine").whole(),
                # The tool's own holds the line; commit and rule stay the same when it moves.
                own_fingerprints=(("commit", commit),) if commit else (),
            )
        )
    return Parsed(formats=(FORMAT,), findings=tuple(findings))
