"""What detectors find: alerts that fire, and what is calm again; and how alerts are written down until they are told."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from productops.domain.incident_alert import Alert
from productops.domain.release import Environment

_PLAIN: Final = ("source", "name", "venture", "fingerprint", "severity", "service", "component", "summary", "value")


@dataclass(frozen=True, slots=True)
class Findings:
    """One look of a detector. ``calm``: fingerprints of what is over; what is in neither stays as it was (nobody could see it)."""

    firing: tuple[Alert, ...] = ()
    calm: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that a detector let fire. ``told``: it was taken. ``ended_at``: it is over, which is still to be told."""

    alert: Alert
    told: bool
    ended_at: datetime | None


def alert_document(alert: Alert) -> dict[str, Any]:
    """As it is kept."""
    plain = {name: getattr(alert, name) for name in _PLAIN}
    return plain | {
        "environment": alert.environment.value if alert.environment else None, "labels": dict(alert.labels),
        "evidence": dict(alert.evidence), "starts_at": alert.starts_at.isoformat(),
    }  # fmt: skip


def alert_of(document: Mapping[str, Any]) -> Alert:
    """What was kept."""
    return Alert(
        **{name: document[name] for name in _PLAIN},
        environment=Environment(document["environment"]) if document["environment"] else None,
        labels=document["labels"], evidence=document["evidence"], starts_at=datetime.fromisoformat(document["starts_at"]),
    )  # fmt: skip


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The state of one series, small: numbers as float32, packed. At most 4 kB for a series with a learned day."""
    parts = [np.asarray(each, np.float32).ravel() for each in arrays.values()]
    return zlib.compress(np.concatenate(parts).tobytes(), 1)


def unpack(data: bytes, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]] | None:
    """The reverse; None for what was packed by another version or is damaged: the series is then learned anew."""
    try:
        flat = np.frombuffer(zlib.decompress(data), np.float32)
    except zlib.error:
        return None
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    if len(flat) != sum(sizes) or not np.isfinite(flat[~np.isinf(flat)]).all():
        return None
    found, start = {}, 0
    for (name, shape), size in zip(shapes.items(), sizes, strict=True):
        found[name] = flat[start : start + size].reshape(shape)
        start += size
    return found
