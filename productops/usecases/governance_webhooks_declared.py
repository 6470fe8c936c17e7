"""Who may send and who is told: from the catalog, and targets by the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.domain.catalog_webhooks import WebhookSourceEntry, WebhookTargetEntry, WebhookTargetSpec
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.governance_outbox import TEST, WebhookTarget
from productops.domain.governance_webhooks import WebhookSource
from productops.errors import CatalogError, ConflictError, RevisionMismatchError
from productops.store import Unit
from productops.usecases.context import Actor, Context


@dataclass(frozen=True, slots=True)
class DeclaredWebhook:
    """A catalog entry and the folder it came from."""

    entry: WebhookSourceEntry | WebhookTargetEntry
    base: str


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source, whether its secrets are set here, and how many requests of it are in each state."""

    source: WebhookSource
    secrets_set: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class TargetView:
    """A target, and how many deliveries to it are in each state."""

    target: WebhookTarget
    secrets_set: int
    counts: dict[str, int]


def put_webhooks(
    unit: Unit, declared: Sequence[DeclaredWebhook], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Raises: NotFoundError for a service or venture that does not exist, CatalogError for a service of another venture.
    """
    outcomes: list[tuple[str, str, str]] = []
    for each in declared:
        before = _stored(unit, each.entry.kind, each.entry.metadata.name)
        outcome = _put(unit, each, now=now)
        outcomes.append((each.entry.kind, each.entry.metadata.name, outcome))
        if outcome != "unchanged":
            _audit(unit, f"catalog.{outcome}", each.entry.kind, each.entry.metadata.name, before=before, actor=actor, now=now)
    kept = {(kind, name) for kind, name, _ in outcomes}
    gone = [("WebhookSource", name) for name in unit.sources.declared_in(bases)]
    gone += [("WebhookTarget", name) for name in unit.targets.declared_in(bases)]
    for kind, name in gone:
        if (kind, name) in kept:
            continue
        before = _stored(unit, kind, name)
        if kind == "WebhookSource":
            unit.sources.remove(name)
        else:
            unit.targets.remove(name, now=now)
        outcomes.append((kind, name, "removed"))
        _audit(unit, "catalog.removed", kind, name, before=before, actor=actor, now=now)
    return outcomes


def _put(unit: Unit, each: DeclaredWebhook, *, now: datetime) -> str:
    entry, venture = each.entry, each.entry.metadata.venture
    if venture is not None:
        unit.catalog.venture_id(venture)
    if isinstance(entry, WebhookTargetEntry):
        return unit.targets.put(entry.metadata.name, venture=venture, spec=entry.spec, base=each.base, now=now)
    named = {*entry.spec.services.values(), entry.spec.service, entry.spec.release.service if entry.spec.release else None} - {None}
    for name in sorted(map(str, named)):
        owner = unit.catalog.service(name).venture
        if owner != venture:
            raise CatalogError(f"WebhookSource {entry.metadata.name!r} is of venture {venture}, but service {name!r} is of {owner}")
    return unit.sources.put(entry.metadata.name, venture=str(venture), spec=entry.spec, base=each.base, now=now)


def _stored(unit: Unit, kind: str, name: str) -> dict[str, Any] | None:
    found = unit.sources.find(name) if kind == "WebhookSource" else unit.targets.find(name)
    return {"venture": found.venture} | found.spec.model_dump(mode="json") if found else None


def _audit(unit: Unit, action: str, kind: str, name: str, *, before: dict[str, Any] | None, actor: Actor, now: datetime) -> None:
    after = _stored(unit, kind, name)
    unit.audit.add(action, f"{kind}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=after)


def list_sources(context: Context, *, actor: Actor) -> list[SourceView]:
    """Those the caller may see, by name. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.WEBHOOK_READ)
    with context.store.read() as unit:
        sources, counts = unit.sources.all(), unit.received.counts()
    return [
        SourceView(s, len(context.secrets_of(s.spec.secrets)), counts.get(s.name, {})) for s in sources if seen is None or s.venture in seen
    ]


def list_targets(context: Context, *, actor: Actor) -> list[TargetView]:
    """Those the caller may see, by name. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.WEBHOOK_READ)
    with context.store.read() as unit:
        targets, counts = unit.targets.all(), unit.outbox.counts()
    return [
        TargetView(t, len(context.secrets_of(t.spec.secrets)), counts.get(t.name, {})) for t in targets if seen is None or t.venture in seen
    ]


def put_target(
    context: Context, name: str, *, venture: str | None, spec: WebhookTargetSpec, actor: Actor, expected_revision: int | None = None
) -> WebhookTarget:
    """Make or change a target. Raises: ConflictError for one that the catalog declares, RevisionMismatchError, NotFoundError."""
    actor.check(Operation.WEBHOOK_MANAGE, venture=venture)
    with context.store.write() as unit:
        now = context.clock.now()
        if venture is not None:
            unit.catalog.venture_id(venture)
        known = unit.targets.find(name)
        if known is not None:
            actor.check(Operation.WEBHOOK_MANAGE, venture=known.venture)
            _check_ours(known)
            if expected_revision is not None and known.revision != expected_revision:
                raise RevisionMismatchError(f"target {name} is at revision {known.revision}, not {expected_revision}; look at it again")
        before = _stored(unit, "WebhookTarget", name)
        outcome = unit.targets.put(name, venture=venture, spec=spec, base="", now=now)
        if outcome != "unchanged":
            _audit(unit, f"webhook.target_{outcome}", "WebhookTarget", name, before=before, actor=actor, now=now)
        return unit.targets.get(name)


def remove_target(context: Context, name: str, *, actor: Actor) -> int:
    """Take a target away; returns how many deliveries were discarded with it. Raises: NotFoundError, ConflictError."""
    with context.store.write() as unit:
        known = unit.targets.get(name)
        actor.check(Operation.WEBHOOK_MANAGE, venture=known.venture)
        _check_ours(known)
        now = context.clock.now()
        before = _stored(unit, "WebhookTarget", name)
        discarded = unit.targets.remove(name, now=now)
        unit.audit.add(
            "webhook.target_removed", f"WebhookTarget/{name}", actor=actor.name, origin=actor.origin, now=now, before=before,
            detail={"discarded": discarded},
        )  # fmt: skip
    return discarded


def try_target(context: Context, name: str, *, actor: Actor) -> str:
    """Send a target an event that means nothing; returns the event's id. Raises: NotFoundError."""
    with context.store.write() as unit:
        target = unit.targets.get(name)
        actor.check(Operation.WEBHOOK_MANAGE, venture=target.venture)
        now = context.clock.now()
        data = {"target": name, "by": actor.name, "message": "If you can read this, webhooks of ProductOps reach you."}
        event = unit.outbox.add(TEST, f"webhook-target/{name}", data, now=now, venture=target.venture, only=name)
        unit.audit.add("webhook.target_tried", f"WebhookTarget/{name}", actor=actor.name, origin=actor.origin, now=now)
    return event


def _check_ours(target: WebhookTarget) -> None:
    if target.declared:
        raise ConflictError(f"target {target.name} is declared in the catalog; change it there and apply it")
