"""Silences: alerts that nobody wants to hear of for a time, by whom and why; they are kept all the same."""

from __future__ import annotations

from datetime import datetime, timedelta

from productops.domain.catalog_incident import Matcher
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.incident_suppress import Silence
from productops.domain.release import Environment
from productops.errors import ConflictError, InvalidInputError
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand
from productops.usecases.governance_audit_note import note

LONGEST = timedelta(days=30)
MATCHERS_MAX = 20


def silence_alerts(
    context: Context, venture: str, matchers: tuple[Matcher, ...], *, reason: str, ends_at: datetime, starts_at: datetime | None = None,
    actor: Actor,
) -> Silence:  # fmt: skip
    """Hold alerts back that fit all matchers, at most for 30 days. One that is part of an incident stays there.

    Raises: NotFoundError for an unknown venture, ForbiddenError, InvalidInputError.
    """
    environment = _environment(matchers)
    actor.check(Operation.ALERT_SILENCE, venture=venture, environment=environment)
    with context.store.write() as unit:
        now = context.clock.now()
        begins = starts_at or now
        _check(matchers, reason, begins, ends_at, now)
        unit.catalog.venture_id(venture)
        made = unit.silences.add(
            venture, matchers, reason=reason.strip(), author=actor.name, starts_at=begins, ends_at=ends_at, now=now
        )  # fmt: skip
        detail = {"venture": venture, "matchers": [each.model_dump(mode="json") for each in matchers], "ends_at": ends_at.isoformat()}
        note(unit, actor, "alerts.silenced", f"silence/{made.id}", now=now, reason=reason, detail=detail)
    return made


def _environment(matchers: tuple[Matcher, ...]) -> Environment | None:
    """The one that it is about: who may silence there only may silence nothing else."""
    named = [each.value for each in matchers if each.field == "environment" and each.how == "is"]
    return next((each for each in Environment if [each.value] == named), None)


def _check(matchers: tuple[Matcher, ...], reason: str, begins: datetime, ends: datetime, now: datetime) -> None:
    if not 0 < len(matchers) <= MATCHERS_MAX:
        raise InvalidInputError(f"name 1 to {MATCHERS_MAX} matchers: a silence of everything hides what matters")
    if not reason.strip():
        raise InvalidInputError("say why, for whoever looks for the alert")
    if ends.tzinfo is None or begins.tzinfo is None:
        raise InvalidInputError("times have to name their zone")
    if ends <= max(begins, now) or ends - begins > LONGEST:
        raise InvalidInputError(f"a silence ends after now and its beginning, at most {LONGEST.days} days later")


def end_silence(context: Context, silence_id: str, *, actor: Actor) -> Silence:
    """Let alerts through again; those that still fire become incidents within a second.

    Raises: NotFoundError, ForbiddenError, ConflictError when it has ended before.
    """
    with context.store.write() as unit:
        now = context.clock.now()
        found = unit.silences.get(silence_id)
        demand(
            actor, Operation.ALERT_SILENCE, seen_by=Operation.INCIDENT_READ, venture=found.venture,
            environment=_environment(found.matchers), missing=f"there is no silence {silence_id}",
        )  # fmt: skip
        if not unit.silences.end(silence_id, by=actor.name, now=now):
            raise ConflictError(f"silence {silence_id} ended at {found.ends_at:%Y-%m-%d %H:%M UTC}")
        before, after = {"ends_at": found.ends_at.isoformat()}, {"ends_at": now.isoformat()}
        note(unit, actor, "alerts.unsilenced", f"silence/{silence_id}", now=now, before=before, after=after)
        return unit.silences.get(silence_id)


def list_silences(
    context: Context, *, venture: str | None = None, current_only: bool = True, before: str | None = None, limit: int = 50, actor: Actor
) -> list[Silence]:
    """Of ventures that the caller may see, newest first. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    if venture is not None:
        seen = frozenset({venture}) if seen is None or venture in seen else frozenset()
    with context.store.read() as unit:
        return unit.silences.page(seen, current=context.clock.now() if current_only else None, before=before, limit=limit)
