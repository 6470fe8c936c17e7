"""Semgrep's JSON."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.findings import identifiers, severity_of, told, within_limit
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Finding, FindingKind, Parsed, normal_path

FORMAT = "semgrep"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("results", "errors", "paths") or document.get("results").at(0).has("check_id")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The findings of one run. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The findings of one run; those marked ``nosem`` apart. Raises: QualityInputError."""
    for error in document.get("errors"):
        if error.get("level").text() != "info":
            notes.add(error.get("path").text() or error.path, told(error.get("message")) or "could not be scanned")
    findings: list[Finding] = []
    suppressed: list[Finding] = []
    for result in document.get("results").needs(list, "a list of results"):
        within_limit(findings, result)
        (suppressed if result.get("extra", "is_ignored").value is True else findings).append(_finding(result, notes))
    return Parsed(formats=(FORMAT,), findings=tuple(findings), suppressed=tuple(suppressed))


def _finding(result: Node, notes: Notes) -> Finding:
    extra, rule = result.get("extra"), result.get("check_id").text()
    about = extra.get("metadata")
    weaknesses = [each.text() for each in about.get("cwe")] or [about.get("cwe").text()]
    secret = "secrets" in rule.split(".") or about.get("category").text() == "secrets"
    own = extra.get("fingerprint").text(200)
    return Finding(
        kind=FindingKind.SECRET if secret else FindingKind.VULNERABILITY if extra.has("sca_info") else FindingKind.CODE,
        tool="semgrep",
        rule=rule,
        severity=severity_of(extra.get("severity"), notes),
        message=told(extra.get("message")),
        path=normal_path(result.get("path").text()),
        line=result.get("start", "line").whole(),
        package=extra.get("sca_info", "dependency_match", "found_dependency", "package").text(),
        version=extra.get("sca_info", "dependency_match", "found_dependency", "version").text(),
        identifiers=identifiers(weaknesses),
        # Without a login Semgrep writes the same words for every finding.
        own_fingerprints=(("semgrep", own),) if own and own != "requires login" else (),
    )
