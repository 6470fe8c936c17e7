"""Reads logs: lines, their templates, and errors, each for who may read them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from productops.domain.governance_access import Operation, visible_places, visible_ventures
from productops.domain.monitoring_logs import ErrorGroup, FoundLine, LogQuery, LogService, TemplateCount, TemplateJump
from productops.domain.monitoring_logs_chunk import unpack
from productops.domain.release import Environment
from productops.errors import InvalidInputError
from productops.store.monitoring_logs import Found
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import in_places, service_for

Place = tuple[int, int]
"""Id of a chunk, and index of a line in it."""
LIMIT_MAX = 1_000
CHUNKS_AT_ONCE = 32
CHUNKS_MAX = 4_000
JUMP_SCORE = 6.0
JUMP_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines, the newest first. ``next``: where the search goes on; ``None`` at its end. ``opened`` chunks were looked through."""

    lines: tuple[FoundLine, ...]
    next: Place | None
    opened: int


def search_logs(context: Context, query: LogQuery, *, actor: Actor, before: Place | None = None, limit: int = 100) -> LogPage:
    """Lines that fit, in the order they came in, the newest first, below ``before``.

    A search ends early after some thousand chunks; then it has a ``next`` all the same, and perhaps no lines.
    Raises: InvalidInputError, NotFoundError, ForbiddenError, StoreUnavailableError.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidInputError(f"limit has to be 1 to {LIMIT_MAX}, it is {limit}")
    if query.since is not None and query.until is not None and query.since >= query.until:
        raise InvalidInputError("since has to be before until")
    _check(context, query, actor)
    ventures = visible_ventures(actor.principal, Operation.LOG_READ)
    if ventures is not None and not ventures:
        return LogPage((), None, 0)
    return _search(context, query, ventures, actor, before=before, limit=limit)


def _check(context: Context, query: LogQuery, actor: Actor) -> None:
    """A question about one service or venture is refused where a list would only be empty."""
    if query.service is not None:
        with context.store.read() as unit:
            known = unit.catalog.find_service(query.service)
            if known is not None or query.venture is None:
                service_for(unit, query.service, actor, Operation.LOG_READ, environment=query.environment, seen_by=Operation.LOG_READ)
    elif query.venture is not None and query.environment is not None:
        actor.check(Operation.LOG_READ, venture=query.venture, environment=query.environment)


def _search(
    context: Context, query: LogQuery, ventures: frozenset[str] | None, actor: Actor, *, before: Place | None, limit: int
) -> LogPage:  # fmt: skip
    found: list[FoundLine] = []
    opened, below = 0, before[0] + 1 if before is not None else None
    size = 1
    while opened < CHUNKS_MAX:
        with context.store.read() as unit:
            chunks = unit.logs.find(ventures, query, before=below, limit=size)
        for chunk in chunks:
            opened += 1
            fitting = [line for line in reversed(lines_of(chunk, query, actor)) if before is None or line.id < before]
            found += fitting[: limit - len(found) + 1]
            if len(found) > limit:
                return LogPage(tuple(found[:limit]), found[limit - 1].id, opened)
        if len(chunks) < size:
            return LogPage(tuple(found), None, opened)
        below, size = chunks[-1][0], min(size * 2, CHUNKS_AT_ONCE)
    return LogPage(tuple(found), (below or 0, 0), opened)


def lines_of(chunk: Found, query: LogQuery, actor: Actor) -> list[FoundLine]:
    """The lines of a chunk that fit and that the caller may read, in the order they came in."""
    number, venture, body = chunk
    places = visible_places(actor.principal, Operation.LOG_READ)
    return [
        FoundLine((number, index), line)
        for index, line in enumerate(unpack(venture, body))
        if query.takes(line) and (places is None or in_places(places, venture, line.origin.environment))
    ]


@dataclass(slots=True)
class LogTail:
    """Follows lines as they are stored. ``seen`` is the newest chunk before it began.

    Two programs that write at once may finish in another order than they began: the last few chunks are looked at again.
    """

    context: Context
    query: LogQuery
    actor: Actor
    seen: int
    _given: frozenset[int] = frozenset()

    @classmethod
    def begin(cls, context: Context, query: LogQuery, *, actor: Actor, after: Place | None = None) -> LogTail:
        """After the newest line, or after the one that was read last. Raises: as ``search_logs``."""
        _check(context, query, actor)
        if after is not None:
            return cls(context, query, actor, after[0], frozenset({after[0]}))
        with context.store.read() as unit:
            newest = unit.logs.newest()
        return cls(context, query, actor, newest, frozenset(range(max(newest - AGAIN, 0), newest + 1)))

    def read(self) -> list[FoundLine]:
        """What came since the last call, 200 chunks at most. Raises: StoreUnavailableError."""
        with self.context.store.read() as unit:
            chunks = unit.logs.after(max(self.seen - AGAIN, 0), limit=200 + AGAIN)
        fresh = [chunk for chunk in chunks if chunk[0] not in self._given and chunk[0] > self.seen - AGAIN]
        if not fresh:
            return []
        self.seen = max(self.seen, fresh[-1][0])
        ids = {chunk[0] for chunk in fresh} | {each for each in self._given if each > self.seen - AGAIN}
        self._given = frozenset(ids)
        return [line for chunk in fresh for line in lines_of(chunk, self.query, self.actor)]


AGAIN = 8


def templates_of(
    context: Context, *, service: str, environment: Environment, since: datetime, until: datetime, actor: Actor
) -> list[TemplateCount]:
    """Shapes of a service's lines and how often each came, the most frequent first. Counted by whole minutes.

    Raises: NotFoundError, ForbiddenError, InvalidInputError, StoreUnavailableError.
    """
    _check_window(since, until)
    with context.store.read() as unit:
        service_for(unit, service, actor, Operation.LOG_READ, environment=environment, seen_by=Operation.LOG_READ)
        return unit.logs.templates.counted(service, environment, since=since, until=until)


def jumped_templates(
    context: Context, *, service: str, environment: Environment, since: datetime, until: datetime, actor: Actor,
    before: timedelta = timedelta(hours=1),
) -> list[TemplateJump]:  # fmt: skip
    """Templates that came at least three times as often as in the time ``before`` the window, or a third; the clearest first.

    Raises: as ``templates_of``.
    """
    now = templates_of(context, service=service, environment=environment, since=since, until=until, actor=actor)
    with context.store.read() as unit:
        earlier = {t.id: t for t in unit.logs.templates.counted(service, environment, since=since - before, until=since)}
    minutes, minutes_before = max((until - since) / timedelta(minutes=1), 1.0), before / timedelta(minutes=1)
    gone = [replace(template, count=0, by_version={}) for key, template in earlier.items() if key not in {t.id for t in now}]
    jumps = [_jump(template, earlier.get(template.id), minutes, minutes_before) for template in [*now, *gone]]
    return sorted((jump for jump in jumps if _is_jump(jump)), key=lambda jump: (-abs(jump.score), jump.template.id))


def _jump(template: TemplateCount, earlier: TemplateCount | None, minutes: float, minutes_before: float) -> TemplateJump:
    """Two Poisson counts over their windows, compared by the square roots, whose variance is a quarter whatever the rate."""
    count_before = earlier.count if earlier is not None else 0
    rate, rate_before = template.count / minutes, count_before / minutes_before
    share = minutes / minutes_before
    spread = math.sqrt(0.25 * (1 + share))
    score = (math.sqrt(template.count + 0.375) - math.sqrt(share * (count_before + 0.375))) / spread
    return TemplateJump(template, rate_before, rate, score)


def _is_jump(jump: TemplateJump) -> bool:
    low, high = sorted((jump.before_per_min, jump.now_per_min))
    return abs(jump.score) >= JUMP_SCORE and high >= JUMP_FACTOR * low


def errors_of(
    context: Context, *, service: str, environment: Environment, since: datetime, until: datetime, actor: Actor
) -> list[ErrorGroup]:
    """Errors of a service by fingerprint, with counts of the window by version, the most frequent first.

    Raises: NotFoundError, ForbiddenError, InvalidInputError, StoreUnavailableError.
    """
    _check_window(since, until)
    with context.store.read() as unit:
        service_for(unit, service, actor, Operation.LOG_READ, environment=environment, seen_by=Operation.LOG_READ)
        return unit.logs.errors.of(service, environment, since=since, until=until)


def new_in(errors: Iterable[ErrorGroup], version: str) -> list[ErrorGroup]:
    """Those that this version had first and no other one had before."""
    return [error for error in errors if error.first_version == version]


def list_log_services(context: Context, *, actor: Actor) -> list[LogService]:
    """Services that log, of places that the caller may read. Raises: StoreUnavailableError."""
    places = visible_places(actor.principal, Operation.LOG_READ)
    with context.store.read() as unit:
        return [each for each in unit.logs.services() if in_places(places, each.venture, each.environment)]


def _check_window(since: datetime, until: datetime) -> None:
    if since >= until:
        raise InvalidInputError(f"since has to be before until; they are {since.isoformat()} and {until.isoformat()}")
