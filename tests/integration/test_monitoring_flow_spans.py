"""Spans of a real flow run and its tasks, by Prefect's own engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, uuid
from prefect import flow, task
from prefect.testing.utilities import prefect_test_harness
from prefect.client.schemas.objects import FlowRun
from opentelemetry import trace
from productops import telemetry
from engine.spans import _Provider, result_of, run_span

found = []
telemetry.set_up("flow", lambda spans, links: found.extend(spans))
trace.set_tracer_provider(_Provider())

@task
async def good(): return 1

@task
async def bad(): raise ValueError("no")

@flow(name="release")
async def release(service: str, version: str, release_id: str):
    await good()
    await bad()

async def main():
    given = {"service": "shop", "version": "2.0", "release_id": "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"}
    run = FlowRun(flow_id=uuid.uuid4(), parameters=given)
    with run_span("release", run) as span:
        state = await release(**given, return_state=True)
        span.put("cicd.pipeline.result", result_of(state))

with prefect_test_harness(server_startup_timeout=120):
    asyncio.run(main())
telemetry.flush()
for span in found:
    print("SPAN", span.name.split("-")[0], span.kind, span.error, span.subject, bool(span.parent_id), sorted(span.attributes)[:2],
          span.attributes.get("cicd.pipeline.result") or span.attributes.get("cicd.pipeline.task.run.result"))
"""


@pytest.mark.slow
def test_a_run_and_its_tasks_are_spans_of_the_release(tmp_path: Path):
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PRODUCTOPS_HOME": str(tmp_path / "home"),
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
    }
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=root, env=environment, capture_output=True, text=True, timeout=170, check=False
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("SPAN")]
    subject = "release/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"
    assert [line.split(" [")[0] for line in lines] == [
        f"SPAN good internal False {subject} True",
        f"SPAN bad internal True {subject} True",
        f"SPAN RUN release server False {subject} False",
    ], done.stderr[-2_000:]
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["success", "failure", "failure"]
