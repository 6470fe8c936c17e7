"""The evidence of a release as one signed archive."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from productops.adapters.audit_anchors import is_signed, read_anchors, read_or_make_key
from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.usecases.release_bundle import make_bundle

MEDIA_TYPE = "application/zip"
router = APIRouter(tags=["release"])


@router.get(
    f"{BASE}/releases/{{release_id}}/bundle", operation_id="getReleaseBundle", dependencies=[allowed(Operation.BUNDLE_READ)],
    summary="Get the evidence of a release", response_class=Response,
    responses={200: {"description": "A ZIP archive.", "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}},
)  # fmt: skip
def show_bundle(release_id: Annotated[str, Path(max_length=64)], request: Request, context: ContextDep, actor: ActorDep) -> Response:
    """Statements, steps, looks of the judge, approvals and audit entries, signed; `productops bundle verify` checks it without us."""
    state = request.app.state
    key, folder = read_or_make_key(state.audit_key), state.anchor_folder.expanduser()
    anchors = [anchor for anchor in read_anchors(folder) if is_signed(anchor)] if folder.exists() else []
    archive = make_bundle(context, release_id, key, anchors, actor=actor)
    disposition = f'attachment; filename="release-{release_id}.zip"'
    return Response(archive, media_type=MEDIA_TYPE, headers={"Content-Disposition": disposition, "Cache-Control": "no-store"})
