"""A service that asks for a flag of its user over OFREP and says in each answer what came out; who cannot be asked has the default."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import random
import signal
import sys
import threading
from http.cookies import SimpleCookie
from pathlib import Path

FLAG = "new-checkout"
LOCAL = threading.local()


def home() -> Path:
    """The installation that started this instance."""
    return Path(os.environ["PRODUCTOPS_INSTANCE_HOME"])


def evaluated(user: str) -> str:
    """The variant of a user."""
    try:
        if not hasattr(LOCAL, "connection"):
            port = json.loads((home() / "run" / "stack.json").read_text(encoding="utf-8"))["settings"]["port_base"]
            LOCAL.connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=2)
            LOCAL.token = (home() / "token").read_text(encoding="utf-8").strip()
        headers = {"content-type": "application/json", "authorization": f"Bearer {LOCAL.token}"}
        body = json.dumps({"context": {"targetingKey": user}})
        LOCAL.connection.request("POST", f"/ofrep/v1/evaluate/flags/{FLAG}", body, headers)
        return str(json.loads(LOCAL.connection.getresponse().read())["variant"])
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        if hasattr(LOCAL, "connection"):
            LOCAL.connection.close()
            del LOCAL.connection
        return "off"


class Handler(http.server.BaseHTTPRequestHandler):
    """Every page is the same."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer; the user is who the router's cookie says."""
        self.send_response(200)
        if self.path != "/healthz":
            cookie = SimpleCookie(self.headers.get("cookie", "")).get("po-uid")
            user = cookie.value if cookie is not None else str(random.random())
            self.send_header("x-productops-exposure", f"{FLAG}={evaluated(user)}")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_POST(self) -> None:
        """Orders are taken as pages are shown."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def main() -> None:
    """Serve until asked to end."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
