"""Calendars from addresses: real HTTP servers, good and bad."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from productops.adapters.calendar_files import BYTES_MAX
from productops.adapters.calendar_http import fetch_calendar
from productops.errors import CalendarSourceError

CALENDAR = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n"


@contextmanager
def serving(answer):
    """A server on loopback; ``answer`` gets the handler of each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *_arguments):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def send(handler, body=CALENDAR, *, status=200, **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_calendar_is_fetched_once_and_then_only_asked_whether_it_changed():
    asked = []

    def answer(handler):
        asked.append((handler.headers["Host"], handler.headers["If-None-Match"]))
        if handler.headers["If-None-Match"] == '"v1"':
            send(handler, b"", status=304)
        else:
            send(handler, ETag='"v1"')

    with serving(answer) as url:
        first = fetch_calendar(f"{url}/a.ics?key=s", allow_private=True)
        second = fetch_calendar(f"{url}/a.ics?key=s", etag=first.etag, allow_private=True)
    assert (first.content, first.etag) == (CALENDAR, '"v1"')
    assert (second.content, second.etag) == (None, '"v1"')
    assert asked[0][0].startswith("localhost:")


def test_private_and_loopback_addresses_are_not_asked_unless_that_was_allowed():
    with serving(lambda handler: pytest.fail("it was asked")) as url:
        port = url.rpartition(":")[2]
        for host in (
            "localhost",
            "127.0.0.1",
            "[::1]",
            "2130706433",
            "0.0.0.0",
            "10.0.0.1",
            "169.254.169.254",
            "[::ffff:127.0.0.1]",
            "[fd00::1]",
        ):
            with pytest.raises(CalendarSourceError, match="no public address"):
                fetch_calendar(f"https://{host}:{port}/a.ics")


def test_without_tls_nothing_is_asked_unless_that_was_allowed():
    with pytest.raises(CalendarSourceError, match="only https"):
        fetch_calendar("http://example.com/a.ics")
    with pytest.raises(CalendarSourceError, match="only https"):
        fetch_calendar("file:///etc/passwd", allow_private=True)


def test_redirections_are_followed_but_not_for_ever_and_not_to_another_scheme():
    def answer(handler):
        number = int(handler.path.strip("/") or 0)
        if number == 9:
            send(handler, status=302, Location="file:///etc/passwd")
        elif number:
            send(handler, status=301, Location=f"/{number - 1}")
        else:
            send(handler)

    with serving(answer) as url:
        assert fetch_calendar(f"{url}/3", allow_private=True).content == CALENDAR
        with pytest.raises(CalendarSourceError, match="leads on and on"):
            fetch_calendar(f"{url}/4", allow_private=True)
        with pytest.raises(CalendarSourceError, match="only https"):
            fetch_calendar(f"{url}/9", allow_private=True)


def test_what_is_too_large_is_cut_off_while_it_comes():
    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(b"x" * 65_536)
        except OSError:
            return

    with serving(answer) as url:
        started = time.monotonic()
        with pytest.raises(CalendarSourceError, match=f"more than {BYTES_MAX // 1024} KiB"):
            fetch_calendar(f"{url}/a.ics", allow_private=True)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [(404, {}, "answered 404"), (500, {}, "answered 500"), (200, {"Content_Encoding": "gzip"}, "compressed")],
)
def test_an_answer_that_is_no_calendar_is_told_without_the_secret_of_the_address(status, headers, reason):
    with (
        serving(lambda handler: send(handler, status=status, **headers)) as url,
        pytest.raises(CalendarSourceError, match=reason) as caught,
    ):
        fetch_calendar(f"{url}/a.ics?key=secret", allow_private=True)
    assert "secret" not in str(caught.value)


def test_an_address_that_nobody_answers_or_knows_is_an_error_not_a_hang():
    with pytest.raises(CalendarSourceError, match="did not answer"):
        fetch_calendar("http://127.0.0.1:9/a.ics", allow_private=True)
    with pytest.raises(CalendarSourceError, match="is not known"):
        fetch_calendar("https://no-such-name.invalid/a.ics")
