"""The rules themselves: figures and entries in, findings out. No clock, no store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from productops.domain.catalog_security import Rule, SecurityPolicySpec, UsualHours
from productops.domain.governance_approvals_hours import describe, within
from productops.domain.governance_audit import AuditEntry
from productops.domain.governance_security import FAILURES, RuleId, SecurityFinding, Seen, Sighting, network_of
from productops.domain.governance_security_vulnerable import Advisory, Vulnerable
from productops.domain.release import Environment

OWN_LATELY = timedelta(hours=12)
"""What somebody did so shortly before says nothing of their usual hours: it may be the same intruder."""
Key = Callable[[Sighting], str]


def burst_findings(sightings: Sequence[Sighting], policy: SecurityPolicySpec, *, now: datetime) -> list[SecurityFinding]:
    """Of what the door saw: failures by address and by person, dead tokens, tokens in many places, refusals."""
    found = _counted(
        sightings, policy.rule(RuleId.FAILED_ADDRESS), FAILURES, lambda s: s.address,
        "{times} failed authentications from {key} within {minutes} minutes", now=now,
    )  # fmt: skip
    found += _counted(
        sightings, policy.rule(RuleId.FAILED_USER), FAILURES, lambda s: s.principal,
        "{times} failed authentications as {key} within {minutes} minutes", now=now, person=True,
    )  # fmt: skip
    found += _counted(
        sightings, policy.rule(RuleId.REVOKED_TOKEN), {Seen.REVOKED, Seen.DISABLED}, lambda s: s.subject,
        "token {key}, which was revoked or whose owner is disabled, was used {times} times within {minutes} minutes", now=now,
    )  # fmt: skip
    found += _counted(
        sightings, policy.rule(RuleId.EXPIRED_TOKEN), {Seen.EXPIRED}, lambda s: s.subject,
        "token {key}, which has expired, was used {times} times within {minutes} minutes", now=now,
    )  # fmt: skip
    found += _counted(
        sightings, policy.rule(RuleId.REFUSED), {Seen.REFUSED}, lambda s: s.principal,
        "{key} was refused {times} operations within {minutes} minutes", now=now, person=True,
    )  # fmt: skip
    return found + _spread(sightings, policy.rule(RuleId.MANY_ADDRESSES), now=now)


def _counted(
    sightings: Iterable[Sighting], rule: Rule, kinds: Iterable[Seen], key: Key, sentence: str, *, now: datetime, person: bool = False
) -> list[SecurityFinding]:
    wanted, since_s = set(kinds), now.timestamp() - rule.window_s - 60
    by_key: dict[str, list[Sighting]] = defaultdict(list)
    for each in sightings:
        if each.kind in wanted and each.minute_s >= since_s and key(each):
            by_key[key(each)].append(each)
    found = []
    for name, seen in sorted(by_key.items()):
        times = sum(each.times for each in seen)
        if times < rule.times:
            continue
        people = {name} if person else {each.principal for each in seen if each.principal}
        found.append(
            SecurityFinding(
                rule=rule.id, subject=name, severity=rule.severity, at=datetime.fromtimestamp(min(each.minute_s for each in seen), UTC),
                summary=sentence.format(times=times, key=name, minutes=max(1, rule.window_s // 60)) + _where(seen, name),
                names=tuple(sorted({each.address for each in seen} | people)), people=tuple(sorted(people)), value=float(times),
                evidence=tuple(each.document() for each in seen),
            )
        )  # fmt: skip
    return found


def _where(seen: Iterable[Sighting], name: str) -> str:
    addresses = sorted({each.address for each in seen} - {name})
    more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""
    return f" (from {', '.join(addresses[:3])}{more})" if addresses else ""


def _spread(sightings: Iterable[Sighting], rule: Rule, *, now: datetime) -> list[SecurityFinding]:
    since_s = now.timestamp() - rule.window_s - 3600  # uses are counted by the hour
    by_token: dict[str, list[Sighting]] = defaultdict(list)
    for each in sightings:
        if each.kind is Seen.USED and each.minute_s >= since_s:
            by_token[each.subject].append(each)
    found = []
    for token, seen in sorted(by_token.items()):
        networks = sorted({network_of(each.address) for each in seen})
        if len(networks) >= rule.times:
            people = tuple(sorted({each.principal for each in seen if each.principal}))
            found.append(
                SecurityFinding(
                    rule=rule.id, subject=token, severity=rule.severity, at=now, people=people, names=tuple(networks[:50]) + people,
                    summary=f"token {token} of {', '.join(people) or 'nobody known'} was used from {len(networks)} addresses",
                    evidence=tuple(each.document() for each in seen), value=float(len(networks)),
                )
            )  # fmt: skip
    return found


def is_odd(at: datetime, policy: SecurityPolicySpec, history: Sequence[datetime]) -> bool:
    """Whether it lies outside the working hours, and outside the person's own as far as these are known.

    Where nobody declared working hours, only somebody whose own are known can be at an odd one.
    """
    if policy.hours is not None and within(policy.hours, at):
        return False
    zone = policy.hours.timezone if policy.hours is not None else "UTC"
    usual = _is_usual(at, zone, policy.usual, [each for each in history if each < at - OWN_LATELY])
    return policy.hours is not None if usual is None else not usual


def _is_usual(at: datetime, zone: str, usual: UsualHours, history: Sequence[datetime]) -> bool | None:
    """None: too little is known of the person."""
    local = [each.astimezone(ZoneInfo(zone)) for each in history]
    if len(local) < usual.entries_min or len({each.date() for each in local}) < usual.days_min:
        return None
    hour = at.astimezone(ZoneInfo(zone)).hour
    near = sum((each.hour - hour) % 24 in {0, 1, 23} for each in local)
    return near / len(local) >= usual.share_min


def _odd_words(policy: SecurityPolicySpec) -> str:
    return f"outside the working hours ({describe(policy.hours)})" if policy.hours is not None else "at which they never work"


def entry_row(entry: AuditEntry) -> dict[str, object]:
    """An entry of the audit log as evidence."""
    return {"audit": entry.seq, "at": entry.at, "actor": entry.actor, "action": entry.action, "subject": entry.subject, "hash": entry.hash}


def odd_access(
    entry: AuditEntry, policy: SecurityPolicySpec, history: Sequence[datetime], *, venture: str | None
) -> SecurityFinding | None:
    """A change of somebody's rights, or a wide token, at an hour at which nobody works."""
    at, rule = datetime.fromisoformat(entry.at), policy.rule(RuleId.ODD_ACCESS)
    if entry.action == "token.created" and not _is_wide(entry):
        return None
    if not is_odd(at, policy, history):
        return None
    return SecurityFinding(
        rule=rule.id, subject=f"{entry.action} {entry.subject} by {entry.actor}"[:255], severity=rule.severity, venture=venture, at=at,
        summary=f"{entry.actor} did {entry.action} to {entry.subject} at {at:%H:%M} UTC, {_odd_words(policy)}",
        names=(entry.actor, entry.subject), people=(entry.actor,), evidence=(entry_row(entry),),
    )  # fmt: skip


def _is_wide(entry: AuditEntry) -> bool:
    """A token for all operations, or for all ventures."""
    after = entry.content.get("after")
    return isinstance(after, dict) and (after.get("operations") is None or after.get("venture") == "*")


@dataclass(frozen=True, slots=True)
class ReleaseAsked:
    """A release that was asked for. ``earlier``: releases of the venture before; ``own``: those of the same person."""

    entry: AuditEntry
    venture: str
    service: str
    environment: Environment
    earlier: int
    own: int


def odd_release(asked: ReleaseAsked, policy: SecurityPolicySpec, history: Sequence[datetime]) -> SecurityFinding | None:
    """A release at an odd hour, or by somebody who never released; both at once are a step more severe."""
    entry, rule = asked.entry, policy.rule(RuleId.ODD_RELEASE)
    at, reasons = datetime.fromisoformat(entry.at), []
    if is_odd(at, policy, history):
        reasons.append(f"at {at:%H:%M} UTC, {_odd_words(policy)}")
    if asked.own == 0 and asked.earlier >= policy.first_release.releases_min:
        reasons.append(f"for the first time, after {asked.earlier} releases by others")
    if not reasons:
        return None
    severity = f"SEV{max(1, int(rule.severity[-1]) - 1)}" if len(reasons) > 1 else rule.severity
    return SecurityFinding(
        rule=rule.id, subject=entry.subject, severity=severity, venture=asked.venture, service=asked.service, at=at,
        environment=asked.environment, summary=f"{entry.actor} released {asked.service} {' and '.join(reasons)}",
        names=(entry.actor, asked.service), people=(entry.actor,), evidence=(entry_row(entry),),
    )  # fmt: skip


def own_approval(
    entry: AuditEntry, policy: SecurityPolicySpec, *, requested_by: str, venture: str | None, title: str
) -> SecurityFinding | None:
    """Somebody approved, or went past the approval of, what they asked for themselves."""
    if entry.actor != requested_by:
        return None
    rule = policy.rule(RuleId.OWN_APPROVAL)
    done = "signed" if entry.action == "approval.signed" else "went past the approval of"
    return SecurityFinding(
        rule=rule.id, subject=entry.subject, severity=rule.severity, venture=venture, at=datetime.fromisoformat(entry.at),
        summary=f"{entry.actor} {done} what they asked for themselves: {title}"[:1000], names=(entry.actor,), people=(entry.actor,),
        evidence=(entry_row(entry),),
    )  # fmt: skip


def vulnerable_live(
    each: Vulnerable, policy: SecurityPolicySpec, *, venture: str, service: str, environment: Environment, version: str, now: datetime
) -> SecurityFinding:  # fmt: skip
    """A part of a version that users get now."""
    package = f"{each.package.ecosystem}/{each.package.name}"
    part = f"{package}@{each.version}"
    fixed = list(dict.fromkeys(v for advisory in each.advisories for v in advisory.fixed_in))
    said = policy.rules.get(RuleId.VULNERABLE)
    severity = (said.severity if said else None) or getattr(policy.advisories, each.severity)
    ids = [advisory.id for advisory in each.advisories]
    advice = f"; good again: {', '.join(fixed[:3])}" if fixed else ""
    return SecurityFinding(
        rule=RuleId.VULNERABLE, subject=part[:255], severity=severity, venture=venture, service=service, environment=environment, at=now,
        summary=f"{service} {version} serves {environment} with {part}: {', '.join(ids[:3])} ({each.severity}){advice}",
        names=(*ids, *(alias for advisory in each.advisories for alias in advisory.aliases), package),
        evidence=({"service": service, "version": version, "part": part}, *map(_advisory_row, each.advisories)),
        value=float(len(ids)),
    )  # fmt: skip


def _advisory_row(advisory: Advisory) -> dict[str, object]:
    return {
        "advisory": advisory.id, "aliases": list(advisory.aliases), "severity": advisory.severity, "summary": advisory.summary,
        "fixed_in": list(advisory.fixed_in)[:10],
    }  # fmt: skip
