"""What the store knows beside the reports: the policy, the baseline, waivers, signatures, quarantine, history."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from productops.domain.catalog import Service
from productops.domain.catalog_quality import BUILT_IN, PerformanceGate, QualityPolicy
from productops.domain.quality import Parsed
from productops.domain.quality_gates_collected import Collected
from productops.domain.quality_gates_diff import ChangedLines
from productops.domain.quality_gates_performance import name_of, series_of
from productops.domain.quality_runs import AppliedPolicy, QualityRun
from productops.domain.release import Environment
from productops.errors import NotFoundError
from productops.store import Unit

BUILT_IN_POLICY = AppliedPolicy(BUILT_IN, "", 0)


@dataclass(frozen=True, slots=True)
class Handed:
    """What is judged: the reports of one version. ``before``: the run that is judged again, so that nothing later counts."""

    service: Service
    version: str
    commit: str
    parsed: Parsed
    diff: ChangedLines | None
    before: str | None = None


def policy_for(unit: Unit, service: Service, name: str | None = None) -> AppliedPolicy:
    """The policy of that name, or the one that is for the service, or the built-in one.

    Raises: NotFoundError for a name nobody declared, or of another venture.
    """
    declared = unit.quality_policies.all()
    if name is not None:
        found = next((each for each in [*declared, BUILT_IN_POLICY] if each.name == name), None)
        if found is None or found.policy.metadata.venture not in {None, service.venture}:
            known = [each.name for each in declared if each.policy.metadata.venture in {None, service.venture}]
            raise NotFoundError(f"there is no quality policy {name[:80]!r} for {service.name}; known: {', '.join([*known, 'built-in'])}")
        return found
    covering = [each for each in declared if each.policy.covers(venture=service.venture, service=service.name)]
    return max(covering, key=lambda each: (each.policy.weight, each.name), default=BUILT_IN_POLICY)


def live_version(unit: Unit, service: str) -> str | None:
    """What users in production have; None without any."""
    found = unit.traffic.find(service, Environment.PRODUCTION)
    return found.baseline_version if found else None


def collect(unit: Unit, handed: Handed, policy: QualityPolicy, *, now: datetime) -> tuple[Collected, QualityRun | None]:
    """Everything the gates look at, and the run that findings and figures are compared with."""
    name, venture = handed.service.name, handed.service.venture
    baseline = unit.quality_runs.baseline(name, live=live_version(unit, name), before=handed.before)
    places = Counter(each.fingerprint for each in unit.quality_runs.findings(baseline.id)) if baseline else Counter[str]()
    collected = Collected(
        parsed=handed.parsed, diff=handed.diff, known=frozenset(places), known_places=places,
        quarantined={each.test_key: each.text for each in unit.quality_histories.held(name) if each.holds(now)},
        waivers=tuple(unit.quality_waivers.for_service(venture, name)),
        signatures=tuple(unit.quality_waivers.signatures(name, handed.version)),
        history=_history(unit, handed, policy), now=now, first_seen=unit.quality_findings.first_seen(name),
        baseline_figures=baseline.figures if baseline else {}, has_baseline=baseline is not None, commit=handed.commit,
    )  # fmt: skip
    return collected, baseline


def _history(unit: Unit, handed: Handed, policy: QualityPolicy) -> dict[str, list[tuple[float, ...]]]:
    """Earlier runs of the series that some gate compares; of the same unit, for another one is another measurement."""
    bare = Collected(parsed=handed.parsed)
    gates = [gate for gate in policy.spec.gates if isinstance(gate, PerformanceGate) and gate.compare]
    wanted = {name_of(series): series for gate in gates for series in series_of(gate, bare)}
    found = {}
    for name, series in wanted.items():
        runs = unit.quality_series.runs(handed.service.name, name, before=handed.before)
        found[name] = [run.values for run in runs if run.unit == series.unit[:40]]
    return found
