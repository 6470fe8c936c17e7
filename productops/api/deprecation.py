"""How operations go: announced by headers for half a year, then gone.

Source: RFC 9745 (Deprecation), RFC 8594 (Sunset), RFC 8288 (Link).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from fastapi import Depends, Response

NOTICE_MIN = timedelta(days=180)


def going(*, since: date, sunset: date, successor: str, guide: str = "/docs") -> dict[str, Any]:
    """What to give a route that will go: ``@router.get("/old", **going(since=…, sunset=…, successor="/api/v2/new"))``.

    Its answers carry ``Deprecation``, ``Sunset`` and links to what takes its place; the document marks it as deprecated.

    Raises: ValueError for less than 180 days of notice.
    """
    if sunset - since < NOTICE_MIN:
        raise ValueError(f"an operation is announced at least {NOTICE_MIN.days} days before it goes, not {(sunset - since).days}")
    headers = {
        "Deprecation": f"@{int(_midnight(since).timestamp())}",
        "Sunset": format_datetime(_midnight(sunset), usegmt=True),
        "Link": f'<{successor}>; rel="successor-version", <{guide}>; rel="deprecation"; type="text/html"',
    }

    async def tell(response: Response) -> None:
        response.headers.update(headers)

    return {"deprecated": True, "dependencies": [Depends(tell)]}


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
