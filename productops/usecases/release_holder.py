"""Which flow run may act on a release."""

from __future__ import annotations

from productops.domain.release import Release
from productops.errors import TakenOverError
from productops.store import Unit
from productops.usecases.context import Actor


def held(unit: Unit, release_id: str, actor: Actor) -> Release:
    """The release, when ``actor`` may act on it. Raises: TakenOverError when another flow run has it now, NotFoundError."""
    release = unit.releases.get(release_id)
    if actor.run is not None and release.flow_run_id not in {None, actor.run}:
        raise TakenOverError(f"release {release_id} is carried on by flow run {release.flow_run_id}; this one does nothing more")
    return release
