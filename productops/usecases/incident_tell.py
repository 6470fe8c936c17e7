"""Tell people of an incident: put the words down for every channel that wants them; the sender takes them from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.catalog_oncall_telling import ChannelSpec
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.incident import Incident
from productops.domain.incident_oncall import Channel, StatusPage, Telling
from productops.domain.incident_updates import (
    CADENCE_MIN,
    DEFAULTS,
    PUBLIC,
    Audience,
    Message,
    Moment,
    Notice,
    PublicUpdate,
    message,
    next_word,
)
from productops.errors import ConflictError, InvalidInputError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand, incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_tell_public import publish_automatic, still_told

OVER = frozenset({Moment.RESOLVED})
# Told under one key as long as the incident was not opened again: a flow that repeats itself tells nobody twice.
_ONCE = frozenset({Moment.OPENED, Moment.MITIGATED, Moment.RESOLVED, Moment.REOPENED})
_TOLD_TO = {Moment.OPENED, Moment.UPDATE, Moment.MITIGATED, Moment.RESOLVED, Moment.REOPENED, Moment.ESCALATED}
_STALE = (Moment.PAGED, Moment.ESCALATED, Moment.REMINDER)
WORDS_MAX = 4000


@dataclass(frozen=True, slots=True)
class Words:
    """What is to be told beside what the incident itself says. ``published``: what customers may read."""

    text: str = ""
    by: str = ""
    key: str = ""
    level: str = ""
    published: PublicUpdate | None = None


def tell(
    context: Context, incident_id: str, moment: Moment | str, *, actor: Actor, text: str = "", key: str | None = None
) -> list[str]:  # fmt: skip
    """Put down what each channel is to be told; returns the ids of what is to be sent, none where all was told before.

    ``moment``: opened, update, mitigated, resolved, reopened or escalated. Customers are told published words only. The next word is
    due by the venture's cadence. Raises: NotFoundError, ForbiddenError, InvalidInputError, StoreUnavailableError.
    """
    at = _moment(moment)
    written = text.strip()
    if len(written) > WORDS_MAX or (at is Moment.UPDATE and not written):
        raise InvalidInputError(f"an update has 1 to {WORDS_MAX:,} characters; this one has {len(written):,}")
    with context.store.write() as unit:
        incident_for(unit, incident_id, actor, Operation.INCIDENT_RESPOND)
        incident, now = unit.incidents.get(incident_id), context.clock.now()
        if incident.venture is None:
            return []
        published = publish_automatic(unit, incident, at, now=now)
        made = tell_channels(unit, incident, at, Words(written, actor.name, key or "", published=published), now=now)
        if at in OVER:
            unit.notices.drop_of(incident.id, _STALE, why="the incident is over")
        _keep_cadence(unit, incident, at, now=now)
        if made or written:
            kind, detail = "update" if at is Moment.UPDATE else "told", {"moment": at.value, "notices": len(made)}
            log_incident(unit, incident.id, kind, written or f"told: {at.value}", actor=actor, at=now, detail=detail)
            note(unit, actor, "incident.told", f"incident/{incident.id}", now=now, detail=detail)
    return made


def _moment(name: Moment | str) -> Moment:
    """Raises: InvalidInputError."""
    try:
        found = Moment(name)
    except ValueError:
        found = Moment.TEST
    if found not in _TOLD_TO:
        raise InvalidInputError(f"{str(name)[:40]!r} is no moment; there are {', '.join(sorted(_TOLD_TO))}")
    return found


def telling_of(unit: Unit, venture: str) -> Telling | None:
    """How a venture speaks; None where it declares nothing."""
    return next(iter(unit.oncall.all(Telling, ventures={venture})), None)


def cadence_of(telling: Telling | None) -> Mapping[str, float]:
    """Minutes between updates, by severity."""
    return CADENCE_MIN if telling is None else {str(name): minutes for name, minutes in telling.spec.cadence_minutes.items()}


def _keep_cadence(unit: Unit, incident: Incident, moment: Moment, *, now: datetime) -> None:
    due = next_word(incident.severity, cadence_of(telling_of(unit, incident.venture or "")), now=now)
    if moment in OVER or not incident.live:
        due = now if still_told(unit, incident.id) else None  # users read of it until somebody says that it is over
    unit.notices.keep_cadence(incident.id, venture=incident.venture or "", told_at=now, due_at=due)


def tell_channels(unit: Unit, incident: Incident, moment: Moment, words: Words, *, now: datetime) -> list[str]:
    """Put it down for every channel of the venture that all are told by. Raises: StoreUnavailableError."""
    venture = incident.venture or ""
    telling = telling_of(unit, venture)
    values = values_of(unit, incident, words, telling, now=now)
    key = words.key or (f"{moment}/{incident.reopened}" if moment in _ONCE else f"{moment}/{unit.incident_log.last(incident.id) + 1}")
    made = []
    for channel in unit.oncall.all(Channel, ventures={venture}):
        said = _said(telling, channel.spec.audience, moment, values, words)
        if said is None or not wants(channel.spec, incident, moment):
            continue
        added = unit.notices.add(
            f"{incident.id}/{key}/{channel.name}", said, venture=venture, incident_id=incident.id, moment=moment,
            audience=channel.spec.audience, channel=channel.name, recipient="all", now=now,
        )  # fmt: skip
        made += [added] if added else []
    return made


def wants(spec: ChannelSpec, incident: Incident, moment: Moment) -> bool:
    """Whether a channel is told of this incident now."""
    return (
        not spec.personal
        and incident.severity in spec.severities
        and (not spec.services or bool(set(spec.services) & set(incident.services)))
        and (not spec.moments or moment in spec.moments)
    )


def _said(
    telling: Telling | None, audience: Audience, moment: Moment, values: Mapping[str, str], words: Words
) -> Message | None:  # fmt: skip
    """The words for an audience; None where it is told nothing then. Customers hear what was published, and nothing else."""
    if audience is Audience.CUSTOMERS:
        if words.published is None:
            return None
        public = {name: value for name, value in values.items() if name in PUBLIC}
        template = template_of(telling, audience, moment) or template_of(telling, audience, Moment.UPDATE)
        return message(template, public) if template else None
    template = template_of(telling, audience, moment)
    return message(template, values) if template else None


def template_of(telling: Telling | None, audience: Audience, moment: Moment) -> tuple[str, str] | None:
    """The venture's words, else those that come with the product; None for none."""
    declared = telling.spec.templates if telling else ()
    found = next((t for t in declared if (t.audience, t.moment) == (audience, moment)), None)
    return (found.subject, found.text) if found else DEFAULTS.get((audience, moment))


def values_of(unit: Unit, incident: Incident, words: Words, telling: Telling | None, *, now: datetime) -> dict[str, str]:
    """What placeholders stand for."""
    due = next_word(incident.severity, cadence_of(telling), now=now)
    ended = incident.resolved_at or now
    values = {
        "incident": incident.id, "title": incident.title, "severity": incident.severity,
        "services": ", ".join(incident.services) or "no service", "environment": incident.environment or "everywhere",
        "venture": incident.venture or "", "state": str(incident.status), "detected_at": f"{incident.detected_at:%Y-%m-%d %H:%M}",
        "minutes": f"{max(0.0, (ended - incident.detected_at) / timedelta(minutes=1)):.0f}",
        "cause": f"Traced to {incident.cause}." if incident.cause else "", "summary": words.text or incident.description, "by": words.by,
        "person": "", "level": words.level, "link": f"productops incident show {incident.id}",
        "next_update": f"{due:%Y-%m-%d %H:%M}" if due else "when there is something new",
    }  # fmt: skip
    return values | _public_values(unit, words.published)


def _public_values(unit: Unit, published: PublicUpdate | None) -> dict[str, str]:
    if published is None:
        return {}
    page = unit.oncall.find(StatusPage, published.page)
    return {
        "components": ", ".join(published.components) or "our service", "status": published.word.value, "update": published.text,
        "public_title": published.title, "page_title": page.spec.title if page else "", "page_url": page.spec.url if page else "",
    }  # fmt: skip


def list_notices(
    context: Context, *, actor: Actor, incident_id: str | None = None, state: str | None = None, before: str | None = None, limit: int = 100
) -> list[Notice]:
    """What was told, newest first, of ventures the caller may see. Raises: NotFoundError, StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    with context.store.read() as unit:
        if incident_id is not None:
            incident_for(unit, incident_id, actor)
        return unit.notices.page(incident_id=incident_id, ventures=seen, state=state, before=before, limit=limit)


def retry_notice(context: Context, notice_id: str, *, actor: Actor) -> Notice:
    """Send one that was given up after all. Raises: NotFoundError, ForbiddenError, ConflictError."""
    with context.store.write() as unit:
        found = unit.notices.get(notice_id)
        demand(
            actor, Operation.INCIDENT_RESPOND, seen_by=Operation.INCIDENT_READ, venture=found.venture,
            missing=f"there is no notice {notice_id[:80]!r}",
        )  # fmt: skip
        now = context.clock.now()
        if found.state != "failed" or not unit.notices.revive(found, now=now):
            raise ConflictError(f"notice {notice_id} is {found.state}; only one that was given up is sent again")
        note(
            unit, actor, "incident.notice_retried", f"notice/{notice_id}", now=now, before=found.state, after="waiting",
            detail={"channel": found.channel, "venture": found.venture},
        )  # fmt: skip
        return unit.notices.get(notice_id)


def list_channels(context: Context, *, actor: Actor) -> Sequence[Channel]:
    """Ways to reach people, of ventures the caller may see. Addresses are secrets and are not told. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    with context.store.read() as unit:
        return unit.oncall.all(Channel, ventures=seen)


def try_channel(context: Context, name: str, *, actor: Actor) -> str:
    """Put down a message that means nothing; returns its id. Raises: NotFoundError, ForbiddenError."""
    with context.store.write() as unit:
        channel = unit.oncall.get(Channel, name)
        demand(
            actor, Operation.ONCALL_CHANGE, seen_by=Operation.INCIDENT_READ, venture=channel.venture,
            missing=f"there is no channel {name[:80]!r}", everywhere=True,
        )  # fmt: skip
        now = context.clock.now()
        said = Message("ProductOps: a test", f"{actor.name} tries the channel {name}. If you can read this, it works.")
        key = f"test/{name}/{now.isoformat()}"
        made = unit.notices.add(
            key, said, venture=channel.venture, incident_id=None, moment=Moment.TEST, audience=channel.spec.audience, channel=name,
            recipient="all", now=now,
        )  # fmt: skip
        note(unit, actor, "oncall.channel_tried", f"Channel/{name}", now=now, detail={"venture": channel.venture})
    return made or ""
