"""From candidates to a ledger: priors, probabilities, what speaks for and against each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from productops.domain.incident_cause import CauseKind, Evidence, Hypothesis, Ledger, Onset
from productops.domain.incident_cause_facts import Facts, OnsetFacts, Symptom
from productops.domain.incident_cause_weigh import Candidate, change_candidates, flag_candidates, release_candidates
from productops.domain.incident_cause_weigh_places import (
    dependency_candidates,
    host_candidates,
    instance_candidates,
    traffic_candidates,
)
from productops.stats.cause_odds import probabilities, shrunk_priors

# How often each kind is behind an incident before anybody has counted here: changes first. The counts of one's own replace it soon.
BASE = {
    CauseKind.RELEASE: 0.32, CauseKind.FLAG: 0.10, CauseKind.CONFIG: 0.08, CauseKind.SCALING: 0.03, CauseKind.DEPENDENCY: 0.13,
    CauseKind.INSTANCE: 0.08, CauseKind.HOST: 0.08, CauseKind.TRAFFIC: 0.06, CauseKind.UNKNOWN: 0.12,
}  # fmt: skip
BASE_STRENGTH = 30.0
HYPOTHESES_MAX = 12
KEPT_MIN = 0.0005
GRAVE = -3.0
UNKNOWN_MIN = 0.01
"""What nobody thought of keeps so much, whatever speaks for the others."""


def candidates_of(facts: Facts) -> list[Candidate]:
    """All that may have done it to one service."""
    return [
        *release_candidates(facts), *flag_candidates(facts), *change_candidates(facts), *instance_candidates(facts),
        *host_candidates(facts), *dependency_candidates(facts), *traffic_candidates(facts),
    ]  # fmt: skip


def rank(looked: Sequence[Facts]) -> tuple[Hypothesis, ...]:
    """Hypotheses over the services of an incident, the likeliest first; one that several services suggest keeps its strongest evidence."""
    first = looked[0]
    best: dict[tuple[CauseKind, str], tuple[Candidate, Facts]] = {}
    doubts: dict[tuple[CauseKind, str], list[Evidence]] = {}
    for facts in looked:
        for candidate in candidates_of(facts):
            key = (candidate.kind, candidate.subject)
            if key not in best or best[key][0].nats < candidate.nats:
                best[key] = (candidate, facts)
            if candidate.kind is CauseKind.HOST:
                doubts.setdefault(key, []).extend(each for each in candidate.evidence if each.weight <= GRAVE)
    best = {key: (_doubted(candidate, doubts.get(key, ())), facts) for key, (candidate, facts) in best.items()}
    priors = shrunk_priors(first.confirmed, {kind.value: share for kind, share in BASE.items()}, strength=BASE_STRENGTH)
    many = Counter(kind for kind, _ in best)
    unknown = Candidate(CauseKind.UNKNOWN, "", _of_unknown(first, best))
    found = [*best.values(), (unknown, first)]
    nats = [candidate.nats + math.log(priors[candidate.kind.value] / max(many[candidate.kind], 1)) for candidate, _ in found]
    shares = [(1 - UNKNOWN_MIN) * share for share in probabilities(nats)]
    shares[-1] += UNKNOWN_MIN
    ranked = sorted(
        (_hypothesis(candidate, facts, share) for (candidate, facts), share in zip(found, shares, strict=True)),
        key=lambda each: (-each.probability, each.key),
    )
    kept = [each for each in ranked if each.probability >= KEPT_MIN or each.kind is CauseKind.UNKNOWN][:HYPOTHESES_MAX]
    if all(each.kind is not CauseKind.UNKNOWN for each in kept):
        kept = [*kept[:-1], next(each for each in ranked if each.kind is CauseKind.UNKNOWN)]
    return tuple(kept)


def _doubted(candidate: Candidate, doubts: Sequence[Evidence]) -> Candidate:
    """With what speaks gravely against it in the view of any service: a host is the same for all that run on it."""
    known = {each.text for each in candidate.evidence}
    fresh = {each.text: each for each in doubts if each.text not in known}
    return replace(candidate, evidence=(*candidate.evidence, *fresh.values()))


def _of_unknown(facts: Facts, best: dict[tuple[CauseKind, str], tuple[Candidate, Facts]]) -> tuple[Evidence, ...]:
    if not best:
        return (Evidence("nothing changed that this program can see, and nothing that was measured is out of the ordinary", 0.0),)
    if facts.missing:
        return (Evidence(f"not looked at: {'; '.join(facts.missing)}"[:500], 0.0),)
    return ()


def _hypothesis(candidate: Candidate, facts: Facts, probability: float) -> Hypothesis:
    ordered = sorted(candidate.evidence, key=lambda each: -abs(each.weight))
    return Hypothesis(
        candidate.kind, candidate.subject, candidate.service or facts.service, facts.environment, probability,
        tuple(each for each in ordered if each.weight >= 0), tuple(each for each in ordered if each.weight < 0), candidate.remedy,
    )  # fmt: skip


def onset_of(facts: Facts) -> Onset | None:
    """For people; None where the traffic shows no change."""
    if facts.onset is None:
        return None
    at, low, high = (datetime.fromtimestamp(each, UTC) for each in (facts.onset.at_s, facts.onset.low_s, facts.onset.high_s))
    return Onset(at, low, high, facts.onset.series, _onset_words(facts, facts.onset, at))


def _onset_words(facts: Facts, onset: OnsetFacts, at: datetime) -> str:
    word = "slow answers" if facts.symptom is Symptom.SLOWNESS else "failures"
    span = max(onset.high_s - onset.low_s, 1.0)
    return (
        f"{word} of {facts.service} rose from {onset.before:.1%} to {onset.after:.1%} at {at:%H:%M:%S} UTC, to within {span:.0f} s; "
        f"{facts.anchor.timestamp() - onset.at_s:.0f} s before the first alert"
    )


def ledger_of(looked: Sequence[Facts], *, by: str, took_s: float) -> Ledger:
    """One look, from what was in front of it; ``looked`` begins with the service that users suffer from."""
    first = looked[0]
    sources = tuple(dict.fromkeys(source for facts in looked for source in facts.sources))
    missing = tuple(dict.fromkeys(gap for facts in looked for gap in facts.missing))
    onset = next((found for facts in looked if (found := onset_of(facts)) is not None), None)
    return Ledger(first.incident_id, first.now, rank(looked), onset, "", by, sources, missing, took_s)
