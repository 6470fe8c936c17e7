"""What the store keeps of quality: runs, waivers, sign-offs, quarantined tests, watched tests, uploads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from productops.domain.catalog_quality import QualityPolicy
from productops.domain.quality import Outcome
from productops.domain.quality_findings import FindingKind, Severity
from productops.domain.quality_verdict import GateResult, GateState, QualityVerdict

WAIVER_MAX = timedelta(days=366)
REASON_CHARACTERS_MIN = 10
ANY = "*"


class QualitySource(StrEnum):
    """Who handed the results in."""

    CI = "ci"
    FLOW = "flow"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """A policy as it was applied. Revision 0 is the built-in one, which nobody declared."""

    policy: QualityPolicy
    base: str
    revision: int

    @property
    def name(self) -> str:
        """Its name in the catalog."""
        return self.policy.metadata.name


@dataclass(frozen=True, slots=True)
class QualityRun:
    """One judgement of one version. ``mainline``: of the branch users get; ``baseline_id``: the run that findings were compared with.

    ``figures`` are what expressions can name; ``inputs`` the names handed in, the formats found and what could not be read.
    """

    id: str
    venture: str
    service: str
    version: str
    commit: str
    branch: str
    source: QualitySource
    by: str
    origin: str
    at: datetime
    verdict: QualityVerdict
    policy: str
    policy_revision: int
    mainline: bool
    baseline_id: str | None
    figures: Mapping[str, float]
    inputs: Mapping[str, Any]
    links: tuple[str, ...]
    fingerprint: str = ""

    @property
    def state(self) -> GateState:
        """The verdict's."""
        return self.verdict.state

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """In the policy's order."""
        return self.verdict.gates

    @property
    def title(self) -> str:
        """What a list calls it."""
        return f"{self.service} {self.version}"


@dataclass(frozen=True, slots=True)
class Waiver:
    """Somebody's word that one objection is borne for a time. ``key`` is the item's: a fingerprint, a test key, a path, a series.

    ``gate`` and ``service`` may be ``*``: every gate, every service of the venture.
    """

    id: str
    venture: str
    service: str
    gate: str
    key: str
    owner: str
    reason: str
    given_by: str
    given_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it counts."""
        return self.ended_at is None and now < self.expires_at

    def covers(self, *, gate: str, key: str, now: datetime) -> bool:
        """Whether it excuses this objection of this gate now."""
        return self.key == key and self.gate in {ANY, gate} and self.holds(now)

    @property
    def text(self) -> str:
        """For the result: by whom, until when, why."""
        return f"waived by {self.owner} until {self.expires_at:%Y-%m-%d}: {self.reason}"


@dataclass(frozen=True, slots=True)
class SignOff:
    """One item of a checklist, signed for one version by somebody with ``roles`` at that time. An empty ``commit``: any of the version."""

    id: str
    venture: str
    service: str
    version: str
    commit: str
    gate: str
    item: str
    by: str
    roles: frozenset[str]
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A test that does not count until a time. ``evidence`` is why it is held to be flaky."""

    id: str
    venture: str
    service: str
    test_key: str
    test_name: str
    owner: str
    reason: str
    evidence: Mapping[str, Any]
    by: str
    since: datetime
    until: datetime
    ended_at: datetime | None = None
    end_reason: str = ""

    def holds(self, now: datetime) -> bool:
        """Whether the test does not count."""
        return self.ended_at is None and now < self.until

    @property
    def text(self) -> str:
        """For the result."""
        return f"quarantined by {self.by} until {self.until:%Y-%m-%d}, {self.owner} mends it: {self.reason}"


@dataclass(frozen=True, slots=True)
class WatchedTest:
    """A test that failed or was retried at least once."""

    service: str
    key: str
    suite: str
    classname: str
    name: str
    file: str
    watched_since: datetime
    failed_at: datetime
    seen_at: datetime

    @property
    def title(self) -> str:
        """What a person calls it."""
        return "::".join(part for part in (self.classname or self.suite, self.name) if part)


@dataclass(frozen=True, slots=True)
class WatchedResult:
    """What a watched test did in one run; a retry is one more execution."""

    key: str
    run_id: str
    commit: str
    outcome: Outcome
    executions: int
    failures: int
    duration_s: float | None
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RunMark:
    """One run on the axis of a history, oldest first; ``tests`` is how many it had."""

    run_id: str
    commit: str
    branch: str
    at: datetime
    tests: int


@dataclass(frozen=True, slots=True)
class TestHistory:
    """Watched tests × runs: ``failures[t][r]`` of ``executions[t][r]``; 0 executions: the test did not run, or nobody watched it yet."""

    __test__ = False

    tests: tuple[WatchedTest, ...]
    runs: tuple[RunMark, ...]
    executions: Sequence[Sequence[int]]
    failures: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class KnownFinding:
    """A finding of a service with when it was first and last seen. ``places``: how often the newest run had it."""

    service: str
    fingerprint: str
    kind: FindingKind
    tool: str
    rule: str
    severity: Severity
    message: str
    path: str
    line: int | None
    package: str
    identifiers: tuple[str, ...]
    cvss: float | None
    places: int
    first_run_id: str
    first_seen_at: datetime
    last_run_id: str
    last_seen_at: datetime
    gone_at: datetime | None


class UploadState(StrEnum):
    """Where files that were handed in stand."""

    WAITING = "waiting"
    WORKING = "working"
    JUDGED = "judged"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether nobody will look at them again."""
        return self in {UploadState.JUDGED, UploadState.FAILED}


@dataclass(frozen=True, slots=True)
class Upload:
    """Files that are judged later. ``request`` is what ``ValidateRequest`` needs, as plain values; they lie in ``folder``."""

    id: str
    venture: str
    service: str
    state: UploadState
    request: Mapping[str, Any]
    folder: str
    files: int
    size_bytes: int
    by: str
    origin: str
    at: datetime
    attempts: int = 0
    claimed_by: str | None = None
    claimed_until: datetime | None = None
    ended_at: datetime | None = None
    run_id: str | None = None
    reason: str = ""
    request_key: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesRun:
    """One series in one run. ``accepted``: no performance gate objected, so that later runs are compared with it."""

    series: str
    run_id: str
    commit: str
    unit: str
    runner: str
    higher_is_better: bool | None
    mainline: bool
    accepted: bool
    values: tuple[float, ...]
    at: datetime = field(compare=False)
