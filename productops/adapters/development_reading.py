"""How lists are read so that nothing is lost when they change meanwhile: by the time of the last change, not by the number of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import structlog

from productops.domain.development import Read, Told
from productops.domain.development_map import Mapper, UnmappableError
from productops.domain.development_sync import Cursor, Page
from productops.domain.governance_webhooks_json import text

log = structlog.get_logger(__name__)
BEGINNING = datetime(1970, 1, 2, tzinfo=UTC)
WINDOW = timedelta(days=7_500)
WINDOW_MIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Listed:
    """One answer: its items, whether there are more, its mark. ``same``: nothing changed since the mark that was sent."""

    items: Sequence[Any]
    more: bool
    etag: str = ""
    same: bool = False
    total: int = 0
    token: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """A repository or project: its stable id and what it is called now."""

    id: str
    name: str


def time_of(cursor: Cursor, name: str, default: datetime) -> datetime:
    """A time within a cursor."""
    found = cursor.get(name)
    return datetime.fromisoformat(found) if isinstance(found, str) and found else default


def by_change(
    cursor: Cursor, *, fetch: Callable[[datetime, int, str, str], Listed], changed: Callable[[Any], datetime],
    read: Callable[[Sequence[Any]], tuple[Told, ...]], identity: Callable[[Any], str] = lambda item: text(item, "id"),
) -> Page:  # fmt: skip
    """A page of a list that is sorted by the time of the last change, oldest first.

    After each page the list is asked anew from the last item's time on, so that items which move to its end meanwhile shift nothing out of
    sight. Only where a whole page is of one moment is the next page of the same question asked for; then the page before is looked at once
    more, and if something left it meanwhile, that moment is read again.
    ``fetch`` takes that time, the page, the token of the page, and the mark (ETag) of the same question asked before.
    """
    since, page, token = time_of(cursor, "since", BEGINNING), int(cursor.get("page", 1)), str(cursor.get("token", ""))
    first = page == 1 and bool(cursor.get("first", True))
    asked = since.isoformat()
    mark = str(cursor.get("etag", "")) if first and cursor.get("etag_since") == asked else ""
    found = fetch(since, page, token, mark)
    if found.same:
        return Page((), {**cursor, "page": 1, "token": "", "first": True, "done": True}, done=True)
    if page > 1 and not token and _left(fetch(since, page - 1, "", ""), str(cursor.get("last", "")), identity):
        return Page(read(found.items), {"since": asked, "page": 1, "token": "", "first": False, "done": False}, done=False)
    last = max((changed(item) for item in found.items), default=since)
    following: dict[str, Any] = {"since": max(last, since).isoformat(), "page": 1, "token": "", "first": False, "done": False}
    if not found.more:
        following |= {"first": True, "done": True}
        if first and found.etag:
            following |= {"etag": found.etag, "etag_since": asked}
    elif last <= since:
        following |= {"since": asked, "page": page + 1, "token": found.token, "last": identity(found.items[-1])}
    return Page(read(found.items), following, done=not found.more)


def _left(before: Listed, last: str, identity: Callable[[Any], str]) -> bool:
    """Whether something left the page before, so that what followed has moved up into it unseen."""
    return not before.items or identity(before.items[-1]) != last


def by_window(
    cursor: Cursor, *, start: datetime, now: datetime, fetch: Callable[[datetime, datetime, int], Listed],
    read: Callable[[Sequence[Any]], tuple[Told, ...]], total_max: int = 0,
) -> Page:  # fmt: skip
    """A page of a list that can only be narrowed by time: window after window, each fixed, so that pages do not shift.

    ``total_max``: a source shows no more than so many of one question; a window with more is halved, and those after it grow again.
    """
    since, page = time_of(cursor, "since", start), int(cursor.get("page", 1))
    span = timedelta(seconds=float(cursor.get("span_s", WINDOW.total_seconds())))
    ahead = min(now, since + span)
    until = ahead if cursor.get("done") else time_of(cursor, "until", ahead)
    found = fetch(since, until, page)
    here: dict[str, Any] = {"since": since.isoformat(), "done": False}
    if total_max and found.total > total_max and until - since > WINDOW_MIN:
        half = max(WINDOW_MIN, (until - since) / 2)
        return Page((), here | {"until": (since + half).isoformat(), "page": 1, "span_s": half.total_seconds()}, done=False)
    if found.more:
        return Page(read(found.items), here | {"until": until.isoformat(), "page": page + 1, "span_s": span.total_seconds()}, done=False)
    done = until >= now - timedelta(seconds=1)
    grown = min(WINDOW, 2 * span).total_seconds()
    return Page(read(found.items), {"since": until.isoformat(), "page": 1, "span_s": grown, "done": done}, done=done)


def newest_first(
    cursor: Cursor, *, start: datetime, fetch: Callable[[int], Listed], created: Callable[[Any], datetime],
    read: Callable[[Sequence[Any]], tuple[Told, ...]],
) -> Page:  # fmt: skip
    """A page of a list that is read from its newest end to where the last look began. New items shift nothing out of sight."""
    since, page = time_of(cursor, "since", start), int(cursor.get("page", 1)) if not cursor.get("done") else 1
    found = fetch(page)
    newest = max((created(item) for item in found.items), default=since)
    top = max(newest, time_of(cursor, "top", since)) if page > 1 else newest
    oldest = min((created(item) for item in found.items), default=since)
    if found.more and oldest >= since:
        going: dict[str, Any] = {"since": since.isoformat(), "top": top.isoformat(), "page": page + 1, "done": False}
        return Page(read(found.items), going, done=False)
    return Page(read(found.items), {"since": max(top, since).isoformat(), "page": 1, "done": True}, done=True)


def rewound(cursor: Cursor, overlap: timedelta) -> dict[str, Any]:
    """Where the next look begins: a little before the end of the last one; where that was cut off, right there."""
    if not cursor.get("done") or "since" not in cursor:
        return dict(cursor)
    since = time_of(cursor, "since", BEGINNING)
    return {**cursor, "since": max(BEGINNING, since - overlap).isoformat(), "first": True}


def each_told(items: Iterable[Any], read: Callable[[Any], Iterator[Told]], *, what: str) -> tuple[Told, ...]:
    """What all items tell. One without an id or a time is left out and logged: it must not keep the others waiting for ever."""
    told: list[Told] = []
    for item in items:
        try:
            told += list(read(item))
        except UnmappableError as error:
            log.warning("left out", what=what, reason=str(error))
    return tuple(told)


class Reader:
    """What the readers of all tools have in common."""

    kinds: tuple[str, ...] = ()
    combed: Mapping[str, tuple[type[Read], ...]] = MappingProxyType({})

    def __init__(self, mapper: Callable[[], Mapper]) -> None:
        self._mapper = mapper
        self._scopes: dict[str, Scope] = {}

    @property
    def streams(self) -> tuple[str, ...]:
        """Kinds of streams that the catalog wants read, of those the tool has."""
        wanted = set(self._mapper().spec.streams)
        return tuple(kind for kind in self.kinds if kind in wanted)

    def name_of(self, scope: str) -> str:
        """What a repository is called now."""
        return self._scopes[scope].name

    @property
    def start(self) -> datetime:
        """How far back lists without a time of change are read."""
        mapper = self._mapper()
        return mapper.now - timedelta(days=mapper.spec.history_days)
