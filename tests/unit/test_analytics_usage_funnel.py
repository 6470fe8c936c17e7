"""Funnels whose answers are known: cases after those that PostHog and Mixpanel publish, with data of our own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from productops.stats.analytics_usage_funnel import walk_ordered, walk_unordered, walking
from productops.stats.analytics_usage_order import order_by_person

FAR = 1 << 60
DAY = 14 * 24 * 60
Stream = str | list[tuple[str, int]]


def stream_of(text: Stream) -> list[tuple[str, int]]:
    """``"A B x"`` is one event a minute."""
    return [(word, n) for n, word in enumerate(text.split())] if isinstance(text, str) else text


def walk(
    people: list[Stream], steps: str, *, order: str = "ordered", window: int = DAY,
    excluded: tuple[tuple[str, int, int], ...] = (), enter: int = FAR,
) -> list[tuple[int, list[int]]]:  # fmt: skip
    """Steps reached (-1: excluded, 0: did not begin) and their minutes, by person. ``steps`` are letters."""
    person, at, bits = [], [], []
    for who, text in enumerate(people):
        for name, minute in stream_of(text):
            found = sum(1 << n for n, step in enumerate(steps) if step == name)
            found |= sum(1 << (16 + n) for n, (event, _, _) in enumerate(excluded) if event == name)
            if found or order == "strict":
                person.append(who + 1)
                at.append(minute)
                bits.append(found)
    given_ = np.array(person, np.uint64), np.array(at, np.int64), np.array(bits, np.uint32), np.full(len(person), -1, np.int32)
    rules = walking(window, enter, strict=order == "strict", between=[(a, b) for _, a, b in excluded])
    if order == "any":
        who, reached, _, times = walk_unordered(*given_, len(steps), rules)
    else:
        who, reached, _, times = walk_ordered(*given_, len(steps), rules)
    told = {int(w) - 1: (int(r), row.tolist()) for w, r, row in zip(who, reached, times.reshape(-1, len(steps)), strict=True)}
    return [
        (told[n][0], list(told[n][1][: max(0, told[n][0])])) if n in told else (0, []) for n in range(len(people))
    ]  # fmt: skip


def reached(people: list[Stream], steps: str, **how: object) -> list[int]:
    return [found for found, _ in walk(people, steps, **how)]  # type: ignore[arg-type]


def test_other_events_between_the_steps_do_no_harm() -> None:
    assert reached(["A B C", "A x B x C", "A B x", "A C", "B C", "C B A"], "ABC") == [3, 3, 2, 1, 0, 1]


def test_a_step_that_is_twice_in_the_funnel_takes_two_events() -> None:
    assert reached(["A", "A A", "A A A"], "AA") == [1, 2, 2]


def test_the_window_runs_from_the_first_step_to_the_last_and_its_last_moment_counts() -> None:
    assert reached([[("A", 0), ("B", 50), ("C", 60)], [("A", 0), ("B", 50), ("C", 61)]], "ABC", window=60) == [3, 2]


def test_who_begins_again_before_the_second_step_is_counted_from_the_later_beginning() -> None:
    # Mixpanel's example: A 13:00, A 13:30, B 13:45, C 14:15 within an hour: its basic mode says no, re-entry says yes, and so do we.
    assert walk([[("A", 0), ("A", 30), ("B", 45), ("C", 75)]], "ABC", window=60) == [(3, [30, 45, 75])]


def test_of_several_second_steps_the_first_counts() -> None:
    assert walk(["A B B C"], "ABC") == [(3, [0, 1, 3])]


def test_who_came_through_twice_is_counted_by_the_first_time() -> None:
    assert walk([[("A", 0), ("B", 10), ("A", 20), ("B", 21)]], "AB") == [(2, [0, 10])]


def test_events_of_one_instant_are_taken_in_the_order_of_the_steps_but_each_once() -> None:
    assert reached([[("B", 5), ("A", 5)], [("A", 5), ("A", 5)]], "AB") == [2, 1]
    assert reached([[("A", 5)]], "AA") == [1]


def test_a_first_step_after_the_range_begins_nothing_but_later_steps_may_be_after_it() -> None:
    assert reached([[("A", 5), ("B", 20)], [("A", 10), ("B", 20)]], "AB", enter=10) == [2, 0]


def test_strict_steps_follow_each_other_directly() -> None:
    # After PostHog's basic strict case: sign up, page view, insight viewed; x is anything else.
    people: list[Stream] = ["S", "P S", "S P x I", "I x P S", "P S x P I", "x S x P", "x S P I x", "I P"]
    assert reached(people, "SPI", order="strict") == [1, 1, 2, 1, 1, 1, 3, 0]


def test_a_strict_funnel_begins_anew_with_every_first_step() -> None:
    assert reached(["A A B", "A B B C"], "ABC", order="strict") == [2, 2]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [("A B", 2), ("A x B", -1), ("x A B", 2), ("A B x", 2), ("A x", -1), ("A x A B", 2), ("A x B A B", 2), ("A x A", 1), ("A x B A", -1)],
)  # fmt: skip
def test_who_does_what_is_excluded_on_the_furthest_way_does_not_count_at_all(stream: str, expected: int) -> None:
    assert reached([stream], "AB", excluded=(("x", 1, 2),)) == [expected]


def test_an_exclusion_counts_between_its_steps_only() -> None:
    assert reached(["A x B C", "A B x C"], "ABC", excluded=(("x", 2, 3),)) == [3, -1]


def test_an_exclusion_after_the_window_harms_nobody() -> None:
    assert reached([[("A", 0), ("x", 100)]], "AB", excluded=(("x", 1, 2),), window=60) == [1]


def test_any_order_counts_different_steps_within_a_window() -> None:
    assert reached(["C B A", "B x A", "B B", "C", "x"], "ABC", order="any") == [3, 2, 1, 1, 0]
    assert reached([[("B", 0), ("A", 50), ("C", 61)]], "ABC", order="any", window=60) == [2]


def test_any_order_takes_the_best_window_of_several() -> None:
    assert walk([[("A", 0), ("B", 100), ("C", 110), ("A", 120)]], "ABC", order="any", window=60) == [(3, [100, 110, 120])]


def test_any_order_asks_for_as_many_events_as_a_step_is_named() -> None:
    assert reached(["A B", "A B A", "B A A"], "AAB", order="any") == [2, 3, 3]


def test_any_order_stops_at_an_exclusion() -> None:
    assert reached(["A x B", "x A B", "A x A B"], "AB", order="any", excluded=(("x", 1, 2),)) == [1, 2, 2]


def test_the_value_of_a_person_is_that_of_the_first_or_last_step_event_that_has_one() -> None:
    person, at = np.ones(4, np.uint64), np.arange(4, dtype=np.int64)
    bits, value = np.array([1, 1, 2, 4], np.uint32), np.array([-1, 7, 8, 9], np.int32)
    assert walk_ordered(person, at, bits, value, 2, walking(100, FAR, touch=1))[2].tolist() == [7]
    assert walk_ordered(person, at, bits, value, 2, walking(100, FAR, touch=2))[2].tolist() == [8]


def slowly(stream: list[tuple[str, int]], steps: str, window: int) -> int:
    """The furthest step over all choices of events, by trying them."""
    for length in range(len(steps), 0, -1):
        for chosen in itertools.combinations(stream, length):
            rises = all(a[1] < b[1] for a, b in itertools.pairwise(chosen))
            if rises and "".join(c[0] for c in chosen) == steps[:length] and chosen[-1][1] - chosen[0][1] <= window:
                return length
    return 0


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ABCx"), st.integers(1, 6)), max_size=9),
    st.sampled_from(["AB", "ABC", "AAB", "ABA"]),
    st.integers(1, 20),
)
def test_an_ordered_funnel_finds_the_furthest_step_that_any_choice_of_events_reaches(
    gaps: list[tuple[str, int]], steps: str, window: int
) -> None:
    minute, stream = 0, []
    for name, gap in gaps:
        minute += gap
        stream.append((name, minute))
    assert reached([stream], steps, window=window) == [slowly(stream, steps, window)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABCx"), st.integers(1, 6)), max_size=8), st.sampled_from(["ABC", "AAB"]), st.integers(1, 20))
def test_any_order_finds_as_many_steps_as_any_choice_of_events(gaps: list[tuple[str, int]], steps: str, window: int) -> None:
    minute, stream = 0, []
    for name, gap in gaps:
        minute += gap
        stream.append((name, minute))
    best = 0
    for begin in range(len(stream)):
        left = [name for name, at in stream[begin:] if at - stream[begin][1] <= window] if stream[begin][0] in steps else []
        best = max(best, sum(min(left.count(letter), steps.count(letter)) for letter in set(steps)))
    assert reached([stream], steps, order="any", window=window) == [best]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, (1 << 64) - 1), st.integers(0, 5)), max_size=60), st.booleans())
def test_persons_are_brought_together_and_equal_instants_stay_as_they_came(rows: list[tuple[int, int]], near: bool) -> None:
    numbers = [person >> 60 if near else person for person, _ in rows]
    person, at = np.array(numbers, np.uint64), np.array([at for _, at in rows], np.int64)
    expected = sorted(range(len(rows)), key=lambda n: (numbers[n], at[n], n))
    assert order_by_person(person, at, 0).tolist() == expected
