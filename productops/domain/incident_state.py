"""The life of an incident as data: states, and the moves between them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from productops.errors import IllegalTransitionError


class IncidentStatus(StrEnum):
    """Where an incident stands. Reopened is no state: such an incident is investigated again."""

    OPEN = "open"
    INVESTIGATING = "investigating"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"


_S = IncidentStatus
LIVE: Final = frozenset({_S.OPEN, _S.INVESTIGATING, _S.MITIGATED})
EDGES: Final[dict[IncidentStatus, frozenset[IncidentStatus]]] = {
    _S.OPEN: frozenset({_S.INVESTIGATING, _S.MITIGATED, _S.RESOLVED, _S.CLOSED}),
    _S.INVESTIGATING: frozenset({_S.MITIGATED, _S.RESOLVED, _S.CLOSED}),
    _S.MITIGATED: frozenset({_S.INVESTIGATING, _S.RESOLVED, _S.CLOSED}),
    _S.RESOLVED: frozenset({_S.INVESTIGATING, _S.CLOSED}),
    _S.CLOSED: frozenset({_S.INVESTIGATING}),
}


def check_move(incident_id: str, before: IncidentStatus, after: IncidentStatus) -> None:
    """Raises: IllegalTransitionError that names the moves there are."""
    if after not in EDGES[before]:
        ways = ", ".join(sorted(EDGES[before]))
        raise IllegalTransitionError(f"incident {incident_id} is {before} and cannot become {after}; from there it can become {ways}")


def is_reopening(before: IncidentStatus, after: IncidentStatus) -> bool:
    """Whether an incident that was over begins again."""
    return after is _S.INVESTIGATING and before in {_S.MITIGATED, _S.RESOLVED, _S.CLOSED}
