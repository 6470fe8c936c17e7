"""Trivy's JSON: vulnerabilities, misconfigurations, secrets and licences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from productops.adapters.quality_inputs.findings import identifiers, severity_of, told, within_limit
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Component, Finding, FindingKind, Parsed, normal_path

FORMAT = "trivy"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("ArtifactName") and (document.has("Results") or document.has("SchemaVersion"))


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The findings of one scan. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The findings of one scan, and the packages where it lists them. Raises: QualityInputError."""
    findings: list[Finding] = []
    parts: list[Component] = []
    for result in document.get("Results"):
        # The packages of an image's system stand under the image's name and tag, which change with every release.
        of_system = result.get("Class").text() == "os-pkgs"
        path = "" if of_system else normal_path(result.get("Target").text())
        for finding in _findings(result, path, notes):
            within_limit(findings, result)
            findings.append(finding)
        parts += [_part(package) for package in result.get("Packages") if package.get("Name").text()]
    return Parsed(formats=(FORMAT,), findings=tuple(findings), components=tuple(parts))


def _findings(result: Node, path: str, notes: Notes) -> Iterator[Finding]:
    for hole in result.get("Vulnerabilities"):
        yield _vulnerability(hole, path, notes)
    for fault in result.get("Misconfigurations"):
        if fault.get("Status").text() in {"", "FAIL"}:
            told_by, line = told(fault.get("Title"), fault.get("Message")), fault.get("CauseMetadata", "StartLine").whole()
            rule = fault.get("AVDID").text() or fault.get("ID").text()
            yield Finding(FindingKind.CODE, "trivy", rule, severity_of(fault.get("Severity"), notes), told_by, path, line)
    for leak in result.get("Secrets"):
        # Its Match shows the secret's surroundings: never kept.
        rule, severity = leak.get("RuleID").text(), severity_of(leak.get("Severity"), notes)
        yield Finding(FindingKind.SECRET, "trivy", rule, severity, told(leak.get("Title")), path, leak.get("StartLine").whole())
    for licence in result.get("Licenses"):
        name, severity = licence.get("Name").text(), severity_of(licence.get("Severity"), notes)
        where = normal_path(licence.get("FilePath").text()) or path
        message = f"licence {name} ({licence.get('Category').text() or 'no category'})"
        yield Finding(FindingKind.LICENCE, "trivy", name, severity, message, where, None, licence.get("PkgName").text())


def _vulnerability(hole: Node, path: str, notes: Notes) -> Finding:
    scores = [score for _, by in hole.get("CVSS").pairs() for score in (by.get("V3Score").number(), by.get("V40Score").number()) if score]
    score = max((score for score in scores if 0 <= score <= 10), default=None)
    names = [hole.get("VulnerabilityID").text(), *(each.text() for each in hole.get("CweIDs"))]
    names += [each.text() for each in hole.get("VendorIDs")]
    return Finding(
        kind=FindingKind.VULNERABILITY,
        tool="trivy",
        rule=names[0],
        severity=severity_of(hole.get("Severity"), notes, score=score),
        message=told(hole.get("Title")) or told(hole.get("Description")),
        path=path,
        package=hole.get("PkgName").text(),
        version=hole.get("InstalledVersion").text(),
        fixed_in=hole.get("FixedVersion").text(),
        identifiers=identifiers(names),
        cvss=score,
    )


def _part(package: Node) -> Component:
    licences = tuple(licence.text() for licence in package.get("Licenses") if licence.text())
    return Component(package.get("Name").text(), package.get("Version").text(), package.get("Identifier", "PURL").text(), licences)
