"""What the controls about releases ask of one release. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.domain.governance_approvals import ApprovalRequest, ApprovalState, Review, same_person
from productops.domain.governance_compliance import Deviation
from productops.domain.release import Phase, Release
from productops.domain.release_windows import Bypass, Occurrence


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What is stored about one release that began. ``approval``: of itself, or of the train it was a part of.

    ``freezes``: those that covered its beginning, by calendars that were declared as they are before it. ``looks``: of the judge.
    """

    release: Release
    began_at: datetime
    approval: ApprovalRequest | None = None
    reviews: tuple[Review, ...] = ()
    bypass: Bypass | None = None
    freezes: tuple[Occurrence, ...] = ()
    looks: int = 0


Rule = Callable[[ReleaseFacts, datetime], Iterable[Deviation]]


def _deviation(facts: ReleaseFacts, sentence: str, aspect: str = "", **evidence: Any) -> Deviation:
    release = facts.release
    known = {
        "release_id": release.id, "title": release.title, "requested_by": release.requested_by, "began_at": facts.began_at.isoformat(),
    }  # fmt: skip
    return Deviation(f"release/{release.id}", sentence, aspect, release.venture, release.environment.value, {**known, **evidence})


def four_eyes(facts: ReleaseFacts, now: datetime) -> Iterator[Deviation]:
    """Signed by another, or overridden and the override reviewed by another; a review still has until its due time."""
    release, approval = facts.release, facts.approval
    if _bypassed_by_another(facts.bypass):
        return
    if approval is None:
        yield _deviation(facts, f"{release.title} began, and nobody but {release.requested_by} had a say: no signature was asked for")
    elif approval.state is ApprovalState.OVERRIDDEN:
        reviewed = [review for review in facts.reviews if review.closed_by and not same_person(review.closed_by, review.overridden_by)]
        if not reviewed and not any(review.closed_at is None and not review.overdue(now) for review in facts.reviews):
            yield _deviation(
                facts, f"{release.title} began by an override of {approval.decided_by} that nobody else has reviewed",
                approval_id=approval.id, reason=approval.outcome,
            )  # fmt: skip
    elif not [s for s in approval.signatures if not same_person(s.person, approval.requested_by)]:
        yield _deviation(
            facts, f"{release.title} began with its approval {approval.state.value} and no signature by another person than "
            f"{approval.requested_by}", approval_id=approval.id,
        )  # fmt: skip


def _bypassed_by_another(bypass: Bypass | None) -> bool:
    return bypass is not None and bypass.approved_by is not None and not same_person(bypass.approved_by, bypass.asked_by)


def freezes_kept(facts: ReleaseFacts, now: datetime) -> Iterator[Deviation]:  # noqa: ARG001 - one signature for all rules
    """No beginning in a freeze but by a bypass that another person approved."""
    if not facts.freezes or _bypassed_by_another(facts.bypass):
        return
    event = facts.freezes[0]
    how = "without a bypass" if facts.bypass is None else f"by a bypass that only {facts.bypass.asked_by} had approved"
    yield _deviation(
        facts, f"{facts.release.title} began in the freeze {event.title!r} ({event.calendar}) {how}",
        calendar=event.calendar, event=event.title, ends_at=event.ends_at.isoformat(),
    )  # fmt: skip


def analysis_kept(facts: ReleaseFacts, now: datetime) -> Iterator[Deviation]:  # noqa: ARG001
    """A promotion over a baseline was judged, and too little evidence did not count as a pass."""
    release = facts.release
    if release.phase is not Phase.PROMOTED or release.baseline_version is None:
        return
    if facts.looks == 0:
        yield _deviation(facts, f"{release.title} was promoted and the judge never looked at it", "unjudged")
    analysis: Mapping[str, Any] = release.plan.get("analysis") or {}
    if analysis.get("on_inconclusive") == "proceed":
        yield _deviation(facts, f"{release.title} was to go on when there was too little evidence", "proceed", setting="on_inconclusive")


RULES: Mapping[str, Rule] = {"four-eyes": four_eyes, "freezes-kept": freezes_kept, "analysis-kept": analysis_kept}
"""Checks that ask something of each release; by the name they have in the catalog."""


def self_approved(request: ApprovalRequest, reviews: Iterable[Review]) -> Iterator[Deviation]:
    """Who asked must not sign, override, nor review the own override."""
    environment = request.environment.value if request.environment else None
    evidence = {"approval_id": request.id, "requested_by": request.requested_by}

    def deviation(aspect: str, sentence: str) -> Deviation:
        return Deviation(request.subject, sentence, aspect, request.venture, environment, evidence)

    own = [s for s in request.signatures if same_person(s.person, request.requested_by)]
    others = [s for s in request.signatures if not same_person(s.person, request.requested_by)]
    if own and not others and request.state is ApprovalState.APPROVED:
        yield deviation("signed", f"{request.title}: approved by {request.requested_by}, who had asked for it")
    if request.state is ApprovalState.OVERRIDDEN and same_person(request.decided_by, request.requested_by):
        yield deviation("overrode", f"{request.title}: {request.decided_by} overrode the approval of what they had asked for themselves")
    for review in reviews:
        if review.closed_by and same_person(review.closed_by, review.overridden_by):
            yield deviation("reviewed", f"{request.title}: {review.closed_by} closed the review of their own override")


def self_permitted(bypass: Bypass) -> Iterator[Deviation]:
    """Nobody permits their own start in a freeze."""
    if bypass.approved_by is not None and same_person(bypass.approved_by, bypass.asked_by):
        evidence = {"bypass_id": bypass.id, "asked_by": bypass.asked_by, "approved_by": bypass.approved_by, "used_by": bypass.used_by}
        sentence = f"{bypass.asked_by} approved the bypass for {bypass.service} that they had asked for themselves"
        yield Deviation(f"bypass/{bypass.id}", sentence, "approved", bypass.venture, bypass.environment.value, evidence)
