"""What all tools have in common when their answers are read: times, people, keys that a text names, estimates in labels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from productops.domain.catalog_development import DevelopmentSourceSpec, EstimateRule
from productops.domain.development import Feature, FileChange, Person, Stage
from productops.domain.governance_webhooks_json import dig, text

FILES_MAX: Final = 3_000
BODY_MAX: Final = 20_000
_KEY: Final = re.compile(r"(?<![A-Za-z0-9_/])([A-Z][A-Z0-9_]{1,30}-[1-9][0-9]{0,9})(?![0-9A-Za-z_])")
_NUMBER: Final = re.compile(r"(?<![A-Za-z0-9_&])([A-Za-z0-9_.-]+/[A-Za-z0-9_./-]*[A-Za-z0-9_-])?#([1-9][0-9]{0,9})(?![0-9A-Za-z_])")
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(h|d|w|p|pt|points?)?", re.IGNORECASE)
_HOURS: Final = {"h": 1.0, "d": 8.0, "w": 40.0}
# These look like keys of Jira and are none.
_NO_KEYS: Final = frozenset({"UTF", "SHA", "ISO", "RFC", "CVE", "CWE", "HTTP", "TLS", "MD", "AES", "PEP", "X86", "GPT"})


class UnmappableError(ValueError):
    """An answer lacks what makes a thing of it: its id or its time."""


@dataclass(frozen=True, slots=True)
class Mapper:
    """A source's rules while its answers are read. ``now`` stands in where a tool gives no time."""

    spec: DevelopmentSourceSpec
    now: datetime

    def time(self, data: Any, *path: str | int) -> datetime | None:
        """An ISO 8601 time, with or without a colon in its zone; or seconds or milliseconds since 1970."""
        found = dig(data, *path)
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            return _instant(float(found))
        if not isinstance(found, str) or not found:
            return None
        try:
            moment = datetime.fromisoformat(found.removesuffix(" UTC").strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            return _with_spaced_zone(found)

    def changed(self, data: Any, *path: str | int) -> datetime:
        """The time that orders it. Raises: UnmappableError."""
        found = self.time(data, *path)
        if found is None:
            raise UnmappableError(f"no time at {'.'.join(map(str, path))}")
        return found

    def person(self, external_id: str, login: str, at: datetime, *, name: str = "", email: str = "") -> Person | None:
        """An account; ``None`` for nobody."""
        if not external_id:
            return None
        people = {key.lower(): value for key, value in self.spec.mapping.people.items()}
        known = next((people[each.lower()] for each in (login, email, name) if each and each.lower() in people), "")
        return Person(external_id=external_id, changed_at=at, login=login or name or external_id, name=name, email=email, person=known)

    def stage(self, *, closed: bool, status: str, labels: tuple[str, ...], category: Stage | None = None) -> Stage:
        """What is closed is done; else what the labels say, the status, its category; an open one is in the backlog."""
        if closed:
            return Stage.DONE
        mapping = self.spec.mapping
        return mapping.labelled(*labels) or mapping.stage(status) or category or Stage.BACKLOG

    def estimate(self, labels: Iterable[str], field: Any = None, low: Any = None, high: Any = None) -> dict[str, Any]:
        """Estimates as the rule has them: from fields, else from a label such as ``estimate/6h``."""
        rule = self.spec.mapping.estimate
        likely = number(field)
        unit: str = rule.unit
        if likely is None:
            likely, unit = _of_labels(labels, rule)
        factor = rule.hours_per_point if unit == "points" else 1.0
        hours = [None if each is None else round(each * factor, 4) for each in (number(low), likely, number(high))]
        points = likely if unit == "points" else None
        return {"estimate_low_h": hours[0], "estimate_h": hours[1], "estimate_high_h": hours[2], "points": points}

    def label_feature(self, labels: Iterable[str], at: datetime) -> Feature | None:
        """The feature that a label names."""
        rule = self.spec.feature_rule
        if rule.by != "label":
            return None
        name = next((label[len(rule.prefix) :].strip() for label in labels if label.lower().startswith(rule.prefix.lower())), "")
        return named_feature("label", name, at) if name else None


def named_feature(how: str, name: str, at: datetime) -> Feature:
    """A feature that is only a name: a label, or the value of a field. Its source has no page of it, so it is of no scope."""
    return Feature(external_id=f"{how}:{name.lower()}"[:255], key=f"{how}:{name}"[:255], title=name, changed_at=at)


def _instant(value: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _with_spaced_zone(found: str) -> datetime | None:
    """GitLab's webhooks write ``2026-11-02 10:00:00 +0000``."""
    try:
        return datetime.strptime(found, "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
    except ValueError:
        return None


def _of_labels(labels: Iterable[str], rule: EstimateRule) -> tuple[float | None, str]:
    for label in labels:
        if not label.lower().startswith(rule.label_prefix.lower()):
            continue
        size = _SIZE.fullmatch(label[len(rule.label_prefix) :].strip())
        if size is None:
            continue
        unit = (size[2] or "").lower()
        if unit in _HOURS:
            return float(size[1]) * _HOURS[unit], "hours"
        return float(size[1]), "points" if unit else rule.unit
    return None, rule.unit


def number(value: Any) -> float | None:
    """A finite number that is not negative, or what a text says that is one."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


def whole(value: Any) -> int | None:
    """A count that a column can hold."""
    found = number(value)
    return None if found is None or found > 2**31 - 1 else int(found)


def names(data: Any, *path: str | int, field: str = "name") -> tuple[str, ...]:
    """Names in a list of texts or of objects."""
    found = dig(data, *path)
    if isinstance(found, dict):
        found = found.get("nodes")
    return tuple(filter(None, (each if isinstance(each, str) else text(each, field) for each in found))) if isinstance(found, list) else ()


def each(data: Any, *path: str | int) -> Iterator[dict[str, Any]]:
    """Objects of a list, or of the nodes of a connection."""
    found = dig(data, *path)
    if isinstance(found, dict):
        found = found.get("nodes")
    if isinstance(found, list):
        yield from (item for item in found if isinstance(item, dict))


def mentioned(repository: str, *texts: str) -> tuple[str, ...]:
    """Keys of work items that texts name: ``SHOP-12``, ``#7`` of this repository, ``acme/cart#3``."""
    found: dict[str, None] = {}
    for each_text in texts:
        part = each_text[:BODY_MAX]
        found |= {key: None for key in _KEY.findall(part) if key.partition("-")[0] not in _NO_KEYS}
        found |= {f"{elsewhere or repository}#{digits}": None for elsewhere, digits in _NUMBER.findall(part)}
    return tuple(found)[:100]


def file_changes(rows: Iterable[tuple[str, Any, Any]]) -> tuple[FileChange, ...]:
    """Files with lines added and deleted; the first 3,000."""
    return tuple(FileChange(path, whole(added) or 0, whole(deleted) or 0) for path, added, deleted in list(rows)[:FILES_MAX] if path)


def first_line(message: str) -> str:
    """The title of a commit."""
    return message.strip().partition("\n")[0][:500]
