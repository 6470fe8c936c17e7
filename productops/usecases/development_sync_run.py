"""One run over one source: each page is one transaction that stores it and moves the cursor. Killed anywhere, the next run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from productops.adapters.development_reading import rewound
from productops.domain.development import NAMES, System, Told, Written
from productops.domain.development_sync import GONE_ALWAYS, GONE_SHARE_MAX, LEASE, DevelopmentSource, Page, StreamState
from productops.errors import ConflictError, DevelopmentSourceBusyError, DevelopmentSourceError, LeaseLostError
from productops.ports import DevelopmentReader
from productops.store import Unit
from productops.usecases.context import Context

log = structlog.get_logger(__name__)
DETAILS_AT_ONCE = 20
SLICE_S = 10.0
STORE_TRIES = 3


@dataclass(slots=True)
class Patience:
    """How long a run may still wait for rate limits; it keeps the run's claim while it does."""

    context: Context
    source: DevelopmentSource
    owner: str
    left_s: float

    def wait(self, seconds: float) -> None:
        """Raises: DevelopmentSourceBusyError when that is longer than is left, LeaseLostError."""
        if seconds > self.left_s:
            raise DevelopmentSourceBusyError(
                f"{self.source.name} asks for peace for {seconds:.0f} s; this run waits {self.left_s:.0f} s at most", retry_after_s=seconds
            )
        self.left_s -= seconds
        end = self.context.clock.monotonic() + seconds
        while (rest := end - self.context.clock.monotonic()) > 0:
            if rest > SLICE_S:
                with self.context.store.write() as unit:
                    hold(unit, self.context, self.source, self.owner)
            self.context.clock.sleep(min(rest, SLICE_S))


def hold(unit: Unit, context: Context, source: DevelopmentSource, owner: str, *, rate_left: int | None = None) -> None:
    """Keep the claim of a run. Raises: LeaseLostError."""
    until = context.clock.now() + LEASE
    if not unit.development_sources.renew(source.name, owner=owner, until=until, rate_left=rate_left):
        raise LeaseLostError(f"another run reads {source.name} now")


@dataclass(slots=True)
class SyncRun:
    """A run while it reads. ``written`` and ``problems`` are by stream."""

    context: Context
    source: DevelopmentSource
    owner: str
    reader: DevelopmentReader
    full: bool
    accept_deletions: bool
    pages: int = 0
    written: dict[str, dict[str, Written]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def read_all(self) -> None:
        """All projects, stream by stream. What fails is noted and keeps its cursor; the others are read. Raises: …BusyError, LeaseLost…."""
        with self.context.store.read() as unit:
            known = {str(s.cursor.get("project", "")): s.scope for s in unit.development_sources.streams(self.source.name)}
        for project in self.source.spec.projects:
            try:
                scope = self.reader.open(project, known.get(project, ""))
            except DevelopmentSourceBusyError:
                raise
            except DevelopmentSourceError as error:
                self.problems[project] = str(error)
                continue
            for kind in self.reader.streams:
                self._guarded(f"{kind}:{scope}", project)
            if "changes" in self.source.spec.streams and self.source.system is not System.JIRA:
                self._guarded(f"details:{scope}", project)

    def _guarded(self, stream: str, project: str) -> None:
        try:
            if stream.startswith("details:"):
                self._read_details(stream, project)
                return
            state = self._read_stream(stream, project)
            if self._is_comb_due(state):
                self._comb(state)
        except DevelopmentSourceBusyError:
            raise
        except DevelopmentSourceError as error:
            self.problems[stream] = str(error)
            with self.context.store.write() as unit:
                unit.development_sources.fail(self.source.name, stream, str(error))

    def _read_stream(self, stream: str, project: str) -> StreamState:
        with self.context.store.write() as unit:
            state = unit.development_sources.begin(self.source.name, stream)
        cursor: Mapping[str, Any] = rewound(state.cursor, timedelta(seconds=self.source.spec.overlap_s)) | {"project": project}
        while True:
            read_at = self.context.clock.now()
            page = self.reader.read(state.kind, state.scope, cursor)
            cursor = {**page.cursor, "project": project}
            values: dict[str, Any] = {"cursor": cursor, "read_at": self.context.clock.now(), "error": ""}
            if page.done:
                values |= {"filled": True, "reached_at": read_at} | ({} if state.filled else {"combed_at": read_at})
            state = self._keep(state, page, values, read_at=read_at)
            if page.done:
                return state

    def _is_comb_due(self, state: StreamState) -> bool:
        if self.full or state.combing_since is not None:
            return True
        due = state.combed_at is None or self.context.clock.now() - state.combed_at >= self.source.spec.comb_every
        return due and bool(self.reader.combed.get(state.kind))

    def _comb(self, state: StreamState) -> None:
        """Look at all there is; what was not seen by the end is gone."""
        if state.combing_since is None:
            with self.context.store.write() as unit:
                begun: dict[str, Any] = {"comb": {}, "combing_since": self.context.clock.now()}
                state = unit.development_sources.move(self.source.name, state, **begun)
        done = False
        while not done:
            read_at = self.context.clock.now()
            page = self.reader.read(state.kind, state.scope, state.comb)
            state = self._keep(state, page, {"comb": dict(page.cursor), "read_at": self.context.clock.now()}, read_at=read_at)
            done = page.done
        self._bury(state)

    def _bury(self, state: StreamState) -> None:
        kinds, since = self.reader.combed.get(state.kind, ()), state.combing_since or self.context.clock.now()
        ended: dict[str, Any] = {"comb": {}, "combing_since": None, "combed_at": since}
        with self.context.store.write() as unit:
            now = self.context.clock.now()
            hold(unit, self.context, self.source, self.owner)
            missing, total = unit.development.unseen(self.source.name, kinds, state.scope, since=since)
            if missing > max(GONE_ALWAYS, GONE_SHARE_MAX * total) and not self.accept_deletions:
                reason = (
                    f"{missing:,} of {total:,} things were not seen in a full look; nothing was deleted. Check what the token may see; if "
                    f"they are really gone: productops development sync {self.source.name} --full --accept-deletions"
                )
                unit.development_sources.move(self.source.name, state, **(ended | {"error": reason}))
                self.problems[state.stream] = reason
                return
            gone = unit.development.bury_unseen(self.source.name, kinds, state.scope, since=since, now=now)
            unit.development_sources.move(self.source.name, state, **ended)
        if gone:
            self._count(state.stream, {NAMES[kinds[0]]: Written(deleted=gone)})

    def _read_details(self, stream: str, project: str) -> None:
        """Pages of changes that are newer than what is known of them, and the ends of deployments."""
        with self.context.store.write() as unit:
            state = unit.development_sources.begin(self.source.name, stream)
        after = ""
        while True:
            with self.context.store.read() as unit:
                things = unit.development.without_details(self.source.name, state.scope, after=after, limit=DETAILS_AT_ONCE)
            if not things:
                break
            read_at = self.context.clock.now()
            page = Page(self.reader.details(state.scope, things), {}, done=False)
            state = self._keep(state, page, {"read_at": read_at}, read_at=read_at)
            after = f"{NAMES[type(things[-1])]}:{things[-1].id}"
        reached: dict[str, Any] = {"cursor": {"project": project}, "filled": True, "reached_at": self.context.clock.now(), "error": ""}
        with self.context.store.write() as unit:
            unit.development_sources.move(self.source.name, state, **reached)

    def _keep(self, state: StreamState, page: Page, values: Mapping[str, Any], *, read_at: datetime) -> StreamState:
        """Store a page and move the cursor, both or neither. Raises: LeaseLostError."""
        for attempt in range(1, STORE_TRIES + 1):
            try:
                with self.context.store.write() as unit:
                    hold(unit, self.context, self.source, self.owner, rate_left=self.reader.rate_left)
                    written = self._put(unit, page.told, read_at=read_at)
                    items = sum(each.created for each in written.values())
                    state = unit.development_sources.move(self.source.name, state, items=items, **values)
                break
            except LeaseLostError:
                raise
            except ConflictError:  # a webhook brought the same thing at this moment
                if attempt == STORE_TRIES:
                    raise
        self.pages += 1
        self._count(state.stream, written)
        return state

    def _put(self, unit: Unit, told: tuple[Told, ...], *, read_at: datetime) -> dict[str, Written]:
        observe = self.source.system is not System.JIRA
        return unit.development.put(self.source, told, now=self.context.clock.now(), read_at=read_at, observe=observe)

    def _count(self, stream: str, written: Mapping[str, Written]) -> None:
        mine = self.written.setdefault(stream, {})
        for kind, more in written.items():
            mine[kind] = mine.get(kind, Written()) + more
