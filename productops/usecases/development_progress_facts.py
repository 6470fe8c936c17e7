"""What is known around a feature, gathered from every room: its work, changes, builds, judged commits, releases, incidents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.catalog_feature import FeatureSpec
from productops.domain.development import Build, Change, Commit, Feature, Move, Person, WorkItem
from productops.domain.development_progress import Row
from productops.domain.governance_access import Operation, Scope, may_see, visible_ventures
from productops.domain.quality_runs import QualityRun
from productops.domain.release import Environment, Phase, Release
from productops.store import Unit
from productops.store.development_dora import CommitNode, ReleaseMoves
from productops.store.development_progress import FailedTest
from productops.usecases.context import Actor
from productops.usecases.development_dora_facts import commit_of_version

CHANGES_MAX = 1000
RUNS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class FeatureFacts:
    """Everything a report is made of. ``former``: items that were in the feature once; ``shas``: all commits of its changes."""

    feature: Feature
    names: frozenset[str]
    goal: FeatureSpec | None
    items: tuple[WorkItem, ...]
    former: tuple[WorkItem, ...]
    moves: tuple[Move, ...]
    changes: tuple[Change, ...]
    shas: frozenset[str]
    merge_shas: frozenset[str]
    builds: tuple[Build, ...]
    runs: tuple[QualityRun, ...]
    tests: tuple[FailedTest, ...]
    services: tuple[str, ...]
    releases: tuple[ReleaseMoves, ...]
    incidents: tuple[str, ...]
    people: Mapping[str, str]
    now: datetime

    @property
    def live(self) -> tuple[ReleaseMoves, ...]:
        """Releases with its changes that users have had."""
        return tuple(each for each in self.releases if Phase.PROMOTED in each.reached)


def find_feature(unit: Unit, text: str, actor: Actor) -> Feature:
    """By id or key, among what the caller may see. Raises: NotFoundError, ConflictError when several are called so."""
    ventures = visible_ventures(actor.principal, Operation.DEVELOPMENT_READ)
    feature = unit.development_progress.feature(text, ventures=ventures)
    check_reader(actor, feature.venture)
    return feature


def check_reader(actor: Actor, venture: str) -> None:
    """The work is of no environment, so a grant for any of them is enough to read it. Raises: ForbiddenError."""
    if not may_see(actor.principal, Operation.DEVELOPMENT_READ, Scope(venture)):
        actor.check(Operation.DEVELOPMENT_READ, venture=venture)


def gather(unit: Unit, feature: Feature, *, now: datetime) -> FeatureFacts:
    """Read it all in one view of the store."""
    names = unit.development_progress.names(feature)
    goal = unit.development_goals.of(feature.venture, {*names, feature.id})
    items = unit.development.items_of(feature)
    gone = unit.development.items_of(feature, deleted=True)
    moves_of = _moves(unit, feature, items, names)
    former = _former(unit, feature, items, gone, moves_of)
    every = [*items, *former]
    moves = tuple({m.id: m for m in [*moves_of, *_moves_of_items(unit, feature, former)]}.values())
    changes = unit.development.changes_on(feature.venture, _keys(every, feature, names), limit=CHANGES_MAX)
    commits = _commits(unit, feature.venture, changes)
    shas = {c.sha for c in commits} | {sha for change in changes for sha in (change.head_sha, change.merge_sha) if sha}
    merge_shas = frozenset(change.merge_sha for change in changes if change.merge_sha)
    run_ids = unit.development_progress.runs_of(feature.venture, shas)
    runs = tuple(unit.quality_runs.get(run) for run in run_ids[:RUNS_SHOWN])
    services = _services(goal.spec if goal else None, items, changes, runs)
    return FeatureFacts(
        feature=feature, names=names, goal=goal.spec if goal else None, items=tuple(items), former=tuple(former), moves=moves,
        changes=tuple(changes), shas=frozenset(shas), merge_shas=merge_shas, builds=_builds(unit, feature.venture, shas), runs=runs,
        tests=tuple(unit.development_progress.failed_tests(run_ids, now=now)), services=services,
        releases=containing(unit, feature.venture, merge_shas, services), incidents=_incidents(unit, services),
        people={p.external_id: p.person or p.login for p in unit.development.of(Person, source=feature.source)}, now=now,
    )  # fmt: skip


def _keys(items: Sequence[WorkItem], feature: Feature, names: frozenset[str]) -> set[str]:
    # Ids such as 12 name nothing outside their tool.
    return {item.key for item in items} | {name for name in names if not name.isdigit()} | {feature.key}


def _moves(unit: Unit, feature: Feature, items: Sequence[WorkItem], names: frozenset[str]) -> list[Move]:
    own = _moves_of_items(unit, feature, items)
    left = [
        *unit.development.of(Move, source=feature.source, field="feature", old=sorted(names), limit=10_000),
        *unit.development.of(Move, source=feature.source, field="feature", new=sorted(names), limit=10_000),
    ]
    return [*own, *left]


def _moves_of_items(unit: Unit, feature: Feature, items: Sequence[WorkItem]) -> list[Move]:
    wanted = sorted({each for item in items for each in (item.external_id, item.key)})
    found: list[Move] = []
    for start in range(0, len(wanted), 400):
        found += unit.development.of(Move, source=feature.source, item=wanted[start : start + 400], limit=100_000)
    return found


def _former(unit: Unit, feature: Feature, items: Sequence[WorkItem], gone: Sequence[WorkItem], moves: Sequence[Move]) -> list[WorkItem]:
    """Items that were moved out of it, and those that were deleted in it."""
    here = {item.external_id for item in items}
    once = {move.item for move in moves if move.field == "feature"}
    moved = unit.development.referred(WorkItem, feature.source, once)
    found = {item.external_id: item for item in [*moved.values(), *(each for each in gone if each.deleted_at is not None)]}
    return [item for external_id, item in found.items() if external_id not in here]


def _commits(unit: Unit, venture: str, changes: Sequence[Change]) -> list[Commit]:
    found: list[Commit] = []
    by_source: dict[str, list[str]] = {}
    for change in changes:
        by_source.setdefault(change.source, []).append(change.external_id)
    for source, ids in by_source.items():
        for start in range(0, len(ids), 400):
            found += unit.development.of(Commit, ventures=[venture], source=source, change=ids[start : start + 400], limit=20_000)
    return found


def _builds(unit: Unit, venture: str, shas: Collection[str]) -> tuple[Build, ...]:
    wanted, found = sorted(shas), []
    for start in range(0, len(wanted), 400):
        found += unit.development.of(Build, ventures=[venture], sha=wanted[start : start + 400], limit=5000)
    return tuple(sorted(found, key=lambda build: build.started_at or build.changed_at))


def _services(
    goal: FeatureSpec | None, items: Sequence[WorkItem], changes: Sequence[Change], runs: Sequence[QualityRun]
) -> tuple[str, ...]:
    if goal is not None and goal.services:
        return goal.services
    touched = {s for i in items for s in i.services} | {s for c in changes for s in c.services} | {run.service for run in runs}
    return tuple(sorted(touched))


def containing(unit: Unit, venture: str, merge_shas: frozenset[str], services: Collection[str]) -> tuple[ReleaseMoves, ...]:
    """Releases to production whose version contains one of these commits, as far as the commit of the version is known."""
    if not merge_shas:
        return ()
    shas = unit.development_dora.commits_of_versions(venture)
    found = []
    graph: dict[str, CommitNode] | None = None
    for moves in unit.development_dora.releases(venture):
        sha = commit_of_version(shas, moves.release.service, moves.release.version)
        if sha is None or (services and moves.release.service not in services):
            continue
        graph = graph if graph is not None else unit.development_dora.graph(venture, since=_begin(unit, venture, merge_shas))
        if contains(graph, sha, merge_shas):
            found.append(moves)
    return tuple(found)


def _begin(unit: Unit, venture: str, merge_shas: frozenset[str]) -> datetime | None:
    """What contains a commit is not older than it; a day for clocks that differ."""
    times = [c.committed_at or c.changed_at for c in unit.development.of(Commit, ventures=[venture], sha=sorted(merge_shas)[:400])]
    return min(times) - timedelta(days=1) if len(times) == len(merge_shas) else None


def contains(graph: Mapping[str, CommitNode], sha: str, wanted: Collection[str]) -> bool:
    """Whether ``sha`` is, or comes after, one of the wanted commits."""
    waiting, met = [sha], set()
    while waiting:
        at = waiting.pop()
        if at in wanted:
            return True
        if at in met or at not in graph:
            continue
        met.add(at)
        waiting += graph[at].parents
    return False


def _incidents(unit: Unit, services: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(i for service in services for i in unit.incidents.open_of(service, Environment.PRODUCTION)))


def release_row(release: Release) -> Row:
    """A link to one of our own releases."""
    return Row("release", release.id, release.version, release.title, f"/api/v1/product-ops/releases/{release.id}")


def run_row(run: QualityRun) -> Row:
    """A link to a judgement."""
    return Row("quality run", run.id, run.version, f"{run.title}: {run.state.value}", f"/api/v1/product-ops/quality/runs/{run.id}")
