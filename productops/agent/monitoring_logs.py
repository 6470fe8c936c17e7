"""``python -m productops.agent.monitoring_logs``: collects the output of the instances on this machine, and forgets what is old.

A process of its own: reading thousands of lines a second must not hold up who moves traffic or who looks for trouble.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta

import structlog

from productops.errors import ProductOpsError, StoreUnavailableError
from productops.logs import set_up_logs
from productops.settings import Settings, load_settings
from productops.store import Store
from productops.usecases.context import Context
from productops.usecases.monitoring_logs_collect import LogCollector
from productops.usecases.monitoring_logs_intake import LogIntake
from productops.usecases.monitoring_logs_tidy import forget_old_logs, forget_old_spans

log = structlog.get_logger("logs")
TURN_S = 0.5
IDLE_TURN_S = 1.0
TIDY_S = 60.0
AGAIN_S = 2.0
NICE = 5


class _Silent:
    """Nothing here changes what routers do."""

    def ring(self) -> None:
        """Nothing."""


def main() -> int:
    """Until SIGTERM or SIGINT."""
    settings = load_settings()
    set_up_logs(settings, program="logs")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with suppress(OSError):
        os.nice(NICE)
    context = Context(store=Store(settings.sqlalchemy_url), doorbell=_Silent(), lease_ttl_s=settings.lease_ttl_s)
    ready = settings.home / "run" / "logs.ready"
    ready.parent.mkdir(parents=True, exist_ok=True)
    ready.write_text(str(os.getpid()))
    try:
        serve(context, settings, stopping)
    except ProductOpsError as error:
        log.error("logs are not collected", reason=str(error))
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    finally:
        context.store.close()
    return 0


def serve(context: Context, settings: Settings, stopping: threading.Event) -> None:
    """Turn after turn; a database that does not answer is waited for."""
    collector = LogCollector(context, LogIntake(context, lines_per_s=settings.log_lines_per_s))
    tidied = float("-inf")
    while not stopping.is_set():
        try:
            found = collector.turn() if settings.log_collect else 0
            if time.monotonic() - tidied > TIDY_S:
                tidied = time.monotonic()
                _tidy(context, settings)
        except StoreUnavailableError as error:
            log.warning("logs wait for the database", reason=str(error))
            stopping.wait(AGAIN_S)
            continue
        stopping.wait(TURN_S if found else IDLE_TURN_S)


def _tidy(context: Context, settings: Settings) -> None:
    chunks = forget_old_logs(context, keep=timedelta(days=settings.log_retention_days), bytes_max=settings.log_mb * 1_048_576)
    spans = forget_old_spans(context, keep=timedelta(days=settings.trace_retention_days))
    if chunks or spans:
        log.info("old logs and spans forgotten", chunks=chunks, spans=spans)


if __name__ == "__main__":
    sys.exit(main())
