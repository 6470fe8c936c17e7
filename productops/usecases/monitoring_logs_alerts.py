"""Alerts about errors that a live service has never logged before."""

from __future__ import annotations

from datetime import datetime, timedelta

from productops.domain.governance_access import Operation
from productops.domain.incident_alert import Alert
from productops.domain.monitoring_logs import ErrorGroup, LogService
from productops.store import Unit
from productops.usecases.context import Actor, Context

NEW_FOR = timedelta(minutes=30)
"""An error is news for so long."""
KNOWN_FOR = timedelta(minutes=10)
"""A service whose logs are known for a shorter time has only errors that are new."""
LOOK = timedelta(minutes=1)
"""Counts are of whole minutes: this one and the one before."""
LINES_MIN = 10
SHARE_MIN = 0.005
"""Of the requests of the same time, where the router counts them."""
QUIET = timedelta(minutes=5)
NAME = "new error in the logs"


def new_errors(context: Context, *, now: datetime, actor: Actor) -> list[Alert]:
    """Errors that began in the last half hour in a service whose logs are known for longer, at least ten in the last minute or two.

    Few errors among many requests are none of these. An alert holds until nothing of it came for five minutes; then it is told once
    more as resolved. Raises: ForbiddenError, StoreUnavailableError.
    """
    actor.check(Operation.ALERT_SET)
    with context.store.read() as unit:
        groups = unit.logs.errors.begun(since=now - NEW_FOR, now=now, counted_since=now - LOOK)
        if not groups:
            return []
        fired = unit.logs.errors.fired()
        known = {(each.service, each.environment): each for each in unit.logs.services()}
        begin = [g for g in groups if g.id not in fired and _is_news(unit, g, known.get((g.service, g.environment)), now=now)]
        go_on = [g for g in groups if g.id in fired and now - g.last_seen < QUIET]
        over = [g for g in groups if g.id in fired and now - g.last_seen >= QUIET]
    _note(context, begin, over, now=now)
    firing = [_alert(group, fired.get(group.id, now)) for group in [*begin, *go_on]]
    return firing + [_alert(group, fired[group.id], ended=now) for group in over]


def _note(context: Context, begin: list[ErrorGroup], over: list[ErrorGroup], *, now: datetime) -> None:
    if not begin and not over:
        return
    with context.store.write() as unit:
        unit.logs.errors.fire([group.id for group in begin], at=now)
        unit.logs.errors.fire([group.id for group in over], at=None)


def _is_news(unit: Unit, group: ErrorGroup, service: LogService | None, *, now: datetime) -> bool:
    if service is None or group.first_seen - service.first_at < KNOWN_FOR or group.count < LINES_MIN:
        return False
    live = {fleet.version for fleet in unit.fleets.all() if fleet.service == group.service and fleet.environment is group.environment}
    if live and not live & set(group.by_version) and any(group.by_version):
        return False  # a version that nobody has any more
    requests = _requests(unit, group, now=now)
    return requests is None or group.count >= SHARE_MIN * requests


def _requests(unit: Unit, group: ErrorGroup, *, now: datetime) -> int | None:
    """Requests to the versions that had it, of the minutes it was counted in; ``None`` where nobody counts them."""
    after_s = int((now - LOOK).timestamp() // 60) * 60 - 1
    counts = [unit.seconds.traffic_of(group.service, group.environment, version, after_s=after_s) for version in group.by_version]
    return sum(requests for _, requests, _ in counts) if any(first is not None for first, *_ in counts) else None


def _alert(group: ErrorGroup, starts_at: datetime, *, ended: datetime | None = None) -> Alert:
    version = group.first_version
    where = f" (new in {version})" if version else ""
    return Alert(
        source="log", name=NAME, venture=group.venture, service=group.service, environment=group.environment, component=group.service,
        starts_at=starts_at, ends_at=ended, status="resolved" if ended else "firing", severity="SEV3", value=float(group.count),
        labels={"error": group.fingerprint, "version": version}, summary=f"{group.service}: {group.title}{where}"[:2000],
        evidence={
            "error_id": group.id, "type": group.type, "message": group.message, "frames": list(group.frames), "count": group.count,
            "by_version": dict(group.by_version), "first_seen": group.first_seen.isoformat(), "language": group.language,
        },
    )  # fmt: skip
