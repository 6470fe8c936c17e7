"""Take alerts in: keep each, hold back what tells nothing, and make one incident of what belongs together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from productops.domain.governance_access import Operation
from productops.domain.incident_alert import Alert, RefusedAlert, Taken
from productops.errors import ForbiddenError, RevisionMismatchError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.incident_alerts_group import Batch, Worked, work_in

AT_ONCE = 1000
TRIES = 4
WORDS_MAX = 1000


def take_alerts(context: Context, alerts: Sequence[Alert], *, actor: Actor) -> Taken:
    """Keep alerts, one transaction for each thousand of a venture. What is told twice counts once.

    What is wrong with one is told by its index, and the others are taken. An alert of a service that nobody declared is kept as one of
    no service, with that name as its component.
    Raises: ForbiddenError when the caller may not report anything of it, StoreUnavailableError.
    """
    taken = take_together(context, [alerts], actor=actor)[0]
    if isinstance(taken, ForbiddenError):
        raise taken
    return taken


def take_together(context: Context, messages: Sequence[Sequence[Alert]], *, actor: Actor) -> list[Taken | ForbiddenError]:
    """Keep the alerts of several messages of one caller at once, which costs little more than one of them; an answer for each message.

    Raises: StoreUnavailableError; then nothing of the last transaction was kept.
    """
    with context.store.read() as unit:
        checked = iter(_checked(unit, [alert for alerts in messages for alert in alerts]))
    sorted_out = [_sort_out([next(checked) for _ in alerts], actor) for alerts in messages]
    by_venture: dict[str, list[tuple[int, Alert]]] = {}
    for place, each in enumerate(sorted_out):
        for alert in each.good:
            by_venture.setdefault(alert.venture, []).append((place, alert))
    worked: list[list[Worked]] = [[] for _ in messages]
    for venture, found in by_venture.items():
        for start in range(0, len(found), AT_ONCE):
            part = found[start : start + AT_ONCE]
            answers = _take(context, venture, [alert for _, alert in part], actor=actor)
            for (place, _), answer in zip(part, answers, strict=True):
                worked[place].append(answer)
    return [each.forbidden or _taken(answers, each.refused) for each, answers in zip(sorted_out, worked, strict=True)]


@dataclass(slots=True)
class _Sorted:
    """Alerts of one message. ``forbidden``: the caller may not report anything of it."""

    good: list[Alert] = field(default_factory=list)
    refused: list[RefusedAlert] = field(default_factory=list)
    forbidden: ForbiddenError | None = None


def _sort_out(checked: Sequence[Alert | str], actor: Actor) -> _Sorted:
    found = _Sorted()
    forbidden: ForbiddenError | None = None
    for index, each in enumerate(checked):
        if isinstance(each, str):
            found.refused.append(RefusedAlert(index, each))
            continue
        try:
            actor.check(Operation.INCIDENT_REPORT, venture=each.venture, environment=each.environment)
        except ForbiddenError as error:
            forbidden = error
            found.refused.append(RefusedAlert(index, str(error)))
            continue
        found.good.append(each)
    found.forbidden = forbidden if not found.good else None
    return found


def _checked(unit: Unit, alerts: Sequence[Alert]) -> list[Alert | str]:
    """Each alert as it is kept, or why it is not."""
    ventures = set(unit.catalog.ventures())
    owners = unit.incident_policies.owners({alert.service for alert in alerts if alert.service})
    return [_one(alert, ventures, owners) for alert in alerts]


def _one(alert: Alert, ventures: set[str], owners: dict[str, str]) -> Alert | str:
    if alert.venture not in ventures:
        return f"there is no venture {alert.venture[:80]!r}"
    owner = owners.get(alert.service) if alert.service else None
    if owner is not None and owner != alert.venture:
        return f"service {alert.service} is of venture {owner}, the alert of {alert.venture}"
    if alert.service and owner is None:
        alert = replace(alert, service=None, component=alert.component or alert.service)
    return alert


def _take(context: Context, venture: str, alerts: Sequence[Alert], *, actor: Actor) -> list[Worked]:
    for attempt in range(TRIES):
        try:
            with context.store.write() as unit:
                return work_in(unit, Batch(venture, tuple(alerts), actor, context.clock.now()))
        except RevisionMismatchError:  # somebody changed an incident meanwhile: look again
            if attempt == TRIES - 1:
                raise
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _taken(answers: Sequence[Worked], refused: Sequence[RefusedAlert]) -> Taken:
    marks = Counter(each.mark for each in answers)
    return Taken(
        stored=marks["stored"], duplicates=marks["duplicate"], ended=marks["ended"], suppressed=sum(each.held for each in answers),
        opened=tuple(dict.fromkeys(one for each in answers for one in each.opened)),
        touched=tuple(dict.fromkeys(one for each in answers for one in each.touched)), refused=tuple(refused),
    )  # fmt: skip
