"""Conditions of alert rules over series, at a moment and replayed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pydantic import ValidationError

from productops.domain.monitoring_slo_rule import Condition, RuleSpec, holds, replay, value_at
from productops.domain.monitoring_slo_window import Window, duration_s

AT = np.arange(0.0, 600.0, 10.0)


def spec(condition: dict[str, object], for_s: int = 0) -> RuleSpec:
    return RuleSpec.model_validate({"selector": {"name": "x"}, "condition": condition, "for_s": for_s})


@pytest.mark.parametrize(
    ("condition", "value", "now_s", "found"),
    [
        ({"operator": ">", "threshold": 5}, np.full(60, 6.0), 595.0, True),
        ({"operator": ">", "threshold": 6}, np.full(60, 6.0), 595.0, False),
        ({"operator": "<", "threshold": 5, "over_s": 100}, np.linspace(0, 10, 60), 200.0, True),
        ({"operator": ">", "threshold": 5}, np.full(60, 6.0), 1_000.0, False),  # the last point is long ago: nothing can be said
        ({"operator": "absent", "over_s": 60}, np.full(60, 6.0), 640.0, False),
        ({"operator": "absent", "over_s": 60}, np.full(60, 6.0), 650.0, True),
        ({"operator": "rises", "threshold": 0.5, "over_s": 60}, AT * 1.0, 590.0, True),
        ({"operator": "falls", "threshold": 0.5, "over_s": 60}, AT * 1.0, 590.0, False),
        ({"operator": "falls", "threshold": 0.5, "over_s": 60}, AT * -1.0, 590.0, True),
        ({"operator": "rises", "threshold": 0.5, "over_s": 60}, AT * 1.0, 10.0, False),  # two points are no trend over a minute
    ],
)
def test_a_condition_holds_or_does_not(condition: dict[str, object], value: np.ndarray, now_s: float, found: bool) -> None:
    read = Condition.model_validate(condition)
    assert holds(read, value_at(read, AT, value, now_s=now_s)) is found


def test_a_rule_fires_after_the_time_it_has_to_hold_and_ends() -> None:
    value = np.where((AT >= 100) & (AT < 300), 9.0, 1.0)
    (firing,) = replay(spec({"operator": ">", "threshold": 5}, for_s=60), "s", AT, value, moments=list(np.arange(0.0, 600.0, 5.0)))
    assert (firing.since.timestamp(), firing.until and firing.until.timestamp(), firing.value) == (160.0, 300.0, 9.0)
    assert list(replay(spec({"operator": ">", "threshold": 5}, for_s=300), "s", AT, value, moments=list(AT))) == []


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"operator": "absent"}, "needs over_s"),
        ({"operator": "rises", "over_s": 60}, "needs a threshold above 0"),
        ({"operator": ">", "threshold": float("nan")}, "finite"),
    ],
)
def test_a_condition_that_says_nothing_is_refused(condition: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Condition.model_validate(condition)


@pytest.mark.parametrize(("text", "seconds"), [("28d", 2_419_200), ("1M", 2_592_000), ("5m", 300), ("2w", 1_209_600), ("1Q", 7_776_000)])
def test_durations_are_those_of_openslo(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds
    with pytest.raises(ValueError, match="is no duration"):
        duration_s(f" {text}")


def test_windows_of_the_calendar_follow_each_other_without_a_gap() -> None:
    from datetime import UTC, datetime, timedelta

    for duration in ("1M", "1Q", "1Y", "1w", "1d"):
        window = Window(duration=duration, start="2020-01-31 09:00:00", timezone="Europe/Berlin")
        at, seen = datetime(2019, 11, 3, tzinfo=UTC), []
        for _ in range(15):
            since, until = window.bounds(at)
            assert since <= at < until
            seen.append((since, until))
            at = until
        assert all(earlier[1] == later[0] for earlier, later in itertools.pairwise(seen))
        assert timedelta(0) < seen[0][1] - seen[0][0] <= timedelta(seconds=window.longest_s)
