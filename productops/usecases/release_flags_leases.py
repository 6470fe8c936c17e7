"""What a process that answers evaluations knows of the leases on flags that releases ramp, also while the database takes no writes.

The agent takes a flag back in the transaction that lets its lease lapse. While the database is locked, that transaction waits, but users
must not: whoever answers them counts the same monotonic seconds since the lease was last renewed, and gives them what the flag gave
before the release as soon as these are over. A renewal that comes after all brings the variant back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from productops.domain.catalog_flags import FlagState, Ramp
from productops.domain.release import Environment
from productops.domain.release_flags.flag import Flag
from productops.domain.strategies.feature_toggle import flag_target
from productops.domain.traffic import Lease
from productops.store import Unit
from productops.usecases.release_toggle import toggles

# A look at the database that takes longer is one that was not answered.
LOOK_S = 1.0


@dataclass(slots=True)
class _Watched:
    """A flag under a lease. ``since`` is monotonic, of the look that saw ``beat`` first; ``before`` is the ramp to go back to."""

    service: str
    release_id: str
    before: Ramp | None
    beat: int
    ttl_s: float
    since: float


class FlagLeases:
    """Leases on flags by environment and flag, as of the last look. Not safe for several threads that look at once."""

    def __init__(self) -> None:
        self._watched: dict[tuple[Environment, str], _Watched] = {}
        self._looked = float("-inf")
        self._asking: float | None = None

    def ask(self) -> None:
        """A look begins."""
        if self._asking is None:
            self._asking = time.monotonic()

    def find(self, unit: Unit) -> None:
        """Flags may have been shifted: read which releases hold some now."""
        fresh: dict[tuple[Environment, str], _Watched] = {}
        for release in unit.releases.all_active():
            done = unit.flags.of_release(flag_target(release.version).flag, release.id) if toggles(release) else []
            if not done:
                continue
            place = (release.environment, done[0].key)
            ramp = unit.flags.get(done[0].key).state.live_in(release.environment).ramp
            if ramp != done[-1].after.live_in(release.environment).ramp:  # a person had the last word on it, which stays
                continue
            first = done[0].before
            before = first.live_in(release.environment).ramp if first is not None else None
            known = self._watched.get(place)
            if known is not None and known.release_id == release.id:
                fresh[place] = known
            elif (lease := self._lease(unit, release.service, release.environment, release.id)) is not None:
                fresh[place] = _Watched(release.service, release.id, before, lease.beat, lease.ttl_s, time.monotonic())
        self._watched = fresh

    def look(self, unit: Unit, started: float) -> None:
        """See which were renewed. ``started`` is when the look began, monotonic; this ends it."""
        for (environment, key), watched in list(self._watched.items()):
            lease = self._lease(unit, watched.service, environment, watched.release_id)
            if lease is None:  # given back or settled: what the flag says now holds
                del self._watched[environment, key]
            elif lease.beat != watched.beat:
                watched.beat, watched.ttl_s, watched.since = lease.beat, lease.ttl_s, started
        self._looked, self._asking = started, None

    def lapsed(self, environment: Environment) -> Mapping[str, Ramp | None]:
        """Flags whose lease is over, and the ramp that holds instead.

        Over it is when a look after its time still saw no renewal, or when its time is over and looks are not answered. That nobody
        has looked for a while says nothing.
        """
        if not self._watched:
            return {}
        now = time.monotonic()
        seen = now if self._asking is not None and now - self._asking > LOOK_S else self._looked
        return {
            key: watched.before for (where, key), watched in list(self._watched.items())
            if where is environment and seen - watched.since > watched.ttl_s
        }  # fmt: skip

    @staticmethod
    def _lease(unit: Unit, service: str, environment: Environment, release_id: str) -> Lease | None:
        target = unit.traffic.find(service, environment)
        return target.lease if target is not None and target.release_id == release_id else None


def with_ramp(flag: Flag, environment: Environment, ramp: Ramp | None) -> Flag:
    """The flag as if it were ramped like this there; at a revision that no stored one has, for it is another flag to who evaluates it."""
    live = flag.state.live_in(environment).model_copy(update={"ramp": ramp})
    state: FlagState = flag.state.model_copy(update={"live": dict(flag.state.live) | {environment: live}})
    return replace(flag, state=state, revision=-flag.revision)
