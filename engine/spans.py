"""Spans of flow runs and of their tasks, by OpenTelemetry's conventions for CI/CD.

Prefect asks OpenTelemetry's interface for spans of runs and tasks. Ours answers it, so that no task has to know. It gives Prefect none
of its own contexts: with one, Prefect would write it into each run by one more request.

Source: OpenTelemetry semantic conventions, "CICD spans" (cicd.pipeline.*, cicd.pipeline.task.*).
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, StatusCode, Tracer, TracerProvider
from prefect.client.schemas.objects import FlowRun

from blocks.installation import context, settings
from productops import telemetry
from productops.domain.release import Environment
from productops.usecases.monitoring_traces_own import record_own_spans

_PARAMETERS = ("service", "version", "venture", "environment")
_RESULTS = {"COMPLETED": "success", "FAILED": "failure", "CRASHED": "error", "CANCELLED": "cancellation", "CANCELLING": "cancellation"}


def record_run_spans() -> None:
    """In the process of a run, before its flow begins."""
    record_own_spans("flow", lambda: context().store)
    trace.set_tracer_provider(_Provider())


def run_span(flow_name: str, run: FlowRun) -> AbstractContextManager[telemetry.ActiveSpan]:
    """Around a flow: part of the trace of the release it is about."""
    given = run.parameters or {}
    release = given.get("release_id")
    named = str(given.get("environment") or "")
    attributes = {
        "cicd.pipeline.name": flow_name, "cicd.pipeline.run.id": str(run.id), "cicd.pipeline.action.name": "RUN",
        "cicd.pipeline.run.url.full": f"{settings().prefect_ui_url}/runs/flow-run/{run.id}",
        "deployment.environment.name": named or None, "deployment.id": str(release) if release else None,
        "deployment.name": str(given["service"]) if given.get("service") else None,
        "vcs.ref.head.name": str(given["version"]) if given.get("version") else None,
    }  # fmt: skip
    where = Environment(named) if named in {each.value for each in Environment} else Environment.PRODUCTION
    return telemetry.span(
        f"RUN {flow_name}", kind="server", subject=f"release/{release}" if release else "", venture=str(given.get("venture") or ""),
        environment=where, attributes=attributes,
    )  # fmt: skip


def result_of(state: Any) -> str:
    """How a run ended, in the words of the conventions."""
    return _RESULTS.get(str(getattr(getattr(state, "type", None), "value", "")), "error")


class _TaskSpan(NonRecordingSpan):
    """What Prefect tells of a task, kept until it ends."""

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)
        self._name = name
        self._attributes = attributes
        self._began_us, self._began = time.time_ns() // 1_000, time.perf_counter()
        self._error = ""

    def is_recording(self) -> bool:
        """Yes."""
        return True

    def update_name(self, name: str) -> None:
        """Tasks are named when they run."""
        self._name = name

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Only a failure matters."""
        if getattr(status, "status_code", status) is StatusCode.ERROR:
            self._error = str(getattr(status, "description", None) or description or "failed")

    def record_exception(self, exception: BaseException, *_: Any, **__: Any) -> None:
        """How it failed."""
        self._attributes["error.type"] = type(exception).__name__

    def end(self, end_time: int | None = None) -> None:  # noqa: ARG002 - our own clock says how long it took
        """Hand it on. The run itself has a span of ours."""
        if self._attributes.get("prefect.run.type") != "task":
            return
        telemetry.emit(
            self._name, started_us=self._began_us, duration_us=int((time.perf_counter() - self._began) * 1e6), error=self._error,
            attributes={
                "cicd.pipeline.task.name": self._name, "cicd.pipeline.task.run.id": self._attributes.get("prefect.run.id"),
                "cicd.pipeline.task.run.result": "failure" if self._error else "success", "error.type": self._attributes.get("error.type"),
            },
        )  # fmt: skip


class _Tracer(Tracer):
    """Makes them."""

    def start_span(self, name: str, *_: Any, attributes: Any = None, **__: Any) -> Any:
        """As OpenTelemetry's interface has it."""
        return _TaskSpan(name, dict(attributes or {}))

    def start_as_current_span(self, name: str, *_: Any, attributes: Any = None, **__: Any) -> Any:
        """The same around a block."""
        return trace.use_span(self.start_span(name, attributes=attributes), end_on_exit=True)


class _Provider(TracerProvider):
    """Gives the one there is."""

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        """Whatever asks."""
        return _Tracer()
