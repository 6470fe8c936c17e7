"""Publish words for users, and the page they read: made of published words and counted minutes only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.incident_oncall import StatusPage
from productops.domain.incident_status_page import SHOWN_DAYS, UPTIME_DAYS, PublicPage, UptimeDay, make_page
from productops.domain.incident_updates import Harm, Moment, PublicUpdate, Word, next_word
from productops.domain.release import Environment
from productops.errors import ConflictError, InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_access_scope import demand, incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_tell import Words, cadence_of, tell_channels, telling_of
from productops.usecases.incident_tell_public import components_of

_DAY = timedelta(days=1)
_LATE_MIN = 1


@dataclass(frozen=True, slots=True)
class UpdateWish:
    """What users are to read. ``components`` empty: those of the incident's services; ``title`` empty: as it was called before."""

    text: str
    word: Word
    page: str | None = None
    harm: Harm | None = None
    title: str = ""
    components: tuple[str, ...] = ()


def publish_update(context: Context, incident_id: str, wish: UpdateWish, *, actor: Actor) -> PublicUpdate:
    """Put words on the venture's status page, and tell customers' channels. Whoever publishes is answerable for what it says.

    Raises: NotFoundError, ForbiddenError, InvalidInputError for a component the page does not have, or a page that is not named where
    the venture has several.
    """
    with context.store.write() as unit:
        known = incident_for(unit, incident_id, actor, Operation.STATUS_PUBLISH)
        incident, now = unit.incidents.get(incident_id), context.clock.now()
        page = _page_for(unit, wish.page, known["venture"])
        earlier = [each for each in unit.updates.of_incident(incident_id) if each.page == page.name and each.retracted_at is None]
        components = wish.components or (earlier[-1].components if earlier else components_of(page, incident))
        unknown = sorted(set(components) - {each.name for each in page.spec.components})
        if unknown:
            names = ", ".join(each.name for each in page.spec.components)
            raise InvalidInputError(f"the page {page.name} has no component {unknown[0][:80]!r}; it has: {names}")
        title = wish.title.strip() or (earlier[-1].title if earlier else "")
        if not title:
            raise InvalidInputError("the first update of an incident needs a title that users may read; the one inside is not published")
        harm = Harm.OPERATIONAL if wish.word is Word.RESOLVED else wish.harm or (earlier[-1].harm if earlier else Harm.DEGRADED)
        text = wish.text.strip()
        made = PublicUpdate("", incident_id, page.venture, page.name, title, wish.word, harm, components, text, actor.name, now)
        made_id = unit.updates.add(made, key=f"{page.name}/{incident_id}/{new_id()}") or ""
        published = unit.updates.get(made_id)
        tell_channels(unit, incident, Moment.UPDATE, Words(wish.text, actor.name, f"published/{made_id}", published=published), now=now)
        due = next_word(incident.severity, cadence_of(telling_of(unit, page.venture)), now=now) if incident.live else None
        unit.notices.keep_cadence(incident_id, venture=page.venture, told_at=now, due_at=due)
        detail = {"page": page.name, "word": wish.word.value, "update": made_id, "venture": page.venture}
        log_incident(unit, incident_id, "published", f"{wish.word}: {published.text}", actor=actor, at=now, detail=detail)
        note(unit, actor, "status.published", f"incident/{incident_id}", now=now, after=published.text, detail=detail)
    return published


def retract_update(context: Context, update_id: str, *, reason: str, actor: Actor) -> PublicUpdate:
    """Take words off the page; who was told by a channel was told. Raises: NotFoundError, ForbiddenError, ConflictError."""
    with context.store.write() as unit:
        found = unit.updates.get(update_id)
        incident_for(unit, found.incident_id, actor, Operation.STATUS_PUBLISH)
        now = context.clock.now()
        if not unit.updates.retract(update_id, now=now):
            raise ConflictError(f"update {update_id} was taken back already")
        detail = {"page": found.page, "update": update_id, "venture": found.venture}
        log_incident(unit, found.incident_id, "retracted", f"taken off the page: {found.text}", actor=actor, at=now, detail=detail)
        note(
            unit, actor, "status.retracted", f"incident/{found.incident_id}", now=now, reason=reason, before=found.text, detail=detail
        )  # fmt: skip
        return unit.updates.get(update_id)


def list_updates(context: Context, incident_id: str, *, actor: Actor) -> list[PublicUpdate]:
    """All that was published of an incident, oldest first. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor)
        return unit.updates.of_incident(incident_id)


def list_status_pages(context: Context, *, actor: Actor) -> list[StatusPage]:
    """Pages of ventures the caller may see. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    with context.store.read() as unit:
        return unit.oncall.all(StatusPage, ventures=seen)


def read_status_page(context: Context, name: str, *, actor: Actor) -> PublicPage:
    """The page as users would see it. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        page = unit.oncall.find(StatusPage, name)
        missing = f"there is no status page {name[:80]!r}"
        if page is None:
            raise NotFoundError(missing)
        demand(
            actor, Operation.INCIDENT_READ, seen_by=Operation.INCIDENT_READ, venture=page.venture, missing=missing, everywhere=True
        )  # fmt: skip
        return _made(unit, page, context.clock.now())


def public_status_page(context: Context, name: str) -> PublicPage:
    """The page for anybody; whether it is served at all is decided by who serves it. Raises: NotFoundError, StoreUnavailableError."""
    return read_status_page(context, name, actor=OURSELVES)


def _made(unit: Unit, page: StatusPage, now: datetime) -> PublicPage:
    today = now.astimezone(UTC).date()
    updates = unit.updates.of_page(page.name, since=now - SHOWN_DAYS * _DAY)
    return make_page(page.name, page.spec, updates, unit.updates.uptime(page.name, since=today - UPTIME_DAYS * _DAY), today=today)


def _page_for(unit: Unit, name: str | None, venture: str | None) -> StatusPage:
    """The named page of a venture, or its only one. Raises: NotFoundError, InvalidInputError."""
    pages = unit.oncall.all(StatusPage, ventures={venture} if venture else set())
    if name is not None:
        found = next((each for each in pages if each.name == name), None)
        if found is None:
            raise NotFoundError(f"venture {venture} has no status page {name[:80]!r}")
        return found
    if not pages:
        raise NotFoundError(f"venture {venture} has no status page; declare one in the catalog (kind: StatusPage) and apply it")
    if len(pages) > 1:
        raise InvalidInputError(f"venture {venture} has several status pages; name one: {', '.join(each.name for each in pages)}")
    return pages[0]


def count_uptime(context: Context, now: datetime | None = None) -> int:
    """Count minutes of traffic that were not counted yet, for every component of every page; returns how many rows were written.

    The last minute is left alone: its seconds still come in. Raises: StoreUnavailableError.
    """
    at = now or context.clock.now()
    last = int(at.timestamp()) // 60 - _LATE_MIN
    with context.store.read() as unit:
        pages = unit.oncall.all(StatusPage)
        counted = [each for page in pages for each in _counted(unit, page, last)]
    if not counted:
        return 0
    with context.store.write() as unit:
        for name, environment, day in counted:
            unit.updates.put_uptime(name, environment, day)
        unit.updates.forget_uptime(before=at.astimezone(UTC).date() - (UPTIME_DAYS + 5) * _DAY)
    return len(counted)


def _counted(unit: Unit, page: StatusPage, last: int) -> list[tuple[str, Environment, UptimeDay]]:
    """Days that grow, of each service once: today, and yesterday if its end was not counted."""
    today = datetime.fromtimestamp(last * 60, UTC).date()
    found = []
    for service, environment in sorted({(each.service, each.environment) for each in page.spec.components}):
        for day in (today - _DAY, today):
            grown = _grown(unit, page, service, environment, day, last)
            found += [(page.name, environment, grown)] if grown else []
    return found


def _grown(unit: Unit, page: StatusPage, service: str, environment: Environment, day: date, last: int) -> UptimeDay | None:
    """A day with the minutes that were not counted yet; None where there are none."""
    begins = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // 60
    known = unit.updates.uptime_day(service, environment, page.name, day)
    since, until = known.until_minute if known else begins, min(begins + 1440, last)
    if since >= until:
        return None
    up, down = unit.updates.minutes(
        service, environment, since_s=since * 60, until_s=until * 60, requests_min=page.spec.requests_min,
        failed_ratio=page.spec.failed_ratio,
    )  # fmt: skip
    before = (known.minutes_up, known.minutes_down) if known else (0, 0)
    return UptimeDay(service, day, before[0] + up, before[1] + down, until)
