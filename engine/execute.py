"""``python -m engine.execute``: what a Prefect worker of our pool starts for a run. It claims the run, then is Prefect's own engine.

Claimed here, a second execution never calls the run RUNNING. The id is in ``PREFECT__FLOW_RUN_ID``, as Prefect's engine wants it.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
from uuid import UUID

import structlog
from prefect.exceptions import PrefectException

from productops.errors import ProductOpsError
from tasks.claims import claim

log = structlog.get_logger("execute")
REFUSED = 0
"""Exit code of a process whose run another one carries out: for the worker nothing went wrong."""


def main() -> int:
    """Exit code; Prefect's engine ends the process itself when it fails."""
    text = os.environ.get("PREFECT__FLOW_RUN_ID", "")
    try:
        flow_run_id = UUID(text)
    except ValueError:
        log.error("PREFECT__FLOW_RUN_ID names no flow run; only a Prefect worker starts this program", value=text)
        return 64
    try:
        if not asyncio.run(claim(flow_run_id)):
            return REFUSED
    except (ProductOpsError, PrefectException, OSError) as error:
        log.error("run not claimed, so not executed", flow_run_id=text, reason=f"{type(error).__name__}: {error}")
        return 75
    sys.argv = sys.argv[:1]
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
