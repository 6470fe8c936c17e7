"""What a SARIF result is about: its rule, and how bad it is. Source: OASIS SARIF v2.1.0, sections 3.27, 3.49 to 3.52."""

from __future__ import annotations

from dataclasses import dataclass

from productops.adapters.quality_inputs.findings import is_advisory
from productops.adapters.quality_inputs.json_document import Node
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import FindingKind, Severity

_LEVELS = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "note": Severity.LOW, "none": Severity.INFO}
_SECRET_TOOLS = ("gitleaks", "trufflehog", "detect-secrets", "ggshield", "secretlint")
_SECRET_TAGS = frozenset({"secret", "secrets", "cwe-798", "external/cwe/cwe-798"})
_VULNERABILITY_TAGS = frozenset({"vulnerability", "sca", "dependency"})


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one run, of the tool itself and its extensions, by position and by name."""

    tool: str
    driver: Node
    extensions: Node
    by_name: dict[str, Node]
    overrides: dict[str, str]

    @classmethod
    def of(cls, run: Node) -> Rules:
        """Those of a run."""
        driver, extensions = run.get("tool", "driver"), run.get("tool", "extensions")
        by_name: dict[str, Node] = {}
        for component in (driver, *extensions):
            for rule in component.get("rules"):
                by_name.setdefault(rule.get("id").text(), rule)
        overrides = {
            override.get("descriptor", "id").text(): override.get("configuration", "level").text()
            for invocation in run.get("invocations")
            for override in invocation.get("ruleConfigurationOverrides")
        }
        return cls(driver.get("name").text() or "unknown", driver, extensions, by_name, overrides)

    def of_result(self, result: Node) -> tuple[str, Node]:
        """The rule's name and its description, which is nothing when the tool does not describe it."""
        name = result.get("ruleId").text() or result.get("rule", "id").text()
        place = result.get("rule", "index").number()
        place = result.get("ruleIndex").number() if place is None else place
        described = self._component(result).get("rules").at(int(place) if place is not None and 0 <= place < 2**31 else -1)
        identity = described.get("id").text()
        if described.value is None or (name and identity and name != identity and not name.startswith(identity + "/")):
            described = self.by_name.get(name) or self.by_name.get(name.partition("/")[0]) or Node(result.file, None, result.path)
        return name or described.get("id").text(), described

    def _component(self, result: Node) -> Node:
        place = result.get("rule", "toolComponent", "index").number()
        return self.extensions.at(int(place)) if place is not None and 0 <= place < 2**31 else self.driver


def tags_of(rule: Node) -> Node:
    """The rule's tags."""
    return rule.get("properties", "tags")


def cvss_of(result: Node, rule: Node) -> float | None:
    """The score most scanners write as ``security-severity``, 0 … 10."""
    for place in (result, rule):
        score = place.get("properties", "security-severity").number()
        if score is not None and 0 <= score <= 10:
            return score
    return None


def severity_of(result: Node, rule: Node, rules: Rules, notes: Notes) -> Severity:
    """By score; else by level: the result's, an override's, the rule's; else ``warning``, as the standard has it."""
    scored = Severity.of_cvss(cvss_of(result, rule))
    if scored is not None:
        return scored
    levels = (
        result.get("level").text(), rules.overrides.get(result.get("ruleId").text(), ""), rule.get("defaultConfiguration", "level").text()
    )  # fmt: skip
    written = next((level for level in levels if level), "warning")
    found = _LEVELS.get(written) or Severity.of_word(written)
    if found is None:
        notes.add(result.path, f"the level {written[:40]!r} is none of SARIF's; taken as warning")
    return found or Severity.MEDIUM


def kind_of(tool: str, name: str, rule: Node, result: Node) -> FindingKind:
    """What it is about, as far as tool, rule and tags tell; code otherwise."""
    tags = {tag.text().lower() for tag in tags_of(rule)} | {tag.text().lower() for tag in tags_of(result)}
    if tool.lower().startswith(_SECRET_TOOLS) or tags & _SECRET_TAGS or "secret" in rule.get("name").text().lower():
        return FindingKind.SECRET
    if is_advisory(name) or tags & _VULNERABILITY_TAGS:
        return FindingKind.VULNERABILITY
    return FindingKind.LICENCE if tags & {"license", "licence"} else FindingKind.CODE
