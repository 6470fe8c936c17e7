"""Routes of status pages: what people publish, and the public page as HTML, JSON, Atom and RSS."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response

from productops.api.access import STATUS_PATH, allowed
from productops.api.incident_oncall_schemas import ReasonIn
from productops.api.incident_status_html import CSP, atom_feed, page_html, rss_feed
from productops.api.incident_status_schemas import (
    PublishedList,
    PublishedOut,
    PublishIn,
    StatusPageList,
    StatusPageOut,
    StatusSummaryOut,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.incident_status_page import PublicPage
from productops.errors import NotFoundError
from productops.usecases import incident_status_page
from productops.usecases.context import Context
from productops.usecases.incident_status_page import UpdateWish

PAGES = f"{BASE}/status-pages"
FRESH_S: Final = 5.0
PAGES_MAX: Final = 200
router = APIRouter(tags=["oncall"])
READ = [allowed(Operation.INCIDENT_READ)]
PUBLISH = [allowed(Operation.STATUS_PUBLISH)]
IncidentId = Annotated[str, Path(max_length=80, description="Id of the incident.")]
PageName = Annotated[str, Path(max_length=63, description="Name of the status page.")]
_PUBLIC: Final = {"Content-Security-Policy": CSP, "Cache-Control": f"public, max-age={FRESH_S:g}"}
_HTML: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/html": {}}}}


@dataclass(slots=True)
class _Cache:
    """Made pages for some seconds: a page that everybody looks at in an outage costs the database next to nothing."""

    made: dict[str, tuple[float, PublicPage | None]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def page(self, context: Context, name: str) -> PublicPage | None:
        """None for what is not there; that is remembered as well."""
        with self.lock:  # one asks, the others wait for its answer
            known = self.made.get(name)
            if known is not None and time.monotonic() - known[0] < FRESH_S:
                return known[1]
            try:
                found = incident_status_page.public_status_page(context, name)
            except NotFoundError:
                found = None
            if len(self.made) >= PAGES_MAX:
                self.made.clear()
            self.made[name] = (time.monotonic(), found)
            return found


def _public(request: Request, context: Context, name: str) -> PublicPage:
    """The page, where this installation serves pages to anybody. Raises: NotFoundError, the same for what is not there and not served."""
    state = request.app.state
    if not state.settings.status_pages:
        raise NotFoundError("there is no such page here")
    if not hasattr(state, "status_cache"):
        state.status_cache = _Cache()
    cache: _Cache = state.status_cache
    found = cache.page(context, name)
    if found is None:
        raise NotFoundError("there is no such page here")
    return found


def _address(request: Request, page: PublicPage) -> str:
    return page.url or str(request.url.replace(path=f"{STATUS_PATH}/{page.name}/", query=""))


@router.get(PAGES, operation_id="listStatusPages", dependencies=READ, summary="Status pages")
def pages(context: ContextDep, actor: ActorDep) -> StatusPageList:
    """Those the catalog declares."""
    return StatusPageList(items=[StatusPageOut.of(each) for each in incident_status_page.list_status_pages(context, actor=actor)])


@router.get(f"{PAGES}/{{name}}", operation_id="getStatusPage", dependencies=READ, summary="A status page as users would see it")
def preview(name: PageName, context: ContextDep, actor: ActorDep) -> StatusSummaryOut:
    """Also where nobody outside may read it."""
    return StatusSummaryOut.of(incident_status_page.read_status_page(context, name, actor=actor))


@router.get(
    f"{PAGES}/{{name}}/preview", operation_id="previewStatusPage", dependencies=READ, summary="The same as HTML", response_class=Response,
    responses=_HTML,
)  # fmt: skip
def preview_html(name: PageName, context: ContextDep, actor: ActorDep) -> Response:
    """The page itself."""
    found = incident_status_page.read_status_page(context, name, actor=actor)
    return Response(page_html(found), media_type="text/html", headers={"Content-Security-Policy": CSP})


@router.post(
    f"{BASE}/incidents/{{incident_id}}/updates", operation_id="publishIncidentUpdate", dependencies=PUBLISH, status_code=201,
    summary="Publish words for users",
)  # fmt: skip
def publish(incident_id: IncidentId, body: PublishIn, context: ContextDep, actor: ActorDep) -> PublishedOut:
    """On the venture's status page, and to customers' channels. Nothing of the incident itself is published."""
    wish = UpdateWish(body.text, body.status, body.page, body.impact, body.title, tuple(body.components))
    return PublishedOut.of(incident_status_page.publish_update(context, incident_id, wish, actor=actor))


@router.get(
    f"{BASE}/incidents/{{incident_id}}/updates", operation_id="listIncidentUpdates", dependencies=READ, summary="What was published"
)
def updates(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> PublishedList:
    """Oldest first, with what was taken back."""
    return PublishedList(items=[PublishedOut.of(each) for each in incident_status_page.list_updates(context, incident_id, actor=actor)])


@router.post(
    f"{BASE}/incident-updates/{{update_id}}/retract", operation_id="retractIncidentUpdate", dependencies=PUBLISH, summary="Take words back"
)
def retract(
    update_id: Annotated[str, Path(max_length=64, description="Id of the update.")], body: ReasonIn, context: ContextDep, actor: ActorDep
) -> PublishedOut:
    """Off the page; what channels were told stays told."""
    return PublishedOut.of(incident_status_page.retract_update(context, update_id, reason=body.reason, actor=actor))


@router.get(f"{STATUS_PATH}/{{name}}/", include_in_schema=False)
def public_html(name: PageName, request: Request, context: ContextDep) -> Response:
    """For everybody, where PRODUCTOPS_STATUS_PAGES says so. Raises: NotFoundError."""
    return Response(page_html(_public(request, context, name)), media_type="text/html", headers=_PUBLIC)


@router.get(f"{STATUS_PATH}/{{name}}", include_in_schema=False)
def public_without_slash(name: PageName, request: Request, context: ContextDep) -> Response:
    """Its links are relative. Raises: NotFoundError."""
    found = _public(request, context, name)
    return Response(status_code=308, headers={"Location": f"{STATUS_PATH}/{found.name}/"})


@router.get(f"{STATUS_PATH}/{{name}}/summary.json", include_in_schema=False)
def public_json(name: PageName, request: Request, context: ContextDep) -> Response:
    """Raises: NotFoundError."""
    found = StatusSummaryOut.of(_public(request, context, name))
    return Response(found.model_dump_json(), media_type="application/json", headers=_PUBLIC | {"Access-Control-Allow-Origin": "*"})


@router.get(f"{STATUS_PATH}/{{name}}/feed.atom", include_in_schema=False)
def public_atom(name: PageName, request: Request, context: ContextDep) -> Response:
    """Raises: NotFoundError."""
    found = _public(request, context, name)
    return Response(atom_feed(found, _address(request, found)), media_type="application/atom+xml", headers=_PUBLIC)


@router.get(f"{STATUS_PATH}/{{name}}/feed.rss", include_in_schema=False)
def public_rss(name: PageName, request: Request, context: ContextDep) -> Response:
    """Raises: NotFoundError."""
    found = _public(request, context, name)
    return Response(rss_feed(found, _address(request, found)), media_type="application/rss+xml", headers=_PUBLIC)
