"""``npm audit --json``: version 2 of its report (npm 7 and later) and version 1 (npm 6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from productops.adapters.quality_inputs.findings import identifiers, severity_of, told, within_limit
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Finding, FindingKind, Parsed

FORMAT = "npm-audit"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("auditReportVersion") or document.has("advisories", "metadata") or _is_error(document)


def _is_error(document: Node) -> bool:
    """What npm writes when it has no lock file, or the registry answers no audits."""
    return document.get("error").has("summary")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The advisories for the packages. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The advisories for the packages; one that reaches a package by another is told once. Raises: QualityInputError."""
    if _is_error(document):
        raise document.refusal(f"npm could not audit: {told(document.get('message'), document.get('error', 'summary'))[:300]}")
    findings: list[Finding] = []
    for finding, place in _second(document, notes) if document.has("auditReportVersion") else _first(document, notes):
        within_limit(findings, place)
        findings.append(finding)
    return Parsed(formats=(FORMAT,), findings=tuple(findings))


def _second(document: Node, notes: Notes) -> Iterator[tuple[Finding, Node]]:
    """Packages name advisories, or packages through which they are reached; those name the advisories themselves."""
    document.get("vulnerabilities").needs(dict, "an object of packages")
    for package, about in document.get("vulnerabilities").pairs():
        fix = about.get("fixAvailable")
        for cause in about.get("via"):
            if isinstance(cause.value, dict):
                names = [cause.get("url").text().rpartition("/")[2], *(each.text() for each in cause.get("cwe"))]
                yield _finding(cause, names, notes, (cause.get("name").text() or package, "", _fix(fix))), cause


def _fix(fix: Node) -> str:
    return f"{fix.get('name').text()} {fix.get('version').text()}".strip() or ("npm audit fix" if fix.value is True else "")


def _first(document: Node, notes: Notes) -> Iterator[tuple[Finding, Node]]:
    document.get("advisories").needs(dict, "an object of advisories")
    for _, advisory in document.get("advisories").pairs():
        weakness = advisory.get("cwe")
        names = [
            advisory.get("github_advisory_id").text() or advisory.get("url").text().rpartition("/")[2],
            *(each.text() for each in advisory.get("cves")), *(each.text() for each in weakness), weakness.text(),
        ]  # fmt: skip
        there = advisory.get("findings").at(0).get("version").text()
        yield (
            _finding(advisory, names, notes, (advisory.get("module_name").text(), there, advisory.get("patched_versions").text())),
            advisory,
        )


def _finding(about: Node, names: list[str], notes: Notes, package: tuple[str, str, str]) -> Finding:
    score = about.get("cvss", "score").number()
    return Finding(
        kind=FindingKind.VULNERABILITY,
        tool="npm-audit",
        rule=names[0] or about.get("source").text() or about.get("id").text(),
        severity=severity_of(about.get("severity"), notes),
        message=told(about.get("title")),
        package=package[0],
        version=package[1],
        fixed_in=package[2],
        identifiers=identifiers(names),
        cvss=score if score and score <= 10 else None,
    )
