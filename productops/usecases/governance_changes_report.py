"""Make changes known to an outside change system; each once, whatever breaks in between."""

from __future__ import annotations

import structlog

from productops.errors import ProductOpsError
from productops.ports import ChangeSystem
from productops.usecases.context import Actor, Context
from productops.usecases.governance_changes import change_document

log = structlog.get_logger(__name__)
AT_ONCE = 50


def report_changes(context: Context, system: ChangeSystem, *, actor: Actor) -> list[str]:
    """Send what has no outside number yet, oldest first; ids of what was taken. What fails is noted and tried again at the next look."""
    with context.store.read() as unit:
        waiting = unit.changes.unreported(limit=AT_ONCE)
    taken = []
    for change in waiting:
        try:
            number = system.record(change_document(context, change))
        except ProductOpsError as error:
            log.warning("change not reported", change_id=change.id, reason=str(error))
            with context.store.write() as unit:
                unit.changes.not_reported(change.id, why=str(error))
            break  # the others would meet the same; order is kept
        with context.store.write() as unit:
            if unit.changes.reported(change.id, number=number):
                unit.audit.add(
                    "change.reported", change.subject, actor=actor.name, origin=actor.origin, now=context.clock.now(),
                    detail={"change": change.id, "number": number},
                )  # fmt: skip
        taken.append(change.id)
    return taken
