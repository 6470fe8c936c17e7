"""Points in few bytes, sums by steps, thresholds, and what other programs say made into series."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.cli.monitoring_series import course, show_text, step_for
from productops.domain.catalog_monitoring import ScrapeTargetSpec
from productops.domain.monitoring_series import SeriesKey, SeriesStatus, Statistic, Thresholds, check_key, series_key
from productops.domain.monitoring_series_batch import Batch, join_batches, pack_batch, sort_batch, split_series, unpack_batch
from productops.domain.monitoring_series_block import decode, encode
from productops.domain.monitoring_series_rollup import decode_rollup, encode_rollup, points_as_rollup, regroup, within
from productops.domain.monitoring_series_sample import Rates, Sample, SampleKind, bucket_quantile
from productops.errors import InvalidInputError

FIRST = 1_790_000_000
values_strategy = st.one_of(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=80),
    st.lists(st.integers(-(2**60), 2**60).map(float), max_size=80),
    st.lists(st.integers(0, 1000).map(lambda n: n / 100), max_size=80),
)


@given(values_strategy, st.data())
def test_a_block_gives_back_every_point_to_the_last_bit(values, data):
    gaps = data.draw(st.lists(st.integers(1, 4000), min_size=len(values), max_size=len(values)))
    seconds = FIRST + np.cumsum(np.array(gaps, np.int64))
    found_seconds, found = decode(encode(seconds, np.array(values, np.float64)))
    assert found_seconds.tolist() == seconds.tolist()
    assert found.tolist() == values


def test_a_block_keeps_what_is_not_a_number_and_refuses_another_version():
    values = np.array([1.0, math.nan, math.inf])
    block = encode(FIRST + np.arange(3), values)
    assert np.array_equal(decode(block)[1], values, equal_nan=True)
    with pytest.raises(ValueError, match="version 9"):
        decode(b"\x09" + block[1:])


@pytest.mark.parametrize(("name", "bytes_max"), [("share", 0.7), ("count", 0.9), ("bytes", 2.6), ("constant", 0.02), ("noise", 7.6)])
def test_an_hour_of_a_usual_series_takes_less_than_a_byte_a_point(name, bytes_max):
    random = np.random.default_rng(1)
    values = {
        "share": np.round(np.clip(30 + np.cumsum(random.normal(0, 0.5, 3600)), 0, 100), 1),
        "count": random.poisson(120, 3600).astype(float),
        "bytes": 2e9 + np.cumsum(random.integers(-40960, 40960, 3600)).astype(float),
        "constant": np.full(3600, 4.0),
        "noise": random.normal(0, 1, 3600),
    }[name]
    assert len(encode(FIRST + np.arange(3600), values)) / 3600 < bytes_max


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 300), st.floats(-1e9, 1e9)), max_size=60), st.booleans())
def test_a_batch_is_packed_and_sorted_without_losing_a_point_and_the_later_of_two_counts(rows, small):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    batch = Batch(np.array(columns[0], np.int64), FIRST + np.array(columns[1], np.int64), np.array(columns[2], np.float64))
    sorted_ = sort_batch(batch)
    assert dict(zip(zip(sorted_.numbers, sorted_.seconds - FIRST, strict=True), sorted_.values, strict=True)) == {
        (number, second): value for number, second, value in rows
    }
    assert list(zip(sorted_.numbers, sorted_.seconds, strict=True)) == sorted(set(zip(batch.numbers, batch.seconds, strict=True)))
    for each in (batch, sorted_):
        if len(each):
            found = unpack_batch(pack_batch(each, small=small))
            assert (found.numbers.tolist(), found.seconds.tolist(), found.values.tolist()) == (
                each.numbers.tolist(), each.seconds.tolist(), each.values.tolist(),
            )  # fmt: skip
    assert sum(place.stop - place.start for _, place in split_series(sorted_)) == len(sorted_)
    assert len(join_batches([batch, sorted_, batch])) == 2 * len(batch) + len(sorted_)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.sampled_from([7, 60, 3600]))
def test_sums_by_steps_are_those_of_the_points(values, step_s):
    seconds = FIRST + 11 * np.arange(len(values), dtype=np.int64)
    rollup = regroup(regroup(points_as_rollup(seconds, np.array(values)), 1), step_s)
    for place, at in enumerate(rollup.at):
        own = [value for second, value in zip(seconds, values, strict=True) if at <= second < at + step_s]
        assert (rollup.count[place], rollup.low[place], rollup.high[place], rollup.last[place]) == (
            len(own), min(own), max(own), own[-1],
        )  # fmt: skip
        assert rollup.total[place] == pytest.approx(math.fsum(own), abs=1e-3)
    back = decode_rollup(encode_rollup(rollup))
    assert back.at.tolist() == rollup.at.tolist()
    assert [column.tolist() for column in back.columns] == [column.tolist() for column in rollup.columns]
    assert back.told(Statistic.MEAN) == pytest.approx(rollup.total / rollup.count)
    assert {name: len(rollup.told(name)) for name in Statistic} == dict.fromkeys(Statistic, len(rollup.at))
    assert within(rollup, int(rollup.at[0]) + 1, FIRST * 2).at.tolist() == rollup.at[1:].tolist()


def test_thresholds_say_what_a_value_means_and_must_not_contradict_each_other():
    high, low = Thresholds(80, 95), Thresholds(20, 5, below=True)
    assert [high.status(v) for v in (79.9, 80, 95)] == [SeriesStatus.NORMAL, SeriesStatus.WARNING, SeriesStatus.CRITICAL]
    assert [low.status(v) for v in (20.1, 20, 5)] == [SeriesStatus.NORMAL, SeriesStatus.WARNING, SeriesStatus.CRITICAL]
    for wrong in (Thresholds(95, 80), Thresholds(5, 20, below=True), Thresholds(math.nan)):
        with pytest.raises(InvalidInputError):
            wrong.check()


def test_a_key_that_cannot_be_kept_is_refused_with_the_part_that_is_wrong():
    good = series_key("apollo", "shop", "application", "queue", {"b": "2", "a": "1", "empty": ""})
    assert check_key(good).tags == (("a", "1"), ("b", "2"))
    assert good.digest != series_key("apollo", "shop", "application", "queue", {"a": "1"}).digest
    for key, said in (
        (SeriesKey("apollo", "shop", "weather", "queue"), "category"),
        (SeriesKey("apollo", "", "application", "queue"), "component"),
        (SeriesKey("apollo", "shop", "application", "q" * 256), "name"),
        (series_key("apollo", "shop", "application", "queue", {f"t{n}": "x" for n in range(21)}), "21 tags"),
        (series_key("apollo", "shop", "application", "queue", {"t": "x" * 256}), "tag 't'"),
        (SeriesKey("apollo", "shop", "application", "queue", (("b", "1"), ("a", "2"))), "sorted"),
    ):
        with pytest.raises(InvalidInputError, match=said):
            check_key(key)


def test_running_counts_become_rates_and_survive_a_restart_of_what_counts():
    rates = Rates()

    def told(at: float, value: float) -> list[float]:
        return [each.value for each in rates.derive([Sample("requests_total", SampleKind.COUNTER, (), at, value)])]

    assert told(100, 50) == []
    assert told(110, 150) == [10.0]
    assert told(110, 150) == []
    assert told(120, 30) == [3.0]  # began anew
    (named,) = rates.derive([Sample("requests_total", SampleKind.COUNTER, (), 130, 40)])
    assert named.name == "requests_per_s"
    assert [each.value for each in rates.derive([Sample("added", SampleKind.COUNTER, (), 140, 20, since=130)])] == [2.0]
    assert rates.derive([Sample("temperature", SampleKind.GAUGE, (), 1, math.nan)]) == []


def test_histograms_become_rate_mean_and_quantiles():
    rates = Rates()
    before = Sample("latency", SampleKind.HISTOGRAM, (), 0.0, 0.0, 0.0, ((0.1, 0.0), (0.2, 0.0), (math.inf, 0.0)))
    after = Sample("latency", SampleKind.HISTOGRAM, (), 10.0, 15.0, 100.0, ((0.1, 50.0), (0.2, 49.0), (math.inf, 1.0)))
    assert rates.derive([before]) == []
    found = {each.name: each.value for each in rates.derive([after])}
    assert found["latency_per_s"] == 10.0
    assert found["latency_mean"] == pytest.approx(0.15)
    assert found["latency_p50"] == pytest.approx(0.1)
    assert found["latency_p95"] == pytest.approx(0.1 + 0.1 * 45 / 49)
    assert bucket_quantile(((0.1, 0.0), (math.inf, 3.0)), 0.5) == 0.1
    assert math.isnan(bucket_quantile((), 0.5))


def test_a_scrape_target_has_one_way_to_be_asked_and_sends_no_secret_in_clear():
    assert ScrapeTargetSpec(url="http://127.0.0.1:9100/metrics", token="PRODUCTOPS_SECRET_NODE").interval_s == 15
    for wrong, said in (
        ({}, "either a url or a source"),
        ({"url": "ftp://x/y"}, "write it like"),
        ({"url": "http://node:9100/metrics", "token": "PRODUCTOPS_SECRET_NODE"}, "in clear"),
        ({"source": "datadog"}, "go together"),
        ({"source": "datadog", "queries": [{"name": "cpu", "query": "avg:cpu"}]}, "service and environment"),
        ({"url": "http://node/metrics", "keep": ["("]}, "regular expression"),
    ):
        with pytest.raises(ValueError, match=said):
            ScrapeTargetSpec.model_validate(wrong)


def test_the_course_of_a_series_fits_a_line_and_long_times_are_shown_by_steps():
    assert course([1.0, 2.0, 8.0]) == "▁▂█"
    assert len(course([float(n) for n in range(1000)])) == 60
    assert course([5.0, 5.0]) == "▁▁"
    assert [step_for(minutes) for minutes in (5, 60, 1440, 43_200)] == [None, 10, 600, 21_600]
    info = {
        "number": 7, "component": "shop", "name": "queue", "tags": {"environment": "production"}, "last_value": 3.0, "status": "warning",
        "warning": 2.0, "critical": None, "below": False,
    }  # fmt: skip
    text = show_text(info, [[FIRST, 1.0], [FIRST + 1, 3.0]], minutes=60)
    assert "warning (warning 2)" in text
    assert "least 1, mean 2, greatest 3, last 3" in text
    assert "no points" in show_text(info, [], minutes=60)
