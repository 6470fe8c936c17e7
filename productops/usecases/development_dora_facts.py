"""The stored facts of a venture as the delivery figures take them: deployments with what they brought, changes, incidents, causes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from productops.domain import development as told
from productops.domain.development_dora import Attribution, Change, Deployment, Facts, Incident, Outcome, causes
from productops.domain.development_progress import Row
from productops.domain.release import Phase
from productops.store import Unit
from productops.store.development_dora import CommitNode, KnownIncident, ReleaseMoves
from productops.store.development_risk import KnownAttribution

SAME_WITHIN = timedelta(hours=1)
"""A deployment that a tool tells of, of the same commit and service as a release of ours that ended so near, is that release."""
HOTFIX = frozenset({"hotfix", "fix-forward", "roll-back", "rollback", "incident"})
REVERT = 'Revert "'
OURS = "/api/v1/product-ops/releases/"


@dataclass(frozen=True, slots=True)
class Delivered:
    """A deployment before it is known what it brought. ``tool``: a tool told of it; else it is a release of ours."""

    id: str
    service: str
    version: str
    sha: str | None
    started_at: datetime
    finished_at: datetime
    outcome: Outcome
    recovered_at: datetime | None
    tool: bool
    url: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """Facts and what stands behind them. ``rows`` by id of deployment, change or incident; ``unknown``: deployments of unknown commit;
    ``first``: those before which nothing of their service is known, so that nobody can say what they brought.
    """

    facts: Facts
    delivered: Mapping[str, Delivered]
    rows: Mapping[str, Row]
    incidents: Mapping[str, KnownIncident]
    attributions: tuple[KnownAttribution, ...]
    unknown: tuple[str, ...]
    first: tuple[str, ...]
    merged: Mapping[str, told.Change] = field(default_factory=dict)
    change_of: Mapping[str, str] = field(default_factory=dict)


def delivered_of(unit: Unit, venture: str, *, service: str | None = None) -> list[Delivered]:
    """Everything that reached, or should have reached, production, in the order in which users got it; each once, whoever tells of it."""
    shas = unit.development_dora.commits_of_versions(venture)
    ours = [one for moves in unit.development_dora.releases(venture, service=service) if (one := _ours(moves, shas)) is not None]
    tools = [one for each in unit.development_dora.deployments(venture, service=service) if (one := _tool(each)) is not None]
    near: dict[tuple[str, str | None], list[datetime]] = defaultdict(list)
    for each in ours:
        near[each.service, each.sha].append(each.finished_at)
    others = [t for t in tools if not any(abs(t.finished_at - at) <= SAME_WITHIN for at in near.get((t.service, t.sha), ()))]
    return sorted([*ours, *others], key=lambda each: (each.finished_at, each.id))


def commit_of_version(shas: Mapping[tuple[str, str], str], service: str, version: str) -> str | None:
    """The commit of a version: as its quality run says, or the version itself where it is one."""
    known = shas.get((service, version))
    looks_like_one = len(version) >= 7 and all(c in "0123456789abcdef" for c in version)
    return known or (version if looks_like_one else None)


def _ours(moves: ReleaseMoves, shas: Mapping[tuple[str, str], str]) -> Delivered | None:
    """A release that has ended, or that users have whole."""
    release, reached = moves.release, moves.reached
    exposed = min(
        (reached[p] for p in (Phase.ROLLING_OUT, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED) if p in reached), default=None
    )
    promoted = reached.get(Phase.PROMOTED)
    if not release.ended:
        return None
    outcome = {Phase.PROMOTED: Outcome.LIVE, Phase.ROLLED_BACK: Outcome.ROLLED_BACK}.get(release.phase, Outcome.NEVER_LIVE)
    finished = promoted or (exposed if outcome is Outcome.ROLLED_BACK else None) or release.ended_at or release.updated_at
    return Delivered(
        id=f"release/{release.id}", service=release.service, version=release.version,
        sha=commit_of_version(shas, release.service, release.version), started_at=exposed or release.created_at, finished_at=finished,
        outcome=outcome, recovered_at=reached.get(Phase.ROLLED_BACK) if outcome is Outcome.ROLLED_BACK else None, tool=False,
        url=f"{OURS}{release.id}",
    )  # fmt: skip


def _tool(each: told.Deployment) -> Delivered | None:
    if each.status not in {told.RunState.SUCCEEDED, told.RunState.FAILED}:
        return None
    finished = each.finished_at or each.changed_at
    return Delivered(
        id=f"deployment/{each.id}", service=each.service or each.repository, version=each.ref or each.sha[:12], sha=each.sha or None,
        started_at=each.started_at or finished, finished_at=finished,
        outcome=Outcome.LIVE if each.status is told.RunState.SUCCEEDED else Outcome.NEVER_LIVE, recovered_at=None, tool=True, url=each.url,
    )  # fmt: skip


class History:
    """What each deployment brought: commits that it contains and no earlier one that stayed did."""

    def __init__(self, graph: Mapping[str, CommitNode], merged: Mapping[str, told.Change]) -> None:
        self._graph = graph
        self._merged = merged
        self._changes = {each.external_id: each for each in merged.values()}
        self._of_change: dict[str, list[str]] = defaultdict(list)
        for node in graph.values():
            if node.change:
                self._of_change[node.change].append(node.sha)
        self.unknown: list[str] = []
        self.first: list[str] = []

    def of_service(self, deliveries: Sequence[Delivered]) -> list[tuple[Delivered, tuple[str, ...]]]:
        """In order of time. A tool's deployment that goes back to an older commit is the end of the one before, none of its own."""
        found: list[tuple[Delivered, tuple[str, ...]]] = []
        seen: set[str] = set()
        live = False
        for each in deliveries:
            last = found[-1] if found else None
            if last is not None and _goes_back(each, last[0], seen):
                seen -= set(self._walk(last[0].sha or "", seen - set(last[1])))
                found[-1] = (replace(last[0], outcome=Outcome.ROLLED_BACK, recovered_at=each.finished_at), last[1])
                continue
            brought = self._brought(each, seen, first=not live)
            found.append((each, brought))
            if each.outcome is Outcome.LIVE:
                live = live or each.sha in self._graph
                seen |= set(self._walk(each.sha or "", seen))
        return found

    def _brought(self, each: Delivered, seen: set[str], *, first: bool) -> tuple[str, ...]:
        if each.sha is None or each.sha not in self._graph:
            if each.outcome is not Outcome.NEVER_LIVE:
                self.unknown.append(each.id)
            return ()
        if first:
            self.first.append(each.id)
            return ()
        commits = [sha for raw in self._walk(each.sha, seen) for sha in self._written(raw)]
        return tuple(dict.fromkeys(sha for sha in commits if self._is_of(sha, each.service)))

    def _walk(self, sha: str, seen: set[str]) -> list[str]:
        """Commits that ``sha`` contains and that are not in ``seen``."""
        found: list[str] = []
        waiting, met = [sha], set(seen)
        while waiting:
            at = waiting.pop()
            if at in met or at not in self._graph:
                continue
            met.add(at)
            found.append(at)
            waiting += self._graph[at].parents
        return found

    def _written(self, sha: str) -> list[str]:
        """The commits that somebody wrote: none for a merge, those of the branch for a squash."""
        if len(self._graph[sha].parents) > 1:
            return []
        change = self._merged.get(sha)
        branch = [each for each in self._of_change.get(change.external_id, ()) if each != sha] if change is not None else []
        return [each for each in branch if len(self._graph[each].parents) <= 1] or [sha]

    def _is_of(self, sha: str, service: str) -> bool:
        change = self._merged.get(sha) or self._changes.get(self._graph[sha].change or "")
        return change is None or not change.services or service in change.services


def _goes_back(each: Delivered, last: Delivered, seen: set[str]) -> bool:
    return each.tool and each.outcome is Outcome.LIVE and last.outcome is Outcome.LIVE and each.sha in seen and each.sha != last.sha


def delivery(unit: Unit, venture: str, *, service: str | None = None, extra: Iterable[KnownAttribution] = ()) -> Delivery:
    """All facts of a venture, or of one service. ``extra``: causes that are worked out and not stored yet."""
    merged, graph = unit.development_dora.merged(venture), unit.development_dora.graph(venture)
    history = History(graph, merged)
    by_service: dict[str, list[Delivered]] = defaultdict(list)
    for each in delivered_of(unit, venture, service=service):
        by_service[each.service].append(each)
    brought = [pair for deliveries in by_service.values() for pair in history.of_service(deliveries)]
    incidents = {each.id: each for each in unit.development_dora.incidents(venture)}
    known = (*unit.attributions.standing(venture), *extra)
    facts = Facts(
        deployments=tuple(_deployment(each, changes, graph, merged) for each, changes in brought),
        changes=tuple(_change(graph[sha], graph) for sha in {sha for _, changes in brought for sha in changes}),
        incidents=tuple(Incident(i.id, i.opened_at, i.resolved_at, i.duplicate_of) for i in incidents.values()),
        attributions=tuple(Attribution(a.incident_id, a.deployment, a.confidence, a.by_person, a.at) for a in known),
    )
    facts = replace(facts, deployments=_reworked(facts, incidents))
    return Delivery(
        facts=facts, delivered={each.id: each for each, _ in brought}, rows=_rows(brought, incidents, graph), incidents=incidents,
        attributions=known, unknown=tuple(history.unknown), first=tuple(history.first), merged=merged,
        change_of={sha: graph[sha].change or "" for _, changes in brought for sha in changes},
    )  # fmt: skip


def _deployment(
    each: Delivered, changes: tuple[str, ...], graph: Mapping[str, CommitNode], merged: Mapping[str, told.Change]
) -> Deployment:
    said = any(graph[sha].title.startswith(REVERT) or (sha in merged and _is_hotfix(merged[sha])) for sha in changes)
    return Deployment(
        id=each.id, service=each.service, started_at=each.started_at, finished_at=each.finished_at, outcome=each.outcome, changes=changes,
        unplanned=said, recovered_at=each.recovered_at,
    )  # fmt: skip


def _is_hotfix(change: told.Change) -> bool:
    return bool(HOTFIX & {label.lower() for label in change.labels}) or (change.head or "").lower().startswith("hotfix")


def _change(node: CommitNode, graph: Mapping[str, CommitNode]) -> Change:
    reverts = None
    if node.title.startswith(REVERT):
        title = node.title.removeprefix(REVERT).rstrip('"')
        reverts = next((other.sha for other in graph.values() if other.title == title and other.repository == node.repository), title)
    return Change(node.sha, node.committed_at, reverts)


def _reworked(facts: Facts, incidents: Mapping[str, KnownIncident]) -> tuple[Deployment, ...]:
    """Unplanned is, besides reverts and hotfixes, what was deployed while users were harmed by an earlier deployment of the service."""
    home = {each.id: each for each in facts.deployments}
    spans: dict[str, list[tuple[datetime, datetime | None, str]]] = defaultdict(list)
    for incident, deployment in causes(facts, people=True).items():
        if deployment in home:
            one = incidents[incident]
            spans[home[deployment].service].append((one.opened_at, one.resolved_at, deployment))

    def is_mending(each: Deployment) -> bool:
        return any(
            begin <= each.started_at and (end is None or each.started_at < end) and cause != each.id
            for begin, end, cause in spans[each.service]
        )

    return tuple(replace(each, unplanned=True) if is_mending(each) else each for each in facts.deployments)


def _rows(
    brought: Sequence[tuple[Delivered, tuple[str, ...]]], incidents: Mapping[str, KnownIncident], graph: Mapping[str, CommitNode]
) -> dict[str, Row]:
    rows = {each.id: Row("deployment", each.id, each.version, f"{each.service} {each.version}", each.url) for each, _ in brought}
    shas = {sha for _, changes in brought for sha in changes}
    rows |= {sha: Row("commit", sha, sha[:12], graph[sha].title, "") for sha in shas}
    link = "/api/v1/deployment-ops/incidents/"
    return rows | {each.id: Row("incident", each.id, each.severity, each.title, f"{link}{each.id}") for each in incidents.values()}
