"""Which flags have outlived their use: every flag in the code is a branch that somebody must keep working."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from productops.domain.release import Environment
from productops.domain.release_flags.flag import Flag, FlagUse, everybodys_variant


class StaleReason(StrEnum):
    """Why a flag should go."""

    EXPIRED = "expired"
    SETTLED = "settled"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True)
class StaleFlag:
    """One reason why one flag should go, since when it holds, and whom to ask."""

    key: str
    venture: str
    owner: str
    reason: StaleReason
    since: datetime
    detail: str


def stale_flags(
    flags: Iterable[Flag], uses: Mapping[str, FlagUse], *, environment: Environment, now: datetime, unused: timedelta, settled: timedelta
) -> list[StaleFlag]:
    """Reasons of all flags in ``environment``, oldest first.

    ``unused``: not evaluated for so long (or never, that long after it was made); ``settled``: everybody had the same variant for so
    long. ``uses`` tells by key when a flag was evaluated there.
    """
    found: list[StaleFlag] = []
    for flag in flags:
        if flag.state.archived or environment not in flag.spec.environments:
            continue
        found += _expired(flag, now)
        found += _settled(flag, environment, now, settled)
        found += _unused(flag, uses.get(flag.key), now, unused)
    return sorted(found, key=lambda each: (each.since, each.key))


def _expired(flag: Flag, now: datetime) -> Iterator[StaleFlag]:
    if flag.spec.expires_on is not None:
        since = datetime.combine(flag.spec.expires_on, time(), UTC)
        if since <= now:
            yield _stale(flag, StaleReason.EXPIRED, since, f"it was to be gone by {flag.spec.expires_on}")


def _settled(flag: Flag, environment: Environment, now: datetime, limit: timedelta) -> Iterator[StaleFlag]:
    since, variant = flag.state.live_in(environment).settled_since, everybodys_variant(flag.state, environment)
    if since is not None and variant is not None and now - since >= limit:
        yield _stale(flag, StaleReason.SETTLED, since, f"everybody in {environment} has had {variant!r} for {_days(now - since)}")


def _unused(flag: Flag, use: FlagUse | None, now: datetime, limit: timedelta) -> Iterator[StaleFlag]:
    since = use.last_at if use else flag.created_at
    if now - since >= limit:
        ago = _days(now - since)
        yield _stale(flag, StaleReason.UNUSED, since, f"nobody asked for it for {ago}" if use else f"made {ago} ago, and never asked for")


def _stale(flag: Flag, reason: StaleReason, since: datetime, detail: str) -> StaleFlag:
    return StaleFlag(flag.key, flag.venture, flag.spec.owner, reason, since, detail)


def _days(span: timedelta) -> str:
    return "1 day" if span.days == 1 else f"{span.days} days"
