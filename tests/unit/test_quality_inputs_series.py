"""Performance: what eight tools write becomes series with units and a direction."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from productops.adapters.quality_inputs import read
from productops.domain.quality import Outcome, Parsed, Series, merged
from productops.errors import QualityInputError

DATA = Path(__file__).resolve().parents[1] / "data" / "quality"


def series(parsed: Parsed, name: str) -> Series:
    (found,) = [each for each in parsed.series if each.name == name]
    return found


def test_pytest_benchmark_gives_every_round_or_else_the_median():
    raw, statistics = read(DATA / "pytest-benchmark" / "raw.json"), read(DATA / "pytest-benchmark" / "statistics.json")
    name = "tests/test_speed.py::test_speed_of_total"
    assert (len(series(raw, name).values), series(raw, name).unit, series(raw, name).higher_is_better) == (8, "s", False)
    assert (len(series(statistics, name).values), series(statistics, name).labels) == (1, (("statistic", "median"),))


def test_hyperfine_gives_every_run_of_every_command():
    parsed = read(DATA / "hyperfine" / "hyperfine.json")
    assert [(each.name, len(each.values), each.labels) for each in parsed.series] == [
        ("sleep 0.01", 6, (("pause", "1"),)),
        ("sleep 0.02", 6, (("pause", "2"),)),
    ]


def test_wrk_gives_latencies_in_seconds_and_says_how_many_answers_were_errors():
    fine, missing = read(DATA / "wrk" / "latency.txt"), read(DATA / "wrk" / "not-found.txt")
    assert 0 < series(fine, "latency p50").values[0] < series(fine, "latency p99").values[0] < 1
    assert series(fine, "answers other than 2xx and 3xx").values == (0.0,)
    assert series(missing, "answers other than 2xx and 3xx").values == series(missing, "requests").values
    assert series(fine, "requests per second").higher_is_better is True
    with pytest.raises(QualityInputError, match="ends in the middle"):
        read((DATA / "wrk" / "latency.txt").read_bytes().partition(b"Requests/sec")[0], "w.txt")


def test_k6_thresholds_are_tests_in_both_of_its_spellings():
    older, newer = read(DATA / "k6" / "summary-export.json"), read(DATA / "k6" / "handle-summary.json")
    held = {"p(95)<500": Outcome.PASSED, "p(90)<20": Outcome.FAILED, "rate<0.01": Outcome.PASSED}
    assert {case.name: case.outcome for case in older.tests} == held
    assert {case.name: case.outcome for case in newer.tests} == {"p(95)<500": Outcome.PASSED, "avg<10": Outcome.FAILED}
    for parsed in (older, newer):
        assert series(parsed, "http_req_duration p(95)") == Series("http_req_duration p(95)", "ms", (31.7,), False)
        assert series(parsed, "http_reqs rate") == Series("http_reqs rate", "1/s", (99.8,), True)
    assert series(newer, "data_received rate").unit == "By/s"
    assert series(older, "checks value").higher_is_better is True


def test_the_stream_of_k6_is_told_apart_by_scenario():
    parsed = read(DATA / "k6" / "points.ndjson")
    assert [(each.values, each.labels) for each in parsed.series if each.name == "http_req_duration"] == [
        ((12.25, 14.5), ()),
        ((99.5,), (("scenario", "checkout"),)),
    ]


def test_jmeter_is_read_with_commas_and_line_breaks_inside_its_cells():
    parsed = read(DATA / "jmeter" / "results.jtl")
    assert series(parsed, "pay").values == (503.0, 88.0)
    assert series(parsed, "pay failures").values == (0.5,)
    semicolons = b"timeStamp;elapsed;label;success\n1;45;open;true\n2;soon;open;true\n3;45\n"
    parsed = read(semicolons, "r.jtl")
    assert series(parsed, "open").values == (45.0,)
    assert [gap.where for gap in parsed.skipped] == ["r.jtl: line 3", "r.jtl: line 4"]


def test_lighthouse_gives_scores_and_timings():
    parsed = read(DATA / "lighthouse" / "lighthouse.json")
    score = series(parsed, "performance score")
    assert 0 <= score.values[0] <= 1
    assert (score.higher_is_better, series(parsed, "largest-contentful-paint").unit) == (True, "ms")


def test_plain_series_are_read_from_tables_lists_maps_and_lines():
    table = read(DATA / "series" / "table.csv")
    assert table.series == (Series("start-up", "ms", (412.5, 408.0), False), Series("throughput", "1/s", (1250.0,), True))
    assert [gap.where for gap in table.skipped] == ["table.csv: line 5"] or table.skipped[0].where.endswith("line 5")
    assert series(read(DATA / "series" / "list.json"), "size").labels == (("file", "app.js"),)
    assert series(read(DATA / "series" / "map.json"), "start-up s").values == (0.41, 0.4)
    assert series(read(DATA / "series" / "lines.ndjson"), "start-up").values == (412.5, 408.0)


def test_what_is_no_finite_number_is_left_out_and_told():
    parsed = read(b'[{"name": "a", "values": [1, NaN, Infinity, 1e999, "x", null, true, 2]}]', "s.json")
    assert parsed.series[0].values == (1.0, 2.0)
    assert len(parsed.skipped) == 6


def test_series_of_one_name_and_label_become_one():
    one, two = Series("a", "s", (1.0,)), Series("a", "s", (2.0,))
    other = Series("a", "s", (3.0,), labels=(("b", "c"),))
    assert merged([Parsed(series=(one, other)), Parsed(series=(two,))]).series == (Series("a", "s", (1.0, 2.0)), other)


def test_the_example_of_the_reference_page_prints_what_the_page_says():
    root = DATA.parents[2]
    page = (root / "docs" / "reference" / "quality-inputs.md").read_text(encoding="utf-8")
    program, printed = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("python", "text"))
    assert program is not None
    assert printed is not None
    done = subprocess.run([sys.executable, "-c", program[1]], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (printed[1], "")
