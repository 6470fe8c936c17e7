"""Does an objective's budget burn too fast now: its rules against what was counted, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from productops.domain.monitoring_slo import BurnRule, Counts, Objective
from productops.stats.burn_rate import burn_rate, surely_above

ALPHA = 0.01
"""Risk that a rule takes bad luck for harm, at each look: its limit has to be surely exceeded."""
SECONDS_S = 120
"""Windows up to this are counted from seconds."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was counted in a window: of all users, and of each version where that is known."""

    whole: Counts
    versions: Mapping[str, Counts] | None = None

    @property
    def parts(self) -> dict[str, Counts]:
        """The whole (by an empty name), and each version where there are several."""
        named = self.versions or {}
        return {"": self.whole, **(named if len(named) > 1 else {})}


@dataclass(frozen=True, slots=True)
class RuleLook:
    """A rule as of now. ``part``: the version that burns (empty: all of them together). ``recovered``: it is over if it was."""

    rule: BurnRule
    part: str
    breach: bool
    recovered: bool
    silent: bool
    long: Counts
    short: Counts
    burn: float | None

    def evidence(self, objective: Objective) -> dict[str, Any]:
        """For an alert, as JSON."""
        return {
            "rule": self.rule.name, "long_s": self.rule.long_s, "short_s": self.rule.short_s, "version": self.part or None,
            "bad": self.long.bad, "total": self.long.total, "short_bad": self.short.bad, "short_total": self.short.total,
            "burn": None if self.burn is None else round(self.burn, 3), "limit_ratio": round(self.rule.limit(objective.budget), 9),
        }  # fmt: skip


def windows_of(rules: Sequence[BurnRule]) -> set[int]:
    """All lengths that are asked for, in seconds."""
    return {length for rule in rules for length in (rule.long_s, rule.short_s, rule.recover_s or rule.short_s)}


def look(objective: Objective, rule: BurnRule, seen: Mapping[int, Seen]) -> RuleLook:
    """``seen`` has every window of the rule, by length in seconds."""
    limit = rule.limit(objective.budget)
    long, short, recover = seen[rule.long_s], seen[rule.short_s], seen[rule.recover_s or rule.short_s]
    worst = max(long.parts, key=lambda part: _score(long.parts[part], short.parts.get(part, Counts()), limit))
    counts, brief = long.parts[worst], short.parts.get(worst, Counts())
    silent = long.whole.total <= 0
    still = [part for part in recover.parts.values() if part.ratio is not None and part.ratio >= limit]
    return RuleLook(
        rule=rule, part=worst, breach=_breaches(counts, brief, limit) or (silent and rule.no_data), silent=silent,
        recovered=not still and not (silent and rule.no_data), long=counts, short=brief,
        burn=burn_rate(counts.bad, counts.total, budget=objective.budget),
    )  # fmt: skip


def _breaches(long: Counts, short: Counts, limit: float) -> bool:
    return (
        short.ratio is not None and short.ratio >= limit and surely_above(long.bad, long.total, ratio=limit, alpha=ALPHA)
    )  # fmt: skip


def _score(long: Counts, short: Counts, limit: float) -> tuple[bool, float]:
    """Parts that breach come first; among equals the worst share."""
    return (_breaches(long, short, limit), long.ratio or 0.0)


def sentence(objective: Objective, found: RuleLook) -> str:
    """What is wrong, in one line."""
    whose = f"version {found.part} of " if found.part else ""
    where = f"{whose}{objective.service} in {objective.environment}"
    if found.silent:
        return f"{objective.name}: nothing was measured of {where} for {found.rule.long_s} s"
    share = 100 * (found.long.ratio or 0.0)
    return (
        f"{objective.name}: {share:.3g} % of {where} was bad in the last {_span(found.rule.long_s)}, {100 * objective.budget:.3g} % is "
        f"allowed: the error budget burns {found.burn or 0.0:.3g} times too fast (rule {found.rule.name})"
    )


def _span(seconds: int) -> str:
    for unit_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds // unit_s} {unit}"
    return f"{seconds} s"
