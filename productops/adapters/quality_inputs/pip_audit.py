"""pip-audit's JSON, with and without its outer object. It knows no severities: a finding without a score is taken as high."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.findings import identifiers, told, within_limit
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Finding, FindingKind, Parsed, Severity

FORMAT = "pip-audit"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    first = document.get("dependencies").at(0) if document.has("dependencies") else document.at(0)
    return (first.has("name") and (first.has("vulns") or first.has("skip_reason"))) or (document.has("dependencies", "fixes"))


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The vulnerable packages. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The vulnerable packages. Raises: QualityInputError."""
    packages = document.get("dependencies") if document.has("dependencies") else document
    findings: list[Finding] = []
    for package in packages.needs(list, "a list of packages"):
        if package.has("skip_reason"):
            notes.add(package.get("name").text(), told(package.get("skip_reason")) or "was not looked at")
        for hole in package.get("vulns"):
            within_limit(findings, hole)
            names = [hole.get("id").text(), *(alias.text() for alias in hole.get("aliases"))]
            findings.append(
                Finding(
                    kind=FindingKind.VULNERABILITY,
                    tool="pip-audit",
                    rule=names[0],
                    severity=Severity.HIGH,
                    message=told(hole.get("description")),
                    package=package.get("name").text(),
                    version=package.get("version").text(),
                    fixed_in=", ".join(version.text(100) for version in hole.get("fix_versions"))[:300],
                    identifiers=identifiers(names),
                )
            )
    return Parsed(formats=(FORMAT,), findings=tuple(findings))
