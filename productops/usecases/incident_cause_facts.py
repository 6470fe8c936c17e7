"""Gather what a look for causes rests on: traffic, releases, flags, changes. Each part may fail or be empty without the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from productops.domain.catalog_flags import FlagState
from productops.domain.governance_audit import AuditFilter
from productops.domain.incident import Incident
from productops.domain.incident_alert import Alert, StoredAlert
from productops.domain.incident_cause_facts import (
    LOOK_BACK_S,
    ArmFacts,
    ChangeFacts,
    Facts,
    FlagFacts,
    ReleaseFacts,
    Symptom,
)
from productops.domain.incident_cause_traffic import FLAG_ARM, Traffic, find_onset, traffic_of, windows, without_spells
from productops.domain.release import Environment, Phase, Release
from productops.domain.release_flags.flag import Revision
from productops.store import Unit
from productops.store.incident_alerts import AlertFilter
from productops.usecases.context import Context

TRAFFIC_S = 600
AFTER_S = 90
"""So long after the first alert the traffic is looked at; what comes later says more about what was done than about what began."""
USUAL_S = (540, TRAFFIC_S - 5)
"""Of the traffic before the alert so much says what is usual: all but the last minute, or all but the last seconds."""
RELEASES_MAX = 20
AUDIT_MAX = 500
ALERTS_MAX = 200
FELT = frozenset({"anomaly", "slo"})
"""Alerts of these sources say since when and until when users felt something."""
SYMPTOMS = {"service.error_ratio": Symptom.FAILURES, "service.p95_ms": Symptom.SLOWNESS}
SPELL_MARGIN_S, SPELL_BEFORE_S = 60, 5
CALM_S = 20
"""An alert of a detector ends so long after what it tells of."""
FLAG_REVISIONS_MAX = 20
ROOM_FOR = timedelta(minutes=15)


@dataclass(slots=True)
class Look:
    """What is being put together for one service."""

    unit: Unit
    incident: Incident
    service: str
    environment: Environment
    now: datetime
    anchor: datetime
    alerts: tuple[Alert, ...] = ()
    traffic: Traffic | None = None
    facts: Facts | None = None
    spells: list[tuple[int, int]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def known(self) -> Facts:
        """The facts so far."""
        if self.facts is None:
            self.facts = Facts(
                self.incident.id, self.incident.venture, self.service, self.environment, self.now, self.anchor, alerts=self.alerts
            )  # fmt: skip
        return self.facts

    def add(self, **values: Any) -> None:
        """Put some of them in."""
        self.facts = replace(self.known, **values)


def anchor_of(noticed: datetime, alerts: tuple[Alert, ...]) -> datetime:
    """When somebody or something first noticed."""
    return min([noticed, *(alert.starts_at for alert in alerts)])


def look_at_traffic(look: Look) -> None:
    """Onset, symptom, and traffic by version before and since."""
    first_s = int(look.anchor.timestamp()) - TRAFFIC_S
    until_s = int(min(look.now, look.anchor + timedelta(seconds=AFTER_S)).timestamp())
    look.spells = _spells(look, first_s)
    arms = look.unit.causes.arms(look.service, look.environment, after_s=first_s - 1, until_s=until_s)
    arms = without_spells(arms, look.spells)
    if not any(not name.startswith(FLAG_ARM) for name in arms):
        look.missing.append(f"no traffic of {look.service} was counted by the router")
        return
    traffic = traffic_of(arms, first_s=first_s, length=until_s - first_s, usual_s=USUAL_S)
    look.traffic = traffic
    symptom, onset = find_onset(traffic, name=look.service, noticed_s=look.anchor.timestamp(), told=_told(look))
    look.add(symptom=symptom, onset=onset)
    before, after = windows(traffic, look.known.onset_s[0])
    versions = traffic.versions
    look.add(
        before={name: arm.facts(before.start, before.stop) for name, arm in versions.items()},
        after={name: arm.facts(after.start, after.stop) for name, arm in versions.items()},
        rate_before=_rate(traffic, before), rate_after=_rate(traffic, after),
    )  # fmt: skip
    look.sources.append(f"{traffic.length} s of traffic of {look.service} on {len(versions)} versions")


def _told(look: Look) -> frozenset[Symptom]:
    """What its alerts are about."""
    series = {str(alert.evidence.get("series")) for alert in look.alerts if alert.service == look.service}
    return frozenset(symptom for name, symptom in SYMPTOMS.items() if name in series)


def _spells(look: Look, first_s: int) -> list[tuple[int, int]]:
    """Earlier harm of the service and of what it asks that was over before this was noticed: it says nothing of what is usual."""
    if look.incident.venture is None:
        return []
    names = {look.service, *_depends_on(look)}
    found = look.unit.alerts.page(AlertFilter(ventures=frozenset({look.incident.venture}), environment=look.environment), before=None,
                                  limit=ALERTS_MAX)  # fmt: skip
    felt = [each for each in found if each.alert.source in FELT and each.alert.service in names]
    spells = [(each.alert.starts_at.timestamp(), _over_s(look.unit, each)) for each in felt]
    latest_s = look.anchor.timestamp() - SPELL_BEFORE_S
    return [
        (int(began_s) - SPELL_MARGIN_S, int(min(over_s + CALM_S, latest_s)))
        for began_s, over_s in spells
        if over_s is not None and over_s + CALM_S >= first_s and over_s < latest_s and began_s < latest_s
    ]


def _over_s(unit: Unit, stored: StoredAlert) -> float | None:
    """When what it tells of was over, Unix seconds: its detector says so some time later, and who saw users well again knew it before."""
    alert, told = stored.alert, []
    if alert.ends_at is not None:
        told.append(alert.ends_at.timestamp() - CALM_S)
    if stored.incident_id is not None:
        told += [at.timestamp() for at in unit.incident_log.mitigations(stored.incident_id) if at > alert.starts_at]
    return max(min(told), alert.starts_at.timestamp()) if told else None


def _rate(traffic: Traffic, window: slice) -> float | None:
    requests = traffic.total("requests")[window]
    return float(requests.mean()) if len(requests) else None


def look_at_releases(look: Look) -> None:
    """Releases that were under way, ended lately, or made the present version; those the incident is traced to in any case."""
    since = look.now - timedelta(seconds=LOOK_BACK_S)
    newest = look.unit.releases.newest(service=look.service, environment=look.environment, before=None, limit=RELEASES_MAX)
    recent = [each for each in newest if not each.ended or (each.ended_at or each.updated_at) >= since]
    traced = {str(found) for found in look.incident.releases} | {str(look.incident.impact.get("release_id"))}
    found = [_release(look.unit, each, traced=each.id in traced) for each in recent]
    look.add(releases=tuple(found))
    look.sources.append(f"{len(found)} releases of {look.service} within {LOOK_BACK_S / 3600:.0f} h")


def _release(unit: Unit, release: Release, *, traced: bool) -> ReleaseFacts:
    steps = unit.releases.steps(release.id)
    moves = [(step.started_at, 100 if release.arms[1].startswith(FLAG_ARM) else step.weight_pct) for step in steps]
    moves += [(at, 100) for at in _promoted(unit, release)]
    verdicts = [(step.verdict, step.reason) for step in steps if step.verdict]
    verdict, reason = verdicts[-1] if verdicts else (None, "")
    return ReleaseFacts(release, tuple(moves), verdict, reason, traced)


def _promoted(unit: Unit, release: Release) -> list[datetime]:
    """When it got all of the traffic."""
    for move in unit.releases.transitions(release.id):
        if move["to"] == Phase.PROMOTING.value:
            return [datetime.fromisoformat(str(move["at"])).astimezone(UTC)]
    return [release.ended_at] if release.phase is Phase.PROMOTED and release.ended_at is not None else []


def look_at_flags(look: Look) -> None:
    """Revisions that changed what users get there; with the traffic by variant where answers say who had which."""
    if look.incident.venture is None:
        return
    since = min(look.anchor, look.now) - timedelta(seconds=LOOK_BACK_S)
    changed = look.unit.causes.flags_changed(look.incident.venture, since=since, until=look.now)
    found = []
    for key, revisions in changed.items():
        arms = _flag_arms(look, key)
        history = look.unit.flags.history(key, limit=FLAG_REVISIONS_MAX)
        moved = [each for each in history if each.revision in revisions and _moved(each, look.environment)]
        moved.sort(key=lambda each: each.revision)
        undone = {each.revision: _undoing(each, moved[at + 1 :], look.environment) for at, each in enumerate(moved)}
        restoring = _restoring(moved, undone)
        found += [
            FlagFacts(
                key, each.revision, each.at, each.summary, each.author, arms,
                undone[each.revision][0].at if undone[each.revision] else None, each.revision in restoring,
            )
            for each in moved
        ]  # fmt: skip
    look.add(flags=tuple(found))
    look.sources.append(f"{len(found)} changes of flags within {LOOK_BACK_S / 3600:.0f} h")


def _moved(revision: Revision, environment: Environment) -> bool:
    """Whether users there may get something else since."""
    if revision.before is None:
        return False
    before, after = revision.before, revision.after
    return before.live_in(environment) != after.live_in(environment) or before.spec != after.spec or before.archived != after.archived


def _undoing(change: Revision, later: Sequence[Revision], environment: Environment) -> list[Revision]:
    """Later revisions that gave users there what they had before the change; a kill does, whatever it was."""
    was = _given(change.before, environment) if change.before is not None else None
    return [each for each in later if each.after.live_in(environment).killed or _given(each.after, environment) == was]


def _restoring(moved: Sequence[Revision], undone: Mapping[int, list[Revision]]) -> set[int]:
    """Those that took a change back. What takes that back in turn makes the change once more: users had it only for a while."""
    found = set[int]()
    for each in moved:
        if each.revision not in found:
            found |= {later.revision for later in undone[each.revision]}
    return found


def _given(state: FlagState, environment: Environment) -> tuple[object, ...]:
    """What decides what users there get; not since when."""
    live = state.live_in(environment)
    return (state.spec, state.archived, live.killed, live.ramp)


def _flag_arms(look: Look, key: str) -> Mapping[str, ArmFacts]:
    if look.traffic is None:
        return {}
    prefix = f"{FLAG_ARM}{key}="
    _, after = windows(look.traffic, look.known.onset_s[0])
    arms = {name.removeprefix(prefix): arm for name, arm in look.traffic.arms.items() if name.startswith(prefix)}
    return {variant: arm.facts(after.start, after.stop) for variant, arm in arms.items()}


def look_at_changes(look: Look) -> None:
    """Catalog entries that were put, and fleets that were made larger or smaller."""
    since = look.anchor - timedelta(seconds=LOOK_BACK_S)
    found: list[ChangeFacts] = []
    sizes: dict[int, tuple[int, int]] = {}
    for action in ("catalog.changed", "fleet.scaled"):
        page = look.unit.audit.page(AuditFilter(action=action, since=since, until=look.now), limit=AUDIT_MAX)
        for entry in page.items:
            at = datetime.fromisoformat(str(entry.at)).astimezone(UTC)
            change = _change(look, entry.seq, at, action, entry.subject, entry.content)
            if change is not None:
                found.append(change)
                sizes[entry.seq] = (_desired(entry.content.get("before")), _desired(entry.content.get("after")))
    look.add(changes=_marked(found, sizes))
    look.sources.append(f"{len(found)} changes of the catalog and of fleets within {LOOK_BACK_S / 3600:.0f} h")


def _marked(changes: Sequence[ChangeFacts], sizes: Mapping[int, tuple[int, int]]) -> tuple[ChangeFacts, ...]:
    """A fleet that was made larger and is back at no fewer than before has lost nothing: so end restarts, one instance after the other."""
    return tuple(
        replace(each, restores=any(_takes_back(each, other, sizes) for other in changes)) if each.fewer else each for each in changes
    )


def _takes_back(each: ChangeFacts, other: ChangeFacts, sizes: Mapping[int, tuple[int, int]]) -> bool:
    if (other.action, other.subject) != (each.action, each.subject) or not timedelta(0) <= each.at - other.at <= ROOM_FOR:
        return False
    before, after = sizes[other.seq]
    return before < after and sizes[each.seq][1] >= before


def _change(look: Look, seq: int, at: datetime, action: str, subject: str, content: Mapping[str, Any]) -> ChangeFacts | None:
    kind, _, name = subject.partition("/")
    if action == "fleet.scaled":
        parts = name.split("/")
        if parts[0] != look.service or look.environment.value not in parts:
            return None
        before, after = _desired(content.get("before")), _desired(content.get("after"))
        text = f"the fleet {name} was set from {before} to {after} instances"
        return ChangeFacts(seq, at, action, subject, text, of_service=True, fewer=after < before)
    own = name == look.service
    if kind != "Service" or (not own and name not in _depends_on(look)):
        return None
    return ChangeFacts(seq, at, action, subject, f"the catalog entry {subject} was changed", of_service=own)


def _desired(value: object) -> int:
    if isinstance(value, Mapping):
        value = value.get("desired")
    return int(value) if isinstance(value, int | float) else 0


def _depends_on(look: Look) -> tuple[str, ...]:
    service = look.unit.catalog.find_service(look.service)
    return service.spec.depends_on if service is not None else ()


def count_confirmed(context: Context, unit: Unit, venture: str | None) -> dict[str, int]:
    """What causes of this venture's incidents were, as people confirmed them, over two years."""
    if venture is None:
        return {}
    counted: dict[str, int] = {}
    for each in unit.causes.confirmed([venture], since=context.clock.now() - timedelta(days=730)):
        counted[each.kind.value] = counted.get(each.kind.value, 0) + 1
    return counted
