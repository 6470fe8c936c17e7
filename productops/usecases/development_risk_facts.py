"""What a model of risk learns from and rates: the changes of a venture as measures, and what became of each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.development import Change, ChangeState
from productops.domain.development_dora import Deployment, Outcome, causes
from productops.domain.development_progress_measures import Fate, is_measured, made_at, records
from productops.domain.development_risk import ChangeRecord
from productops.domain.development_risk_file import read_model
from productops.stats.risk_model import RiskParts
from productops.store import Unit
from productops.store.development_dora import CommitNode
from productops.store.development_risk import KnownModel
from productops.usecases.development_attribution import missing
from productops.usecases.development_dora_facts import Delivery, commit_of_version, delivery

CHANGES_MAX = 20_000
HELD_AFTER = timedelta(days=14)
"""A change that users have had for so long without harm has held."""
HELD_UNSEEN_AFTER = timedelta(days=60)
"""The same for one of which nobody told when users got it, from its merge."""
SETTLED_AFTER = timedelta(days=28)
"""By then most changes were deployed and have held, or have not."""
SMALL_DEPLOYMENT = 10
"""Of a larger one that failed nobody knows which of its changes did it, so none is learned from."""
_REVERT = re.compile(r'^Revert "(?P<title>.+)"')


@dataclass(frozen=True, slots=True)
class Past:
    """The venture's changes, those with measures as records, and the fates that are known, by id of the change."""

    changes: Mapping[str, Change]
    records: tuple[ChangeRecord, ...]
    fates: Mapping[str, Fate]


def past_of(unit: Unit, venture: str, *, now: datetime) -> Past:
    """Of the newest ``CHANGES_MAX`` changes; those that were closed without a merge are left out."""
    found = unit.development.of(Change, ventures=[venture], limit=CHANGES_MAX)
    changes = {change.id: change for change in found if change.state is not ChangeState.CLOSED}
    known = delivery(unit, venture, extra=missing(unit, venture, now=now))
    fates = fates_of(changes.values(), known, now=now)
    settled = SETTLED_AFTER if known.delivered else HELD_UNSEEN_AFTER
    return Past(changes, tuple(records(changes.values(), fates, settled_after=settled)), fates)


def fates_of(changes: Collection[Change], known: Delivery, *, now: datetime) -> dict[str, Fate]:
    """Broke: it was reverted, or a small deployment with it failed. Held: users had it long enough. Else nobody knows yet."""
    by_sha = {change.merge_sha: change for change in changes if change.merge_sha}
    by_external = {change.external_id: change for change in changes}
    fates: dict[str, Fate] = _reverted(changes)
    blamed = causes(known.facts, people=True)
    harmed: dict[str, str] = {deployment: incident for incident, deployment in blamed.items()}
    for deployment in known.facts.deployments:
        brought = _changes_of(deployment, by_sha, by_external, known)
        failed = deployment.outcome is Outcome.ROLLED_BACK or deployment.id in harmed
        for change in brought:
            if change.id in fates and fates[change.id].broke:
                continue
            fate = _fate(deployment, known, harmed, failed=failed, size=len(brought), now=now)
            if fate is not None:
                fates[change.id] = fate
            elif failed:
                fates.pop(change.id, None)
    for change in changes:
        if change.id not in fates and change.merged_at is not None and now - change.merged_at >= HELD_UNSEEN_AFTER and not known.delivered:
            why = f"merged {HELD_UNSEEN_AFTER.days} days ago and never reverted; nobody tells of deployments"
            fates[change.id] = Fate(broke=False, known_at=change.merged_at + HELD_UNSEEN_AFTER, reason=why)
    return fates


def _fate(deployment: Deployment, known: Delivery, harmed: Mapping[str, str], *, failed: bool, size: int, now: datetime) -> Fate | None:
    if failed and size <= SMALL_DEPLOYMENT:
        incident = harmed.get(deployment.id)
        at = deployment.recovered_at or deployment.finished_at
        why = f"incident {incident} is attributed to {deployment.id}" if incident else f"{deployment.id} was rolled back"
        return Fate(broke=True, known_at=max(at, known.incidents[incident].opened_at) if incident else at, reason=why)
    if not failed and deployment.outcome is Outcome.LIVE and now - deployment.finished_at >= HELD_AFTER:
        why = f"users have had it for {HELD_AFTER.days} days with {deployment.id} and were not harmed by it"
        return Fate(broke=False, known_at=deployment.finished_at + HELD_AFTER, reason=why)
    return None


def _changes_of(deployment: Deployment, by_sha: Mapping[str, Change], by_external: Mapping[str, Change], known: Delivery) -> list[Change]:
    found = {}
    for sha in deployment.changes:
        change = by_sha.get(sha) or by_external.get(known.change_of.get(sha, ""))
        if change is not None:
            found[change.id] = change
    return list(found.values())


def _reverted(changes: Collection[Change]) -> dict[str, Fate]:
    by_title: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes:
        by_title[change.repository, change.title].append(change)
    found = {}
    for revert in changes:
        match = _REVERT.match(revert.title)
        if match is None or revert.merged_at is None:
            continue
        earlier = [c for c in by_title[revert.repository, match["title"]] if made_at(c) < revert.merged_at]
        if earlier:
            last = max(earlier, key=made_at)
            found[last.id] = Fate(broke=True, known_at=revert.merged_at, reason=f"{revert.key} took it back")
    return found


def changes_of_release(unit: Unit, venture: str, service: str, *, version: str, baseline: str | None) -> list[Change] | None:
    """What a version brings that its baseline has not; None when nobody knows the commit of one of them."""
    shas = unit.development_dora.commits_of_versions(venture)
    sha, base = (commit_of_version(shas, service, each) if each else None for each in (version, baseline))
    graph = unit.development_dora.graph(venture)
    if sha not in graph or base not in graph:
        return None
    old = _ancestors(graph, base or "")
    fresh = _ancestors(graph, sha or "") - old
    merged = unit.development_dora.merged(venture)
    by_external = {change.external_id: change for change in merged.values()}
    found = {}
    for each in fresh:
        change = merged.get(each) or by_external.get(graph[each].change or "")
        if change is not None and (not change.services or service in change.services):
            found[change.id] = change
    return sorted(found.values(), key=made_at)


def _ancestors(graph: Mapping[str, CommitNode], sha: str) -> set[str]:
    waiting, met = [sha], set()
    while waiting:
        at = waiting.pop()
        if at not in met and at in graph:
            met.add(at)
            waiting += graph[at].parents
    return met


def parts_of(model: KnownModel) -> RiskParts:
    """The numbers of a stored model, checked as if a stranger had sent them. Raises: RiskModelError."""
    import json

    return read_model(json.dumps(model.model), source=f"risk model {model.id}")[0]


def unmeasured(changes: Sequence[Change]) -> int:
    """How many have no files that are known."""
    return sum(not is_measured(change) for change in changes)
