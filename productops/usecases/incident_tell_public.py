"""What a status page says of itself, without a person: only where its catalog entry wants that, only in the words written there."""

from __future__ import annotations

from datetime import datetime

from productops.domain.catalog_oncall_telling import PublishedWords
from productops.domain.incident import Incident
from productops.domain.incident_oncall import StatusPage
from productops.domain.incident_updates import Harm, Moment, PublicUpdate, Word, fill
from productops.store import Unit

_HARM = {"SEV1": Harm.MAJOR, "SEV2": Harm.PARTIAL, "SEV3": Harm.DEGRADED, "SEV4": Harm.DEGRADED}
_WORD = {
    Moment.OPENED: Word.INVESTIGATING, Moment.REOPENED: Word.INVESTIGATING, Moment.MITIGATED: Word.MONITORING,
    Moment.RESOLVED: Word.RESOLVED,
}  # fmt: skip
BY = "the catalog"


def components_of(page: StatusPage, incident: Incident) -> tuple[str, ...]:
    """Public names of what an incident concerns on a page."""
    return tuple(
        each.name for each in page.spec.components
        if each.service in incident.services and incident.environment in {None, each.environment}
    )  # fmt: skip


def still_told(unit: Unit, incident_id: str) -> bool:
    """Whether users still read of it, as of something that is not over."""
    last = {each.page: each.word for each in unit.updates.of_incident(incident_id) if each.retracted_at is None}
    return any(word is not Word.RESOLVED for word in last.values())


def publish_automatic(unit: Unit, incident: Incident, moment: Moment, *, now: datetime) -> PublicUpdate | None:
    """Publish what the catalog says for such a moment, once; the last of several pages is returned. None: nothing is published."""
    word = _WORD.get(moment)
    if word is None or incident.venture is None:
        return None
    published = None
    for page in unit.oncall.all(StatusPage, ventures={incident.venture}):
        components = components_of(page, incident)
        if not components or not (incident.severity in page.spec.automatic.severities or _spoken_of(unit, incident, page)):
            continue
        made = _update(page, incident, moment, word, components, now=now)
        made_id = unit.updates.add(made, key=f"automatic/{page.name}/{incident.id}/{moment}/{incident.reopened}")
        published = unit.updates.get(made_id) if made_id else published
    return published


def _spoken_of(unit: Unit, incident: Incident, page: StatusPage) -> bool:
    """Whether the catalog, and nobody else, spoke of it there: then it also says how it ended, whatever became of the severity."""
    told = [each.by for each in unit.updates.of_incident(incident.id) if each.page == page.name]
    return bool(told) and set(told) == {BY}


def _update(
    page: StatusPage, incident: Incident, moment: Moment, word: Word, components: tuple[str, ...], *, now: datetime
) -> PublicUpdate:  # fmt: skip
    spec: PublishedWords = page.spec.automatic
    values = {"components": ", ".join(components), "page_title": page.spec.title}
    text = {Moment.MITIGATED: spec.mitigated, Moment.RESOLVED: spec.resolved}.get(moment, spec.opened)
    harm = Harm.OPERATIONAL if word in {Word.RESOLVED, Word.MONITORING} else _HARM[incident.severity]
    return PublicUpdate(
        "", incident.id, page.venture, page.name, fill(spec.title, values, characters_max=200), word, harm, components,
        fill(text, values, characters_max=2000), BY, now,
    )  # fmt: skip
