"""Which playbook answers an incident, and whether a program may carry it out. In doubt a person is paged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.catalog_playbook import PlaybookSpec, PlaybookWhen, Step
from productops.domain.incident_cause import CauseKind, Hypothesis, Ledger
from productops.domain.incident_playbook import ACTIONS, PAGE_A_PERSON, Action, Hold, Playbook
from productops.domain.release import Environment

HOUR = timedelta(hours=1)
PAGE_SPEC = PlaybookSpec.model_validate(
    {
        "title": "Page a person",
        "description": "What is done where no playbook may act: somebody who is on call is paged, and decides.",
        "steps": [{"do": "page"}],
    }
)
# A step that needs a named thing is only good for a hypothesis that names it.
_NEEDS = {"roll-back": "release_id", "drain": "instance"}
_KINDS = {"roll-back": frozenset({CauseKind.RELEASE}), "disable-flag": frozenset({CauseKind.FLAG})}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an incident when a playbook is chosen."""

    incident_id: str
    kind: str
    severity: str
    status: str
    service: str
    environment: Environment
    title: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """``playbook`` is None where a person has to decide; ``why`` says how it came to that, one sentence a line."""

    playbook: Playbook | None
    hypothesis: Hypothesis | None
    automatic: bool
    why: tuple[str, ...]

    @property
    def name(self) -> str:
        """The playbook's."""
        return self.playbook.name if self.playbook else PAGE_A_PERSON

    @property
    def spec(self) -> PlaybookSpec:
        """What is done."""
        return self.playbook.spec if self.playbook else PAGE_SPEC


def choose(
    playbooks: Sequence[Playbook], facts: Facts, ledger: Ledger | None, *, holds: Sequence[Hold], actions: Sequence[Action], now: datetime
) -> Choice:
    """The playbook of the lowest rank that fits and that may act now; else nobody's, with every reason.

    ``actions``: what was done there automatically within the last hour.
    """
    if ledger is None or not ledger.hypotheses:
        return Choice(None, None, automatic=False, why=("no cause is known",))
    top = ledger.top
    if facts.status in {"resolved", "closed"}:
        return Choice(None, top, automatic=False, why=(f"the incident is {facts.status}",))
    why: list[str] = ["nothing that was looked at explains it"] if top.kind is CauseKind.UNKNOWN else []
    for playbook in sorted(playbooks, key=lambda each: (each.spec.rank, each.name)):
        unfit = by_hand(playbook.spec) or misfit(playbook.spec.when, facts, ledger) or impossible(playbook.spec, top)
        unfit = unfit or unproven(playbook.spec, top)
        if unfit:
            why.append(f"{playbook.name}: {unfit}")
            continue
        barred = barred_by(playbook, facts, top, holds=holds, actions=actions, now=now)
        if barred:
            return Choice(None, top, automatic=False, why=(*why, f"{playbook.name}: {barred}"))
        fits = f"{playbook.name} is for {top.kind.value} {top.subject} with {top.probability:.0%}"
        return Choice(playbook, top, automatic=playbook.spec.automatic, why=(*why, fits))
    return Choice(None, top, automatic=False, why=tuple(why) or ("the catalog has no playbook",))


def by_hand(spec: PlaybookSpec) -> str:
    """Why a playbook is for people to begin only; empty where it is not. To propose what changes nothing would only lose time."""
    looks_only = not any(step.do in ACTIONS or step.do == "page" for step in spec.steps)
    return "people begin it, after they have mended something" if looks_only and not spec.automatic else ""


def misfit(when: PlaybookWhen, facts: Facts, ledger: Ledger) -> str:
    """Why a playbook is not for this incident; empty when it is."""
    top = ledger.top
    named = (
        (when.causes, top.kind, f"not for cause {top.kind.value}"),
        (when.kinds, facts.kind, f"not for {facts.kind} incidents"),
        (when.services, top.service, f"not for {top.service}"),
        (when.environments, top.environment, f"not for {top.environment}"),
        (when.severities, facts.severity, f"not for {facts.severity}"),
    )
    unfit = next((said for allowed, is_, said in named if allowed and is_ not in allowed), "")
    if unfit or (top.kind is CauseKind.UNKNOWN and not when.causes):
        return unfit or "not for what is unknown"
    return _unsaid(when.words, facts.title) or _unsaid(when.subjects, top.subject) or _doubtful(when, ledger)


def _unsaid(words: Sequence[str], text: str) -> str:
    if words and not any(word.casefold() in text.casefold() for word in words):
        return f"not for {text[:80]!r}"
    return ""


def _doubtful(when: PlaybookWhen, ledger: Ledger) -> str:
    top = ledger.top
    second = ledger.hypotheses[1].probability if len(ledger.hypotheses) > 1 else 0.0
    if top.probability < when.probability_min:
        return f"{top.subject} has {top.probability:.0%}, it takes {when.probability_min:.0%}"
    if top.probability - second < when.lead_min:
        return f"{top.subject} leads the second hypothesis by {top.probability - second:.0%}, it takes {when.lead_min:.0%}"
    return ""


def unproven(spec: PlaybookSpec, top: Hypothesis) -> str:
    """Why a program must not act on it, likely as it is; empty when something was seen of the very thing, or nothing is changed."""
    if top.proven or not spec.automatic or not any(step.do in ACTIONS for step in spec.steps):
        return ""
    return f"nothing that was seen is about {top.kind.value} {top.subject} itself; it is only the likeliest"


def impossible(spec: PlaybookSpec, top: Hypothesis) -> str:
    """What the playbook would have to know and the hypothesis does not say; empty when it can be done."""
    for step in spec.steps:
        allowed, needed = _KINDS.get(step.do), _NEEDS.get(step.do)
        if allowed is not None and top.kind not in allowed and not getattr(step, "flag", ""):
            return f"{step.do} answers no {top.kind.value}"
        if needed is not None and not top.remedy.get(needed):
            return f"the hypothesis names no {needed.removesuffix('_id')} for {step.do}"
        if step.do == "disable-flag" and not (getattr(step, "flag", "") or top.remedy.get("flag")):
            return "the hypothesis names no flag for disable-flag"
    return ""


def barred_by(playbook: Playbook, facts: Facts, top: Hypothesis, *, holds: Sequence[Hold], actions: Sequence[Action], now: datetime) -> str:
    """The guard rail that keeps a program from carrying it out; empty when none does."""
    place = {"service": top.service, "environment": top.environment, "incident_id": facts.incident_id}
    hold = next((each for each in holds if each.covers(**place, now=now)), None)  # type: ignore[arg-type]
    if hold is not None:
        return f"{hold.by} holds it: {hold.reason}"
    acts = [step for step in playbook.spec.steps if step.do in ACTIONS]
    recent = [each for each in actions if now - each.at < HOUR]
    limits = playbook.spec.limits
    if acts and len(recent) >= limits.actions_per_hour:
        return f"{len(recent)} automatic actions on {top.service} within an hour, {limits.actions_per_hour} are allowed"
    for step in acts:
        subject = subject_of(step, top)
        again = sum(1 for each in recent if (each.do, each.subject) == (step.do, subject))
        if again >= limits.repeats_per_hour:
            return f"{step.do} of {subject} was done {again} times within an hour and it is back"
    return ""


def subject_of(step: Step, top: Hypothesis) -> str:
    """What a step acts on, as the guard rails count it. Two commands are two things, also where they are for one service."""
    if step.do == "run-command":
        return f"{top.service}: {step.command}"
    key = {"roll-back": "release_id", "disable-flag": "flag", "restart": "instance", "drain": "instance"}.get(step.do)
    named = top.remedy.get(key) if key else None
    return str(named or top.service)
