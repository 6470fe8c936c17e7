"""The client of outside systems against servers that behave badly."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from productops.adapters.safe_http import ANSWER_BYTES_MAX, SafeHttp, check_url, forbidden_address, retry_after_s
from productops.errors import DependencyError, MetricSourceError, RateLimitedError, SettingsError
from tests.integration.http_support import Reply, answering

Make = Callable[..., SafeHttp]


@pytest.fixture
def client() -> Iterator[Make]:
    made: list[SafeHttp] = []

    def make(url: str, **options: object) -> SafeHttp:
        settings: dict[str, object] = {"what": "the source", "timeout_s": 1.0, "patience_s": 1.0, "failure": MetricSourceError}
        made.append(SafeHttp(url, **(settings | options)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for http in made:
        http.close()


def test_a_busy_answer_is_repeated_and_a_wrong_request_is_not(client: Make) -> None:
    statuses = [503, 200, 404]
    with answering(lambda _: Reply(statuses.pop(0), {})) as server:
        http = client(server.url)
        assert http.call("GET", "/a").status == 200
        assert http.call("GET", "/a").status == 404
        assert len(server.requests) == 3


def test_a_call_that_may_not_be_repeated_is_sent_once(client: Make) -> None:
    with answering(lambda _: Reply(503, {})) as server:
        with pytest.raises(MetricSourceError, match="answered 503"):
            client(server.url).call("POST", "/a", repeatable=False)
        assert len(server.requests) == 1


def test_a_short_retry_after_is_waited_for(client: Make) -> None:
    replies = [Reply(429, {}, {"retry-after": "0"}), Reply(200, {"ok": True})]
    with answering(lambda _: replies.pop(0)) as server:
        assert client(server.url).call("GET", "/a").document() == {"ok": True}


def test_a_long_retry_after_ends_the_call_and_nothing_is_sent_until_then(client: Make) -> None:
    with answering(lambda _: Reply(429, {}, {"retry-after": "120"})) as server:
        http = client(server.url)
        with pytest.raises(RateLimitedError) as first:
            http.call("GET", "/a")
        with pytest.raises(RateLimitedError, match="peace"):
            http.call("GET", "/a")
        assert first.value.extra["retry_after_s"] == 120
        assert len(server.requests) == 1


def test_retry_after_may_be_a_date() -> None:
    now = datetime(2026, 11, 21, 5, 0, 0, tzinfo=UTC)
    assert retry_after_s("Sat, 21 Nov 2026 05:00:30 GMT", now=now) == 30
    assert retry_after_s("Sat, 21 Nov 2026 04:00:30 GMT", now=now) == 0
    assert retry_after_s("soon", now=now) == 0
    assert retry_after_s("", now=now) == 0


def test_redirects_are_not_followed(client: Make) -> None:
    with answering(lambda _: Reply(302, {}, {"location": "http://169.254.169.254/"})) as server:
        with pytest.raises(MetricSourceError, match="redirect"):
            client(server.url).call("GET", "/a")
        assert len(server.requests) == 1


def test_an_endless_answer_is_cut(client: Make) -> None:
    endless = Reply(200, raw=b" " * (ANSWER_BYTES_MAX + 1))
    with answering(lambda _: endless) as server, pytest.raises(MetricSourceError, match="more than"):
        client(server.url, timeout_s=10.0).call("GET", "/a")


def test_a_server_that_sends_a_byte_now_and_then_does_not_hold_the_caller(client: Make) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            while not ended.wait(0.1):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    started = time.monotonic()
    http = client(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout_s=0.5, patience_s=0.5)
    with pytest.raises(MetricSourceError, match=r"not complete within 0\.5 s"):
        http.call("GET", "/a")
    assert time.monotonic() - started < 2
    ended.set()
    thread.join(5)
    listening.close()


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "0.0.0.0", "224.0.0.1", "fd00:ec2::254"])
def test_addresses_of_metadata_services_are_refused(client: Make, address: str) -> None:
    assert forbidden_address(address)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(DependencyError, match="refused|did not answer"):
        client(f"http://{host}:9", timeout_s=0.2, patience_s=0.2).call("GET", "/")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", "93.184.216.34"])
def test_ordinary_addresses_are_not(address: str) -> None:
    assert not forbidden_address(address)


@pytest.mark.parametrize("url", ["ftp://a", "http://", "http://u:p@h", "http://h/?q=1", "http://h#f", "//h", "http://h:x"])
def test_unusable_urls_are_refused_without_repeating_a_password(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check_url(url, secret=False)
    assert "u:p" not in str(refused.value)


def test_a_secret_is_not_sent_in_plain_text_to_another_machine() -> None:
    with pytest.raises(SettingsError, match="https"):
        check_url("http://prometheus.example:9090", secret=True)
    assert check_url("http://127.0.0.1:9090/", secret=True) == "http://127.0.0.1:9090"
    assert check_url("http://prometheus.example:9090", secret=True, plain_secret=True)


def test_a_secret_that_a_server_repeats_is_blanked_in_errors(client: Make) -> None:
    with answering(lambda request: Reply(503, {"you sent": request.headers["authorization"]})) as server:
        http = client(server.url, headers={"authorization": "Bearer hunter2hunter2"}, secrets=["hunter2hunter2"])
        with pytest.raises(MetricSourceError) as failed:
            http.call("GET", "/a", repeatable=False)
        assert "hunter2" not in str(failed.value)
        assert "hunter2" not in repr(http)
