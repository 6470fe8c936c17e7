"""HTTP/1.1 answers from bytes; pure, no sockets."""

from __future__ import annotations

from dataclasses import dataclass, field

HEAD_BYTES_MAX = 65_536


class MalformedReplyError(Exception):
    """The bytes are no HTTP/1.1 answer."""


@dataclass(slots=True)
class Reply:
    """Head of an answer. Header names are lower case; a repeated header keeps its last value, cookies keep all."""

    status: int
    headers: dict[str, str]
    set_cookies: list[str] = field(default_factory=list)
    keep_alive: bool = True


class ReplyReader:
    """Reads one answer after the other from a connection; bodies are counted and dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._reply: Reply | None = None
        self._left = 0
        self._chunked = False
        self._until_close = False
        self._without_body = False

    def expect(self, method: str) -> None:
        """Say which method the next answer belongs to: an answer to HEAD has no body."""
        self._without_body = method == "HEAD"

    @property
    def clean(self) -> bool:
        """Whether nothing of a next answer is here: bytes nobody asked for make a connection useless."""
        return self._reply is None and not self._buffer

    def feed(self, data: bytes) -> Reply | None:
        """Add bytes; the answer once it is complete.

        Raises: MalformedReplyError.
        """
        self._buffer += data
        while self._reply is None:
            if not self._read_head():
                return None
        return self._finished(self._reply)

    def end(self) -> Reply | None:
        """The connection closed; that completes an answer without a length."""
        return self._reply if self._until_close else None

    def _read_head(self) -> bool:
        """Whether the loop may go on: false while bytes are missing."""
        end = self._buffer.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
        if end < 0:
            if len(self._buffer) > HEAD_BYTES_MAX:
                raise MalformedReplyError("the head of the answer is too large")
            return False
        reply = parse_reply_head(self._buffer[:end].decode("latin-1"))
        del self._buffer[: end + 4]
        if reply.status >= 200:
            self._reply = reply
            self._start_body(reply)
        return True

    def _start_body(self, reply: Reply) -> None:
        self._left, self._chunked, self._until_close = 0, False, False
        if self._without_body or reply.status in {204, 304}:
            return
        length = reply.headers.get("content-length")
        if "chunked" in reply.headers.get("transfer-encoding", "").lower():
            self._chunked = True
        elif length is None:
            self._until_close, reply.keep_alive = True, False
        elif length.isascii() and length.isdigit():
            self._left = int(length)
        else:
            raise MalformedReplyError("the Content-Length of the answer is not a number")

    def _finished(self, reply: Reply) -> Reply | None:
        if self._chunked:
            done = self._drop_chunks()
        else:
            drop = len(self._buffer) if self._until_close else min(self._left, len(self._buffer))
            del self._buffer[:drop]
            self._left -= 0 if self._until_close else drop
            done = self._left == 0 and not self._until_close
        if not done:
            return None
        self._reply = None
        return reply

    def _drop_chunks(self) -> bool:
        """Drop whole chunks; ``_left`` is what misses of the current one with its line end. True after the last."""
        while True:
            drop = min(self._left, len(self._buffer))
            del self._buffer[:drop]
            self._left -= drop
            if self._left:
                return False
            end = self._buffer.find(b"\r\n")
            if end < 0:
                return False
            size = _chunk_size(bytes(self._buffer[:end]))
            if size == 0:
                return self._drop_trailers(end)
            del self._buffer[: end + 2]
            self._left = size + 2

    def _drop_trailers(self, end: int) -> bool:
        """After the last chunk come trailers and an empty line."""
        stop = self._buffer.find(b"\r\n\r\n", end)
        if stop < 0:
            return False
        del self._buffer[: stop + 4]
        return True


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError as error:
        raise MalformedReplyError("a chunk has no size") from error


def parse_reply_head(text: str) -> Reply:
    """Status line and headers without the empty line.

    Raises: MalformedReplyError.
    """
    status_line, *lines = text.split("\r\n")
    parts = status_line.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or len(parts[1]) != 3 or not parts[1].isdigit():
        raise MalformedReplyError(f"not a status line: {status_line[:80]!r}")
    reply = Reply(int(parts[1]), {})
    for line in lines:
        name, _, value = line.partition(":")
        key = name.lower()
        if key == "set-cookie":
            reply.set_cookies.append(value.strip())
        else:
            reply.headers[key] = value.strip()
    connection = reply.headers.get("connection", "").lower()
    reply.keep_alive = "keep-alive" in connection if parts[0] == "HTTP/1.0" else "close" not in connection
    return reply
