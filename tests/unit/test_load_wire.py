"""The load generator's reading of answers, cookies and ranks."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.load.model import Action, LoadConfig
from examples.load.report import percentile
from examples.load.users import Crowd, User
from examples.load.wire import MalformedReplyError, Reply, ReplyReader

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Shop-Version: 1.0.0\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1a\r\n" + b"x" * 26 + b"\r\n0\r\nTrailer: t\r\n\r\n"
CHUNKED_PLAIN_END = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


def read_in_pieces(data: bytes, cuts: list[int]) -> list[Reply]:
    reader = ReplyReader()
    replies = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        reply = reader.feed(data[start:end]) if end > start else None
        if reply is not None:
            replies.append(reply)
    assert reader.clean
    return replies


@given(data=st.sampled_from([PLAIN, CHUNKED, CHUNKED_PLAIN_END, INTERIM, EMPTY]), cuts=st.lists(st.integers(0, 400), max_size=20))
def test_an_answer_is_read_the_same_however_the_network_cuts_it(data: bytes, cuts: list[int]) -> None:
    (reply,) = read_in_pieces(data, cuts)
    (whole,) = read_in_pieces(data, [])
    assert reply == whole
    assert reply.status in {200, 204, 503}


def test_status_version_and_every_cookie_are_kept() -> None:
    (reply,) = read_in_pieces(PLAIN, [])
    assert reply.status == 200
    assert reply.headers["x-shop-version"] == "1.0.0"
    assert reply.set_cookies == ["a=1", "b=2"]
    assert reply.keep_alive


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    reader = ReplyReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\nsome text") is None
    reply = reader.end()
    assert reply is not None
    assert not reply.keep_alive


def test_an_answer_cut_in_the_middle_is_no_answer() -> None:
    reader = ReplyReader()
    assert reader.feed(PLAIN[:-1]) is None
    assert reader.end() is None


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    reader = ReplyReader()
    reader.expect("HEAD")
    assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n") is not None


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
    ],
)
def test_what_is_no_http_is_called_malformed(data: bytes) -> None:
    with pytest.raises(MalformedReplyError):
        ReplyReader().feed(data)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 1.0))
def test_a_percentile_is_a_value_that_enough_values_do_not_exceed(values: list[float], share: float) -> None:
    ascending = sorted(values)
    result = percentile(ascending, share)
    assert result in values
    assert sum(value <= result for value in values) >= share * len(values) - 1e-6
    assert sum(value < result for value in values) <= share * len(values)


def test_percentiles_of_one_to_a_hundred_are_exact() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.9, 0.99, 1.0)] == [50, 90, 99, 100]
    assert math.isnan(percentile([], 0.5))


def test_a_user_keeps_cookies_until_they_are_taken_away() -> None:
    user = User(1)
    user.keep(["po-uid=abc; Path=/; HttpOnly", "shop-cart=3x1; Max-Age=86400"])
    assert user.cookie_header == "po-uid=abc; shop-cart=3x1"
    user.keep(["shop-cart=; Path=/; Max-Age=0"])
    assert user.cookie_header == "po-uid=abc"


def test_a_user_without_a_cart_fills_one_before_paying() -> None:
    crowd = Crowd(LoadConfig(url="http://x", users=1, mix=(Action("checkout", "/api/checkout", 1, "POST", "{}", needs_cart=True),)))
    user, action = crowd.next_action()
    assert action.name == "add to cart"
    user.keep(["shop-cart=3x1"])
    assert crowd.next_action()[1].name == "checkout"


def test_the_same_seed_gives_the_same_users_and_actions() -> None:
    first, second = (Crowd(LoadConfig(url="http://x", seed=4)) for _ in range(2))
    for _ in range(50):
        (user, action), (user_again, action_again) = first.next_action(), second.next_action()
        assert (user.number, action, first.gap_s()) == (user_again.number, action_again, second.gap_s())


def test_a_request_goes_out_with_host_cookies_and_length() -> None:
    config = LoadConfig(url="http://127.0.0.1:80/base/", host="storefront.localhost", headers=(("X-Trace", "7"),))
    user = User(0)
    user.keep(["po-uid=abc"])
    data = Crowd(config).request_bytes(user, Action("add", "/cart", 1, "POST", '{"é":1}')).decode()
    assert data.startswith("POST /base/cart HTTP/1.1\r\nHost: storefront.localhost\r\n")
    assert "\r\nX-Trace: 7\r\n" in data
    assert "\r\nCookie: po-uid=abc\r\n" in data
    assert '\r\nContent-Length: 8\r\n\r\n{"é":1}' in data


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://example.org"},
        {"url": "127.0.0.1:80"},
        {"rate": -1},
        {"users": 0},
        {"connections": 0},
        {"timeout_s": 0},
        {"mix": ()},
        {"host": "a\r\nX: b"},
    ],
)
def test_a_run_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        LoadConfig(**{"url": "http://127.0.0.1", **wrong})  # type: ignore[arg-type]
