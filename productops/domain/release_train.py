"""A train: versions of several services that are released together, in the order of what depends on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter

from productops.domain.release import Environment, Phase, Release, Strategy
from productops.errors import DependencyCycleError, IllegalTransitionError, InvalidInputError

MEMBERS_MAX = 50


class TrainMode(StrEnum):
    """What a failed member means for the others."""

    ALL_OR_NOTHING = "all-or-nothing"
    BEST_EFFORT = "best-effort"


class TrainPhase(StrEnum):
    """Where a train stands. STUCK: a member could not be given back; a person has to look."""

    RUNNING = "running"
    ROLLING_BACK = "rolling_back"
    PROMOTED = "promoted"
    PARTIAL = "partial"
    ROLLED_BACK = "rolled_back"
    STUCK = "stuck"


class MemberPhase(StrEnum):
    """Where a member stands. UNCHANGED: users had its version already; PASSED: its trial was never meant for users."""

    WAITING = "waiting"
    RELEASING = "releasing"
    PROMOTED = "promoted"
    PASSED = "passed"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    SKIPPED = "skipped"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    STUCK = "stuck"


TRAIN_EDGES: dict[TrainPhase, frozenset[TrainPhase]] = {
    TrainPhase.RUNNING: frozenset({TrainPhase.ROLLING_BACK, TrainPhase.PROMOTED, TrainPhase.PARTIAL, TrainPhase.ROLLED_BACK}),
    TrainPhase.ROLLING_BACK: frozenset({TrainPhase.PARTIAL, TrainPhase.ROLLED_BACK, TrainPhase.STUCK}),
    TrainPhase.PROMOTED: frozenset(),
    TrainPhase.PARTIAL: frozenset(),
    TrainPhase.ROLLED_BACK: frozenset(),
    TrainPhase.STUCK: frozenset(),
}
MEMBER_EDGES: dict[MemberPhase, frozenset[MemberPhase]] = {
    MemberPhase.WAITING: frozenset({MemberPhase.RELEASING, MemberPhase.UNCHANGED, MemberPhase.FAILED, MemberPhase.SKIPPED}),
    MemberPhase.RELEASING: frozenset({MemberPhase.PROMOTED, MemberPhase.PASSED, MemberPhase.FAILED, MemberPhase.ROLLED_BACK}),
    # FAILED: somebody else rolled it back while the train was running.
    MemberPhase.PROMOTED: frozenset({MemberPhase.ROLLING_BACK, MemberPhase.FAILED}),
    MemberPhase.ROLLING_BACK: frozenset({MemberPhase.ROLLED_BACK, MemberPhase.STUCK}),
    **{
        phase: frozenset()
        for phase in (
            MemberPhase.PASSED, MemberPhase.UNCHANGED, MemberPhase.FAILED, MemberPhase.SKIPPED, MemberPhase.ROLLED_BACK, MemberPhase.STUCK,
        )
    },
}  # fmt: skip
TRAIN_ENDED = frozenset(phase for phase, targets in TRAIN_EDGES.items() if not targets)
SATISFIED = frozenset({MemberPhase.PROMOTED, MemberPhase.PASSED, MemberPhase.UNCHANGED})
LOST = frozenset({MemberPhase.FAILED, MemberPhase.SKIPPED})
MOVING = frozenset({MemberPhase.WAITING, MemberPhase.RELEASING, MemberPhase.ROLLING_BACK})
# Users have it, or may: what it depends on stays until it is given back. One that is stuck keeps what it needs for good.
_ON_USERS = frozenset({MemberPhase.RELEASING, MemberPhase.PROMOTED, MemberPhase.ROLLING_BACK, MemberPhase.STUCK})
_ENDINGS = {Phase.PROMOTED: MemberPhase.PROMOTED, Phase.PASSED: MemberPhase.PASSED}
_GOING_BACK = frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.FAILED})


@dataclass(frozen=True, slots=True)
class Member:
    """One service of a train. ``depends_on`` names members that must be promoted before it."""

    service: str
    version: str
    depends_on: tuple[str, ...]
    strategy: Strategy | None = None
    phase: MemberPhase = MemberPhase.WAITING
    release_id: str | None = None
    reason: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MemberWish:
    """One service of a train. ``depends_on`` None: what its catalog entry says."""

    service: str
    version: str
    depends_on: tuple[str, ...] | None = None
    strategy: Strategy | None = None


@dataclass(frozen=True, slots=True)
class Train:
    """One train as stored; its members in an order in which they may start."""

    id: str
    venture: str
    environment: Environment
    mode: TrainMode
    side_by_side: int
    phase: TrainPhase
    members: tuple[Member, ...]
    note: str
    reason: str
    requested_by: str
    origin: str
    flow_run_id: str | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    followed_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Nothing moves this train any more."""
        return self.phase in TRAIN_ENDED

    @property
    def title(self) -> str:
        """One line that names it in lists and run names."""
        listed = ", ".join(f"{m.service} {m.version}" for m in self.members[:4])
        more = f" and {len(self.members) - 4} more" if len(self.members) > 4 else ""
        return f"{listed}{more} ({self.environment})"


@dataclass(frozen=True, slots=True)
class Turn:
    """The train itself moves on."""

    phase: TrainPhase
    reason: str


@dataclass(frozen=True, slots=True)
class Settle:
    """A member's phase follows what happened."""

    service: str
    phase: MemberPhase
    reason: str


@dataclass(frozen=True, slots=True)
class Begin:
    """A member's release is to be requested."""

    service: str


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Users of a member are to have the earlier version again."""

    service: str


Move = Turn | Settle | Begin | GiveBack


def check_train_move(train_id: str, current: TrainPhase, target: TrainPhase) -> None:
    """Raises: IllegalTransitionError."""
    if target not in TRAIN_EDGES[current]:
        raise IllegalTransitionError(f"train {train_id} is {current} and cannot become {target}")


def check_member_move(service: str, current: MemberPhase, target: MemberPhase) -> None:
    """Raises: IllegalTransitionError."""
    if target not in MEMBER_EDGES[current]:
        raise IllegalTransitionError(f"{service} is {current} in its train and cannot become {target}")


def parse_members(members: Sequence[str], after: Sequence[str] = ()) -> tuple[MemberWish, ...]:
    """``service=version`` for each member and ``later:earlier`` for each dependency; without any, the catalog says the order.

    Raises: InvalidInputError.
    """
    versions: list[tuple[str, str]] = []
    for text in members:
        service, found, version = text.strip().partition("=")
        if not (found and service and version):
            raise InvalidInputError(f"{text[:80]!r} is no member; write service=version, e.g. storefront=1.1.0")
        versions.append((service.strip(), version.strip()))
    depends: dict[str, list[str]] = {}
    for text in after:
        later, found, earlier = (part.strip() for part in text.partition(":"))
        if not (found and earlier) or later not in {service for service, _ in versions}:
            raise InvalidInputError(f"{text[:80]!r} is no order of members; write later:earlier, e.g. storefront:cart")
        depends.setdefault(later, []).append(earlier)
    return tuple(MemberWish(s, v, tuple(depends.get(s, ())) if after else None) for s, v in versions)


def in_order(members: Sequence[Member]) -> tuple[Member, ...]:
    """Members so that each comes after those it depends on, otherwise as given; dependencies outside the train are left out.

    Raises: DependencyCycleError that names the cycle, InvalidInputError for a service that is named twice.
    """
    names = [m.service for m in members]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InvalidInputError(f"{twice} is named twice; a train takes one version of a service")
    kept = {m.service: replace(m, depends_on=tuple(d for d in m.depends_on if d in names)) for m in members}
    sorter = TopologicalSorter({name: kept[name].depends_on for name in names})
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = " → ".join(reversed(error.args[1]))
        raise DependencyCycleError(f"these depend on each other in a circle: {cycle}; none of them could go first", cycle=cycle) from error
    ordered: list[Member] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=names.index)
        ordered += [kept[name] for name in ready]
        sorter.done(*ready)
    return tuple(ordered)


def next_moves(train: Train, releases: Mapping[str, Release]) -> list[Move]:
    """Everything that can be done now; the same train and releases give the same moves. Empty: wait, or the train has ended.

    ``releases``: those of its members, by id. What happened comes first, alone: what is to be done follows from it.
    """
    if train.ended:
        return []
    happened = [move for m in train.members if (move := _happened(train, m, releases)) is not None]
    if happened:
        return list(happened)
    return _running(train) if train.phase is TrainPhase.RUNNING else _going_back(train, releases)


def _happened(train: Train, member: Member, releases: Mapping[str, Release]) -> Settle | None:
    release = releases.get(member.release_id) if member.release_id else None
    if release is None:
        return None
    match member.phase:
        case MemberPhase.RELEASING if release.phase in _ENDINGS:
            return Settle(member.service, _ENDINGS[release.phase], "")
        case MemberPhase.RELEASING if release.ended:
            undone = train.phase is TrainPhase.ROLLING_BACK
            return Settle(member.service, MemberPhase.ROLLED_BACK if undone else MemberPhase.FAILED, release.reason)
        case MemberPhase.PROMOTED if release.phase in _GOING_BACK and train.phase is TrainPhase.RUNNING:
            return Settle(member.service, MemberPhase.FAILED, f"it was rolled back after its promotion: {release.reason}")
        case MemberPhase.ROLLING_BACK if release.phase is Phase.ROLLED_BACK:
            return Settle(member.service, MemberPhase.ROLLED_BACK, release.reason)
    return None


def _running(train: Train) -> list[Move]:
    failed = next((m for m in train.members if m.phase is MemberPhase.FAILED), None)
    if failed is not None and train.mode is TrainMode.ALL_OR_NOTHING:
        return [Turn(TrainPhase.ROLLING_BACK, f"{failed.service} {failed.version} failed: {failed.reason}")]
    phases = {m.service: m.phase for m in train.members}
    waiting = [m for m in train.members if m.phase is MemberPhase.WAITING]
    skipped = [
        Settle(m.service, MemberPhase.SKIPPED, f"{lost}, which it depends on, {phases[lost]}")
        for m in waiting if (lost := next((d for d in m.depends_on if phases[d] in LOST), None))
    ]  # fmt: skip
    if skipped:
        return list(skipped)
    if not any(phase in MOVING for phase in phases.values()):
        return [_end(train)]
    free = train.side_by_side - sum(phase is MemberPhase.RELEASING for phase in phases.values())
    ready = [m for m in waiting if all(phases[d] in SATISFIED for d in m.depends_on)]
    return [Begin(m.service) for m in ready[: max(0, free)]]


def _going_back(train: Train, releases: Mapping[str, Release]) -> list[Move]:
    waiting = [m for m in train.members if m.phase is MemberPhase.WAITING]
    if waiting:
        return [Settle(m.service, MemberPhase.SKIPPED, train.reason) for m in waiting]
    due = _due_back(train)
    if due:
        return [Settle(m.service, MemberPhase.ROLLING_BACK, train.reason) for m in due]
    going = [m for m in train.members if m.phase in {MemberPhase.RELEASING, MemberPhase.ROLLING_BACK}]
    if not going:
        return [_end(train)]
    return [GiveBack(m.service) for m in going if m.release_id and releases[m.release_id].phase not in _GOING_BACK]


def _due_back(train: Train) -> list[Member]:
    """Promoted members that no other member still needs: the last ones first."""
    if train.mode is TrainMode.BEST_EFFORT:
        return []
    needed = {d for m in train.members if m.phase in _ON_USERS for d in m.depends_on}
    return [m for m in train.members if m.phase is MemberPhase.PROMOTED and m.service not in needed]


def _end(train: Train) -> Turn:
    phases = [m.phase for m in train.members]
    if any(phase is MemberPhase.STUCK for phase in phases):
        stuck = ", ".join(f"{m.service}: {m.reason}" for m in train.members if m.phase is MemberPhase.STUCK)
        return Turn(TrainPhase.STUCK, f"users keep the new version of {stuck}")
    if all(phase in SATISFIED for phase in phases):
        if train.phase is TrainPhase.RUNNING:
            return Turn(TrainPhase.PROMOTED, "")
        return Turn(TrainPhase.PARTIAL, train.reason)
    if any(phase is MemberPhase.PROMOTED for phase in phases):
        lost = ", ".join(f"{m.service} {m.phase}" for m in train.members if m.phase not in SATISFIED)
        return Turn(TrainPhase.PARTIAL, train.reason or f"not promoted: {lost}")
    reason = train.reason or next((f"{m.service}: {m.reason}" for m in train.members if m.phase is MemberPhase.FAILED), "")
    return Turn(TrainPhase.ROLLED_BACK, reason)
