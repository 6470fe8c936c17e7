"""Read the tools that know of the work: by schedule, by hand, and at once when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from productops.adapters.development_readers import build_reader
from productops.domain.development import Written
from productops.domain.development_map import Mapper
from productops.domain.development_sync import LEASE, DevelopmentSource, SourceState
from productops.domain.governance_access import Operation, visible_ventures
from productops.errors import ConflictError, DevelopmentSourceBusyError, LeaseLostError, ProductOpsError, SettingsError
from productops.usecases.context import Actor, Context
from productops.usecases.development_sync_run import Patience, SyncRun

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a run read. ``written``: by stream and kind; ``problems``: by stream or project. ``whole``: all was read to its end."""

    source: str
    venture: str
    whole: bool
    pages: int = 0
    written: Mapping[str, Mapping[str, Written]] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    paused_until: datetime | None = None
    error: str = ""
    took_s: float = 0.0

    @property
    def totals(self) -> dict[str, Written]:
        """By kind, over all streams."""
        found: dict[str, Written] = {}
        for kinds in self.written.values():
            for kind, more in kinds.items():
                found[kind] = found.get(kind, Written()) + more
        return found

    @property
    def moved(self) -> int:
        """How many things were new, changed or deleted."""
        return sum(each.created + each.changed + each.deleted for each in self.totals.values())


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source, how it stands, how much is known of it, and whether its token is set here."""

    state: SourceState
    counts: Mapping[str, int]
    token_set: bool
    lag_s: float | None


def list_sources(context: Context, *, actor: Actor) -> list[SourceView]:
    """Those the caller may see, by name. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.DEVELOPMENT_READ)
    with context.store.read() as unit:
        names = [each.name for each in unit.development_sources.all(ventures=seen)]
        found = [(unit.development_sources.state(name), unit.development.counts(name)) for name in names]
    return [_view(context, state, counts) for state, counts in found]


def show_source(context: Context, name: str, *, actor: Actor) -> SourceView:
    """One source. Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        state = unit.development_sources.state(name)
        actor.check(Operation.DEVELOPMENT_READ, venture=state.source.venture)
        counts = unit.development.counts(name)
    return _view(context, state, counts)


def _view(context: Context, state: SourceState, counts: Mapping[str, int]) -> SourceView:
    token = state.source.spec.token
    token_set = token is None or bool(context.secrets_of((token,)))
    return SourceView(state, counts, token_set, state.lag_s(context.clock.now()))


def request_sync(context: Context, name: str, *, actor: Actor, full: bool = False, accept_deletions: bool = False) -> SourceView:
    """Have a source read at once, by whichever program does it. Raises: NotFoundError, ForbiddenError, ConflictError when it is paused."""
    with context.store.write() as unit:
        source = unit.development_sources.get(name)
        actor.check(Operation.DEVELOPMENT_SYNC, venture=source.venture)
        if source.spec.paused:
            raise ConflictError(f"development source {name} is paused in the catalog; set paused: false there and apply it")
        now = context.clock.now()
        unit.development_sources.want(name, now=now, full=full, accept_deletions=accept_deletions)
        unit.audit.add(
            "development.sync_requested",
            f"DevelopmentSource/{name}",
            actor=actor.name,
            origin=actor.origin,
            now=now,
            detail={"full": full, "accept_deletions": accept_deletions},
        )
    return show_source(context, name, actor=actor)


def wanted_sources(context: Context) -> list[str]:
    """Names of sources that somebody wants to be read at once. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return unit.development_sources.wanted()


def all_sources(context: Context) -> list[str]:
    """Names of sources that are due: declared and not paused. Raises: StoreUnavailableError."""
    now = context.clock.now()
    with context.store.read() as unit:
        states = [unit.development_sources.state(each.name) for each in unit.development_sources.all()]
    return [s.source.name for s in states if not s.source.spec.paused and (s.paused_until is None or s.paused_until <= now)]


def sync_source(
    context: Context, name: str, *, actor: Actor, owner: str, full: bool = False, accept_deletions: bool = False,
    is_dead: Callable[[str], bool] = lambda _: False,
) -> SyncReport:  # fmt: skip
    """Read a source from where the last run left off until its end, or until its rate limit is used up.

    ``owner`` names this program; ``is_dead`` says whether another one has ended, so that its claim need not be waited for.
    What the source does wrong is in the report, not raised. Raises: NotFoundError, ForbiddenError, ConflictError while another run has it.
    """
    state = _claim(context, name, actor=actor, owner=owner, is_dead=is_dead)
    source, full = state.source, full or state.full_wanted
    accept_deletions = accept_deletions or state.deletions_accepted
    began = context.clock.monotonic()
    run: SyncRun | None = None
    paused_until: datetime | None = None
    error = ""
    try:
        run = _make_run(context, source, owner, full=full, accept_deletions=accept_deletions)
        run.read_all()
    except DevelopmentSourceBusyError as busy:
        paused_until = context.clock.now() + timedelta(seconds=float(busy.extra.get("retry_after_s", 60.0)))
        error = str(busy)
    except LeaseLostError:
        raise
    except ProductOpsError as failed:
        error = str(failed)
    finally:
        if run is not None:
            run.reader.close()
    report = _report(source, run, error=error, paused_until=paused_until, took_s=context.clock.monotonic() - began)
    _end(context, source, report, actor=actor, owner=owner)
    return report


def _claim(context: Context, name: str, *, actor: Actor, owner: str, is_dead: Callable[[str], bool]) -> SourceState:
    with context.store.write() as unit:
        state = unit.development_sources.state(name)
        actor.check(Operation.DEVELOPMENT_SYNC, venture=state.source.venture)
        if state.source.spec.paused:
            raise ConflictError(f"development source {name} is paused in the catalog; set paused: false there and apply it")
        if state.run and state.run != owner and is_dead(state.run):
            unit.development_sources.free(name, owner=state.run)
        now = context.clock.now()
        if not unit.development_sources.claim(name, owner=owner, now=now, until=now + LEASE):
            raise ConflictError(f"{name} is being read by another run ({state.run}) until it ends")
    return state


def _make_run(context: Context, source: DevelopmentSource, owner: str, *, full: bool, accept_deletions: bool) -> SyncRun:
    """Raises: SettingsError when the token is not set here."""
    token = context.secrets_of((source.spec.token,)) if source.spec.token else ("",)
    if not token:
        raise SettingsError(f"the secret {source.spec.token} of development source {source.name} is not set where this program looks")
    patience = Patience(context, source, owner, float(source.spec.wait_max_s))
    reader = build_reader(lambda: Mapper(source.spec, context.clock.now()), token=token[0], wait=patience.wait)
    return SyncRun(context, source, owner, reader, full=full, accept_deletions=accept_deletions)


def _report(source: DevelopmentSource, run: SyncRun | None, *, error: str, paused_until: datetime | None, took_s: float) -> SyncReport:
    problems = dict(run.problems) if run else {}
    return SyncReport(
        source=source.name, venture=source.venture, whole=not error and not problems, pages=run.pages if run else 0,
        written=dict(run.written) if run else {}, problems=problems, paused_until=paused_until, took_s=took_s,
        error=error or "; ".join(f"{where}: {what}" for where, what in problems.items())[:2000],
    )  # fmt: skip


def _end(context: Context, source: DevelopmentSource, report: SyncReport, *, actor: Actor, owner: str) -> None:
    """Say how it went. A run that changed nothing and went as the last one did is no news for the audit log."""
    with context.store.write() as unit:
        now = context.clock.now()
        before = unit.development_sources.state(source.name)
        unit.development_sources.end(
            source.name, owner=owner, now=now, error=report.error, paused_until=report.paused_until, whole=report.whole
        )
        if report.moved or report.error != before.last_error:
            detail = {
                "pages": report.pages, "whole": report.whole, "error": report.error[:500], "took_s": round(report.took_s, 1),
                "read": {
                    kind: {"created": w.created, "changed": w.changed, "deleted": w.deleted} for kind, w in sorted(report.totals.items())
                },
            }  # fmt: skip
            unit.audit.add(
                "development.synced" if report.whole else "development.sync_incomplete", f"DevelopmentSource/{source.name}",
                actor=actor.name, origin=actor.origin, now=now, reason=report.error[:500], detail=detail,
            )  # fmt: skip
    log.info("development source read", source=source.name, whole=report.whole, pages=report.pages, moved=report.moved, error=report.error)
