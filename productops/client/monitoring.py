"""Operations of monitoring. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.monitoring_models import (HealthOut)
from productops.client.transport import ServerEvent, Transport, path_part


class MonitoringOperations(Transport):
    """Operations of monitoring."""

    def get_health(self) -> HealthOut:
        """Is it alive?"""
        found: HealthOut = self._ask('GET', '/healthz').json()
        return found

    def get_readiness(self) -> HealthOut:
        """Can it work?"""
        found: HealthOut = self._ask('GET', '/readyz').json()
        return found
