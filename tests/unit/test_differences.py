"""Answers of two versions, compared."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from productops.domain.strategies.differences import ABSENT, LEFT_OUT, PATHS_MAX, Comparer, Comparison, Reply, fields_of, safe_target

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def js(value: Any, *, status: int = 200) -> Reply:
    return Reply(status, "application/json; charset=utf-8", json.dumps(value).encode())


def text(body: str) -> Reply:
    return Reply(200, "text/html", body.encode())


def compared(first: Reply, second: Reply, candidate: Reply) -> Comparison:
    return Comparer().compare("GET /", first, second, candidate)


@given(values)
def test_equal_answers_do_not_differ(value: Any) -> None:
    assert compared(js(value), js(value), js(value)) == Comparison((), noisy=False)


@given(values, values)
def test_where_the_baseline_differs_from_itself_nothing_is_said_of_a_candidate_that_answers_like_it(one: Any, two: Any) -> None:
    assert compared(js(one), js(two), js(two)).differences == ()


@given(st.binary(max_size=50), st.sampled_from(["application/json", "text/plain", "image/png", "", "application/problem+json"]))
def test_any_bytes_are_compared_without_an_error(body: bytes, kind: str) -> None:
    reply = Reply(200, kind, body)
    assert compared(reply, reply, reply).differences == ()


def test_a_changed_member_is_named_by_its_path_with_both_values() -> None:
    found = compared(js({"a": [{"price": 1}]}), js({"a": [{"price": 1}]}), js({"a": [{"price": 2}]}))
    assert [(d.path, d.baseline, d.candidate) for d in found.differences] == [("body.a[0].price", "1", "2")]


def test_a_missing_member_another_status_and_another_kind_are_differences() -> None:
    found = compared(js({"a": 1, "b": 2}), js({"a": 1, "b": 2}), js({"a": 1}, status=404))
    assert [(d.path, d.candidate) for d in found.differences] == [("body.b", ABSENT), ("status", "404")]
    assert "content-type" in {d.path for d in compared(js(1), js(1), text("1")).differences}


def test_times_and_random_ids_are_noise_in_every_element_of_a_list() -> None:
    def answer(salt: int, price: int = 5) -> Reply:
        return js([{"id": salt + n, "at": salt * n, "price": price} for n in range(3)])

    assert compared(answer(1), answer(2), answer(3)).differences == ()
    assert [d.path for d in compared(answer(1), answer(2), answer(3, price=6)).differences] == [f"body[{n}].price" for n in range(3)]


def test_noise_is_remembered_by_endpoint() -> None:
    comparer = Comparer()
    assert comparer.compare("GET /a", js({"at": 1}), js({"at": 2}), js({"at": 3})) == Comparison((), noisy=True)
    assert comparer.compare("GET /a", js({"at": 4}), js({"at": 4}), js({"at": 5})) == Comparison((), noisy=False)
    assert comparer.compare("GET /b", js({"at": 4}), js({"at": 4}), js({"at": 5})).differences


def test_text_is_compared_by_lines_with_blanks_evened_out() -> None:
    assert compared(text("a  b\n\nc"), text("a b\n\nc "), text("a\tb\n\nc")).differences == ()
    assert [d.path for d in compared(text("a\nnow 1\nb"), text("a\nnow 2\nb"), text("a\nnow 3\nB")).differences] == ["line 3"]


def test_secrets_are_left_out_of_what_is_kept() -> None:
    one, two = {"access_token": "abc", "user": {"password": "x"}}, {"access_token": "def", "user": {"password": "y"}}
    found = compared(js(one), js(one), js(two))
    assert {(d.baseline, d.candidate) for d in found.differences} == {(LEFT_OUT, LEFT_OUT)}
    page = compared(text("var token = abcdef;"), text("var token = abcdef;"), text("var token = 123456; x"))
    assert "abcdef" not in str(page)
    assert "123456" not in str(page)
    assert safe_target("/a?q=1&api_key=abc&session=7") == f"/a?q=1&api_key={LEFT_OUT}&session={LEFT_OUT}"


def test_a_huge_answer_costs_no_more_than_its_limit() -> None:
    assert len(fields_of(js(list(range(100_000))))) <= PATHS_MAX + 2
    assert len(compared(js({str(n): n for n in range(500)}), js({str(n): n for n in range(500)}), js({})).differences) == 20


def test_a_long_value_is_shown_where_it_begins_to_differ() -> None:
    page = "<p>" + "x" * 500
    (found,) = compared(text(page + "old" + "y" * 500), text(page + "old" + "y" * 500), text(page + "new" + "y" * 500)).differences
    assert "old" in found.baseline
    assert "new" in found.candidate
    assert len(found.baseline) < 130
