"""Gather what a look for causes rests on: instances, hosts, dependencies, errors in logs. What is not measured is named, and left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from productops.domain.incident_cause_facts import (
    DependencyFacts,
    ErrorFacts,
    InstanceFacts,
    LevelFacts,
    Symptom,
)
from productops.domain.incident_cause_traffic import (
    NOISE_MIN,
    Traffic,
    excess_since,
    find_onset,
    traffic_of,
    windows,
    without_spells,
)
from productops.domain.monitoring_logs import ErrorGroup
from productops.domain.monitoring_series import INSTALLATION, SeriesData
from productops.domain.monitoring_traces import EdgeCount
from productops.errors import NotFoundError
from productops.stats.cause_graph import Blame, Excess, blame
from productops.stats.cause_onset import rise_of_value
from productops.usecases.context import OURSELVES, Context
from productops.usecases.incident_cause_facts import AFTER_S, TRAFFIC_S, USUAL_S, Look
from productops.usecases.monitoring_series_read import read_series

LEVELS = ("cpu_pct", "run_queue", "memory_pct", "disk_pct")
LAST_POINTS = 5
RESTART_S = 60.0
EDGE_MINUTES = 15
ERRORS_MAX = 20
RISE_NATS = 3.0
QUIET_MINUTES = 2
AGAIN_MIN, AGAIN_TIMES = 3, 4.0


def look_at_instances(look: Look) -> None:
    """The fleet's instances there, with what is known of their processes."""
    since = look.anchor - timedelta(seconds=RESTART_S)
    found = [
        InstanceFacts(each, None, restarted=each.restarts > 0 and each.updated_at >= since)
        for each in look.unit.fleets.instances_of_services([look.service])
        if each.environment is look.environment and each.state.value not in {"stopped", "draining"}
    ]
    look.add(instances=tuple(found))
    if found:
        look.sources.append(f"{len(found)} instances of {look.service}")
    else:
        look.missing.append(f"no instance of {look.service} is run by this installation")


def look_at_errors(look: Look) -> None:
    """Errors in the logs of a service, those seen since about the first alert."""
    since = look.anchor - timedelta(seconds=120)
    groups = look.unit.logs.errors.of(look.service, look.environment, since=since, until=look.now)[:ERRORS_MAX]
    back = _back_again(look, groups)
    look.add(errors=tuple(
        ErrorFacts(f"{each.type} {each.message}".strip(), each.first_seen, each.count, each.by_version, again=each.id in back)
        for each in groups
    ))  # fmt: skip
    if groups:
        look.sources.append(f"{len(groups)} kinds of errors in the logs of {look.service}")


def _back_again(look: Look, groups: Sequence[ErrorGroup]) -> set[str]:
    """Errors that are known from before, were rare in the two minutes before the onset's, and are written again since."""
    _, low_s, _ = look.known.onset_s
    minute = datetime.fromtimestamp(low_s // 60 * 60, UTC)
    of = look.unit.logs.errors.of
    before = {g.id: g.count for g in of(look.service, look.environment, since=minute - timedelta(minutes=QUIET_MINUTES), until=minute)}
    since = {g.id: g.count for g in of(look.service, look.environment, since=minute, until=look.now)}
    minutes = max((look.now - minute).total_seconds() / 60.0, 0.5)
    return {
        each.id
        for each in groups
        if each.last_seen.timestamp() >= low_s
        and since.get(each.id, 0) >= max(AGAIN_MIN, AGAIN_TIMES * minutes * before.get(each.id, 0) / QUIET_MINUTES)
    }


def look_at_levels(context: Context, look: Look) -> None:
    """Hosts' and instances' levels around the onset. Hosts belong to the installation, so all of them are looked at."""
    since = look.anchor - timedelta(seconds=TRAFFIC_S)
    until = min(look.now, look.anchor + timedelta(seconds=AFTER_S))
    found: list[LevelFacts] = []
    for resource in LEVELS:
        series = _read(context, INSTALLATION, "host/*", f"host.{resource}", since, until)
        found += [level for each in series if (level := _level(each, resource, look.known.onset_s[0])) is not None]
    _instances_cpu(context, look, since, until)
    look.add(levels=tuple(found))
    if found:
        look.sources.append(f"{len(found)} levels of {len({level.place for level in found})} hosts")
    else:
        look.missing.append("no host is measured")


def _read(
    context: Context, venture: str, component: str, name: str, since: datetime, until: datetime
) -> Sequence[SeriesData]:  # fmt: skip
    try:
        return read_series(context, venture=venture, component=component, name=name, since=since, until=until, actor=OURSELVES)
    except NotFoundError:
        return ()


def _level(series: SeriesData, resource: str, onset_s: float) -> LevelFacts | None:
    """Medians before the onset and of the last points since."""
    since = series.value[series.at >= onset_s - 15][-LAST_POINTS:]
    if not len(since):
        return None
    earlier = series.value[series.at < onset_s - 15]
    change = rise_of_value(series.value)
    rose_s = float(series.at[change.index]) if change is not None and change.nats >= RISE_NATS else None
    mount = dict(series.key.tags).get("mount", "")
    place = f"{series.key.component}:{mount}" if mount else series.key.component
    before = float(np.median(earlier)) if len(earlier) else None
    return LevelFacts(place, resource, before, float(np.median(since)), rose_s)


def _instances_cpu(context: Context, look: Look, since: datetime, until: datetime) -> None:
    if look.incident.venture is None or not look.known.instances:
        return
    series = _read(context, look.incident.venture, f"{look.service}/*", "instance.cpu_pct", since, until)
    busy = {each.key.component.rpartition("/")[2]: float(np.median(each.value[-LAST_POINTS:])) for each in series if len(each.value)}
    look.add(instances=tuple(
        InstanceFacts(each.instance, busy.get(each.instance.id), each.restarted) for each in look.known.instances
    ))  # fmt: skip


def look_at_dependencies(look: Look) -> None:
    """What it calls, by the catalog and by traces: how much of what users feel each of them adds."""
    service = look.unit.catalog.find_service(look.service)
    declared = [name for name in (service.spec.depends_on if service is not None else ()) if name != look.service]
    edges = _edges(look)
    names = list(dict.fromkeys([*declared, *(callee for caller, callee in edges if caller == look.service)]))
    if not names:
        look.missing.append(f"neither the catalog nor traces say what {look.service} calls")
        return
    windows_of = {name: _own_traffic(look, name) for name in names}
    excess = _excesses(look, edges, windows_of)
    calls: dict[str, list[str]] = {look.service: names}
    for caller, callee in edges:
        calls.setdefault(caller, []).append(callee)
    blamed = blame(excess, calls, symptom=look.service) if look.service in excess else {}
    look.add(dependencies=tuple(
        _dependency(look, name, edges, blamed.get(name), excess, windows_of[name]) for name in names
    ))  # fmt: skip
    look.sources.append(f"{len(names)} dependencies of {look.service}")


def _edges(look: Look) -> dict[tuple[str, str], list[EdgeCount]]:
    if look.incident.venture is None:
        return {}
    since = look.anchor - timedelta(minutes=EDGE_MINUTES)
    found: dict[tuple[str, str], list[EdgeCount]] = {}
    for each in look.unit.traces.edges(ventures=frozenset({look.incident.venture}), since=since, until=look.now):
        if each.environment is look.environment and each.caller != each.callee:
            found.setdefault((each.caller, each.callee), []).append(each)
    return found


def _own_traffic(look: Look, name: str) -> Traffic | None:
    """What the router counted of a dependency that is a service of ours; the same seconds as of the service itself."""
    if look.traffic is None or look.unit.catalog.find_service(name) is None:
        return None
    first_s, length = look.traffic.first_s, look.traffic.length
    arms = look.unit.causes.arms(name, look.environment, after_s=first_s - 1, until_s=first_s + length)
    return traffic_of(without_spells(arms, look.spells), first_s=first_s, length=length, usual_s=USUAL_S) if arms else None


def _excesses(
    look: Look, edges: Mapping[tuple[str, str], list[EdgeCount]], windows_of: Mapping[str, Traffic | None]
) -> dict[str, Excess]:  # fmt: skip
    """By node, in failures a second or seconds waited a second, whichever users feel."""
    symptom = look.known.symptom
    if look.traffic is None or symptom is Symptom.NONE:
        return {}
    what, floor = ("failures", NOISE_MIN[symptom]) if symptom is Symptom.FAILURES else ("waited_s", NOISE_MIN[symptom])
    before, after = windows(look.traffic, look.known.onset_s[0])
    found: dict[str, Excess] = {}
    own = excess_since(look.traffic.total(what), before, after, floor=floor)
    if own is not None:
        found[look.service] = own
    for name, traffic in windows_of.items():
        counted = excess_since(traffic.total(what), before, after, floor=floor) if traffic is not None else None
        counted = counted or _edge_excess(look, [each for (_, callee), parts in edges.items() if callee == name for each in parts], symptom)
        if counted is not None:
            found[name] = counted
    return found


def _edge_excess(look: Look, counts: Sequence[EdgeCount], symptom: Symptom) -> Excess | None:
    """From calls counted by the minute: the minutes since the onset against those before, for each call, times the calls since."""
    onset_minute = int(look.known.onset_s[0] // 60)
    last = int(look.now.timestamp())
    pick: Callable[[EdgeCount], float] = (lambda e: e.errors) if symptom is Symptom.FAILURES else (lambda e: e.total_us / 1e6)
    before = [(pick(each), each.calls) for each in counts if each.minute < onset_minute]
    after = [(pick(each), each.calls) for each in counts if each.minute >= onset_minute]
    calls_before, calls_after = sum(calls for _, calls in before), sum(calls for _, calls in after)
    if not calls_before or not calls_after:
        return None
    usual = sum(amount for amount, _ in before) / calls_before
    seconds = max(last - max(onset_minute * 60, 0), 1)
    each_minute = np.array([amount / calls - usual for amount, calls in before if calls])
    noise = float(np.std(each_minute)) * calls_after / seconds if len(each_minute) > 1 else 0.0
    amount = (sum(amount for amount, _ in after) - usual * calls_after) / seconds
    return Excess(amount, max(noise, NOISE_MIN[symptom]))


def _dependency(
    look: Look, name: str, edges: Mapping[tuple[str, str], list[EdgeCount]], blamed: Blame | None, excess: Mapping[str, Excess],
    traffic: Traffic | None,
) -> DependencyFacts:  # fmt: skip
    counts = edges.get((look.service, name), [])
    ours = look.unit.catalog.find_service(name) is not None
    calls = sum(each.calls for each in counts)
    rose_s = None
    if traffic is not None:
        _, onset = find_onset(traffic, name=name, noticed_s=look.anchor.timestamp())
        rose_s = onset.at_s if onset is not None else None
        calls = max(calls, int(traffic.total("requests").sum()))
    own_alerts = tuple(each for each in look.alerts if name in {each.service, each.component} and each.service != look.service)
    kind = counts[0].kind if counts else "service"
    return DependencyFacts(name, kind, ours, calls, blamed, _sentence(look, name, blamed, excess), own_alerts, rose_s)


def _sentence(look: Look, name: str, blamed: Blame | None, excess: Mapping[str, Excess]) -> str:
    if blamed is None or look.service not in excess:
        return f"{look.service} calls {name}"
    slow = look.known.symptom is Symptom.SLOWNESS
    unit = "s of waiting a second" if slow else "failures a second"
    whole, own = excess[look.service].amount, blamed.own
    return f"{name} adds {own:.2f} {unit} by itself, of the {whole:.2f} that {look.service} adds ({blamed.share:.0%})"
