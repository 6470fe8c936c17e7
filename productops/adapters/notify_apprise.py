"""Messages by apprise: chat, telephone, push and a hundred services more, each attempt in a process of its own.

A plugin that blocks, crashes or writes what it should not ends with its process: after the time limit it is killed. The address goes
there by standard input, so that no list of processes shows it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Final
from urllib.parse import unquote

from productops.errors import DependencyError
from productops.redaction import BLANK, know_secrets, redact

_PART: Final = re.compile(r"[^A-Za-z0-9_-]+")
_PART_MIN: Final = 4
_SAID_MAX: Final = 300
_KILLED: Final = "did not end within {limit:g} s and was ended; it may have been sent"


class AppriseNotifier:
    """One process for each attempt. ``python`` runs it; the one that runs us, when left out."""

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python

    def notify(self, address: str, subject: str, text: str, *, timeout_s: float) -> None:
        """One attempt. Raises: DependencyError that says what apprise said, without the address."""
        know_secrets([address])
        command = [self._python, "-P", "-m", "productops.adapters.notify_child"]
        given = json.dumps({"address": address, "subject": subject, "text": text})
        try:
            done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise DependencyError(f"the message {_KILLED.format(limit=timeout_s)}", unsure=True) from error
        except OSError as error:
            raise DependencyError(f"the process that sends messages cannot be started: {error.strerror}") from error
        if done.returncode != 0:
            said = done.stdout.strip() or f"the process that sends messages ended with {done.returncode}"
            raise DependencyError(f"the message was not sent: {without(address, said)[:_SAID_MAX]}")


def without(address: str, text: str) -> str:
    """A text in which no part of an address is left but its scheme."""
    scheme, _, rest = address.partition("://")
    parts = {part for piece in (rest, unquote(rest)) for part in _PART.split(piece) if len(part) >= _PART_MIN}
    text = text.replace(address, f"{scheme}://{BLANK}")
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, BLANK)
    return redact(" ".join(text.split()))
