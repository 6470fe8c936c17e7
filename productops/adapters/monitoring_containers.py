"""What containers of this installation take, as Podman's or Docker's API counts it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

from productops.adapters.safe_http import SafeHttp
from productops.domain.monitoring_series_host import ContainerReading

_API: Final = "/v1.41"
_LABEL_INSTANCE, _LABEL_HOME = "productops.instance", "productops.home"
_UNLIMITED: Final = 1 << 50


class ContainerMeter:
    """Asks the engine for the counters of each container that carries this installation's label. Use it from one thread."""

    def __init__(self, home: Path, *, socket: Path, timeout_s: float = 5.0) -> None:
        self._home = home.expanduser().resolve()
        self._http = SafeHttp(
            "http://engine", what="the container engine", timeout_s=timeout_s, patience_s=timeout_s, socket_path=str(socket)
        )
        self._before: dict[str, tuple[float, float]] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def read(self) -> dict[str, ContainerReading]:
        """By instance id. Raises: DependencyError when the engine does not answer."""
        filters = {"label": [f"{_LABEL_HOME}={self._home}"], "status": ["running"]}
        rows = self._http.call("GET", f"{_API}/containers/json", params={"filters": json.dumps(filters)}).document()
        found: dict[str, ContainerReading] = {}
        for row in rows if isinstance(rows, list) else []:
            instance = (row.get("Labels") or {}).get(_LABEL_INSTANCE)
            answer = self._http.call("GET", f"{_API}/containers/{row['Id']}/stats", params={"stream": "false", "one-shot": "true"})
            document = answer.document()
            if instance and answer.ok and isinstance(document, dict):
                found[instance] = self._reading(instance, document)
        self._before = {instance: seen for instance, seen in self._before.items() if instance in found}
        return found

    def _reading(self, instance: str, document: dict[str, Any]) -> ContainerReading:
        """Counters of the Docker Engine API, /containers/{id}/stats."""
        memory, cpu = document.get("memory_stats") or {}, (document.get("cpu_stats") or {}).get("cpu_usage") or {}
        used, limit = float(memory.get("usage") or 0.0), float(memory.get("limit") or 0.0)
        now, total_s = time.monotonic(), float(cpu.get("total_usage") or 0.0) * 1e-9
        before, self._before[instance] = self._before.get(instance), (now, total_s)
        gained = (total_s - before[1]) / (now - before[0]) if before and now > before[0] and total_s >= before[1] else None
        return ContainerReading(
            cpu_pct=100.0 * gained if gained is not None else None, memory_bytes=used,
            memory_pct=100.0 * used / limit if 0 < limit < _UNLIMITED else None,
            processes=float((document.get("pids_stats") or {}).get("current") or 0.0),
        )  # fmt: skip
