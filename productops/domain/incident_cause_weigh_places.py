"""Evidence for and against what nobody changed: instances, hosts, dependencies, and more traffic than usual. All weights are in nats."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from productops.domain.incident_cause import CauseKind, Evidence
from productops.domain.incident_cause_facts import DependencyFacts, ErrorFacts, Facts, InstanceFacts, LevelFacts, Symptom
from productops.domain.incident_cause_weigh import BAD, REQUESTS_MIN, Candidate, duration, fresh_errors

AILING = 4.0
AILING_SINCE = 6.0
ALONE = 2.0
ALL_AIL = -3.0
LONG_BEFORE = -3.0
BUSY_PCT = 90.0
CALM_PCT = 50.0
NEAR_S = 60.0
AT_ONCE_S = 10.0
FAILS_NOT_SLOW = -1.5
FULL = {"cpu_pct": 85.0, "memory_pct": 92.0, "disk_pct": 95.0}
ROSE_PCT = {"cpu_pct": 25.0, "memory_pct": 8.0, "disk_pct": 2.0}
FULL_NATS = {"cpu_pct": 3.5, "memory_pct": 3.0, "disk_pct": 4.0}
WORDS = {"cpu_pct": "CPU", "memory_pct": "memory", "disk_pct": "disk"}
FIRST = 1.5
LATER = -1.5
NO_SPACE = re.compile(r"ENOSPC|no space left|disk (?:is )?full|database or disk is full", re.IGNORECASE)
NO_MEMORY = re.compile(r"out of memory|OOM|cannot allocate memory|MemoryError", re.IGNORECASE)
NO_ANSWER = re.compile(
    r"ECONNREFUSED|connection (?:was )?(?:refused|reset)|timed? ?out|ETIMEDOUT|unreachable|upstream|503 service", re.IGNORECASE
)
PATTERNS = {"disk_pct": NO_SPACE, "memory_pct": NO_MEMORY}
SAYS_SO = 3.0
REFUSED = 6.0
NOT_MEASURED = -0.5
SURGE_MIN = 1.5
SURGE_MAX_NATS = 4.0
BLAME_NATS = 5.0
BLAME_ZERO = 0.15
CALLED_BACK = -2.0
LITTLE_SHARE, LITTLE = 0.35, -1.5
TOGETHER_S, TOGETHER = 3.0, 2.0
BUSY_NATS = 1.0
QUEUE_MIN, QUEUE_TIMES, QUEUE_NATS, VICTIM = 4.0, 2.0, 5.0, -5.0
MOST_SHARE, ONE_ALONE = 0.6, -5.0


def instance_candidates(facts: Facts) -> Iterator[Candidate]:
    """Instances that ail. One among several that are well is a cause; all of them at once are victims."""
    ailing = [each for each in facts.instances if _ails(facts, each)]
    for each in ailing:
        evidence = list(_of_instance(facts, each))
        siblings = [other for other in facts.instances if other.instance.id != each.instance.id]
        if siblings and len(ailing) == 1:
            evidence.append(Evidence(f"the other {len(siblings)} instances are well", ALONE))
        if siblings and len(ailing) == len(facts.instances):
            evidence.append(Evidence(f"all {len(ailing)} instances ail: they have something in common", ALL_AIL))
        remedy = {"step": "restart", "instance": each.instance.id}
        yield Candidate(CauseKind.INSTANCE, each.instance.id, tuple(evidence), remedy, each.instance.service)


def _ails(facts: Facts, each: InstanceFacts) -> bool:
    alone_busy = each.cpu_pct is not None and each.cpu_pct >= BUSY_PCT and _others_calm(facts, each)
    return each.restarted or each.instance.state in BAD or alone_busy


def _others_calm(facts: Facts, each: InstanceFacts) -> bool:
    others = [o.cpu_pct for o in facts.instances if o.instance.id != each.instance.id and o.cpu_pct is not None]
    return bool(others) and max(others) < CALM_PCT


def _of_instance(facts: Facts, each: InstanceFacts) -> Iterator[Evidence]:
    instance = each.instance
    if each.restarted or instance.state in BAD:
        at_s, (best, low, _) = instance.updated_at.timestamp(), facts.onset_s
        near = low - NEAR_S <= at_s
        word = "was started again" if each.restarted and instance.state not in BAD else f"is {instance.state}"
        when = duration(abs(at_s - best))
        text = f"instance {instance.id} of {instance.version} {word} since {when} {'after' if at_s > best else 'before'} it began"
        at_once = abs(at_s - best) <= AT_ONCE_S
        yield Evidence(text, AILING_SINCE if at_once else AILING if near else LONG_BEFORE, instance.updated_at, direct=near)
    if each.cpu_pct is not None and each.cpu_pct >= BUSY_PCT and _others_calm(facts, each):
        yield Evidence(f"it uses {each.cpu_pct:.0f} % of a processor, the others less than {CALM_PCT:.0f} %", AILING, direct=True)
    if any(alert.labels.get("instance_id") == instance.id for alert in facts.alerts):
        yield Evidence("an alert of this incident names it", 2.0, direct=True)


def host_candidates(facts: Facts) -> Iterator[Candidate]:
    """Hosts that are short of something."""
    for level in facts.levels:
        limit = FULL.get(level.resource)
        if limit is None or level.after < limit:
            continue
        subject, queue = f"{level.place} {WORDS[level.resource]}", _queue(facts, level)
        if queue is not None and _crowded(queue):
            evidence = _of_queue(facts, queue)
        elif queue is not None and queue.after < QUEUE_MIN:
            evidence = iter((_nobody_waits(level, queue),))
        else:
            evidence = _of_level(facts, level, limit)
        yield Candidate(CauseKind.HOST, subject, (*evidence, *_of_host(facts, level)), {}, facts.service)
    short = {level.resource for level in facts.levels if level.after >= FULL.get(level.resource, math.inf)}
    for resource, pattern in PATTERNS.items():
        error = next((each for each in fresh_errors(facts) if pattern.search(each.text)), None)
        if error is not None and resource not in short:
            yield _said(facts, resource, error)


def _said(facts: Facts, resource: str, error: ErrorFacts) -> Candidate:
    """Nothing that is measured is full, but the system refused: a file system of its own, a quota, a limit of a container."""
    word = WORDS[resource]
    text = f"the system says so to {facts.service} ({error.count} lines of an error): {error.text[:160]}"
    evidence = [Evidence(text, REFUSED, error.first_seen, error.link, direct=True)]
    if any(level.resource == resource for level in facts.levels):
        evidence.append(Evidence(f"no {word} that is measured is full", NOT_MEASURED))
    return Candidate(CauseKind.HOST, f"{facts.service} {word}", tuple(evidence), {}, facts.service)


def _queue(facts: Facts, level: LevelFacts) -> LevelFacts | None:
    """Programs that want the processors of that host, where they are counted."""
    if level.resource != "cpu_pct":
        return None
    return next((each for each in facts.levels if (each.place, each.resource) == (level.place, "run_queue")), None)


def _nobody_waits(level: LevelFacts, queue: LevelFacts) -> Evidence:
    """A processor that works is no harm while what wants it gets it."""
    text = f"{level.place}: CPU at {level.after:.0f} %, but only {queue.after:.1f} programs for each processor want to run"
    return Evidence(text, BUSY_NATS)


def _crowded(queue: LevelFacts) -> bool:
    return queue.resource == "run_queue" and queue.before is not None and queue.after >= max(QUEUE_MIN, QUEUE_TIMES * queue.before)


def _of_queue(facts: Facts, queue: LevelFacts) -> Iterator[Evidence]:
    """A full processor may be usual; many more who want it are not."""
    text = f"{queue.place}: {queue.after:.1f} programs for each processor want to run, {queue.before or 0.0:.1f} before"
    who = next((each.summary for each in facts.alerts if each.component == queue.place and each.name == "host short of processors"), "")
    weight = QUEUE_NATS + min(2.0, math.log(queue.after / max(queue.before or 0.0, 1.0)))
    yield Evidence(f"{text}: {who}" if who else text, weight, direct=True)
    yield from _rose(facts, queue, "queue for the processor")
    alone = next((each for each in facts.dependencies if _adds_most(each)), None)
    if alone is not None and alone.blame is not None:
        text = f"{alone.name} adds {alone.blame.share:.0%} of it by itself; a crowded host slows all that runs on it"
        yield Evidence(text, ONE_ALONE)


def _rose(facts: Facts, level: LevelFacts, word: str) -> Iterator[Evidence]:
    if level.rose_s is not None:
        apart = level.rose_s - facts.onset_s[0]
        # Full for minutes without harm: that is not what began. Some seconds later, it may be busy with what is done about the harm.
        weight = LATER if apart > 10 else 0.0 if apart > TOGETHER_S or apart < -NEAR_S else FIRST
        yield Evidence(f"its {word} rose {duration(abs(apart))} {'before' if apart <= 0 else 'after'} users felt it", weight)


def _of_level(facts: Facts, level: LevelFacts, limit: float) -> Iterator[Evidence]:
    word = WORDS[level.resource]
    rise = level.after - level.before if level.before is not None else None
    was = f", before it was {level.before:.0f} %" if level.before is not None else ""
    text = f"{level.place}: {word} at {level.after:.0f} %{was} (too much from {limit:.0f} %)"
    if rise is not None and rise < ROSE_PCT[level.resource]:
        yield Evidence(f"{text}: it was so before, too", -1.0)
    else:
        yield Evidence(text, FULL_NATS[level.resource] + min(1.5, (level.after - limit) / 10), direct=True)
    yield from _rose(facts, level, word)


def _of_host(facts: Facts, level: LevelFacts) -> Iterator[Evidence]:
    together = [each.name for each in facts.dependencies if level.resource == "cpu_pct" and _suffers_too(facts, each)]
    if together:
        yield Evidence(f"{', '.join(together[:3])} got worse in the same moment: a host is what they have in common", TOGETHER)
    if level.resource == "cpu_pct" and facts.symptom is Symptom.FAILURES:
        yield Evidence("a busy processor makes answers slow; here they fail", FAILS_NOT_SLOW)
    pattern = PATTERNS.get(level.resource)
    for error in fresh_errors(facts):
        if pattern is not None and pattern.search(error.text):
            text = f"a new error says so ({error.count} lines): {error.text[:160]}"
            yield Evidence(text, SAYS_SO, error.first_seen, error.link, direct=True)
            break
    if any(alert.component == level.place or f"host={level.place.removeprefix('host/')}" in alert.places for alert in facts.alerts):
        yield Evidence("an alert of this incident names it", 2.0)


def _suffers_too(facts: Facts, each: DependencyFacts) -> bool:
    """Whether a service of ours that this one asks got worse with it, and adds little to it."""
    if not each.ours or each.rose_s is None or each.blame is None or each.blame.share >= LITTLE_SHARE:
        return False
    return abs(each.rose_s - facts.onset_s[0]) <= TOGETHER_S


def dependency_candidates(facts: Facts) -> Iterator[Candidate]:
    """What the service calls."""
    for each in facts.dependencies:
        evidence = tuple(_of_dependency(facts, each))
        if evidence:
            yield Candidate(CauseKind.DEPENDENCY, each.name, evidence, {}, each.name if each.ours else facts.service)


def _of_dependency(facts: Facts, each: DependencyFacts) -> Iterator[Evidence]:
    yield from _of_blame(each)
    if each.rose_s is not None:
        apart = each.rose_s - facts.onset_s[0]
        # At the same time as the service, with little to show for it, it may as well suffer from the same thing.
        weight = LATER if apart > 10 else 0.0 if _adds_little(each) else FIRST
        yield Evidence(f"{each.name} got worse {duration(abs(apart))} {'before' if apart <= 0 else 'after'} {facts.service} did", weight)
    crowded = next((level for level in facts.levels if _crowded(level)), None)
    suffers = each.ours and each.rose_s is not None and not _adds_most(each)
    if suffers and crowded is not None and (crowded.rose_s or 0.0) <= (each.rose_s or 0.0) + TOGETHER_S:
        yield Evidence(f"it got worse when {crowded.place} got crowded, and suffers as well", VICTIM)
    if each.alerts:
        text = f"{len(each.alerts)} alerts are about {each.name}: {each.alerts[0].summary[:160] or each.alerts[0].name}"
        yield Evidence(text, 2.5, direct=not _adds_little(each))
    name = re.compile(re.escape(each.name), re.IGNORECASE)
    for error in fresh_errors(facts):
        if NO_ANSWER.search(error.text) and name.search(error.text):
            text = f"a new error says so ({error.count} lines): {error.text[:160]}"
            yield Evidence(text, SAYS_SO, error.first_seen, error.link, direct=True)
            break


def _of_blame(each: DependencyFacts) -> Iterator[Evidence]:
    """What it adds by itself."""
    if each.blame is None:
        return
    strength = each.blame.score - BLAME_ZERO
    if strength > 0:
        yield Evidence(each.sentence, BLAME_NATS * strength, direct=not _adds_little(each))
        if _adds_little(each):
            yield Evidence(f"{1 - each.blame.share:.0%} of it comes from elsewhere", LITTLE)
    elif each.calls >= REQUESTS_MIN:
        yield Evidence(each.sentence, CALLED_BACK)


def _adds_little(each: DependencyFacts) -> bool:
    return each.blame is not None and each.blame.share < LITTLE_SHARE


def _adds_most(each: DependencyFacts) -> bool:
    return each.blame is not None and each.blame.share >= MOST_SHARE and each.blame.score > BLAME_ZERO


def traffic_candidates(facts: Facts) -> Iterator[Candidate]:
    """More requests than usual. Fewer are a consequence, not a cause."""
    if not facts.rate_before or facts.rate_after is None:
        return
    times = facts.rate_after / facts.rate_before
    if times < SURGE_MIN:
        return
    weight = min(SURGE_MAX_NATS, 2.0 * math.log2(times))
    text = f"{facts.rate_after:.1f} requests a second since it began, {facts.rate_before:.1f} before: {times:.1f} times as many"
    evidence = [Evidence(text, weight, direct=True)]
    if facts.symptom is Symptom.FAILURES:
        evidence.append(Evidence("too many requests make a service slow first; here they fail", -0.5))
    yield Candidate(CauseKind.TRAFFIC, facts.service, tuple(evidence), {"step": "scale", "service": facts.service, "add": 1}, facts.service)
