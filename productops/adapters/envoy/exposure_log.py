"""Envoy's log of answers that say what a flag gave their user: how it is written, and how a line is read. Pure: no file, no socket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from productops.adapters.envoy import config
from productops.domain.exposures import EXPOSURE_HEADER, exposed_arms
from productops.domain.release import Environment
from productops.domain.routing import VersionKey

FILE = "exposures.jsonl"
FLUSH_MS = 250
"""So long a line may stay in Envoy's memory."""

_TYPE = "type.googleapis.com/envoy.extensions.access_loggers"
_FORMAT = {
    "cluster": "%UPSTREAM_CLUSTER%",
    "status": "%RESPONSE_CODE%",
    "duration_ms": "%DURATION%",
    "flags": "%RESPONSE_FLAGS%",
    "exposure": f"%RESP({EXPOSURE_HEADER})%",
}
# The answer began and did not come to its end: reset, gone, overdue. What a user breaks off (DC) is no failure of the service.
_BROKEN_OFF = frozenset({"UR", "UC", "UF", "UT", "SI", "UPE", "LR"})


@dataclass(frozen=True, slots=True)
class ExposedAnswer:
    """One answer: which arms it belongs to, whether it failed, and how long it took (whole milliseconds)."""

    service: str
    environment: Environment
    arms: tuple[str, ...]
    failed: bool
    duration_ms: int


def access_log(path: Path) -> dict[str, Any]:
    """The part of Envoy's configuration: a line for each answer with the header, and none for others."""
    return {
        "name": "envoy.access_loggers.file",
        "filter": {
            "extension_filter": {
                "name": "envoy.access_loggers.extension_filters.cel",
                "typed_config": {
                    "@type": f"{_TYPE}.filters.cel.v3.ExpressionFilter",
                    "expression": f"'{EXPOSURE_HEADER}' in response.headers",
                },
            }
        },
        "typed_config": {
            "@type": f"{_TYPE}.file.v3.FileAccessLog",
            "path": str(path),
            "log_format": {"json_format": _FORMAT},
        },
    }


def _version_of(cluster: str) -> VersionKey | None:
    """Envoy writes the name its counters have; a cluster without one is called by its own."""
    return config.version_key(cluster) or config.version_key(config.version_of_cluster(cluster))


def read_line(line: bytes) -> ExposedAnswer | None:
    """An answer of one of our services that names at least one arm; ``None`` for any other line, and for half of one."""
    try:
        entry = json.loads(line)
        key = _version_of(str(entry["cluster"]))
        arms = exposed_arms(str(entry["exposure"]))
        status, duration_ms = int(entry["status"]), int(entry["duration_ms"])
        broken_off = not _BROKEN_OFF.isdisjoint(str(entry["flags"] or "").split(","))
    except (ValueError, KeyError, TypeError):
        return None
    if key is None or not arms or duration_ms < 0:
        return None
    service, environment, _ = key
    return ExposedAnswer(service, environment, arms, status >= 500 or status == 0 or broken_off, duration_ms)
