"""The door for OTLP metrics of services."""

from __future__ import annotations

from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from productops.adapters.monitoring_otlp_metrics import answer, read_request
from productops.api.access import allowed
from productops.api.conventions import BYTES_MAX
from productops.api.monitoring_logs_intake import BODY_BYTES, JSON, PROTOBUF, unpacked
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.usecases.context import Context
from productops.usecases.monitoring_logs_places import Places
from productops.usecases.monitoring_series_otlp import MetricsIntake, SentMetrics

WRITERS: Final = 2
router = APIRouter(tags=["monitoring"])
_ATTRIBUTES: Final = [{"key": "service.name", "value": {"stringValue": "storefront"}}]
_POINT: Final = {"timeUnixNano": "1795224900000000000", "asDouble": 3}
_EXAMPLE: Final = {
    "resourceMetrics": [
        {
            "resource": {"attributes": _ATTRIBUTES},
            "scopeMetrics": [{"metrics": [{"name": "queue.length", "gauge": {"dataPoints": [_POINT]}}]}],
        }
    ]
}
_BODY: Final[dict[str, Any]] = {
    BYTES_MAX: BODY_BYTES,
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"type": "object"}, "example": _EXAMPLE},
            PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
        },
    },
}
_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Kept; `partialSuccess` says how many points were refused, and why.",
        "content": {JSON: {"schema": {"type": "object"}}, PROTOBUF: {"schema": {"type": "string", "format": "binary"}}},
    }
}  # fmt: skip


class MetricsDoor:
    """One for each program. Two threads take metrics in, so that a flood of them keeps no other request waiting."""

    def __init__(self, context: Context) -> None:
        self.intake = MetricsIntake(context, Places(context))
        self.limiter = CapacityLimiter(WRITERS)


def install_otlp_metrics(app: FastAPI, context: Context) -> None:
    """Give the application its door."""
    app.state.otlp_metrics = MetricsDoor(context)


@router.post(
    "/v1/metrics", operation_id="sendOtlpMetrics", dependencies=[allowed(Operation.TELEMETRY_WRITE)], summary="Send metrics (OTLP)",
    response_class=Response, responses=_ANSWER, openapi_extra=_BODY,
)  # fmt: skip
async def send_metrics(request: Request, context: ContextDep, actor: ActorDep) -> Response:
    """As OpenTelemetry exporters send them: protobuf or JSON, gzip or plain, at most 1 MiB and 16 MiB unpacked.

    Levels are kept as they are. Sums that only rise become rates (`<name>_per_s`), histograms `_per_s`, `_mean`, `_p50`, `_p95` and
    `_p99`. `service.name` has to be a service of the catalog, or `productops.venture` a venture.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {JSON, PROTOBUF}:
        raise HTTPException(415, f"Content-Type is {kind[:80]!r}; send {PROTOBUF} or {JSON}")
    body = await request.body()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    door: MetricsDoor = request.app.state.otlp_metrics

    def work() -> bytes:
        as_json = kind == JSON
        found = read_request(unpacked(body, encoding), as_json=as_json, now=context.clock.now().timestamp())
        taken = door.intake.take([SentMetrics(each.attributes, each.samples) for each in found], actor=actor)
        return answer(rejected=taken.refused, reason=taken.message, as_json=as_json)

    return Response(await to_thread.run_sync(work, limiter=door.limiter), media_type=kind)
