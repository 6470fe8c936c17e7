"""Alert rules and where they stand."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.monitoring_slo_rule import AlertRule, RuleSpec, RuleState
from productops.domain.release import Environment
from productops.errors import ConflictError, NotFoundError, RevisionMismatchError
from productops.store.governance_access import within
from productops.store.identity import new_id
from productops.store.tables import AlertRuleRow, AlertRuleStateRow

_SERIES_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class RuleValues:
    """What a rule is made of."""

    venture: str
    name: str
    service: str | None
    environment: Environment | None
    severity: str
    enabled: bool
    spec: RuleSpec


def _rule(row: AlertRuleRow) -> AlertRule:
    return AlertRule(
        id=str(row.id), venture=row.venture, name=row.name, service=row.service,
        environment=Environment(row.environment) if row.environment else None, severity=row.severity, enabled=row.enabled,
        spec=RuleSpec.model_validate(row.spec), revision=row.revision, created_by=row.created_by, created_at=row.created_at,
        changed_by=row.changed_by, changed_at=row.changed_at,
    )  # fmt: skip


def _parse(rule_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(rule_id)
    except ValueError as error:
        raise NotFoundError(f"there is no alert rule {rule_id[:80]!r}; list them with: productops alert rules") from error


class AlertRules:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, values: RuleValues, *, by: str, now: datetime) -> AlertRule:
        """Raises: ConflictError for a name that the venture has."""
        row = AlertRuleRow(id=new_id(), revision=1, created_by=by, created_at=now, changed_by=by, changed_at=now, **_columns(values))
        self._session.add(row)
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"venture {values.venture} has an alert rule {values.name!r} already; change that one") from error
        return _rule(row)

    def change(self, rule_id: str, values: RuleValues, *, revision: int, by: str, now: datetime) -> AlertRule:
        """Raises: NotFoundError, RevisionMismatchError when it is at another revision, ConflictError for a name that is taken."""
        row = AlertRuleRow
        query = update(row).where(row.id == _parse(rule_id), row.revision == revision)
        try:
            found = self._session.execute(
                query.values(revision=revision + 1, changed_by=by, changed_at=now, **_columns(values)).returning(row.id)
            ).first()
        except IntegrityError as error:
            raise ConflictError(f"venture {values.venture} has an alert rule {values.name!r} already") from error
        if found is None:
            present = self.get(rule_id)
            raise RevisionMismatchError(f"alert rule {present.name!r} is at revision {present.revision}, not {revision}; read it again")
        return self.get(rule_id)

    def remove(self, rule_id: str) -> None:
        """With where it stands. Raises: NotFoundError."""
        known = self.get(rule_id)
        self._session.execute(delete(AlertRuleStateRow).where(AlertRuleStateRow.rule_id == _parse(known.id)))
        self._session.execute(delete(AlertRuleRow).where(AlertRuleRow.id == _parse(known.id)))

    def get(self, rule_id: str) -> AlertRule:
        """Raises: NotFoundError."""
        row = self._session.get(AlertRuleRow, _parse(rule_id), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no alert rule {rule_id[:80]!r}; list them with: productops alert rules")
        return _rule(row)

    def named(self, venture: str, name: str) -> AlertRule | None:
        """One by name."""
        row = self._session.scalar(select(AlertRuleRow).where(AlertRuleRow.venture == venture, AlertRuleRow.name == name))
        return None if row is None else _rule(row)

    def all(
        self, *, venture: str | None = None, places: Collection[tuple[str, str]] | None = None, enabled: bool | None = None
    ) -> list[AlertRule]:
        """By venture and name; ``places`` what the reader may see."""
        row = AlertRuleRow
        query = select(row).order_by(row.venture, row.name)
        if venture is not None:
            query = query.where(row.venture == venture)
        if places is not None:
            query = query.where(within(places, row.venture, row.environment))
        if enabled is not None:
            query = query.where(row.enabled.is_(enabled))
        return [_rule(each) for each in self._session.scalars(query)]

    def states(self) -> dict[str, dict[str, RuleState]]:
        """By rule and series."""
        found: dict[str, dict[str, RuleState]] = {}
        for row in self._session.scalars(select(AlertRuleStateRow).execution_options(populate_existing=True)):
            found.setdefault(str(row.rule_id), {})[row.series] = RuleState(row.since, row.fired_at, row.told_at, row.value)
        return found

    def put_states(self, rule_id: str, states: Mapping[str, RuleState | None]) -> None:
        """By series; None: nothing is to be said of it any more."""
        parsed = _parse(rule_id)
        for series, state in states.items():
            key = series[:_SERIES_CHARACTERS]
            if state is None:
                self._session.execute(delete(AlertRuleStateRow).where(AlertRuleStateRow.rule_id == parsed, AlertRuleStateRow.series == key))
            else:
                self._session.merge(
                    AlertRuleStateRow(
                        rule_id=parsed, series=key, since=state.since, fired_at=state.fired_at, told_at=state.told_at, value=state.value
                    )
                )  # fmt: skip


def _columns(values: RuleValues) -> dict[str, object]:
    return {
        "venture": values.venture, "name": values.name, "service": values.service,
        "environment": values.environment.value if values.environment else None, "severity": values.severity, "enabled": values.enabled,
        "spec": values.spec.model_dump(mode="json"),
    }  # fmt: skip
