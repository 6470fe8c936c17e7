"""A small HTTP server in a thread whose answers a test decides, for adapters of outside systems."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What is answered: JSON, unless ``raw`` is given."""

    status: int = 200
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


Answers = Callable[[Request], Reply]


@dataclass
class Server:
    """Where it listens and what it was asked."""

    url: str
    port: int
    answer: Answers
    requests: list[Request] = field(default_factory=list)


@contextmanager
def answering(answer: Answers) -> Iterator[Server]:
    """Serve on loopback for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            request = Request(self.command, parts.path, query, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length))
            server.requests.append(request)
            reply = server.answer(request)
            body = reply.raw if reply.raw is not None else json.dumps(reply.document).encode()
            self.send_response(reply.status)
            for name, value in {"content-type": "application/json", "content-length": str(len(body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815

        def log_message(self, *_: Any) -> None:
            return

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    server = Server(f"http://127.0.0.1:{httpd.server_port}", httpd.server_port, answer)
    thread = threading.Thread(target=lambda: httpd.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(5)
