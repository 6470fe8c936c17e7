"""CycloneDX 1.2 to 1.6, what its JSON and its XML share: parts, licences, and the vulnerabilities told with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from productops.adapters.quality_inputs.cases import message_of
from productops.adapters.quality_inputs.findings import identifiers
from productops.adapters.quality_inputs.limits import COMPONENTS_MAX, FINDINGS_MAX
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Component, Finding, FindingKind, Parsed, Severity
from productops.errors import QualityInputError

FORMAT = "cyclonedx"

# Somebody has looked and said so. Source: CycloneDX 1.6, impactAnalysisState.
_SETTLED = frozenset({"not_affected", "false_positive", "resolved", "resolved_with_pedigree"})


@dataclass(slots=True)
class Part:
    """A component as it stands in the list."""

    reference: str = ""
    group: str = ""
    name: str = ""
    version: str = ""
    purl: str = ""
    licences: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Hole:
    """A vulnerability as it stands in the list. ``ratings`` are score, severity and method; ``affects`` names references."""

    where: str = ""
    id: str = ""
    tool: str = ""
    description: str = ""
    recommendation: str = ""
    state: str = ""
    ratings: list[tuple[float | None, str, str]] = field(default_factory=list)
    weaknesses: list[str] = field(default_factory=list)
    affects: list[str] = field(default_factory=list)


class Bill:
    """``part`` and ``hole`` for each that is read, then ``parsed``."""

    def __init__(self, notes: Notes, refuse: Callable[[str], QualityInputError]) -> None:
        self._notes, self._refuse = notes, refuse
        self._parts: list[Component] = []
        self._by_reference: dict[str, Component] = {}
        self._holes: list[Hole] = []

    def part(self, part: Part) -> None:
        """A component. Raises: QualityInputError when there are too many."""
        if not part.name:
            self._notes.add(part.reference or "a component", "has no name")
            return
        if len(self._parts) >= COMPONENTS_MAX:
            raise self._refuse(f"has more than {COMPONENTS_MAX:,} components")
        name = f"{part.group}/{part.name}" if part.group else part.name
        made = Component(name, part.version, part.purl, tuple(dict.fromkeys(part.licences)))
        self._parts.append(made)
        if part.reference:
            self._by_reference[part.reference] = made

    def hole(self, hole: Hole) -> None:
        """A vulnerability. Raises: QualityInputError when there are too many."""
        if len(self._holes) >= FINDINGS_MAX:
            raise self._refuse(f"has more than {FINDINGS_MAX:,} vulnerabilities")
        self._holes.append(hole)

    def parsed(self) -> Parsed:
        """Everything; a vulnerability is told for each component that it affects. Raises: QualityInputError."""
        kept: dict[bool, list[Finding]] = {False: [], True: []}
        for hole in self._holes:
            for reference in hole.affects or [""]:
                if sum(map(len, kept.values())) >= FINDINGS_MAX:
                    raise self._refuse(f"has more than {FINDINGS_MAX:,} vulnerabilities")
                kept[hole.state in _SETTLED].append(self._finding(hole, reference))
        return Parsed(formats=(FORMAT,), components=tuple(self._parts), findings=tuple(kept[False]), suppressed=tuple(kept[True]))

    def _finding(self, hole: Hole, reference: str) -> Finding:
        part = self._by_reference.get(reference) or self._by_reference.get(reference.partition("#")[2]) or Component(reference[-300:])
        scores = [score for score, _, method in hole.ratings if score is not None and 0 <= score <= 10 and "OWASP" not in method.upper()]
        words = [found for found in (Severity.of_word(word) for _, word, _ in hole.ratings) if found]
        score = max(scores, default=None)
        worst = max(words, key=lambda severity: severity.rank, default=None)
        if worst is None and any(word and word != "unknown" for _, word, _ in hole.ratings):
            self._notes.add(hole.where, "its severity is none of CycloneDX's")
        return Finding(
            kind=FindingKind.VULNERABILITY,
            tool=hole.tool or "cyclonedx",
            rule=hole.id or "(no id)",
            severity=worst or Severity.of_cvss(score) or Severity.MEDIUM,
            message=message_of(hole.description),
            package=part.name,
            version=part.version,
            fixed_in=hole.recommendation[:300],
            identifiers=identifiers([hole.id, *(f"CWE-{number}" for number in hole.weaknesses)]),
            cvss=score,
        )
