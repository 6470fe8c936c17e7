"""A flow that leaves one line a time it is executed."""

from __future__ import annotations

import asyncio
import os

from prefect import flow, runtime

from tasks import claims


@flow(name="counted", persist_result=False)
async def counted(file: str, hold_s: float = 0.1) -> None:
    """Append run and process to ``file``, then take ``hold_s`` seconds."""
    await claims.enter()
    line = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(line, f"{runtime.flow_run.id} {os.getppid()}\n".encode())
    os.close(line)
    await asyncio.sleep(hold_s)
