"""Who sends logs and spans, as OpenTelemetry's resource attributes say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from productops.domain.release import Environment

_ENVIRONMENTS = {
    "prod": Environment.PRODUCTION, "live": Environment.PRODUCTION, "stage": Environment.STAGING, "dev": Environment.DEVELOPMENT,
    "test": Environment.DEVELOPMENT, **{each.value: each for each in Environment},
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Resource:
    """``venture`` and ``service`` are names as they were sent: they may be of nothing that we know."""

    venture: str
    service: str
    environment: Environment
    version: str
    instance: str


def resource_of(attributes: Mapping[str, Any]) -> Resource:
    """By ``service.*``, ``deployment.environment.name`` (production when it is missing) and ``productops.venture``."""
    named = attributes.get("deployment.environment.name", attributes.get("deployment.environment", ""))
    return Resource(
        venture=clean(attributes.get("productops.venture", attributes.get("service.namespace", "")), 63),
        service=clean(attributes.get("service.name", ""), 63),
        environment=_ENVIRONMENTS.get(str(named).lower(), Environment.PRODUCTION),
        version=clean(attributes.get("service.version", ""), 100),
        instance=clean(attributes.get("service.instance.id", ""), 64),
    )


def clean(value: Any, longest: int) -> str:
    """A text without control characters, cut."""
    return _CONTROL.sub("", str(value))[:longest]
