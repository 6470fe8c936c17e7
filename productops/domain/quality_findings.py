"""What scanners object to, in one shape: findings with severities that compare, and fingerprints that outlive a shift of lines."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from enum import StrEnum

MESSAGE_CHARACTERS_MAX = 2_000

_NUMBERS = re.compile(r"\d+")
_SPACE = re.compile(r"\s+")
_CVSS_STEPS = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.0, "low"))
_WORDS = {
    "critical": "critical", "blocker": "critical",
    "high": "high", "error": "high", "important": "high", "serious": "high", "major": "high",
    "medium": "medium", "moderate": "medium", "warning": "medium", "warn": "medium",
    "low": "low", "note": "low", "minor": "low", "negligible": "low", "unimportant": "low",
    "info": "info", "information": "info", "informational": "info", "none": "info", "inventory": "info", "experiment": "info",
}  # fmt: skip


class FindingKind(StrEnum):
    """What a finding is about; gates set a limit for each."""

    CODE = "code"
    VULNERABILITY = "vulnerability"
    SECRET = "secret"  # noqa: S105 - a kind of finding
    LICENCE = "licence"


class Severity(StrEnum):
    """How bad it is, from the worst down; ``rank`` orders them, 4 is the worst."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """4 for critical down to 0 for info."""
        return 4 - list(Severity).index(self)

    @classmethod
    def of_word(cls, word: str, otherwise: Severity | None = None) -> Severity | None:
        """What a tool's own word means; ``otherwise`` for a word nobody knows."""
        found = _WORDS.get(word.strip().lower())
        return cls(found) if found else otherwise

    @classmethod
    def of_cvss(cls, score: float | None) -> Severity | None:
        """The step of a CVSS base score; None outside 0 … 10. Source: CVSS v3.1 specification, section 5."""
        if score is None or not math.isfinite(score) or not 0 <= score <= 10:
            return None
        return cls.INFO if score == 0 else next(cls(word) for limit, word in _CVSS_STEPS if score >= limit)


@dataclass(frozen=True, slots=True)
class Finding:
    """One objection of one tool. ``path`` is normal (``normal_path``), ``line`` 1-based, ``cvss`` 0 … 10; empty or None is unknown.

    ``baseline`` is what the tool says of it against its own last run: ``new``, ``unchanged``, ``updated`` or nothing.
    """

    kind: FindingKind
    tool: str
    rule: str
    severity: Severity
    message: str
    path: str = ""
    line: int | None = None
    package: str = ""
    version: str = ""
    fixed_in: str = ""
    identifiers: tuple[str, ...] = ()
    cvss: float | None = None
    baseline: str = ""
    own_fingerprints: tuple[tuple[str, str], ...] = ()

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits: the same problem has the same ones on every machine and when lines move.

        Two places of one file with the same problem share them: compare how many there are, not only whether. A vulnerability is told
        by rule and package: its text is the advisory's, which is edited later.
        """
        told = "" if self.kind is FindingKind.VULNERABILITY and self.package else _without_numbers(self.message)
        own = [f"{name}={value}" for name, value in sorted(self.own_fingerprints)]
        parts = [self.kind.value, self.rule, self.path, told, self.package, *own]
        return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


def _without_numbers(message: str) -> str:
    """The message without what changes when lines, columns or sizes do."""
    return _SPACE.sub(" ", _NUMBERS.sub("", message)).strip().lower()
