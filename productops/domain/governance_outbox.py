"""What is told outside: which of our events there are, who wants which, and how long a delivery is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from productops.domain.catalog_webhooks import WebhookTargetSpec
from productops.domain.release import Phase, Release
from productops.domain.strategies.names import Strategy

TEST = "webhook.test"
FIRST_S = 1.0
LONGEST_S = 3_600.0
# Types that are told, with what each means; the page of reference is checked against this.
TYPES: dict[str, str] = {
    "release.requested": "A release was written down.",
    "release.waiting": "It waits for the next opening of the change windows.",
    "release.bypassed": "It starts in spite of a freeze, by the word of two people.",
    "release.deploying": "Its flow began: instances of the candidate are started.",
    "release.rolling_out": "Users meet the candidate, or it goes on after a pause.",
    "release.paused": "It waits for a person.",
    "release.step_started": "A step's share was asked for.",
    "release.step_ended": "A step was decided.",
    "release.promoting": "All users are given the candidate.",
    "release.validating": "All users have the candidate, and it is watched.",
    "release.promoted": "The candidate is the new baseline.",
    "release.passed": "A trial that was never meant for users went well.",
    "release.rolling_back": "Users are given the baseline again.",
    "release.rolled_back": "The router confirmed that users have the baseline.",
    "release.failed": "It ended before any user met the candidate.",
    "release.resumed": "Its flow run died; another one carries it on.",
    "service.deployed": "Users have a version of a service that had none.",
    "service.upgraded": "Users have another version of a service.",
    "service.rolledback": "Users have the earlier version of a service again.",
    "service.removed": "A service is no longer served.",
    "incident.detected": "An incident was opened by the product or by an alert.",
    "incident.reported": "An incident was opened by a person.",
    "incident.changed": "An incident stands elsewhere, is more or less severe, or somebody took it up.",
    "incident.resolved": "An incident ended.",
    "incident.told": "People are told of an incident by a channel that is a webhook.",
    "development.planned": "Another plan of a venture's work is the current one.",
    "development.at_risk": "A feature will probably be later than it was promised.",
    "webhook.test": "Somebody tried out this target.",
}
# Whatever the audit notes about these is told, too, under the name the audit has for it.
AUDITED = frozenset({"flag", "approval", "change", "windows", "train", "compliance", "quality", "experiment"})
_PHASES = {
    Phase.DEPLOYING, Phase.ROLLING_OUT, Phase.PAUSED, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED, Phase.PASSED, Phase.ROLLING_BACK,
    Phase.ROLLED_BACK, Phase.FAILED,
}  # fmt: skip
_TOLD = {
    "requested": "release.requested", "waiting": "release.waiting", "bypassed": "release.bypassed", "shift": "release.step_started",
    "step_ended": "release.step_ended", "resumed": "release.resumed",
}  # fmt: skip


class OutboundState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Somebody who is told. ``declared``: by the catalog, which then is the only one to change it."""

    name: str
    venture: str | None
    spec: WebhookTargetSpec
    declared: bool
    revision: int

    def wants(self, kind: str, venture: str | None) -> bool:
        """Whether it is told of such an event: one without a venture concerns all of them, and is for those who see all."""
        if self.venture is not None and self.venture != venture:
            return False
        return any(pattern in {"*", kind, f"{kind.partition('.')[0]}.*"} for pattern in self.spec.types)


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """What happened. ``seq`` rises within the store; ``id`` is the same for all who are told."""

    seq: int
    id: str
    type: str
    subject: str
    venture: str | None
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class OutboxDelivery:
    """One event for one target. ``fence`` rises with each claim: who was overtaken may write nothing."""

    id: str
    event: OutboxEvent
    target: str
    status: OutboundState
    attempts: int
    next_at: datetime
    give_up_at: datetime
    fence: int
    lease_owner: str | None
    last_status: int | None
    last_answer: str
    reason: str
    created_at: datetime
    tried_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of one attempt. ``status`` None: there was no answer. ``answer``: the beginning of the body, without secrets."""

    status: int | None
    answer: str = ""
    problem: str = ""
    retry_after_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether the target wants nothing any more."""
        return self.status == 410


@dataclass(frozen=True, slots=True)
class Told:
    """An event to be written into the outbox."""

    type: str
    data: dict[str, Any]


def tell_release(release: Release, kind: str, payload: Mapping[str, Any]) -> Sequence[Told]:
    """What the outside is told of a line of a release's story; most lines are only for those who watch."""
    about = about_release(release)
    if kind in _TOLD:
        return [Told(_TOLD[kind], about | {"detail": dict(payload)})]
    if kind != "phase":
        return []
    phase = Phase(payload["to"])
    if phase not in _PHASES:
        return []
    told = [Told(f"release.{phase.value}", about | {"phase": phase.value, "detail": dict(payload)})]
    served = _service_event(release, phase)
    return [Told(served, about | {"reason": payload.get("reason", "")}), *told] if served else told


def _service_event(release: Release, phase: Phase) -> str | None:
    """A feature toggle changes no version of the service."""
    if release.strategy is Strategy.FEATURE_TOGGLE:
        return None
    if phase is Phase.ROLLED_BACK:
        return "service.rolledback"
    if phase is Phase.PROMOTED:
        return "service.upgraded" if release.baseline_version else "service.deployed"
    return None


def about_release(release: Release) -> dict[str, Any]:
    """What every event of a release carries."""
    return {
        "release_id": release.id, "venture": release.venture, "service": release.service, "environment": release.environment.value,
        "version": release.version, "baseline_version": release.baseline_version, "strategy": release.strategy.value,
        "phase": release.phase.value, "requested_by": release.requested_by, "title": release.title,
    }  # fmt: skip


def wait_before(attempt: int, *, retry_after_s: float, spread: float) -> timedelta:
    """How long to wait after so many attempts (from 1): 1 s, doubled each time, at most 1 h; ``spread`` (0 to 1) takes up to half off.

    A target that asks for more patience gets it, up to 1 h.
    """
    longest = min(LONGEST_S, FIRST_S * 2.0 ** min(attempt - 1, 30))
    return timedelta(seconds=max(longest * (1.0 - spread / 2.0), min(retry_after_s, LONGEST_S)))
