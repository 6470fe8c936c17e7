"""The door for OTLP: log records and spans of services, unpacked within bounds, read in threads of their own."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from productops import telemetry
from productops.adapters.monitoring_otlp import Read, answer_of, read_logs, read_spans
from productops.api.access import allowed
from productops.api.conventions import BYTES_MAX
from productops.api.wiring import ActorDep
from productops.domain.governance_access import Operation
from productops.domain.monitoring_logs import LogOrigin
from productops.domain.monitoring_logs_resource import Resource
from productops.errors import ForbiddenError, NotFoundError, ProductOpsError, StoreUnavailableError
from productops.settings import Settings
from productops.usecases.context import Actor, Context
from productops.usecases.monitoring_logs_intake import LogIntake
from productops.usecases.monitoring_logs_places import Places
from productops.usecases.monitoring_traces_intake import SpanIntake
from productops.usecases.monitoring_traces_own import record_own_spans

log = structlog.get_logger(__name__)
BODY_BYTES: Final = 1_048_576
UNPACKED_BYTES: Final = 16 * 1_048_576
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
SETTLE_S: Final = 5.0
REASONS_MAX: Final = 3
router = APIRouter(tags=["monitoring"])
WRITE = [allowed(Operation.TELEMETRY_WRITE)]


@dataclass(slots=True)
class TelemetryDoor:
    """One for each program. Two threads take telemetry in and four read it, so that a flood keeps no other request waiting."""

    context: Context
    logs: LogIntake
    spans: SpanIntake
    places: Places
    writers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))

    @classmethod
    def of(cls, context: Context, settings: Settings) -> TelemetryDoor:
        """With the limits of the settings."""
        places = Places(context)
        logs = LogIntake(context, lines_per_s=settings.log_lines_per_s)
        return cls(context, logs, SpanIntake(context, places, spans_per_s=settings.trace_spans_per_s), places)


def install_telemetry(app: FastAPI, context: Context, settings: Settings) -> None:
    """Give the application its door."""
    app.state.telemetry = TelemetryDoor.of(context, settings)


def telemetry_door(app: Any) -> TelemetryDoor:
    """The door to the store that the application has now."""
    door: TelemetryDoor = app.state.telemetry
    if door.context is not app.state.context:
        door = app.state.telemetry = TelemetryDoor.of(app.state.context, app.state.settings)
    return door


@asynccontextmanager
async def telemetry_running(app: FastAPI, version: str) -> AsyncIterator[None]:
    """Record our own spans, and write edges of the call graph when no more spans come, as long as the application runs."""
    record_own_spans("api", lambda: app.state.context.store, version=version)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_settle, app)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(telemetry.turn_off)


async def _settle(app: FastAPI) -> None:
    while True:
        await anyio.sleep(SETTLE_S)
        door = telemetry_door(app)
        with suppress(StoreUnavailableError):  # they are written with the next ones
            await to_thread.run_sync(door.spans.settle, limiter=door.writers)


class _Origins:
    """Asks for each resource of a request where it belongs, and remembers what was refused and why."""

    def __init__(self, places: Places, actor: Actor) -> None:
        self._places, self._actor = places, actor
        self.reasons: dict[str, ProductOpsError] = {}

    def __call__(self, resource: Resource) -> LogOrigin | None:
        try:
            return self._places.origin(resource, self._actor)
        except (NotFoundError, ForbiddenError) as error:
            self.reasons[str(error)] = error
            return None

    def check(self, read: Read) -> str:
        """The message of a part that was refused. Raises: NotFoundError, ForbiddenError when that is all of it."""
        if self.reasons and not read.lines and not read.spans:
            raise next(iter(self.reasons.values()))
        return "; ".join(list(self.reasons)[:REASONS_MAX])


def _body(signal: str) -> dict[str, Any]:
    attributes = [{"key": "service.name", "value": {"stringValue": "storefront"}}]
    record = {"timeUnixNano": "1795224900000000000", "severityNumber": 17, "body": {"stringValue": "payment refused"}}
    span = {
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "GET /basket", "kind": 2,
        "startTimeUnixNano": "1795224900000000000", "endTimeUnixNano": "1795224900012000000",
    }  # fmt: skip
    inner = {"scopeLogs": [{"logRecords": [record]}]} if signal == "logs" else {"scopeSpans": [{"spans": [span]}]}
    name = "resourceLogs" if signal == "logs" else "resourceSpans"
    example = {name: [{"resource": {"attributes": attributes}, **inner}]}
    return {
        BYTES_MAX: BODY_BYTES,
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"type": "object"}, "example": example},
                PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
            },
        },
    }


_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Kept; `partialSuccess` says how many records were refused, and why.",
        "content": {JSON: {"schema": {"type": "object"}}, PROTOBUF: {"schema": {"type": "string", "format": "binary"}}},
    }
}  # fmt: skip


@router.post(
    "/v1/logs", operation_id="sendOtlpLogs", dependencies=WRITE, summary="Send log records (OTLP)", response_class=Response,
    responses=_ANSWER, openapi_extra=_body("logs"),
)  # fmt: skip
async def send_logs(request: Request, actor: ActorDep) -> Response:
    """As OpenTelemetry exporters send them: protobuf or JSON, gzip or plain, at most 1 MiB and 16 MiB unpacked.

    `service.name` has to be a service of the catalog, or `productops.venture` a venture; without `deployment.environment.name` they
    are of production.
    """
    door = telemetry_door(request.app)

    def keep(read: Read) -> None:
        door.logs.take(read.lines)

    return await _take(request, actor, door, "logs", keep)


@router.post(
    "/v1/traces", operation_id="sendOtlpTraces", dependencies=WRITE, summary="Send spans (OTLP)", response_class=Response,
    responses=_ANSWER, openapi_extra=_body("spans"),
)  # fmt: skip
async def send_spans(request: Request, actor: ActorDep) -> Response:
    """As OpenTelemetry exporters send them; all of them count for the call graph, and as many are kept as there is room for."""
    door = telemetry_door(request.app)

    def keep(read: Read) -> None:
        door.spans.take(read.spans)

    return await _take(request, actor, door, "spans", keep)


async def _take(request: Request, actor: Actor, door: TelemetryDoor, signal: str, keep: Callable[[Read], None]) -> Response:
    is_json = _is_json(request)
    body = await request.body()
    encoding = request.headers.get("content-encoding", "").strip().lower()

    def work() -> bytes:
        origins = _Origins(door.places, actor)
        reader = read_logs if signal == "logs" else read_spans
        received_us = int(door.context.clock.now().timestamp() * 1e6)
        read = reader(unpacked(body, encoding), is_json=is_json, origin_of=origins, received_us=received_us)
        message = origins.check(read)
        keep(read)
        return answer_of(read, message, is_json=is_json, signal=signal)

    answer = await to_thread.run_sync(work, limiter=door.writers)
    return Response(answer, media_type=JSON if is_json else PROTOBUF)


def _is_json(request: Request) -> bool:
    """Raises: HTTPException for another kind of body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {JSON, PROTOBUF}:
        raise HTTPException(415, f"Content-Type is {kind[:80]!r}; send {PROTOBUF} or {JSON}")
    return kind == JSON


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body without its compression. Raises: HTTPException when it is none that is known, broken, or becomes too much."""
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "deflate"}:
        raise HTTPException(415, f"Content-Encoding is {encoding[:40]!r}; send gzip, deflate, or none")
    unpacking = zlib.decompressobj(31 if encoding == "gzip" else 15)
    try:
        found = unpacking.decompress(body, UNPACKED_BYTES + 1)
    except zlib.error as error:
        raise HTTPException(400, f"the body is no {encoding} stream: {error}") from error
    if len(found) > UNPACKED_BYTES:
        raise HTTPException(413, f"unpacked, a body has at most {UNPACKED_BYTES:,} bytes")
    if not unpacking.eof or unpacking.unused_data:
        raise HTTPException(400, f"the body is no whole {encoding} stream")
    return found
