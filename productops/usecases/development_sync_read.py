"""Deployments of a venture, whoever made them: those that tools tell of, and the releases of ProductOps itself. A view, no copies."""

from __future__ import annotations

from datetime import datetime

from productops.domain.development import Deployment, RunState
from productops.domain.governance_access import ANY
from productops.domain.release import Environment, Phase, Release
from productops.store import Unit

OURS = "productops"
_ENDS = {
    Phase.PROMOTED: RunState.SUCCEEDED, Phase.PASSED: RunState.SUCCEEDED, Phase.ROLLING_BACK: RunState.FAILED,
    Phase.ROLLED_BACK: RunState.FAILED, Phase.FAILED: RunState.FAILED, Phase.REQUESTED: RunState.QUEUED,
}  # fmt: skip
PAGE = 500


def deployments_of(unit: Unit, venture: str, *, since: datetime) -> list[Deployment]:
    """Deployments that changed or began since then, oldest first. Of releases, ``source`` is productops and ``ref`` the version."""
    found = list(_told(unit, venture, since)) + [_released(each) for each in _releases(unit, venture, since)]
    return sorted(found, key=lambda each: each.started_at or each.changed_at)


def _told(unit: Unit, venture: str, since: datetime) -> list[Deployment]:
    found: list[Deployment] = []
    after: str | None = None
    while page := unit.development.of(Deployment, ventures=(venture,), changed_since=since, after=after, limit=PAGE):
        found += page
        after = page[-1].id
    return found


def _releases(unit: Unit, venture: str, since: datetime) -> list[Release]:
    found: list[Release] = []
    before: str | None = None
    while page := unit.releases.newest(service=None, environment=None, before=before, limit=PAGE, places=[(venture, ANY)]):
        found += [each for each in page if each.created_at >= since]
        if page[-1].created_at < since:
            break
        before = page[-1].id
    return found


def _released(release: Release) -> Deployment:
    return Deployment(
        external_id=release.id, id=release.id, venture=release.venture, source=OURS, scope=release.service, repository="", sha="",
        ref=release.version, environment=release.environment.value, production=release.environment is Environment.PRODUCTION,
        service=release.service, status=_ENDS.get(release.phase, RunState.RUNNING), started_at=release.created_at,
        finished_at=release.ended_at, changed_at=release.updated_at,
    )  # fmt: skip
