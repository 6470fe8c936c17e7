"""What the gates are given: the parsed inputs, and what the store knows beside them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache

from productops.domain.quality import Parsed
from productops.domain.quality_gates_diff import ChangedLines
from productops.domain.quality_runs import SignOff, Waiver

TEST_FORMATS = frozenset({"junit", "testng", "jest", "playwright", "go-test"})
COVERAGE_FORMATS = frozenset({"cobertura", "coverage-py", "jacoco", "lcov"})
SCANNER_FORMATS = frozenset({"sarif", "bandit", "semgrep", "gitleaks", "npm-audit", "trivy", "grype", "pip-audit", "cyclonedx"})
"""A CycloneDX list is a scanner's report only when it has vulnerabilities: ``Collected.scanned`` says which."""
SECRET_FORMATS = frozenset({"gitleaks", "trivy"})
PARTS_FORMATS = frozenset({"cyclonedx", "spdx"})


@dataclass(frozen=True)
class Collected:
    """Everything a judgement looks at. ``now`` decides what has expired.

    ``known``: fingerprints the baseline had, ``known_places`` how often each (left out: any number). ``first_seen``: since when, for
    findings that were seen before. ``quarantined``: test key → what to say of it. ``history``: series → the values of earlier accepted
    runs, oldest first. ``baseline_figures``: of the run that is compared with, empty without one.
    """

    parsed: Parsed
    diff: ChangedLines | None = None
    known: frozenset[str] = frozenset()
    known_places: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, str] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    signatures: tuple[SignOff, ...] = ()
    history: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    first_seen: Mapping[str, datetime] = field(default_factory=dict)
    baseline_figures: Mapping[str, float] = field(default_factory=dict)
    has_baseline: bool = False
    commit: str = ""

    @cached_property
    def _waived(self) -> Mapping[str, tuple[Waiver, ...]]:
        """Waivers that hold, by key."""
        found: dict[str, list[Waiver]] = {}
        for waiver in self.waivers:
            if waiver.holds(self.now):
                found.setdefault(waiver.key, []).append(waiver)
        return {key: tuple(several) for key, several in found.items()}

    def waived(self, gate: str, key: str) -> str:
        """Who bears this objection, and until when; empty when nobody does."""
        return next((waiver.text for waiver in self._waived.get(key, ()) if waiver.covers(gate=gate, key=key, now=self.now)), "")

    def lapsed(self, gate: str, key: str) -> str:
        """A waiver that would have covered it, and no longer does; empty when there was none."""
        lapsed = (w for w in self.waivers if w.key == key and w.gate in {"*", gate} and w.ended_at is None and not w.holds(self.now))
        return next((f"the waiver of {w.owner} expired on {w.expires_at:%Y-%m-%d}" for w in lapsed), "")

    @cached_property
    def scanned(self) -> frozenset[str]:
        """Formats of scanners' reports that came in."""
        formats = set(self.parsed.formats) & SCANNER_FORMATS
        if "cyclonedx" in formats and not any(finding.tool for finding in self.parsed.findings):
            formats.discard("cyclonedx")
        return frozenset(formats)


@lru_cache(maxsize=512)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(each) for each in patterns))


def fits(patterns: Sequence[str], *texts: str) -> bool:
    """Whether any of the texts fits any pattern (``*`` also goes past ``/``). No pattern fits nothing."""
    if not patterns:
        return False
    if "*" in patterns:
        return True
    found = _compiled(tuple(patterns))
    return any(found.match(text) is not None for text in texts)


def share_pct(part: float, whole: float) -> float | None:
    """In percent; None of nothing."""
    return 100 * part / whole if whole else None


def several(count: int, noun: str, plural: str = "") -> str:
    """``1 test``, ``2 tests``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(texts: Iterable[str], most: int = 3) -> str:
    """The first ones, and how many more."""
    found = list(texts)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
