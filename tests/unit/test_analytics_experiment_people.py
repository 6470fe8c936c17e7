"""From events to people: first touch, windows before and after, values, caps, quantiles, retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from productops.domain.analytics_experiment import Experiment, ExperimentState, LookResult, MetricResult
from productops.domain.analytics_experiment_analyse import analyse, reads_from
from productops.domain.analytics_experiment_people import Events, names_needed
from productops.domain.catalog_experiment import Dimension, ExperimentSpec

START = datetime(2026, 3, 2, tzinfo=UTC)
Row = tuple[int, str, float, dict[str, Any]]


def events(rows: list[Row]) -> Events:
    """(person, name, hours after the start, columns)."""
    base = int(START.timestamp() * 1_000_000)

    def texts(name: str) -> Any:
        return np.array([row[3].get(name, "") for row in rows], dtype=object)

    def numbers(name: str) -> Any:
        return np.array([row[3].get(name, np.nan) for row in rows], dtype=np.float64)

    return Events(
        np.array([row[0] for row in rows], dtype=np.uint64), np.array([base + round(row[2] * 3.6e9) for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=object), texts("feature"), texts("environment"), numbers("value"), numbers("duration_ms"),
        numbers("failed"), texts("properties"), {name.value: texts(name.value) for name in Dimension},
    )  # fmt: skip


def met(person: int, variant: str, hours: float = 0, **more: Any) -> Row:
    return person, "$exposure", hours, {"properties": f'{{"flag":"f","variant":"{variant}"}}'} | more


def look(rows: list[Row], *, days: float = 30, **metric: Any) -> LookResult:
    wanted = {"name": "m", "kind": "conversion", "event": "buy", "window_days": 1} | metric
    spec = ExperimentSpec.model_validate({"hypothesis": "h", "flag": "f", "variants": ["on"], "owner": "o", "metrics": [wanted]})
    experiment = Experiment("x", "apollo", spec, 1, ExperimentState.RUNNING, START, 1, spec, START)
    return analyse(experiment, events(rows), now=START + timedelta(days=days))


def values(result: LookResult) -> list[float | None]:
    metric: MetricResult = result.metrics[0]
    return [arm.value for arm in metric.arms]


def test_the_first_touch_begins_the_window_and_what_came_before_does_not_count() -> None:
    rows = [met(1, "on", 5), met(1, "on", 20), (1, "buy", 28, {}), met(2, "on", 5), (2, "buy", 4, {}), met(3, "on", 5), (3, "buy", 30, {})]
    result = look(rows)
    assert result.people == {"off": 0, "on": 3}
    assert values(result) == [None, pytest.approx(1 / 3)]


def test_another_environment_and_what_is_no_json_are_left_out() -> None:
    rows = [met(1, "on", environment="staging"), met(2, "on", environment="production"), (3, "$exposure", 0, {"properties": "{broken"}),
            (4, "$exposure", 0, {"properties": "[1]"}), met(5, "unheard")]  # fmt: skip
    assert look(rows).people == {"off": 0, "on": 1}


def test_an_exposure_may_name_the_experiment() -> None:
    rows = [(1, "$exposure", 0, {"properties": '{"experiment":"x","variant":"on"}'}),
            (2, "$exposure", 0, {"properties": '{"experiment":"y","flag":"f","variant":"on"}'})]  # fmt: skip
    assert look(rows).people == {"off": 0, "on": 1}


def test_means_sum_values_by_person_and_caps_hold_for_all_variants() -> None:
    rows = [met(n, "on" if n % 2 else "off") for n in range(40)]
    rows += [(n, "buy", 1, {"value": 10.0}) for n in range(40)] + [(1, "buy", 2, {"value": 10_000.0})]
    plain, held = values(look(rows, kind="mean", value="value")), values(look(rows, kind="mean", value="value", cap=0.9))
    assert plain == [10.0, pytest.approx(510.0)]
    assert held == [10.0, 10.0]


def test_ratios_divide_sums_and_properties_choose_events() -> None:
    rows = [met(1, "on"), met(2, "on")]
    rows += [(1, "buy", 1, {"properties": '{"plan":"pro","items":3}'}), (2, "buy", 1, {"properties": '{"plan":"free","items":9}'})]
    rows += [(1, "buy", 2, {"properties": '{"plan":"pro","items":"many"}'})]
    wanted = {"value": "properties.items", "where": {"plan": "pro"}, "per": {"event": "buy"}}
    assert values(look(rows, kind="ratio", **wanted)) == [None, pytest.approx(3 / 3)]


def test_retention_counts_who_came_back_in_its_own_days() -> None:
    rows = [met(1, "on"), (1, "buy", 24 * 8, {}), met(2, "on"), (2, "buy", 24, {}), met(3, "on"), (3, "buy", 24 * 15, {})]
    assert values(look(rows, kind="retention", from_days=7, window_days=7)) == [None, pytest.approx(1 / 3)]
    assert values(look(rows, kind="retention", from_days=7, window_days=7, days=10)) == [None, None]


def test_quantiles_are_of_all_events_in_the_window() -> None:
    rows = [met(n, "on") for n in range(50)] + [(n, "buy", 1, {"duration_ms": float(n * 10 + k)}) for n in range(50) for k in range(10)]
    result = look(rows, kind="quantile", value="duration_ms", quantile=0.5)
    assert values(result)[1] == pytest.approx(249.5)
    assert result.metrics[0].arms[1].events == 500


def test_the_past_makes_an_interval_narrower_and_does_not_move_what_is_shown() -> None:
    random = np.random.default_rng(4)
    rows: list[Row] = []
    for person in range(2000):
        habit = float(random.gamma(4, 10))
        rows += [met(person, "on" if person % 2 else "off"), (person, "buy", -30, {"value": habit})]
        rows.append((person, "buy", 2, {"value": habit + float(random.normal(5, 2))}))
    plain, adjusted = look(rows, kind="mean", value="value"), look(rows, kind="mean", value="value", past_days=7)
    assert values(plain) == values(adjusted)
    one, two = plain.metrics[0].contrasts[0], adjusted.metrics[0].contrasts[0]
    assert one.low is not None
    assert one.high is not None
    assert two.low is not None
    assert two.high is not None
    assert two.high - two.low < 0.4 * (one.high - one.low)
    assert two.kept is not None
    assert two.kept < 0.1


def test_nobody_at_all_is_an_answer_too() -> None:
    result = look([(1, "buy", 1, {})])
    assert result.people == {"off": 0, "on": 0}
    assert "Nothing can be said" in result.sentence


def test_only_the_events_that_are_needed_are_read() -> None:
    base = {"hypothesis": "h", "flag": "f", "variants": ["on"], "owner": "o"}
    spec = ExperimentSpec.model_validate(base | {"metrics": [{"name": "m", "kind": "mean", "event": "buy", "past_days": 14}]})
    assert names_needed(spec) == ["$exposure", "buy"]
    experiment = Experiment("x", "apollo", spec, 1, ExperimentState.RUNNING, START, 1, spec, START)
    assert reads_from(experiment) == START - timedelta(days=14)
    wide = ExperimentSpec.model_validate(base | {"metrics": [{"name": "m", "kind": "mean", "feature": "cart"}]})
    assert names_needed(wide) is None
