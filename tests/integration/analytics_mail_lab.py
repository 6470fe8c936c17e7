"""A mail server on loopback that speaks enough SMTP, keeps what it gets, and fails as a test wants."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import cast


@dataclass
class MailServer:
    """``refuse``: recipients it does not take; ``hang_up_after_data``: so many mails are kept, and the line is cut without an answer."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    hang_up_after_data: int = 0


@contextmanager
def mail_server() -> Iterator[MailServer]:
    kept = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            to = ""
            self.say("220 lab")
            while line := self.rfile.readline().decode().strip():
                verb = line[:4].upper()
                if verb == "EHLO":
                    self.say("250 lab")
                elif verb == "RCPT":
                    to = line.partition("<")[2].rstrip(">")
                    self.say("550 no such person" if to in kept.refuse else "250 ok")
                elif verb == "DATA":
                    self.say("354 go on")
                    if not self.take(to):
                        return
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

        def take(self, to: str) -> bool:
            data = b""
            while (part := self.rfile.readline()) not in {b".\r\n", b""}:
                data += part.removeprefix(b".") if part.startswith(b"..") else part
            kept.letters.append(cast("EmailMessage", message_from_bytes(data, policy=default)))
            kept.recipients.append(to)
            if kept.hang_up_after_data:
                kept.hang_up_after_data -= 1
                return False
            self.say("250 taken")
            return True

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join(5)
