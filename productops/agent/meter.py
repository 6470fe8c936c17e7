"""The thread that counts: one reading a second, differences into the store."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from productops.agent.comparator import Comparator
from productops.agent.exposures import ExposureTail
from productops.agent.state import AgentState
from productops.domain.analysis import ArmSecond
from productops.domain.routing import RouterReading, VersionKey, mirrored_between, second_between
from productops.domain.strategies.dark_launch import DIFFERENCES
from productops.errors import RouterError, StoreUnavailableError

log = structlog.get_logger(__name__)
FORGET_EVERY_S = 300


@dataclass(slots=True)
class MeterLoop:
    """Reads the router's counters at each whole second and stores what was added."""

    state: AgentState
    retention_s: int
    comparator: Comparator | None = None
    exposures: ExposureTail | None = None
    _before: RouterReading | None = None
    _last_s: int = 0
    _forgotten_at: int = 0

    def run(self) -> None:
        """Until the agent stops."""
        self.state.fresh.wait()
        while not self.state.stopping.is_set():
            now = time.time()
            self.state.stopping.wait(max(0.05, 1.0 - now % 1.0))
            self.turn(time.time())

    def turn(self, wall: float) -> None:
        """Store the second that has just ended. A wall clock that steps back does not overwrite: seconds only rise."""
        at_s = max(self._last_s + 1, round(wall) - 1)
        keys = self._keys()
        exposed = self._exposed()
        try:
            after = self.state.router.read()
        except RouterError as error:
            log.warning("router not readable", reason=str(error))
            self._before = None
            self._store(at_s, dict.fromkeys(keys) | exposed)
            return
        before, self._before = self._before, after
        if before is None:
            self._store(at_s, dict.fromkeys(keys) | exposed)
            return
        arms = {key: second_between(before, after, key) for key in keys | set(after.arms)}
        for target in self.state.snapshot.targets:
            if target.mirror is not None and target.baseline_version is not None:
                # Only requests of some kinds are copied, so only those of the baseline can be compared with the copies.
                key = (target.service, target.environment, target.baseline_version)
                arms[key] = mirrored_between(before, after, target.key)
        self._store(at_s, arms | exposed)

    def _exposed(self) -> dict[VersionKey, ArmSecond | None]:
        """Answers to users with and without a flag since the last second; where nothing can be known, the arms on trial say so."""
        wanted = dict.fromkeys(self.state.snapshot.flag_arms, ArmSecond())
        found = self.exposures.take() if self.exposures is not None else None
        return dict.fromkeys(wanted) if found is None else {**wanted, **found}

    def _keys(self) -> set[VersionKey]:
        """Versions under trial and their baselines: their silence is worth a row."""
        return {
            (t.service, t.environment, version)
            for t in self.state.snapshot.targets if t.exposed
            for version in (t.baseline_version, t.candidate_version) if version
        } | set(self.state.snapshot.flag_arms)  # fmt: skip

    def _store(self, at_s: int, arms: dict[VersionKey, ArmSecond | None]) -> None:
        self._last_s = at_s
        loud = self._keys()
        rows = {key: arm for key, arm in arms.items() if key in loud or (arm is not None and arm.requests)}
        try:
            if rows:
                with self.state.context.store.write() as unit:
                    unit.seconds.add(at_s, rows)
            self._store_differences(at_s)
            if at_s - self._forgotten_at > FORGET_EVERY_S:
                self._forgotten_at = at_s
                with self.state.context.store.write() as unit:
                    unit.seconds.forget(before_s=at_s - self.retention_s)
        except StoreUnavailableError as error:
            log.warning("second lost: store unavailable", at_s=at_s, reason=str(error))

    def _store_differences(self, at_s: int) -> None:
        """What the comparator found since the last second, beside the traffic of that second."""
        found = self.comparator.take() if self.comparator is not None else None
        if found is None or not found.ratios:
            return
        with self.state.context.store.write() as unit:
            for key, ratio in found.ratios.items():
                unit.seconds.add_metrics(key, at_s, {DIFFERENCES: ratio})
            for release_id, example in found.examples:
                unit.releases.tell(release_id, "difference", example, now=self.state.context.clock.now())
