"""The fourteen measures of changes as they are stored: what was known of each when it was made, in one pass over time. Pure.

Lines of a file before a change are those that earlier known changes left in it; what was there before the first known change is not
known, so the measure is too small for old files. Source of the measures: Kamei et al. 2013.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from productops.domain.development import Change, FileChange
from productops.domain.development_risk import ChangeRecord, Measures

_FIX: Final = re.compile(r"\b(fix(es|ed)?|bug|defect|hotfix|regression|crash|repair)\b", re.IGNORECASE)
_DAY_S: Final = 86_400.0
_YEAR_S: Final = 365.25 * _DAY_S


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a change, and since when that is known."""

    broke: bool
    known_at: datetime
    reason: str


@dataclass(slots=True)
class _File:
    lines: float = 0.0
    changes: set[str] = field(default_factory=set)
    authors: set[str] = field(default_factory=set)
    touched_s: float = 0.0


@dataclass(slots=True)
class _Past:
    """Everything known before the change that is looked at."""

    files: dict[str, _File] = field(default_factory=lambda: defaultdict(_File))
    authored_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    in_subsystem: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))


def made_at(change: Change) -> datetime:
    """When it became part of the product; for an open one when it was opened."""
    return change.merged_at or change.opened_at or change.changed_at


def is_measured(change: Change) -> bool:
    """Whether its files are known."""
    return bool(change.files)


def records(changes: Iterable[Change], fates: Mapping[str, Fate], *, settled_after: timedelta) -> list[ChangeRecord]:
    """Of every change whose files are known, in order of time; ``fates`` by the change's id.

    An outcome is used from ``settled_after`` the change on, also where it was known sooner: harm shows early and its absence late, so
    who learned from what is known at once would learn from harm alone.
    """
    past = _Past()
    found = []
    for change in sorted((c for c in changes if is_measured(c)), key=lambda c: (made_at(c), c.id)):
        author = change.author or "nobody"
        fate = fates.get(change.id)
        measures = _measures(change, author, past)
        found.append(
            ChangeRecord(
                change.id, made_at(change), author, measures, broke=None if fate is None else fate.broke,
                known_at=None if fate is None else max(fate.known_at, made_at(change) + settled_after),
            )
        )  # fmt: skip
        _remember(change, author, past)
    return found


def _measures(change: Change, author: str, past: _Past) -> Measures:
    at_s = made_at(change).timestamp()
    paths = [f"{change.repository}/{file.path}" for file in change.files]
    known = [past.files[path] for path in paths if path in past.files]
    subsystems = {_subsystem(change, file) for file in change.files}
    earlier = past.authored_s[author]
    touched = [(at_s - file.touched_s) / _DAY_S for file in known]
    return Measures(
        subsystems=len(subsystems), folders=len({path.rpartition("/")[0] for path in paths}), files=len(paths),
        entropy=_entropy([file.added + file.deleted for file in change.files]), lines_added=sum(f.added for f in change.files),
        lines_deleted=sum(f.deleted for f in change.files), lines_before=sum(f.lines for f in known) / max(len(paths), 1),
        is_fix=bool(_FIX.search(change.title)) or any(_FIX.search(label) for label in change.labels),
        developers=len(set().union(*(file.authors for file in known))),
        days_since_touched=max(sum(touched) / len(touched), 0.0) if touched else 0.0,
        changes_before=len(set().union(*(file.changes for file in known))), author_changes=len(earlier),
        author_recent_changes=_recent(earlier, at_s),
        author_subsystem_changes=sum(past.in_subsystem[author, each] for each in subsystems),
    )  # fmt: skip


def _recent(earlier: Sequence[float], at_s: float) -> float:
    """Changes of the last year count whole, those of the year before half, and so on. ``earlier`` in order of time, seconds."""
    found, end, year = 0.0, len(earlier), 1
    while end:
        begin = bisect_left(earlier, at_s - year * _YEAR_S)
        found += (end - begin) / year
        end, year = begin, year + 1
    return found


def _subsystem(change: Change, file: FileChange) -> str:
    head, _, rest = file.path.partition("/")
    return f"{change.repository}/{head if rest else ''}"


def _entropy(lines: list[int]) -> float:
    """Spread of changed lines over files, bits. Source: Hassan 2009."""
    total = sum(lines)
    return -sum(each / total * math.log2(each / total) for each in lines if each) + 0.0 if total else 0.0


def _remember(change: Change, author: str, past: _Past) -> None:
    at_s = made_at(change).timestamp()
    for file in change.files:
        known = past.files[f"{change.repository}/{file.path}"]
        known.lines = max(known.lines + file.added - file.deleted, 0.0)
        known.changes.add(change.id)
        known.authors.add(author)
        known.touched_s = at_s
    past.authored_s[author].append(at_s)
    for subsystem in {_subsystem(change, file) for file in change.files}:
        past.in_subsystem[author, subsystem] += 1
