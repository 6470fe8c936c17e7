"""The door for webhooks: POST /webhooks/{source}. It keeps what comes and answers at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, FastAPI, Path, Request, Response
from pydantic import BaseModel, Field

from productops.api.wiring import ContextDep
from productops.usecases.governance_webhooks import Refusals, Taken, receive

PREFIX = "/webhooks"
AT_ONCE = 16
router = APIRouter(tags=["webhooks"])


@dataclass(slots=True)
class WebhookDoor:
    """What all requests share: threads of their own, so that a flood of webhooks keeps no other request waiting, and who was refused."""

    refusals: Refusals = field(default_factory=Refusals)
    news: threading.Event = field(default_factory=threading.Event)
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))


def install_webhooks(app: FastAPI) -> None:
    """Give the application its door for webhooks."""
    app.state.webhooks = WebhookDoor()


class TakenOut(BaseModel):
    """What became of the request."""

    id: str = Field(description="Id of the delivery; `productops webhooks show` tells what it meant.")
    status: str = Field(description="`accepted`, or `already received`: the same delivery came before, and nothing is done again.")


@router.post(
    f"{PREFIX}/{{source}}", operation_id="receiveWebhook", status_code=202, summary="Send a webhook",
    responses={200: {"model": TakenOut, "description": "It came before; nothing is done again."}},
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {}}}, "required": True}},
)  # fmt: skip
async def receive_webhook(
    source: Annotated[str, Path(max_length=63, pattern=r"^[a-z0-9-]+$", description="Name of the source in the catalog.")],
    request: Request, response: Response, context: ContextDep,
) -> TakenOut:  # fmt: skip
    """Kept as it is, at most 1 MiB, once its signature or token is found good; worked out within a second or so, whatever it means.

    It needs no token of ours: each kind of source proves itself as its provider does.
    """
    body = await request.body()
    door: WebhookDoor = request.app.state.webhooks
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]

    def take() -> Taken:
        return receive(context, source, headers, body, refusals=door.refusals)

    taken = await to_thread.run_sync(take, limiter=door.limiter)
    door.news.set()
    if taken.repeated:
        response.status_code = 200
    return TakenOut(id=taken.id, status="already received" if taken.repeated else "accepted")
