"""Which alerts belong together: the same change, service, host, or services that depend on each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from productops.domain.catalog_incident import SeverityPolicySpec
from productops.domain.incident_alert import Alert, worst

SERVICES_MAX = 500
NAMED_MAX = 200


class Topology:
    """Who depends on whom. ``depends`` names the direct dependencies of each service."""

    def __init__(self, depends: Mapping[str, Iterable[str]]) -> None:
        self._depends = {name: frozenset(others) - {name} for name, others in depends.items()}
        self._below: dict[str, frozenset[str]] = {}

    def below(self, service: str) -> frozenset[str]:
        """What it depends on, directly or through others."""
        known = self._below.get(service)
        if known is None:
            found: set[str] = set()
            wave = set(self._depends.get(service, ()))
            while wave:
                found |= wave
                wave = {each for name in wave for each in self._depends.get(name, ())} - found
            known = self._below[service] = frozenset(found)
        return known

    def linked(self, one: str, other: str) -> bool:
        """Whether one depends on the other."""
        return other in self.below(one) or one in self.below(other)

    def shared(self, one: str, other: str) -> frozenset[str]:
        """What both depend on."""
        return self.below(one) & self.below(other)


@dataclass(slots=True)
class ServiceSeen:
    """Alerts of one service within a group. ``first_at`` in Unix seconds; ``title`` is of its worst and then earliest alert."""

    first_at: float
    severity: str
    count: int
    title: str


@dataclass(slots=True)
class Group:
    """Alerts that belong together: those of an incident (``incident_id``), or new ones (None).

    ``settled``: the incident is mitigated or over; only the same alert, the same change, or what comes soon after joins it.
    ``untouched``: no person has taken it up. ``last_at`` is when its last alert came, Unix seconds.
    """

    incident_id: str | None = None
    settled: bool = False
    over: bool = False
    untouched: bool = True
    last_at: float = 0.0
    services: dict[str, ServiceSeen] = field(default_factory=dict)
    environments: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    places: dict[str, set[str]] = field(default_factory=dict)
    components: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    severity: str = "SEV4"
    alerts: int = 0
    title: str = ""

    def take(self, alert: Alert) -> None:
        """Add an alert to what is known of the group."""
        at = alert.starts_at.timestamp()
        name = alert.service or ""
        title = alert.summary or alert.name
        seen = self.services.get(name)
        if seen is None and len(self.services) < SERVICES_MAX:
            self.services[name] = ServiceSeen(at, alert.severity, 1, title)
        elif seen is not None:
            if (alert.severity, at) < (seen.severity, seen.first_at):
                seen.title = title
            seen.first_at, seen.severity, seen.count = min(at, seen.first_at), min(alert.severity, seen.severity), seen.count + 1
        if not self.title or alert.severity < self.severity:
            self.title = title
        if alert.environment is not None:
            self.environments.add(alert.environment.value)
        _grow(self.changes, alert.changes)
        for place in alert.places:
            if place in self.places or len(self.places) < NAMED_MAX:
                self.places.setdefault(place, set()).add(name)
        _grow(self.components, {alert.component} if alert.component else set())
        self.sources.add(alert.source)
        self.severity = min(self.severity, alert.severity)
        self.alerts += 1

    def absorb(self, other: Group) -> None:
        """Take in all of another group."""
        for name, seen in other.services.items():
            mine = self.services.get(name)
            if mine is None:
                self.services[name] = seen
                continue
            if (seen.severity, seen.first_at) < (mine.severity, mine.first_at):
                mine.title = seen.title
            mine.first_at, mine.severity = min(seen.first_at, mine.first_at), min(seen.severity, mine.severity)
            mine.count += seen.count
        for place, names in other.places.items():
            self.places.setdefault(place, set()).update(names)
        self.environments |= other.environments
        _grow(self.changes, other.changes)
        _grow(self.components, other.components)
        self.sources |= other.sources
        if not self.title or other.severity < self.severity:
            self.title = other.title
        self.severity = min(self.severity, other.severity)
        self.alerts += other.alerts
        self.last_at = max(self.last_at, other.last_at)

    @property
    def named_services(self) -> list[str]:
        """Services, the earliest hit first; of those hit at once the worst."""
        seen = self.services
        return sorted((name for name in seen if name), key=lambda name: (seen[name].first_at, seen[name].severity, name))

    def document(self) -> dict[str, Any]:
        """As it is kept with the incident."""
        return {
            "services": {n: [s.first_at, s.severity, s.count, s.title[:255]] for n, s in self.services.items()},
            "environments": sorted(self.environments), "changes": sorted(self.changes),
            "places": {place: sorted(names)[:NAMED_MAX] for place, names in self.places.items()},
            "components": sorted(self.components), "sources": sorted(self.sources), "severity": self.severity, "alerts": self.alerts,
            "title": self.title[:255], "last_at": self.last_at,
        }  # fmt: skip


def _grow(mine: set[str], new: Iterable[str]) -> None:
    mine.update(each for each in new if len(mine) < NAMED_MAX)


def read_group(document: Mapping[str, Any]) -> Group:
    """What ``Group.document`` wrote; an empty group of an empty document."""
    return Group(
        services={name: ServiceSeen(*values) for name, values in document.get("services", {}).items()},
        environments=set(document.get("environments", ())), changes=set(document.get("changes", ())),
        places={place: set(names) for place, names in document.get("places", {}).items()},
        components=set(document.get("components", ())), sources=set(document.get("sources", ())),
        severity=document.get("severity", "SEV4"), alerts=document.get("alerts", 0), title=document.get("title", ""),
        last_at=document.get("last_at", 0.0),
    )  # fmt: skip


@dataclass(slots=True)
class Placing:
    """Alerts of one kind (service, environment, change, place) that get the same answer. ``before``: incident of the same alert earlier."""

    alerts: list[Alert]
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """Where alerts went, and why."""

    alerts: tuple[Alert, ...]
    group: Group
    reason: str


@dataclass(slots=True)
class Plan:
    """The answer: where each alert goes, and which incidents become one (``merged``: from, into, why)."""

    placed: list[Placed] = field(default_factory=list)
    merged: list[tuple[Group, Group, str]] = field(default_factory=list)


def plan_groups(
    alerts: Sequence[tuple[Alert, str | None]], groups: Sequence[Group], topology: Topology, policy: SeverityPolicySpec, *, now: datetime
) -> Plan:
    """Place alerts, each with the incident that the same alert was in before, if any, into ``groups`` or new ones.

    Groups of incidents come oldest first; the oldest that fits takes an alert. Groups are changed by it.
    """
    plan = Plan()
    known = list(groups)
    for placing in _kinds(alerts):
        group, reason = _home(placing, known, topology, policy, plan, now=now)
        for alert in placing.alerts:
            group.take(alert)
        group.last_at = max(group.last_at, now.timestamp())
        plan.placed.append(Placed(tuple(placing.alerts), group, reason))
    return _settled(plan)


def _kinds(alerts: Sequence[tuple[Alert, str | None]]) -> list[Placing]:
    """Ten thousand alerts of one cause are of a handful of kinds; the earliest first."""
    found: dict[tuple[object, ...], Placing] = {}
    for alert, before in sorted(alerts, key=lambda each: each[0].starts_at):
        component = "" if alert.service or alert.places else alert.component
        key = (alert.service, alert.environment, alert.changes, alert.places, component, before)
        found.setdefault(key, Placing([], before)).alerts.append(alert)
    return list(found.values())


def _home(
    placing: Placing, known: list[Group], topology: Topology, policy: SeverityPolicySpec, plan: Plan, *, now: datetime
) -> tuple[Group, str]:
    alert = placing.alerts[0]
    for group in known:
        if placing.before is not None and group.incident_id == placing.before:
            return group, "the same alert was in this incident before"
    matches = [(group, reason) for group in known if (reason := related(alert, group, topology, policy, now=now))]
    if not matches:
        group = Group(untouched=True)
        known.append(group)
        return group, _alone(alert)
    target, reason = min(matches, key=lambda match: match[0].incident_id is None)
    for other, why in matches:
        if other is not target and other.untouched and not other.settled:
            target.absorb(other)
            known.remove(other)
            plan.merged.append((other, target, why))
    return target, reason


def _alone(alert: Alert) -> str:
    about = alert.service or alert.component or alert.name
    return f"the first alert about {about}"


def _settled(plan: Plan) -> Plan:
    """Alerts placed into a group that was absorbed later go with it."""
    into = {id(gone): target for gone, target, _ in plan.merged}

    def last(group: Group) -> Group:
        while id(group) in into:
            group = into[id(group)]
        return group

    placed = [Placed(each.alerts, last(each.group), each.reason) for each in plan.placed]
    merged = [(gone, last(target), why) for gone, target, why in plan.merged if gone.incident_id is not None]
    return Plan(placed, merged)


def related(alert: Alert, group: Group, topology: Topology, policy: SeverityPolicySpec, *, now: datetime) -> str | None:
    """Why an alert belongs to a group; None: it does not."""
    environment = alert.environment.value if alert.environment else None
    if environment is not None and group.environments and environment not in group.environments:
        return None
    common = alert.changes & group.changes
    if common and not group.over:
        return f"the same change: {min(common)}"
    soon = now - timedelta(seconds=policy.group_window_s) <= datetime.fromtimestamp(group.last_at, now.tzinfo)
    if group.over or (group.settled and not soon):
        return None
    return _same(alert, group) or (_by_dependency(alert, group, topology, policy, now=now) if soon and alert.service else None)


def _same(alert: Alert, group: Group) -> str | None:
    """The thing that both are about."""
    if alert.service is not None and alert.service in group.services:
        return f"the same service: {alert.service}"
    places = alert.places & group.places.keys()
    if places:
        return f"the same place: {min(places)}"
    if alert.component and alert.component in group.components:
        return f"the same component: {alert.component}"
    return None


def _by_dependency(alert: Alert, group: Group, topology: Topology, policy: SeverityPolicySpec, *, now: datetime) -> str | None:
    service = str(alert.service)
    below = topology.below(service)
    for other in group.named_services:
        if other in below:
            return f"{service} depends on {other}"
        if service in topology.below(other):
            return f"{other} depends on {service}"
    recent = now.timestamp() - group.last_at <= policy.siblings_window_s
    if not recent or (alert.changes and group.changes):  # two changes at a time are two causes
        return None
    for other in group.named_services:
        shared = topology.shared(service, other)
        if shared:
            return f"{service} and {other} both depend on {min(shared)}"
    return None


def find_root(group: Group, topology: Topology, *, opens_at: str = "SEV3") -> str:
    """What probably broke: the hit service that most other hit ones depend on, or the host that most of them name; empty: unknown.

    Of several, the one that was hit first. Services with alerts milder than ``opens_at`` only are no suspects while there are others.
    """
    serious = [name for name in group.named_services if group.services[name].severity <= opens_at]
    services = serious or group.named_services
    best, reach = (services[0], 0) if services else ("", 0)
    for name in services:
        above = sum(name in topology.below(other) for other in services if other != name)
        if above > reach:
            best, reach = name, above
    hosts = {place: names - {""} for place, names in group.places.items() if place.startswith("host=")}
    for place in sorted(hosts):
        if len(hosts[place]) > max(1, reach + 1) or (not services and place):
            best, reach = f"host/{place.removeprefix('host=')}", len(hosts[place])
    return best or min(group.components, default="")


def title_of(group: Group, root: str, topology: Topology) -> str:
    """A sentence for people."""
    seen = group.services.get(root)
    text = seen.title if seen else group.title
    about = f"{root}: {text}" if root and root not in text else text
    others = [name for name in group.named_services if name != root]
    if not others:
        return about[:255]
    dependent = sum(root in topology.below(name) for name in others)
    more = f" ({dependent} services that depend on it)" if dependent == len(others) else f" ({len(others)} more services)"
    if len(others) == 1:
        more = f" (and {others[0]})"
    return about[: 255 - len(more)] + more


def worst_of(alerts: Iterable[Alert]) -> str:
    """The severity of the worst of them."""
    return worst([alert.severity for alert in alerts])
