"""Write what is learned: a draft from stored rows, edited by people, every text kept, published."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final

from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.incident_postmortem import TEXT_MAX, TITLE_MAX, Draft, Postmortem, PostmortemState, PostmortemVersion
from productops.domain.incident_postmortem_words import draft_text, title_of
from productops.domain.incident_state import IncidentStatus
from productops.errors import ConflictError, InvalidInputError, RevisionMismatchError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_postmortem_facts import gather_facts

_DRAFTED: Final = "drafted_sha256"


@dataclass(frozen=True, slots=True)
class PostmortemEdit:
    """Another text. ``revision``: the one that was read."""

    text: str
    revision: int
    title: str | None = None


def draft_postmortem(context: Context, incident_id: str, *, actor: Actor, again: bool = False) -> Postmortem:
    """Write the draft from what is stored. One that people have edited is left as it is, unless ``again``: then its text is replaced,
    and the earlier one stays among the versions.

    Raises: NotFoundError, ForbiddenError, ConflictError for one that is published.
    """
    with context.store.write() as unit:
        incident_for(unit, incident_id, actor, Operation.INCIDENT_RESPOND)
        incident, now = unit.incidents.get(incident_id), context.clock.now()
        known = unit.postmortems.find(incident_id)
        if known is not None and not again and (_edited(known) or known.state is PostmortemState.PUBLISHED):
            return known
        if known is not None and known.state is PostmortemState.PUBLISHED:
            raise ConflictError(f"the post-mortem of incident {incident_id} is published; edit it")
        facts = gather_facts(context, unit, incident)
        text = draft_text(facts)
        draft = Draft(title_of(facts), text, _plain(asdict(facts)) | {_DRAFTED: _digest(text)})
        if known is None:
            unit.postmortems.add(incident_id, draft, venture=incident.venture or "", by=actor.name, now=now)
            log_incident(unit, incident_id, "post-mortem", "a draft of the post-mortem was written", actor=actor, at=now)
        elif known.text == draft.text:
            return known
        elif not unit.postmortems.change(known, by=actor.name, now=now, text=draft.text, title=draft.title, facts=dict(draft.facts)):
            raise RevisionMismatchError(f"the post-mortem of incident {incident_id} changed meanwhile; read it again")
        detail = {"venture": incident.venture, "again": again}
        note(
            unit, actor, "postmortem.drafted", f"incident/{incident_id}", now=now, before=_state(known), after=PostmortemState.DRAFT.value,
            detail=detail,
        )  # fmt: skip
        return unit.postmortems.get(incident_id)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _edited(known: Postmortem) -> bool:
    """Whether the text is another than the one that was drafted."""
    return _digest(known.text) != known.facts.get(_DRAFTED)


def _plain(value: Any) -> Any:
    """As JSON keeps it: times as text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime | date) else value


def _state(known: Postmortem | None) -> str | None:
    return known.state.value if known else None


def read_postmortem(context: Context, incident_id: str, *, actor: Actor) -> Postmortem:
    """Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor)
        return unit.postmortems.get(incident_id)


def list_postmortems(context: Context, *, actor: Actor, state: PostmortemState | None = None, limit: int = 100) -> list[Postmortem]:
    """Newest first, of ventures the caller may see. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    with context.store.read() as unit:
        return unit.postmortems.page(ventures=seen, state=state.value if state else None, limit=limit)


def list_versions(context: Context, incident_id: str, *, actor: Actor) -> list[PostmortemVersion]:
    """Every text it had, newest first. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor)
        unit.postmortems.get(incident_id)
        return unit.postmortems.versions(incident_id)


def edit_postmortem(context: Context, incident_id: str, edit: PostmortemEdit, *, actor: Actor) -> Postmortem:
    """Put another text in its place; the one before stays a version. A published one may be corrected, too.

    Raises: NotFoundError, ForbiddenError, InvalidInputError, RevisionMismatchError when somebody else wrote meanwhile.
    """
    _checked(edit)
    with context.store.write() as unit:
        known = _known(unit, incident_id, edit.revision, actor)
        now = context.clock.now()
        values = {"text": edit.text} | ({"title": edit.title.strip()[:TITLE_MAX]} if edit.title else {})
        _change(unit, known, actor, now, **values)
        detail = {"venture": known.venture, "revision": known.revision + 1, "characters": len(edit.text)}
        note(unit, actor, "postmortem.edited", f"incident/{incident_id}", now=now, before=f"revision {known.revision}", detail=detail)
        return unit.postmortems.get(incident_id)


def publish_postmortem(context: Context, incident_id: str, *, revision: int, actor: Actor) -> Postmortem:
    """Say that others may rely on it; the incident has its post-mortem from then on.

    Raises: NotFoundError, ForbiddenError, RevisionMismatchError, ConflictError while the incident is not over, or when it is published.
    """
    with context.store.write() as unit:
        known = _known(unit, incident_id, revision, actor)
        if known.state is PostmortemState.PUBLISHED:
            raise ConflictError(f"the post-mortem of incident {incident_id} is published already")
        incident, now = unit.incidents.get(incident_id), context.clock.now()
        if incident.status not in {IncidentStatus.RESOLVED, IncidentStatus.CLOSED}:
            raise ConflictError(f"incident {incident_id} is {incident.status}; a post-mortem is published when it is over")
        _change(unit, known, actor, now, state=PostmortemState.PUBLISHED.value, published_at=now, published_by=actor.name)
        unit.incidents.change(incident_id, revision=incident.revision, now=now, postmortem_completed=True)
        log_incident(unit, incident_id, "post-mortem", "the post-mortem is published", actor=actor, at=now)
        note(
            unit, actor, "postmortem.published", f"incident/{incident_id}", now=now, before="draft", after="published",
            detail={"venture": known.venture, "revision": known.revision + 1},
        )  # fmt: skip
        return unit.postmortems.get(incident_id)


def _known(unit: Unit, incident_id: str, revision: int, actor: Actor) -> Postmortem:
    """Raises: NotFoundError, ForbiddenError, RevisionMismatchError."""
    incident_for(unit, incident_id, actor, Operation.INCIDENT_RESPOND)
    known = unit.postmortems.get(incident_id)
    if known.revision != revision:
        raise RevisionMismatchError(
            f"the post-mortem of incident {incident_id} is at revision {known.revision}, not {revision}; read it again and repeat the edit"
        )
    return known


def _change(unit: Unit, known: Postmortem, actor: Actor, now: datetime, **values: Any) -> None:
    if not unit.postmortems.change(known, by=actor.name, now=now, **values):
        raise RevisionMismatchError(f"the post-mortem of incident {known.incident_id} changed meanwhile; read it again")


def _checked(edit: PostmortemEdit) -> None:
    """Raises: InvalidInputError."""
    if not edit.text.strip() or len(edit.text) > TEXT_MAX or "\x00" in edit.text:
        raise InvalidInputError(f"a post-mortem has 1 to {TEXT_MAX:,} characters and no NUL; this one has {len(edit.text):,}")
