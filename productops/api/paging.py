"""Pages of lists: an opaque cursor says where the next one begins, so that page 1,000 costs what page 1 does."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Query

from productops.errors import InvalidInputError

T = TypeVar("T")
CURSOR_MAX = 500
WRONG = "after is the `next` of an earlier page, to the letter"
After = Annotated[str | None, Query(max_length=CURSOR_MAX, description="`next` of the page before; nothing: the first page.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Most items of the page.")]

ManyLimit = Annotated[int, Query(ge=1, le=500, description="Most items of the page.")]


def encode(*place: str) -> str:
    """The cursor of a place: texts that the list is ordered by, of the last item that was given."""
    written = json.dumps(place, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(written).decode().rstrip("=")


def decode(cursor: str | None, *, parts: int = 1) -> tuple[str, ...] | None:
    """The place of a cursor; None for the first page. Raises: InvalidInputError for what no page gave."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidInputError(WRONG) from None
    if not isinstance(place, list) or len(place) != parts or not all(isinstance(part, str) and "\0" not in part for part in place):
        raise InvalidInputError(WRONG)
    try:
        "".join(place).encode()
    except UnicodeEncodeError:
        raise InvalidInputError(WRONG) from None
    return tuple(place)


def decode_one(cursor: str | None) -> str | None:
    """The place of a list that is ordered by one text. Raises: InvalidInputError for what no page gave."""
    place = decode(cursor)
    return place[0] if place else None


def cut(found: Sequence[T], limit: int, place: Callable[[T], Sequence[str]]) -> tuple[list[T], str | None]:
    """A page of ``limit`` items of a list that was read with one more, and the cursor of the page after; None at the end."""
    page = list(found[:limit])
    return page, encode(*place(page[-1])) if len(found) > limit else None


def decode_id(cursor: str | None) -> str | None:
    """The place of a list that is ordered by ids. Raises: InvalidInputError for what no page gave."""
    place = decode_one(cursor)
    try:
        return None if place is None else str(UUID(place))
    except ValueError:
        raise InvalidInputError(WRONG) from None
