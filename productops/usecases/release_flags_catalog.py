"""Flags as the catalog declares them."""

from __future__ import annotations

from datetime import datetime

from productops.domain.catalog_flags import FlagEntry
from productops.errors import InvalidInputError
from productops.store import Unit
from productops.usecases.context import Actor
from productops.usecases.release_flags_change import declared, made


def put_declared(unit: Unit, entry: FlagEntry, *, actor: Actor, now: datetime) -> str:
    """Make the flag, or take over what the catalog changed since it was applied last; ramps, kills and other edits stay.

    Returns 'created', 'changed', 'unchanged', or 'proposed' where the flag's changes need approval.
    Raises: NotFoundError for the venture, InvalidInputError when another venture has a flag of that name.
    """
    key, venture = entry.metadata.name, entry.metadata.venture
    flag = unit.flags.find(key)
    if flag is None:
        made(unit, key, venture=venture, spec=entry.spec, declared=entry.spec, actor=actor, reason="applied from the catalog", now=now)
        return "created"
    if flag.venture != venture:
        raise InvalidInputError(f"flag {key!r} belongs to venture {flag.venture} already; {venture} has to choose another name")
    return declared(unit, flag, entry.spec, actor=actor, now=now)
