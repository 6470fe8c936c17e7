"""Versions: what may be one, and which precede which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.domain.versions import check_version, is_older
from productops.errors import InvalidInputError

NUMBERS = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))


@pytest.mark.parametrize("version", ["1", "1.10.0", "v2", "1.0.0-rc.1", "1.0.0+build.5", "2026-11-21_3", "deadbeef", "A" * 100])
def test_what_teams_call_their_versions_is_usable(version: str) -> None:
    assert check_version(version) == version


@pytest.mark.parametrize(
    "version",
    ["", "A" * 101, "..", "1..2", ".hidden", "-rf", "+1", "_1", "a/b", "a\\b", "1 2", "1\n", "1\0", "é", "１", "v1:x", "v1^{}", "a~1", "*"],
)
def test_what_could_leave_a_folder_or_reach_git_as_something_else_is_refused(version: str) -> None:
    with pytest.raises(InvalidInputError, match="is not usable"):
        check_version(version)


@given(st.text(alphabet="aZ09._+-/\\: ~^*?[@{\n\0é１", max_size=120))
def test_an_accepted_version_is_one_part_of_a_path(version: str) -> None:
    try:
        check_version(version)
    except InvalidInputError:
        return
    assert version.isascii()
    assert not set(version) & set("/\\: ~^*?[@{\n\0")
    assert version[0] not in ".-"
    assert ".." not in version


def test_a_refusal_quotes_no_more_than_a_line() -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_version("x" * 100_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9.0", "1.10.0"),
        ("v1.9.0", "1.10.0"),
        ("1.0.0-rc.1", "1.0.0"),
        ("1.0.0-alpha.1", "1.0.0-beta.1"),
        ("1.0.0-rc.2", "1.0.0-rc.10"),
        ("1.0", "1.0.1"),
        ("1.0.0", "1.0.0+build.5"),
        ("2025.12.31", "2026.1.1"),
    ],
)
def test_semantic_versions_have_an_order(older: str, newer: str) -> None:
    assert is_older(older, newer)
    assert not is_older(newer, older)


@pytest.mark.parametrize(("one", "other"), [("deadbeef", "1.0"), ("main", "feature-x"), ("1.0", "latest"), ("1.0.0-x.y.z", "1.0.0")])
def test_versions_without_an_order_are_never_older(one: str, other: str) -> None:
    assert not is_older(one, other)
    assert not is_older(other, one)


@given(NUMBERS, NUMBERS)
def test_the_order_is_that_of_the_numbers(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    assert is_older(".".join(map(str, one)), ".".join(map(str, other))) == (one < other)


@given(st.text(alphabet="019.v-+abrc", max_size=12), st.text(alphabet="019.v-+abrc", max_size=12))
def test_no_two_versions_are_each_older_than_the_other(one: str, other: str) -> None:
    assert not (is_older(one, other) and is_older(other, one))
    assert not is_older(one, one)
