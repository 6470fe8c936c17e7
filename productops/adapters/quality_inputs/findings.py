"""What the readers of scanners' reports share."""

from __future__ import annotations

import re
from collections.abc import Iterable

from productops.adapters.quality_inputs.cases import message_of
from productops.adapters.quality_inputs.json_document import Node
from productops.adapters.quality_inputs.limits import FINDINGS_MAX
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import MESSAGE_CHARACTERS_MAX, Finding, Severity

_IDENTIFIER = re.compile(
    r"\b(?:CVE-\d{4}-\d{3,}|CWE-\d{1,5}|GHSA(?:-[0-9a-z]{4}){3}|PYSEC-\d{4}-\d+|RUSTSEC-\d{4}-\d{4}|GO-\d{4}-\d+)\b", re.IGNORECASE
)
_ADVISORY = re.compile(r"(?:CVE|GHSA|PYSEC|RUSTSEC|GO|OSV|DSA|DLA|ALAS|ELSA|USN|RHSA|SNYK)-", re.IGNORECASE)


def severity_of(written: Node, notes: Notes, *, score: float | None = None) -> Severity:
    """The severity a tool wrote; where its word says nothing, the one of its CVSS score, else medium. Odd words are noted."""
    word = written.text(60)
    found = Severity.of_word(word)
    otherwise = Severity.of_cvss(score) or Severity.MEDIUM
    if found is None and word and word.lower() not in {"unknown", "undefined", "unassigned"}:
        notes.add(written.path, f"the severity {word!r} is unknown; taken as {otherwise.value}")
    return found or otherwise


def told(*parts: Node) -> str:
    """The texts that are there, as one message without secrets."""
    return message_of(*(part.text(2 * MESSAGE_CHARACTERS_MAX) for part in parts))


def identifiers(texts: Iterable[str]) -> tuple[str, ...]:
    """CVE, CWE, GHSA and the like that occur in the texts, in their own spelling, each once."""
    found = (match for text in texts for match in _IDENTIFIER.findall(text[: 4 * MESSAGE_CHARACTERS_MAX]))
    return tuple(dict.fromkeys(_spelled(each) for each in found))


def _spelled(identifier: str) -> str:
    """``cwe-079`` is CWE-79."""
    upper = identifier.upper()
    if upper.startswith("CWE-"):
        return f"CWE-{int(upper[4:])}"
    return "GHSA" + identifier[4:].lower() if upper.startswith("GHSA") else upper


def is_advisory(rule: str) -> bool:
    """Whether a rule's name is that of a published vulnerability."""
    return bool(_ADVISORY.match(rule))


def within_limit(findings: list[Finding], place: Node) -> None:
    """Raises: QualityInputError when there are too many."""
    if len(findings) >= FINDINGS_MAX:
        raise place.refusal(f"has more than {FINDINGS_MAX:,} findings")
