"""When an objective alerts, as OpenSLO v1 writes it: policies, conditions, targets."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from productops.domain.catalog_slo_parts import Name, SloMetadata, Strict, Text, check_duration


class BurnCondition(Strict):
    """Burns this fast over that window."""

    kind: Literal["burnrate"] = "burnrate"
    op: Literal["gt", "gte"] = "gte"
    threshold: float = Field(gt=0)
    lookbackWindow: str  # noqa: N815
    alertAfter: str = "0m"  # noqa: N815

    @field_validator("lookbackWindow")
    @classmethod
    def _known(cls, text: str) -> str:
        return check_duration(text)

    @field_validator("alertAfter")
    @classmethod
    def _known_or_none(cls, text: str) -> str:
        return text if text in {"0m", "0s", "0h"} else check_duration(text)


class AlertConditionSpec(Strict):
    """A condition with its severity: sev1 to sev4, page, critical, ticket, warning, info."""

    description: Text = ""
    severity: str = Field(max_length=40)
    condition: BurnCondition


class _Inline(Strict):
    """A document within another, or a reference to one."""

    apiVersion: Literal["openslo/v1"] = "openslo/v1"  # noqa: N815
    metadata: SloMetadata | None = None


def _either(reference: str | None, spec: object, name: str) -> None:
    if (reference is None) is (spec is None):
        raise ValueError(f"needs either a {name} or a spec of its own")


class ConditionUse(_Inline):
    """A condition of a policy."""

    kind: Literal["AlertCondition"] = "AlertCondition"
    conditionRef: Name | None = None  # noqa: N815
    spec: AlertConditionSpec | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _either(self.conditionRef, self.spec, "conditionRef")
        return self


class AlertNotificationTargetSpec(Strict):
    """Where somebody is told."""

    description: Text = ""
    target: str = Field(max_length=255)


class TargetUse(_Inline):
    """Who is told by a policy."""

    kind: Literal["AlertNotificationTarget"] = "AlertNotificationTarget"
    targetRef: Name | None = None  # noqa: N815
    spec: AlertNotificationTargetSpec | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _either(self.targetRef, self.spec, "targetRef")
        return self


class AlertPolicySpec(Strict):
    """When an objective alerts."""

    description: Text = ""
    alertWhenNoData: bool = False  # noqa: N815
    alertWhenResolved: bool = False  # noqa: N815
    alertWhenBreaching: bool = True  # noqa: N815
    conditions: tuple[ConditionUse, ...] = Field(min_length=1, max_length=1)
    notificationTargets: tuple[TargetUse, ...] = Field(default=(), max_length=20)  # noqa: N815


def _as_tuples(value: Any) -> Any:
    """With tuples for lists: what a validator was given before is no JSON any more, and strict about it."""
    if isinstance(value, dict):
        return {key: _as_tuples(each) for key, each in value.items()}
    return tuple(_as_tuples(each) for each in value) if isinstance(value, list) else value


class PolicyUse(_Inline):
    """A policy of an objective: its name, or the policy itself."""

    kind: Literal["AlertPolicy"] = "AlertPolicy"
    alertPolicyRef: Name | None = None  # noqa: N815
    spec: AlertPolicySpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return {"alertPolicyRef": given} if isinstance(given, str) else _as_tuples(given)

    @model_validator(mode="after")
    def _one(self) -> Self:
        _either(self.alertPolicyRef, self.spec, "alertPolicyRef")
        return self
