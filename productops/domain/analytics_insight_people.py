"""Weekly findings about people: a feature whose users leave more often, and a funnel that fewer come through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from productops.domain.analytics_insight import Action, ActionKind, AnalyticsInsightKind, Finding, Measure
from productops.stats.analytics_insight_explain import Harm, Share, explain_rate
from productops.stats.analytics_insight_people import Leavers, RateChange, p_of_harm, rate_change

LEVEL = 0.01
"""Chance of one false finding of a kind in a week, shared by all features or funnels that are looked at."""
HARM_MIN = 1.15
HIDDEN_MIN = 1.5
USERS_MIN = 100
CHANGE_MIN = 0.05
SHARE_OF_ALL_MAX = 0.9


@dataclass(frozen=True, slots=True)
class FunnelWeeks:
    """A funnel by week of entry, oldest first: people at each step, shape (weeks, steps), and the same by segment, before and after.

    ``first``: Monday-like first day of the newest week. ``segments``: (dimension, value) → people at the first and last step in the
    weeks before, and in the newest.
    """

    name: str
    steps: tuple[str, ...]
    weeks: tuple[tuple[int, ...], ...]
    first: date
    segments: Mapping[tuple[str, str], tuple[int, int, int, int]]


def harmful(counted: Leavers, features: Sequence[str], *, day: date) -> list[Finding]:
    """Features whose users were gone a week later more often than others as active as they, and not only by chance."""
    found = []
    everybody = counted.people.sum()
    rows = [at for at in range(len(features)) if USERS_MIN <= counted.users[at].sum() <= SHARE_OF_ALL_MAX * everybody]
    for at in rows:
        harm = counted.harm(at)
        if harm is None or harm.low < HARM_MIN or harm.hidden < HIDDEN_MIN or p_of_harm(harm) >= LEVEL / len(rows):
            continue
        found.append(_harm_finding(features[at], harm, counted, at, day))
    return found


def _harm_finding(feature: str, harm: Harm, counted: Leavers, at: int, day: date) -> Finding:
    users, gone = counted.users[at], counted.users_left[at]
    others, others_gone = counted.people - users, counted.left - gone
    week = f"{(day - timedelta(days=13)).isoformat()} to {(day - timedelta(days=7)).isoformat()}"
    title = f"people who use {feature} leave {harm.ratio:.1f} times as often as others who are as active"
    sentence = (
        f"Of {int(users.sum()):,} people who used it in the week {week}, {int(gone.sum()):,} were not seen in the week after: "
        f"{harm.ratio:.2f} times the share (95 % between {harm.low:.2f} and {harm.high:.2f}) among people who came on as many days without "
        f"using it. That is no proof: people may use it because they are about to leave. A hidden reason would have to make "
        f"both use and leaving {harm.hidden:.1f} times as likely to explain it all."
    )
    action = Action(ActionKind.TASK, f"Look at what people meet in {feature}; an experiment that gives it to half of them would tell.", {})
    rows = [[days + 1, int(users[days]), int(gone[days]), int(others[days]), int(others_gone[days])] for days in range(len(users))]
    extra = float(gone.sum()) * (1 - 1 / max(harm.low, 1.0)) / 7
    evidence = {
        "columns": ["days", "users"], "days": [], "parts": [], "causes": [], "hidden": round(harm.hidden, 2),
        "strata": {"columns": ["active days", "users", "of them gone", "others", "of them gone"], "rows": rows},
    }  # fmt: skip
    return Finding(
        kind=AnalyticsInsightKind.HARMFUL, feature=feature, measure=Measure.USE, dimension="", value="", title=title, sentence=sentence,
        action=action, first_day=day, quiet_until=day, change=harm.ratio - 1, low=harm.low - 1, high=harm.high - 1, p=p_of_harm(harm),
        worth=extra, evidence=evidence,
    )  # fmt: skip


def conversions(funnels: Sequence[FunnelWeeks], *, day: date) -> list[Finding]:
    """Funnels that clearly fewer, or more, people of the newest whole week came through."""
    found = []
    looked = [(each, change) for each in funnels if (change := _change(each)) is not None]
    for each, change in looked:
        if change.p < LEVEL / len(looked) and abs(change.change) >= CHANGE_MIN:
            found.append(_conversion(each, change, day))
    return found


def _change(funnel: FunnelWeeks) -> RateChange | None:
    weeks = np.array(funnel.weeks, dtype=np.float64)
    return rate_change(weeks[:, -1], weeks[:, 0])


def _conversion(funnel: FunnelWeeks, change: RateChange, day: date) -> Finding:
    fell = change.change < 0
    step, before, after = _worst_step(funnel, fell=fell)
    parts = _parts(funnel)
    verb = "fewer" if fell else "more"
    title = f"{verb} people come through {funnel.name}: {change.rate:.1%} instead of {change.usual:.1%}"
    told = f"Most of it is at the step to {step}: {after:.1%} of those before it instead of {before:.1%}."
    if parts and abs(parts[0][1].share) >= 0.5:
        (dimension, value), share = parts[0]
        told += f" {dimension} {value} makes {share.share:.0%} of the change ({share.before:.1%} to {share.after:.1%} there)."
    sentence = (
        f"Of those who began in the week from {funnel.first.isoformat()}, {change.rate:.1%} came to the end; in the weeks before "
        f"{change.usual:.1%} did (difference with 95 % confidence {change.low:+.1%} to {change.high:+.1%}). {told}"
    )
    last = funnel.weeks[-1][0]
    task = f"Find out why {verb} people go on to {step}."
    good = Action(ActionKind.NONE, "Good news: find out what made it better, and keep it.", {})
    action = Action(ActionKind.TASK, task, {}) if fell else good
    return Finding(
        kind=AnalyticsInsightKind.CONVERSION_FELL if fell else AnalyticsInsightKind.CONVERSION_ROSE, feature=funnel.name,
        measure=Measure.USE, dimension="", value="", title=title, sentence=sentence, action=action, first_day=funnel.first,
        quiet_until=day, change=change.change, low=change.low / max(change.usual, 1e-9), high=change.high / max(change.usual, 1e-9),
        p=change.p, worth=last * min(abs(change.low), abs(change.high)) / 7, evidence=_evidence(funnel, parts),
    )  # fmt: skip


def _worst_step(funnel: FunnelWeeks, *, fell: bool) -> tuple[str, float, float]:
    """The step whose share of those before it moved most: its name, the share in the weeks before, the newest."""
    weeks = np.array(funnel.weeks, dtype=np.float64)
    earlier, newest = weeks[:-1].sum(axis=0), weeks[-1]
    before, after = (each[1:] / np.maximum(each[:-1], 1) for each in (earlier, newest))
    ratio = (after + 1e-9) / (before + 1e-9)
    at = int(np.argmin(ratio) if fell else np.argmax(ratio))
    return funnel.steps[at + 1], float(before[at]), float(after[at])


def _parts(funnel: FunnelWeeks) -> list[tuple[tuple[str, str], Share]]:
    """Segments of the dimension that explains most, the largest part first."""
    best: list[tuple[tuple[str, str], Share]] = []
    for dimension in sorted({key[0] for key in funnel.segments}):
        keys = [key for key in funnel.segments if key[0] == dimension]
        of0, done0, of1, done1 = (np.array([funnel.segments[key][at] for key in keys], dtype=np.float64) for at in range(4))
        shares = [(keys[each.index], each) for each in explain_rate(done0, of0, done1, of1)]
        if len(shares) > 1 and (not best or shares[0][1].share > best[0][1].share):
            best = shares
    return best[:8]


def _evidence(funnel: FunnelWeeks, parts: Sequence[tuple[tuple[str, str], Share]]) -> dict[str, object]:
    begins = [funnel.first - timedelta(days=7 * back) for back in range(len(funnel.weeks) - 1, -1, -1)]
    return {
        "columns": ["week", "came through"],
        "days": [[begin.isoformat(), week[-1], None] for begin, week in zip(begins, funnel.weeks, strict=True)],
        "steps": {"columns": ["week", *funnel.steps], "rows": [[b.isoformat(), *w] for b, w in zip(begins, funnel.weeks, strict=True)]},
        "parts": [
            {"dimension": key[0], "value": key[1], "before": round(s.before, 4), "after": round(s.after, 4), "share": round(s.share, 3)}
            for key, s in parts
        ],
        "causes": [],
    }  # fmt: skip
