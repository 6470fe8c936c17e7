"""Which versions that users get now have vulnerable parts: the parts lists of quality runs against advisories in files."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from productops.adapters.governance_advisories import AdvisoriesRead, AdvisoryFiles
from productops.domain.catalog_security import Policies
from productops.domain.governance_security import SecurityFinding
from productops.domain.governance_security_rules import vulnerable_live
from productops.domain.governance_security_vulnerable import Package, find_vulnerable, package_of
from productops.domain.quality import Component
from productops.domain.release import Environment
from productops.store import Unit
from productops.store.quality_runs import QualityRunFilter
from productops.usecases.context import Context

MARK: Final = "advisories"
LOOK_EVERY: Final = timedelta(seconds=60)
RUNS_MAX: Final = 20
Live = tuple[str, Environment, str]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts list of a version, and the quality run that keeps it."""

    run_id: str
    components: tuple[Component, ...]


@dataclass(slots=True)
class VulnerableLook:
    """Looks once a minute, and reads the files again only when one of them or what is live has changed."""

    files: AdvisoryFiles | None
    _parts: dict[tuple[str, str], Parts | None] = field(default_factory=dict)
    _read: AdvisoriesRead | None = None
    _read_for: tuple[str, frozenset[Package]] | None = None
    _looked_at: datetime | None = None
    _found: list[SecurityFinding] = field(default_factory=list)

    def turn(self, context: Context, policies: Policies, *, now: datetime) -> list[SecurityFinding]:
        """What is vulnerable now. Raises: InvalidInputError when the files are not there, StoreUnavailableError."""
        if self.files is None:
            return []
        if self._looked_at is not None and now - self._looked_at < LOOK_EVERY:
            return self._found
        with context.store.read() as unit:
            live = _live(unit)
            owners = {service.name: service.venture for service in unit.catalog.services()}
            self._learn(unit, live)
        listed = {each: parts for each in live if (parts := self._parts.get((each[0], each[2]))) is not None}
        wanted = frozenset(known[0] for parts in listed.values() for c in parts.components if (known := package_of(c)) is not None)
        read = self._advisories(wanted)
        self._found = [
            vulnerable_live(
                hit, policies.of(owners.get(service)), venture=owners[service], service=service, environment=environment, version=version,
                now=now,
            )
            for (service, environment, version), parts in listed.items() if service in owners
            for hit in find_vulnerable(parts.components, read.by_package)
        ]  # fmt: skip
        self._looked_at = now
        self._keep(context, read, live, listed, now=now)
        return self._found

    def _learn(self, unit: Unit, live: list[Live]) -> None:
        """Parts lists of what is live: a newer quality run of a version may have another one."""
        keys = {(service, version) for service, _, version in live}
        self._parts = {key: parts for key, parts in self._parts.items() if key in keys}
        for service, version in keys:
            known = self._parts.get((service, version))
            newest = unit.quality_runs.newest_of_version(service, version)
            if newest is None or known is None or newest.id != known.run_id:
                self._parts[service, version] = _parts_of(unit, service, version)

    def _advisories(self, wanted: frozenset[Package]) -> AdvisoriesRead:
        assert self.files is not None  # noqa: S101 - the caller has looked
        state = (self.files.state(), wanted)
        if self._read is None or self._read_for != state:
            self._read, self._read_for = self.files.read(wanted), state
        return self._read

    def _keep(self, context: Context, read: AdvisoriesRead, live: list[Live], listed: dict[Live, Parts], *, now: datetime) -> None:
        """For the posture: what was looked at, and what could not be."""
        silent = sorted({f"{service} {version}" for service, environment, version in live if (service, environment, version) not in listed})
        data: dict[str, Any] = {
            "documents": read.documents, "problems": list(read.problems), "without_parts": silent[:100], "looked_at": len(listed),
            "state": self._read_for[0] if self._read_for else "",
        }  # fmt: skip
        with context.store.write() as unit:
            unit.security.set_mark(MARK, data, now=now)


def _live(unit: Unit) -> list[Live]:
    """Service, environment and version of everything that users get."""
    found: list[Live] = []
    for target in unit.traffic.all():
        candidate = target.candidate_version if target.candidate_pct > 0 or target.segments else None
        found += [(target.service, target.environment, version) for version in (target.baseline_version, candidate) if version]
    return list(dict.fromkeys(found))


def _parts_of(unit: Unit, service: str, version: str) -> Parts | None:
    """Of the newest run of the version that has a parts list."""
    for run in unit.quality_runs.page(QualityRunFilter(service=service, version=version), limit=RUNS_MAX):
        if unit.quality_runs.counts(run.id).get("components"):
            parsed, _ = unit.quality_runs.evidence(run.id)
            return Parts(run.id, parsed.components)
    return None
