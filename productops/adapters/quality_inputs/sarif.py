"""SARIF 2.1.0, read leniently: what tools write is often not what the standard says. Source: OASIS SARIF v2.1.0, section 3."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from productops.adapters.quality_inputs import sarif_rules
from productops.adapters.quality_inputs.findings import identifiers, told, within_limit
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.sarif_rules import Rules
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Finding, Parsed, normal_path

FORMAT = "sarif"

# Other kinds are not complaints: a rule that was looked at and is kept, or does not apply.
_COMPLAINTS = frozenset({"", "fail", "open", "review", "informational"})
_BASELINES = frozenset({"new", "unchanged", "updated"})


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("runs") and (
        document.has("version") or "sarif" in document.get("$schema").text().lower() or document.get("runs").at(0).has("tool")
    )


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The findings of all runs. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The findings of all runs; suppressed ones apart. Raises: QualityInputError."""
    open_: list[Finding] = []
    suppressed: list[Finding] = []
    version = document.get("version").text()
    if version and not version.startswith("2.1"):
        notes.add("$.version", f"is SARIF {version!r}; read as 2.1.0")
    for run in document.get("runs").needs(list, "a list of runs"):
        _run_ended(run, notes)
        rules = Rules.of(run)
        for result in run.get("results"):
            within_limit(open_, result)
            within_limit(suppressed, result)
            finding = _finding(run, result, rules, notes)
            if finding is not None:
                (suppressed if _is_suppressed(result) else open_).append(finding)
    return Parsed(formats=(FORMAT,), findings=tuple(open_), suppressed=tuple(suppressed))


def _run_ended(run: Node, notes: Notes) -> None:
    """A scan that broke off has found nothing, which is not the same as nothing to find."""
    if not run.has("tool"):
        notes.add(run.path, "names no tool")
    if run.get("results").value is None:
        notes.add(run.path, "has no results: the tool did not scan, or did not say what it found")
    for invocation in run.get("invocations"):
        if invocation.get("executionSuccessful").value is False:
            notes.add(invocation.path, "the tool says that it did not succeed")
        for kind in ("toolExecutionNotifications", "toolConfigurationNotifications"):
            for notification in invocation.get(kind):
                if notification.get("level").text() == "error":
                    notes.add(notification.path, told(notification.get("message", "text")) or "the tool reports an error of its own")


def _finding(run: Node, result: Node, rules: Rules, notes: Notes) -> Finding | None:
    if not isinstance(result.value, dict):
        notes.add(result.path, "is no result")
        return None
    if result.get("kind").text() not in _COMPLAINTS or result.get("baselineState").text() == "absent":
        return None
    rule_name, rule = rules.of_result(result)
    if not rule_name and not result.get("message").value:
        notes.add(result.path, "has neither a rule nor a message")
        return None
    found = Finding(
        kind=sarif_rules.kind_of(rules.tool, rule_name, rule, result),
        tool=rules.tool,
        rule=rule_name,
        severity=sarif_rules.severity_of(result, rule, rules, notes),
        message=_message(result, rule),
        identifiers=identifiers(
            (rule_name, *(each.text() for each in sarif_rules.tags_of(rule)), rule.get("shortDescription", "text").text(500))
        ),
        cvss=sarif_rules.cvss_of(result, rule),
        baseline=result.get("baselineState").text() if result.get("baselineState").text() in _BASELINES else "",
        own_fingerprints=tuple(
            sorted((name[:100], value.text(200)) for name, value in result.get("partialFingerprints").pairs() if value.text())
        )[:10],
    )
    return _placed(found, run, result, notes)


def _message(result: Node, rule: Node) -> str:
    """The text, or the rule's own text for the message's id, with its places filled in."""
    message = result.get("message")
    if isinstance(message.value, str):  # not the standard, and common
        return told(message)
    text = told(message.get("text")) or told(message.get("markdown"))
    if not text:
        text = told(rule.get("messageStrings", message.get("id").text() or "default", "text")) or told(rule.get("shortDescription", "text"))
    for place, argument in enumerate(list(message.get("arguments"))[:20]):
        text = text.replace(f"{{{place}}}", argument.text(200))
    return text[:2000] or told(rule.get("fullDescription", "text"), rule.get("name"))


def _placed(finding: Finding, run: Node, result: Node, notes: Notes) -> Finding:
    """The first place that names a file."""
    for location in result.get("locations"):
        physical = location.get("physicalLocation")
        artifact = physical.get("artifactLocation")
        uri = artifact.get("uri").text() or run.get("artifacts").at(_index(artifact)).get("location", "uri").text()
        if uri:
            return replace(finding, path=_relative(run, artifact, uri), line=physical.get("region", "startLine").whole())
    if result.get("locations").value:
        notes.add(result.path, "names no file at its location")
    return finding


def _index(artifact: Node) -> int:
    found = artifact.get("index").number()
    return int(found) if found is not None and 0 <= found < 2**31 else -1


def _relative(run: Node, artifact: Node, uri: str) -> str:
    """Relative to the folder that the run names as its base, if the path lies there."""
    path = normal_path(uri if "%" not in uri or uri.startswith("file:") else f"file:{uri}")
    bases = [run.get("originalUriBaseIds", artifact.get("uriBaseId").text() or "-", "uri").text()]
    bases += [base.get("uri").text() for _, base in run.get("originalUriBaseIds").pairs()]
    for base in bases:
        root = normal_path(base)
        if len(root) > 1 and path.startswith(root + "/"):
            return path[len(root) + 1 :]
    return path


def _is_suppressed(result: Node) -> bool:
    """Waived in the source or in the tool, and not only asked for. Source: section 3.27.23."""
    states = [each.get("status").text() or each.get("state").text() for each in result.get("suppressions")]
    return bool(states) and not any(state in {"underReview", "rejected"} for state in states)
