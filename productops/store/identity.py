"""Identifiers of new rows."""

from __future__ import annotations

import uuid

import uuid_utils


def new_id() -> uuid.UUID:
    """A UUIDv7: rises with time, so it is also the order of creation (to the millisecond)."""
    return uuid.UUID(int=uuid_utils.uuid7().int)
