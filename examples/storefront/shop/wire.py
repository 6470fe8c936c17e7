"""HTTP/1.1 on the wire: bytes in, requests out; answers in, bytes out. Pure, no sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from time import gmtime, strftime
from urllib.parse import parse_qsl, unquote

HEAD_BYTES_MAX = 16_384
BODY_BYTES_MAX = 65_536
HEADERS_MAX = 100

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_encode = json.JSONEncoder(separators=(",", ":")).encode
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class HttpError(Exception):
    """A request that gets a plain refusal; ``status`` is the HTTP status, ``detail`` a sentence for the caller."""

    def __init__(self, status: int, detail: str, *, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


@dataclass(slots=True)
class Request:
    """One request. ``path`` is percent-decoded, header names are lower case, ``keep_alive`` is what the client wants."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    keep_alive: bool
    body: bytes = b""

    def cookie(self, name: str) -> str:
        """The value of a cookie, or an empty string."""
        for part in self.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""

    def json_object(self) -> dict[str, object]:
        """The body as a JSON object; an empty body is an empty object.

        Raises: HttpError 400 when the body is anything else.
        """
        if not self.body:
            return {}
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise HttpError(400, "the body is not valid JSON") from error
        if not isinstance(value, dict):
            raise HttpError(400, "the body must be a JSON object")
        return value


@dataclass(slots=True)
class Answer:
    """One response before it is written; the server adds length, date, connection and version headers."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=())


def json_answer(value: object, status: int = 200, *, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer with ``value`` as JSON."""
    return Answer(status, _encode(value).encode(), headers=headers)


def error_answer(error: HttpError) -> Answer:
    """The JSON answer of a refusal."""
    return json_answer({"error": error.detail}, error.status, headers=error.headers)


def parse_head(head: bytes) -> Request:
    """Read the request line and the headers; ``head`` excludes the empty line that ends it.

    Raises: HttpError 400, 431 or 505 when the head breaks the rules of RFC 9112.
    """
    request_line, *lines = head.split(b"\r\n")
    method, target, version = _request_line(request_line)
    headers = _headers(lines)
    if version == "HTTP/1.1" and "host" not in headers:
        raise HttpError(400, "an HTTP/1.1 request needs a Host header")
    path, query = _target(target)
    # An HTTP/1.0 client is always answered with a close: nothing we serve still relies on its keep-alive dialect.
    keep_alive = version == "HTTP/1.1" and "close" not in headers.get("connection", "").lower()
    return Request(method, path, query, headers, keep_alive)


def _request_line(line: bytes) -> tuple[str, str, str]:
    parts = line.split(b" ")
    if len(parts) != 3 or not parts[0] or not _TOKEN.issuperset(parts[0]):
        raise HttpError(400, "the request line is malformed")
    method, target, version = (part.decode("latin-1") for part in parts)
    if not version.startswith("HTTP/"):
        raise HttpError(400, "the request line is malformed")
    if version not in {"HTTP/1.0", "HTTP/1.1"}:
        raise HttpError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    return method, target, version


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > HEADERS_MAX:
        raise HttpError(431, f"more than {HEADERS_MAX} headers")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not _TOKEN.issuperset(name) or b"\0" in value or b"\n" in value or b"\r" in value:
            raise HttpError(400, "a header line is malformed")
        key, text = name.decode("latin-1").lower(), value.strip(b" \t").decode("latin-1")
        if key in headers:
            text = _repeated(key, headers[key], text)
        headers[key] = text
    return headers


def _repeated(key: str, first: str, second: str) -> str:
    """Join a repeated header; two different lengths or hosts are how requests get smuggled, so they are refused."""
    if key in {"content-length", "host"}:
        raise HttpError(400, f"the {key} header is repeated")
    return f"{first}; {second}" if key == "cookie" else f"{first}, {second}"


def _target(target: str) -> tuple[str, dict[str, str]]:
    if target.startswith("http://"):
        target = "/" + target[7:].partition("/")[2]
    if not target.startswith("/") or not target.isascii():
        raise HttpError(400, "the request target is malformed")
    path, _, query = target.partition("?")
    try:
        decoded = unquote(path, errors="strict")
        fields = dict(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=20)) if query else {}
    except ValueError as error:
        raise HttpError(400, "the request target is malformed") from error
    return decoded, fields


def body_length(headers: dict[str, str]) -> int:
    """Bytes of body that follow the head.

    Raises: HttpError 400, 411 or 413 when the length is malformed, not announced (chunked) or too large.
    """
    if "transfer-encoding" in headers:
        raise HttpError(411, "send the body with a Content-Length")
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise HttpError(400, "the Content-Length is not a number")
    length = int(text)
    if length > BODY_BYTES_MAX:
        raise HttpError(413, f"the body is larger than {BODY_BYTES_MAX} bytes")
    return length


def render(answer: Answer, *, version: str, keep_alive: bool, with_body: bool) -> bytes:
    """The bytes of an answer. ``with_body`` is false for HEAD, which announces the length it would have had."""
    lines = [
        f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        f"Date: {strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime())}",
        f"X-Shop-Version: {version}",
        "Connection: keep-alive" if keep_alive else "Connection: close",
        *(f"{name}: {value}" for name, value in answer.headers),
    ]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head + answer.body if with_body else head
