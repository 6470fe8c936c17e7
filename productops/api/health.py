"""Whether this program serves; answered without a token, and without a word of the inside."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from productops.api.wiring import ContextDep
from productops.errors import StoreUnavailableError
from productops.usecases.context import Context

router = APIRouter(tags=["monitoring"])


class HealthOut(BaseModel):
    """The process runs and its database answers."""

    status: Literal["ok"] = "ok"


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", operation_id="getHealth", summary="Is it alive?")
def healthz(context: ContextDep) -> HealthOut:
    """200 while the process runs and the database answers."""
    _ask_store(context)
    return HealthOut()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", operation_id="getReadiness", summary="Can it work?")
def readyz(request: Request, context: ContextDep) -> HealthOut:
    """200 when the database answers, too, and has the schema this version needs."""
    _ask_store(context)
    if not request.app.state.schema_checked:
        from productops.store.migrate import current, head  # Alembic, for one question in the life of this program

        try:
            found = current(request.app.state.database_url)
        except StoreUnavailableError as error:
            raise StoreUnavailableError("the database does not answer") from error
        if found != head():
            raise StoreUnavailableError("the database's schema is not the one this version needs; `productops up` brings it up to date")
        request.app.state.schema_checked = True
    return HealthOut()


def _ask_store(context: Context) -> None:
    try:
        with context.store.read() as unit:
            unit.releases.count_active()
    except StoreUnavailableError as error:
        raise StoreUnavailableError("the database does not answer") from error
