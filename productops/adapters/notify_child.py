"""The process that sends one message: reads it from standard input, writes what went wrong to standard output."""

from __future__ import annotations

import json
import logging
import sys


class _Said(logging.Handler):
    """Keeps what apprise warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


def main() -> int:
    """0: sent; 1: not sent; 3: the address cannot be used; 4: apprise is not installed."""
    wanted = json.load(sys.stdin)
    try:
        import apprise
    except ImportError:
        print("apprise is not installed here; install productops[notify]")
        return 4
    said = _Said()
    logging.getLogger("apprise").addHandler(said)
    logging.getLogger("apprise").propagate = False
    sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="ProductOps", app_desc="ProductOps", async_mode=False))
    if not sender.add(wanted["address"]):
        print("apprise does not understand the address; see whether the secret holds a whole one, like ntfys://host/topic")
        return 3
    if sender.notify(title=wanted["subject"], body=wanted["text"]):
        return 0
    print("; ".join(said.lines[-3:]) or "the service refused it")
    return 1


if __name__ == "__main__":
    sys.exit(main())
