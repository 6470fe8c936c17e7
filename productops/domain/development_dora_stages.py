"""Where lead time goes: coding, waiting for review, review, waiting for deployment; and which deployment a change came with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """One deployment of one repository by one pipeline; ``environment`` empty: nobody knows."""

    id: str
    scope: str
    repository: str
    environment: str
    succeeded: bool
    started_at: datetime
    finished_at: datetime
    commit: str


@dataclass(frozen=True, slots=True)
class MergedChange:
    """A change with its own commits (when written) and comments (when, by whom)."""

    id: str
    author: str
    created_at: datetime
    merged_at: datetime
    merge_commit: str
    commits: tuple[tuple[str, datetime], ...] = ()
    comments: tuple[tuple[str, datetime, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stages:
    """Durations of one change; None: the stage was not gone through, or its end lies before its beginning.

    ``coding``: first commit → opened; ``pickup``: opened → first comment of somebody else; ``review``: that → merged; ``deploy``: merged →
    users got it. ``cycle``: coding + open + deploy.
    """

    first_commit: str | None
    first_review: str | None
    deployment: str | None
    coding: timedelta | None
    pickup: timedelta | None
    review: timedelta | None
    deploy: timedelta | None
    cycle: timedelta


def previous_success(runs: Iterable[PipelineRun]) -> dict[str, str]:
    """Run → the successful run before it of the same scope, repository and environment, in order of start.

    Failed runs and those of an unknown environment neither have nor are a previous one.
    """
    last: dict[tuple[str, str, str], str] = {}
    found = {}
    for run in sorted(runs, key=lambda each: (each.started_at, each.id)):
        if not run.succeeded or not run.environment:
            continue
        key = (run.scope, run.repository, run.environment)
        if key in last:
            found[run.id] = last[key]
        last[key] = run.id
    return found


def first_delivery(
    runs: Iterable[PipelineRun], previous: Mapping[str, str], new_commits: Mapping[tuple[str, str], Collection[str]]
) -> dict[str, PipelineRun]:
    """Commit → the first successful run in production that brought it. ``new_commits``: (older commit, newer commit) → what is between.

    The first run of all brought everything that ever was; nothing in it was delivered by it, so it delivers nothing.
    """
    ordered = sorted(runs, key=lambda each: (each.started_at, each.id))
    known = {each.id: each for each in ordered}
    found: dict[str, PipelineRun] = {}
    for run in ordered:
        if run.succeeded and run.environment.upper() == "PRODUCTION" and run.id in previous:
            for commit in new_commits.get((known[previous[run.id]].commit, run.commit), ()):
                found.setdefault(commit, run)
    return found


def stages(change: MergedChange, delivery: PipelineRun | None) -> Stages:
    """The stages of one change; ``delivery``: the run that brought its merge commit."""
    first = min(change.commits, key=lambda each: each[1], default=None)
    reviews = [each for each in change.comments if each[2] != change.author]
    review = min(reviews, key=lambda each: each[1], default=None)
    coding = _between(first[1], change.created_at) if first else None
    deploy = _between(change.merged_at, delivery.finished_at) if delivery else None
    nothing = timedelta(0)
    return Stages(
        first[0] if first else None,
        review[0] if review else None,
        delivery.id if delivery else None,
        coding,
        _between(change.created_at, review[1]) if review else None,
        _between(review[1], change.merged_at) if review else None,
        deploy,
        (coding or nothing) + (change.merged_at - change.created_at) + (deploy or nothing),
    )


def _between(begin: datetime, end: datetime) -> timedelta | None:
    return end - begin if end >= begin else None
