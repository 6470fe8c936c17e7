"""Lists of incidents."""

from __future__ import annotations

from typing import Any

from productops.domain.governance_access import Operation, visible_ventures
from productops.usecases.context import Actor, Context


def list_incidents(
    context: Context, *, status: str | None, venture: str | None, before: str | None, limit: int, actor: Actor
) -> list[dict[str, Any]]:  # fmt: skip
    """Incidents of ventures that the caller may see, newest first; ``before`` is the id of the last one seen.

    Raises: NotFoundError for what is no id, StoreUnavailableError.
    """
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    if venture is not None:
        seen = frozenset({venture}) if seen is None or venture in seen else frozenset()
    with context.store.read() as unit:
        return unit.incidents.page(status=status, ventures=seen, before=before, limit=limit)
