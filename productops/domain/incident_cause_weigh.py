"""Evidence for and against changes that people made: releases, flags, the catalog, the size of fleets. All weights are in nats."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from productops.domain.incident_cause import CauseKind, Evidence
from productops.domain.incident_cause_facts import (
    LOOK_BACK_S,
    NO_TRAFFIC,
    ArmFacts,
    ChangeFacts,
    ErrorFacts,
    Facts,
    FlagFacts,
    ReleaseFacts,
    Symptom,
)
from productops.domain.release import Phase
from productops.domain.traffic import InstanceState
from productops.stats.cause_odds import coincidence_nats, contrast_nats

NAMED_BY_ALERT = 3.0
FAILED_VERDICT = 3.0
TRACED = 6.0
NO_USERS = -5.0
FIRST_VERSION = -3.5
RESTORES = -4.0
GONE_BEFORE = -5.0
SMALL_SHARE = -3.0
NEW_ERROR = 2.0
ONLY_THERE = 2.5
SAYS_SO = 2.5
CRASHES_ALONE = 3.0
SMALL_PART = 0.2
REQUESTS_MIN = 20
AT_ONCE_S = 15.0
"""A change so shortly before users felt it is seen to have done it; one of a minute ago may be a coincidence."""
CONTRAST_MIN = 2.0
ERRORS_MIN = 3
BAD = frozenset({InstanceState.CRASHED, InstanceState.UNHEALTHY})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hypothesis before it has a probability."""

    kind: CauseKind
    subject: str
    evidence: tuple[Evidence, ...]
    remedy: Mapping[str, Any] = field(default_factory=dict)
    service: str = ""

    @property
    def nats(self) -> float:
        """What its evidence weighs together."""
        return sum(each.weight for each in self.evidence)


def timing(facts: Facts, at: datetime, what: str, *, link: str | None = None) -> Evidence:
    """What the time of a change says."""
    best, low, high = facts.onset_s
    change_s = at.timestamp()
    weight = coincidence_nats(change_s, best, onset_low_s=low, onset_high_s=high, window_s=LOOK_BACK_S)
    apart = change_s - best
    seen = "the onset" if facts.onset is not None else "the first alert"
    if change_s > high + 3:
        text = f"{what} {apart:.0f} s after {seen}, too late to have done it"
    else:
        text = f"{what} {duration(abs(apart))} {'before' if apart <= 0 else 'after'} {seen}"
    at_once = facts.onset is not None and -AT_ONCE_S <= apart <= high - best + 3
    return Evidence(text, weight, at, link, direct=at_once)


def duration(seconds: float) -> str:
    """For people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def ratio_text(arm: ArmFacts, symptom: Symptom) -> str:
    """``12 of 340 requests failed (3.5 %)``."""
    bad, total = arm.ratio(symptom)
    word = "answers were slow" if symptom is Symptom.SLOWNESS else "requests failed"
    return f"{bad} of {total} {word} ({bad / total:.1%})" if total else "no requests"


def release_candidates(facts: Facts) -> Iterator[Candidate]:
    """Each release with what speaks for and against it."""
    for found in facts.releases:
        release = found.release
        fixed = release.phase in {Phase.ROLLED_BACK, Phase.FAILED} or release.baseline_version is None  # nothing to give back
        remedy = {} if fixed else {"step": "roll-back", "release_id": release.id}
        yield Candidate(CauseKind.RELEASE, release.id, tuple(_of_release(facts, found)), remedy, release.service)


def _of_release(facts: Facts, found: ReleaseFacts) -> Iterator[Evidence]:
    release = found.release
    link = facts.link("release", release.id)
    yield from _moves(facts, found, link)
    if release.baseline_version is None:
        yield Evidence(f"{release.version} is the first version: users had no better one before", FIRST_VERSION, None, link)
    ended_at = release.ended_at if release.ended and release.phase is not Phase.PROMOTED else None
    gone = ended_at is not None and ended_at.timestamp() < max(facts.onset_s[1], facts.anchor.timestamp()) - 10
    if gone:
        yield Evidence(f"{release.title} ended as {release.phase} before this was noticed", GONE_BEFORE, ended_at, link)
    if found.verdict == "failed" and not gone:
        yield Evidence(f"its analysis failed: {found.verdict_reason or 'worse than the baseline'}", FAILED_VERDICT, None, link, direct=True)
    if found.traced and not gone:  # an incident that is opened again was traced to what did it the last time
        yield Evidence(f"the incident was reported with {release.version} as what does it", TRACED, None, link, direct=True)
    if any(alert.labels.get("release_id") == release.id for alert in facts.alerts):
        yield Evidence("an alert of this incident names it", NAMED_BY_ALERT, None, link, direct=True)
    yield from _by_version(facts, found, link)
    yield from _errors_of(facts, release.version, release.baseline_version)
    yield from _crashes(facts, release.version)


def _moves(facts: Facts, found: ReleaseFacts, link: str) -> Iterator[Evidence]:
    """The change of its share that fits best in time; more tries make a coincidence likelier, so the rest is only told by it."""
    exposed = [(at, share) for at, share in found.moves if share > 0]
    if not exposed:
        yield Evidence("it had no users' traffic yet", NO_USERS, None, link)
        return
    ranked = [timing(facts, at, f"{found.release.version} got {share} % of the traffic", link=link) for at, share in exposed]
    yield max(ranked, key=lambda each: each.weight)


def _by_version(facts: Facts, found: ReleaseFacts, link: str) -> Iterator[Evidence]:
    """Candidate against baseline in the same seconds: what is wrong with both is not the candidate's doing."""
    baseline_arm, candidate_arm = found.release.arms
    new = facts.after.get(candidate_arm, NO_TRAFFIC)
    old = facts.after.get(baseline_arm or "", NO_TRAFFIC)
    if facts.symptom is Symptom.NONE or not new.requests or not old.requests:
        return
    bad, total = new.ratio(facts.symptom)
    other_bad, other_total = old.ratio(facts.symptom)
    weight = contrast_nats(bad, total, other_bad, other_total)
    told = f"since it began {ratio_text(new, facts.symptom)} on {candidate_arm}, {ratio_text(old, facts.symptom)} on {baseline_arm}"
    if weight > 0 or min(total, other_total) >= REQUESTS_MIN:
        yield Evidence(told, weight, None, link, direct=weight >= CONTRAST_MIN)
    usual_bad, usual_total = _pooled(facts.before, facts.symptom)
    usual = usual_bad / usual_total if usual_total else 0.0
    added, others = max(bad - usual * total, 0.0), max(other_bad - usual * other_total, 0.0)
    if added + others >= ERRORS_MIN and added / (added + others) < SMALL_PART:
        yield Evidence(f"only {added / (added + others):.0%} of what is bad is on {candidate_arm}", SMALL_SHARE, None, link)


def _pooled(arms: Mapping[str, ArmFacts], symptom: Symptom) -> tuple[int, int]:
    pairs = [arm.ratio(symptom) for arm in arms.values()]
    return (sum(bad for bad, _ in pairs), sum(total for _, total in pairs))


def _errors_of(facts: Facts, version: str, baseline: str | None) -> Iterator[Evidence]:
    for error in fresh_errors(facts):
        mine, theirs = error.by_version.get(version, 0), error.by_version.get(baseline or "", 0)
        if mine >= ERRORS_MIN and not theirs and baseline:
            text = f"{mine} lines of a new error, all from {version}: {error.text[:160]}"
            yield Evidence(text, ONLY_THERE, error.first_seen, error.link, direct=True)
            return


def fresh_errors(facts: Facts) -> list[ErrorFacts]:
    """Errors first seen about when it began, and known ones that came back with it."""
    low = facts.onset_s[1]
    return [error for error in facts.errors if error.again or error.first_seen.timestamp() >= low - 30]


def _crashes(facts: Facts, version: str) -> Iterator[Evidence]:
    ailing = {each.instance.id: each.instance.version for each in facts.instances if each.restarted or each.instance.state in BAD}
    mine = [each for each in facts.instances if each.instance.version == version]
    hurt = sum(ailing_version == version for ailing_version in ailing.values())
    if hurt and hurt == len(mine) == len(ailing) and len(facts.instances) > hurt:
        yield Evidence(f"all {hurt} instances of {version} ail, and none of another version", CRASHES_ALONE, direct=True)


def flag_candidates(facts: Facts) -> Iterator[Candidate]:
    """Each flag that changed, once, with the change that fits best in time."""
    by_key: dict[str, list[FlagFacts]] = {}
    for each in facts.flags:
        by_key.setdefault(each.key, []).append(each)
    for key, revisions in by_key.items():
        told = [(each, _of_revision(facts, each)) for each in revisions]
        best, evidence = max(told, key=lambda one: sum(part.weight for part in one[1]))
        evidence = list(evidence)
        evidence += _by_variant(facts, key, revisions[0].arms)
        if any(alert.labels.get("flag") == key for alert in facts.alerts):
            evidence.append(Evidence("an alert of this incident names it", NAMED_BY_ALERT, direct=True))
        evidence += _named_by_error(facts, key)
        # Users have what they had before: to switch it off would change nothing, or take something else away.
        remedy = {} if best.undone_at is not None or best.restores else {"step": "disable-flag", "flag": key}
        yield Candidate(CauseKind.FLAG, key, tuple(evidence), remedy, facts.service)


def _named_by_error(facts: Facts, key: str) -> Iterator[Evidence]:
    """A new error that has the flag's key in its words."""
    name = re.compile(rf"(?<![\w-]){re.escape(key)}(?![\w-])", re.IGNORECASE)
    error = next((each for each in fresh_errors(facts) if each.count >= ERRORS_MIN and name.search(each.text)), None)
    if error is not None:
        text = f"{error.count} lines of a new error name it: {error.text[:160]}"
        yield Evidence(text, SAYS_SO, error.first_seen, error.link, direct=True)


def _of_revision(facts: Facts, each: FlagFacts) -> list[Evidence]:
    """Its time, and whether users had it at all when it began."""
    link = facts.link("flags", each.key)
    evidence = [timing(facts, each.at, f"{each.author} changed it ({each.summary})", link=link)]
    if each.undone_at is not None and each.undone_at.timestamp() < max(facts.onset_s[1] - 3, facts.anchor.timestamp() - 10):
        evidence.append(Evidence("it was taken back before this was noticed", GONE_BEFORE, each.undone_at, link))
    elif each.restores:
        evidence.append(Evidence("it only gave users what they had before", RESTORES, each.at, link))
    return evidence


def _by_variant(facts: Facts, key: str, arms: Mapping[str, ArmFacts]) -> Iterator[Evidence]:
    """The worst variant against the others, in the same seconds."""
    if facts.symptom is Symptom.NONE or len(arms) < 2:
        return
    pairs = {variant: arm.ratio(facts.symptom) for variant, arm in arms.items()}
    worst = max(pairs, key=lambda variant: (pairs[variant][0] + 0.5) / (pairs[variant][1] + 1))
    bad, total = pairs[worst]
    others = [pair for variant, pair in pairs.items() if variant != worst]
    other_bad, other_total = sum(pair[0] for pair in others), sum(pair[1] for pair in others)
    weight = contrast_nats(bad, total, other_bad, other_total)
    rest = ArmFacts(other_total, other_bad, other_bad, other_total)
    if weight > 0 or min(total, other_total) >= REQUESTS_MIN:
        told = f"of users with {key}={worst} {ratio_text(arms[worst], facts.symptom)}, of the others {ratio_text(rest, facts.symptom)}"
        yield Evidence(told, weight, None, facts.link("flags", key), direct=weight >= CONTRAST_MIN)


def change_candidates(facts: Facts) -> Iterator[Candidate]:
    """Changes of the catalog and of fleets; those of the service itself are likelier than those of others."""
    for each in facts.changes:
        yield from _change(facts, each)


def _change(facts: Facts, each: ChangeFacts) -> Iterator[Candidate]:
    link = f"/api/v1/product-ops/audit/{each.seq}"
    evidence = [timing(facts, each.at.astimezone(UTC), each.summary, link=link)]
    if not each.of_service:
        evidence.append(Evidence(f"{each.subject} is not {facts.service}", -1.5, None, link))
    if each.action == "fleet.scaled":
        if not each.fewer:
            evidence.append(Evidence("it made more room, not less", -2.0, None, link))
        elif each.restores:
            evidence.append(Evidence("it only took back the room that was added for a while", RESTORES, None, link))
        remedy = {"step": "scale", "service": facts.service, "add": 1} if each.fewer and not each.restores else {}
        yield Candidate(CauseKind.SCALING, f"{each.subject} #{each.seq}", tuple(evidence), remedy, facts.service)
        return
    yield Candidate(CauseKind.CONFIG, f"{each.subject} #{each.seq}", tuple(evidence), {}, facts.service)
