"""What was found about the cause of an incident, and what people say about it. Nothing here needs the numerics of a look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from productops.domain.analysis import ArmSecond
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.incident_cause import (
    CauseDecision,
    CauseKind,
    CauseRecord,
    CauseVerdict,
    Hypothesis,
    Ledger,
)
from productops.errors import ConflictError, InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.incident_causes import record_of
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident

RECORD_DAYS = 365
REASON_MAX = 2000
SUBJECT_MAX = 255
PICTURE_BEFORE_S = 240
PICTURE_AFTER_S = 120
PICTURE_MARKS = 8


def describe(hypothesis: Hypothesis) -> str:
    """A few words for people."""
    if hypothesis.kind is CauseKind.UNKNOWN:
        return "something that was not looked at"
    return f"{hypothesis.kind.value} {hypothesis.subject}"


def read_causes(context: Context, incident_id: str, *, actor: Actor) -> Ledger:
    """The newest look. Raises: NotFoundError, also before any look."""
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor)
        found = unit.causes.latest(incident_id)
        if found is None:
            raise NotFoundError(_no_look(incident_id))
        return with_verdicts(unit, found)


def list_cause_looks(context: Context, incident_id: str, *, before: str | None, limit: int, actor: Actor) -> list[Ledger]:
    """Looks, newest first; ``before`` is the id of the last one seen. Raises: NotFoundError."""
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor)
        return [with_verdicts(unit, each) for each in unit.causes.looks(incident_id, before=before, limit=limit)]


def decide_cause(
    context: Context, incident_id: str, key: str, verdict: CauseVerdict, *, reason: str = "", actor: Actor
) -> CauseDecision:  # fmt: skip
    """A person says that a hypothesis is right or wrong. What they say last counts; confirmed ones weigh in later incidents.

    ``key`` is a hypothesis's (``release:<id>``), also of a kind of cause that no look had (``dependency:payments-db``).
    Raises: NotFoundError, ForbiddenError, InvalidInputError for no such kind, ConflictError when another one is confirmed.
    """
    kind, subject = _parts(key)
    if len(reason) > REASON_MAX:
        raise InvalidInputError(f"the reason has {len(reason)} characters; at most {REASON_MAX}")
    with context.store.write() as unit:
        found = incident_for(unit, incident_id, actor, Operation.INCIDENT_RESPOND)
        known = {(each.kind, each.subject): each.verdict for each in unit.causes.decisions(incident_id)}
        _check(incident_id, known, kind, subject, verdict)
        first, now = unit.causes.first(incident_id), context.clock.now()
        hypothesis = first.find(key) if first is not None else None
        decision = CauseDecision(
            incident_id, found["venture"], kind, subject, verdict, first.rank(key) if first is not None else None,
            hypothesis.probability if hypothesis is not None else None, actor.name, reason, now,
        )  # fmt: skip
        unit.causes.decide(decision)
        before = known.get((kind, subject))
        detail = {"cause": key, "rank": decision.rank, "probability": decision.probability}
        text = f"{actor.name} {verdict.value} {kind.value} {subject} as the cause".replace("  ", " ")
        log_incident(unit, incident_id, "cause", text + (f": {reason}" if reason else ""), actor=actor, detail=detail, at=now)
        note(
            unit, actor, f"incident.cause-{verdict.value}", f"incident/{incident_id}", now=now, reason=reason,
            before=before.value if before is not None else None, after=verdict.value, detail=detail,
        )  # fmt: skip
        return decision


def _parts(key: str) -> tuple[CauseKind, str]:
    kind, colon, subject = key.partition(":")
    if not colon or kind not in set(CauseKind) or (not subject and kind != CauseKind.UNKNOWN) or len(subject) > SUBJECT_MAX:
        kinds = ", ".join(CauseKind)
        raise InvalidInputError(f"{key[:80]!r} names no hypothesis; one is a kind ({kinds}), a colon, and what it is: as in the ledger")
    return CauseKind(kind), subject


def _check(
    incident_id: str, known: dict[tuple[CauseKind, str], CauseVerdict], kind: CauseKind, subject: str, verdict: CauseVerdict
) -> None:  # fmt: skip
    if known.get((kind, subject)) is verdict:
        raise ConflictError(f"{kind.value} {subject} of incident {incident_id} is {verdict.value} already")
    others = [f"{k.value}:{s}" for (k, s), v in known.items() if v is CauseVerdict.CONFIRMED and (k, s) != (kind, subject)]
    if verdict is CauseVerdict.CONFIRMED and others:
        raise ConflictError(f"{others[0]} is confirmed as the cause of incident {incident_id}; refute it first")


def cause_record(context: Context, *, venture: str | None = None, actor: Actor) -> CauseRecord:
    """How often the first look was right, over a year of confirmed causes. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    if venture is not None:
        seen = frozenset({venture}) if seen is None or venture in seen else frozenset()
    with context.store.read() as unit:
        return record_of(unit.causes.confirmed(seen, since=context.clock.now() - timedelta(days=RECORD_DAYS)))


def with_verdicts(unit: Unit, ledger: Ledger) -> Ledger:
    """With what people say now."""
    said = {f"{each.kind.value}:{each.subject}": each.verdict for each in unit.causes.decisions(ledger.incident_id)}
    return replace(ledger, hypotheses=tuple(replace(each, verdict=said.get(each.key)) for each in ledger.hypotheses))


@dataclass(frozen=True, slots=True)
class CausePicture:
    """What a picture of a look shows: traffic by version and second in [first_s, first_s + length), and what happened when."""

    ledger: Ledger
    title: str
    service: str
    first_s: int
    length: int
    arms: dict[str, dict[int, ArmSecond | None]]
    marks: tuple[tuple[datetime, str], ...]


def read_cause_picture(context: Context, incident_id: str, *, actor: Actor) -> CausePicture:
    """The newest look with the traffic around it. Raises: NotFoundError, also before any look."""
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor)
        incident = unit.incidents.get(incident_id)
        found = unit.causes.latest(incident_id)
        if found is None:
            raise NotFoundError(_no_look(incident_id))
        service = found.top.service or next(iter(incident.services), "")
        middle = found.onset.at if found.onset is not None else incident.detected_at
        first_s = int(middle.timestamp()) - PICTURE_BEFORE_S
        length = PICTURE_BEFORE_S + PICTURE_AFTER_S
        arms = unit.causes.arms(service, found.top.environment, after_s=first_s - 1, until_s=first_s + length - 1)
    marks = [(incident.detected_at, "noticed")] + ([(found.onset.at, "it began")] if found.onset is not None else [])
    for hypothesis in found.hypotheses:
        marks += [(each.at, each.text) for each in (*hypothesis.supporting, *hypothesis.refuting) if each.at is not None]
    inside = [mark for mark in marks if first_s <= mark[0].timestamp() < first_s + length]
    versions = {name: seconds for name, seconds in arms.items() if not name.startswith("flag:")}
    return CausePicture(found, incident.title, service, first_s, length, versions, tuple(inside[:PICTURE_MARKS]))


def _no_look(incident_id: str) -> str:
    return f"nobody has looked for the cause of incident {incident_id} yet; do it with: productops incident cause {incident_id} --look"
