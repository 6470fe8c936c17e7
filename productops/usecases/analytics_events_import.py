"""Imports of usage events: how far each is, so that the next run goes on there. Events sent twice on the way count once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from productops.domain.analytics_events import EventImport, ImportState
from productops.domain.governance_access import Operation
from productops.errors import ConflictError, InvalidInputError
from productops.usecases.context import Actor, Context

CURSOR_BYTES_MAX: Final = 10_000


def begin_import(context: Context, venture: str, source: str, *, actor: Actor) -> EventImport:
    """The import of this source that has not ended, or a new one. Raises: NotFoundError, ForbiddenError."""
    key = hashlib.sha256(f"{venture}\x00{source}".encode()).hexdigest()
    with context.store.write() as unit:
        actor.check(Operation.ANALYTICS_WRITE, venture=venture)
        unit.catalog.venture_id(venture)
        now = context.clock.now()
        found, new = unit.analytics_events.imports.begin(venture, source, key=key, by=actor.name, now=now)
        if new:
            unit.audit.add(
                "events.import_started", f"EventImport/{found.id}", actor=actor.name, origin=actor.origin, now=now,
                detail={"venture": venture, "source": source},
            )  # fmt: skip
    return found


def move_import(
    context: Context, import_id: str, *, cursor: Mapping[str, Any], accepted: int, duplicates: int, refused: int, error: str,
    state: ImportState, actor: Actor,
) -> EventImport:  # fmt: skip
    """Note how far it is, or that it has ended. Raises: NotFoundError, ForbiddenError, ConflictError, InvalidInputError."""
    if len(json.dumps(cursor)) > CURSOR_BYTES_MAX:
        raise InvalidInputError(f"the cursor of an import has at most {CURSOR_BYTES_MAX:,} bytes")
    with context.store.write() as unit:
        before = unit.analytics_events.imports.get(import_id)
        actor.check(Operation.ANALYTICS_WRITE, venture=before.venture)
        if before.state is not ImportState.RUNNING:
            raise ConflictError(f"import {import_id} has ended ({before.state}); begin another one")
        now = context.clock.now()
        unit.analytics_events.imports.move(
            before, cursor=cursor, accepted=accepted, duplicates=duplicates, refused=refused, error=error, state=state, now=now
        )
        moved = unit.analytics_events.imports.get(import_id)
        if state is not ImportState.RUNNING:
            counts = {"accepted": moved.accepted, "duplicates": moved.duplicates, "refused": moved.refused}
            unit.audit.add(
                f"events.import_{state.value}", f"EventImport/{import_id}", actor=actor.name, origin=actor.origin, now=now,
                detail={"venture": moved.venture, "source": moved.source} | counts,
            )  # fmt: skip
    return moved


def list_imports(context: Context, venture: str, *, actor: Actor) -> list[EventImport]:
    """Those of a venture, the newest first. Raises: NotFoundError, ForbiddenError."""
    actor.check(Operation.ANALYTICS_READ, venture=venture)
    with context.store.read() as unit:
        unit.catalog.venture_id(venture)
        return unit.analytics_events.imports.all(venture)
