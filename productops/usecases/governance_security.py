"""Security operations: look for trouble by the rules, keep what was seen, and show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from productops.adapters.governance_advisories import AdvisoryFiles
from productops.domain.catalog_security import Policies
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.governance_security import FindingFilter, RuleId, SecurityFinding, Sighting, StoredFinding
from productops.domain.governance_security_rules import burst_findings
from productops.domain.incident_alert import Alert
from productops.errors import InvalidInputError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_audit_note import note
from productops.usecases.governance_security_looks import ChainLook, audit_findings
from productops.usecases.governance_security_vulnerable import VulnerableLook

LOOK_MARK: Final = "look"
TOLD_FOR: Final = timedelta(minutes=5)
"""So long an end is told again and again, so that none is lost when this process dies in between."""
SIGHTINGS_KEPT: Final = timedelta(days=30)
HOUR_S: Final = 3600


@dataclass(slots=True)
class SecurityMemory:
    """What one watching process knows between two looks. ``advisories`` None: parts are not compared with any."""

    advisories: AdvisoryFiles | None = None
    chain: ChainLook = field(default_factory=ChainLook)
    vulnerable: VulnerableLook = field(init=False)
    problem: str = ""
    """Why advisories could not be read at the last look."""

    def __post_init__(self) -> None:
        self.vulnerable = VulnerableLook(self.advisories)


def find_security(context: Context, *, now: datetime, actor: Actor, memory: SecurityMemory | None = None) -> list[Alert]:
    """Look once; returns alerts of what holds, and of what ended within the last minutes.

    Without a ``memory`` the whole audit log is verified, up to ten thousand entries, and parts are compared with nothing.
    Raises: ForbiddenError, StoreUnavailableError.
    """
    actor.check(Operation.SECURITY_READ)
    known = memory or SecurityMemory()
    with context.store.read() as unit:
        policies = unit.security.policies()
        seen_until = unit.security.mark(LOOK_MARK).at
        sightings = unit.security.sightings(since_s=now.timestamp() - _longest_s(policies) - HOUR_S)
        found = audit_findings(unit, policies, seen_until=seen_until, now=now)
    found += burst_findings(_with_hours(sightings), policies.of(None), now=now)
    known.chain.turn(context, now=now)
    found += known.chain.finding(policies, now=now)
    unknown: frozenset[RuleId] = frozenset()
    try:
        found += known.vulnerable.turn(context, policies, now=now)
        known.problem = ""
    except InvalidInputError as error:
        # the files are away: what was found stays as it is, and everything else goes on
        known.problem, unknown = str(error), frozenset({RuleId.VULNERABLE})
    kept = [each for each in found if not policies.of(each.venture).excused(each, now=now)]
    return _settle(context, policies, kept, unknown, actor=actor, now=now)


def _longest_s(policies: Policies) -> int:
    return max(policies.of(None).rule(rule).window_s for rule in RuleId)


def _with_hours(sightings: Sequence[Sighting]) -> list[Sighting]:
    """The oldest first, as evidence is read."""
    return sorted(sightings, key=lambda each: each.minute_s)


def _settle(
    context: Context, policies: Policies, found: Sequence[SecurityFinding], unknown: frozenset[RuleId], *, actor: Actor, now: datetime
) -> list[Alert]:
    """Keep what was found, end what was not found again. What begins and ends is told to the audit log."""
    by_mark = {each.fingerprint: each for each in found}
    with context.store.write() as unit:
        standing = unit.security.open_findings()
        for mark, finding in by_mark.items():
            if mark in standing:
                _renew(unit, standing[mark], finding, now=now)
            else:
                made = unit.security.begin_finding(finding, now=now)
                told = {"rule": finding.rule.value, "severity": finding.severity, "subject": finding.subject}
                note(unit, actor, "security.found", f"finding/{made.id}", now=now, detail=told)
        over = [each for mark, each in standing.items() if mark not in by_mark and each.finding.rule not in unknown]
        unit.security.end_findings([each.id for each in over], now=now)
        for each in over:
            note(unit, actor, "security.ended", f"finding/{each.id}", now=now, detail={"rule": each.finding.rule.value})
        unit.security.set_mark(LOOK_MARK, {"open": len(by_mark)}, now=now)
        if unit.security.has_sightings(before_s=(now - SIGHTINGS_KEPT).timestamp() - HOUR_S):
            unit.security.forget_sightings(before_s=(now - SIGHTINGS_KEPT).timestamp())
        answering = answering_venture(unit, policies)
        told_now = [*unit.security.open_findings().values(), *unit.security.ended_since(now - TOLD_FOR)]
    open_marks = {each.finding.fingerprint for each in told_now if each.ended_at is None}
    alerts = [each for each in told_now if each.ended_at is None or each.finding.fingerprint not in open_marks]
    return [each.alert(answering) for each in alerts if each.finding.venture or answering]


def _renew(unit: Unit, standing: StoredFinding, finding: SecurityFinding, *, now: datetime) -> None:
    """Only what says something new is written: most looks see what the last one saw."""
    same = (standing.finding.severity, standing.finding.summary) == (finding.severity, finding.summary)
    if not same or now - standing.seen_at >= timedelta(minutes=1):
        unit.security.renew_finding(standing.id, finding, now=now)


def answering_venture(unit: Unit, policies: Policies) -> str:
    """Whose people get incidents of the whole installation: the policy says it, else the first by name; empty without any."""
    chosen = policies.of(None).answers
    ventures = sorted(unit.catalog.ventures())
    return chosen if chosen in ventures else next(iter(ventures), "")


def list_findings(
    context: Context, wanted: FindingFilter, *, venture: str | None = None, before: str | None = None, limit: int = 50, actor: Actor
) -> list[StoredFinding]:
    """What the caller may see, newest first; findings of the installation only for who may see all ventures.

    Raises: NotFoundError for what is no id, StoreUnavailableError.
    """
    seen = seen_ventures(actor, venture)
    with context.store.read() as unit:
        return unit.security.findings(FindingFilter(wanted.rule, wanted.open_only, seen), before=before, limit=limit)


def seen_ventures(actor: Actor, venture: str | None) -> frozenset[str] | None:
    """The ventures whose security the caller may see, of these only ``venture`` if that is said; None: everything."""
    seen = visible_ventures(actor.principal, Operation.SECURITY_READ)
    if venture is None:
        return seen
    return frozenset({venture}) if seen is None or venture in seen else frozenset()


def severities(findings: Sequence[StoredFinding]) -> Mapping[str, int]:
    """How many of each severity."""
    counted: dict[str, int] = {}
    for each in findings:
        counted[each.finding.severity] = counted.get(each.finding.severity, 0) + 1
    return counted
