"""The API shows that it lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI

from productops.agent.election import machine_name
from productops.domain.monitoring_processes import process_name
from productops.settings import Settings
from productops.usecases.monitoring_processes import ProcessBeats


@asynccontextmanager
async def process_seen(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """As long as it serves: a row that the watch looks at."""
    beats = ProcessBeats(app.state.context, "api", process_name("api", machine_name(), settings.port_base))
    beats.start()
    try:
        yield
    finally:
        await to_thread.run_sync(beats.end)
