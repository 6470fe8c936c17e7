"""One line to the audit log from within a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from productops.domain.release import Environment
from productops.store import Unit
from productops.usecases.context import Actor


def note(
    unit: Unit, actor: Actor, action: str, subject: str, *, now: datetime, reason: str = "", before: object = None, after: object = None,
    detail: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Who did what to what; ``before`` and ``after`` are the state around the change."""
    unit.audit.add(
        action, subject, actor=actor.name, origin=actor.origin, now=now, reason=reason, before=before, after=after, detail=detail
    )


def lift_bars(
    unit: Unit, service: str, environment: Environment, version: str | None, actor: Actor, *, because: str, now: datetime
) -> None:
    """Lift the bar of one version, or of all of a service; nothing is said where there was none."""
    barred = {name: why for name, why in unit.quarantine.barred(service, environment).items() if version in {None, name}}
    unit.quarantine.lift(service, environment, version)
    if barred:
        note(unit, actor, "quarantine.ended", f"quarantine/{service}/{environment}", now=now, reason=because, before={"barred": barred})
