"""Routes of post-mortems: draft, read as JSON, Markdown or HTML, edit, publish, versions; and the tasks that follow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Response

from productops.api.access import allowed
from productops.api.conventions import BYTES_MAX
from productops.api.incident_postmortem_schemas import (
    DraftIn,
    EditIn,
    PostmortemList,
    PostmortemOut,
    PostmortemSummaryOut,
    PostmortemVersionList,
    PostmortemVersionOut,
    PublishPostmortemIn,
    TaskChangeIn,
    TaskIn,
    TaskList,
    TaskOut,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.incident_postmortem import PostmortemState, TaskFilter
from productops.usecases import incident_postmortem, incident_postmortem_tasks
from productops.usecases.incident_postmortem import PostmortemEdit
from productops.usecases.incident_postmortem_tasks import TaskChange, TaskWish

ONE = f"{BASE}/incidents/{{incident_id}}/postmortem"
EDIT_BYTES_MAX: Final = 900_000
CSP: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
router = APIRouter(tags=["oncall"])
READ = [allowed(Operation.INCIDENT_READ)]
RESPOND = [allowed(Operation.INCIDENT_RESPOND)]
IncidentId = Annotated[str, Path(max_length=80, description="Id of the incident.")]
TaskId = Annotated[str, Path(max_length=64, description="Id of the task.")]
_MARKDOWN: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/markdown": {}}}}
_HTML: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/html": {}}}}


@router.get(f"{BASE}/postmortems", operation_id="listPostmortems", dependencies=READ, summary="Post-mortems, newest first")
def list_postmortems(
    context: ContextDep, actor: ActorDep, state: PostmortemState | None = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Most items.")] = 100,
) -> PostmortemList:  # fmt: skip
    """Drafts, published ones, or both."""
    found = incident_postmortem.list_postmortems(context, state=state, limit=limit, actor=actor)
    return PostmortemList(items=[PostmortemSummaryOut.model_validate(each) for each in found])


@router.post(ONE, operation_id="draftPostmortem", dependencies=RESPOND, summary="Write the draft")
def draft(incident_id: IncidentId, body: DraftIn, context: ContextDep, actor: ActorDep) -> PostmortemOut:
    """From stored rows: timeline, impact, causes, times, what worked. One that people edited stays, unless `again`."""
    return PostmortemOut.of(incident_postmortem.draft_postmortem(context, incident_id, again=body.again, actor=actor))


@router.get(ONE, operation_id="getPostmortem", dependencies=READ, summary="Read a post-mortem")
def show(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> PostmortemOut:
    """The present text, and the facts it was drafted from."""
    return PostmortemOut.of(incident_postmortem.read_postmortem(context, incident_id, actor=actor))


@router.get(
    f"{ONE}/markdown", operation_id="getPostmortemMarkdown", dependencies=READ, summary="The text alone", response_class=Response,
    responses=_MARKDOWN,
)  # fmt: skip
def markdown(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> Response:
    """Markdown."""
    found = incident_postmortem.read_postmortem(context, incident_id, actor=actor)
    return Response(found.text, media_type="text/markdown")


@router.get(
    f"{ONE}/html",
    operation_id="getPostmortemHtml",
    dependencies=READ,
    summary="The text as a page",
    response_class=Response,
    responses=_HTML,
)
def html(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> Response:
    """HTML without scripts; HTML within the text is shown, not interpreted."""
    from productops.adapters.notify_page import markdown_page

    found = incident_postmortem.read_postmortem(context, incident_id, actor=actor)
    page = markdown_page(found.title, found.text)
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": CSP})


@router.post(
    f"{ONE}/text",
    operation_id="editPostmortem",
    dependencies=RESPOND,
    summary="Write another text",
    openapi_extra={BYTES_MAX: EDIT_BYTES_MAX},
)
def edit(incident_id: IncidentId, body: EditIn, context: ContextDep, actor: ActorDep) -> PostmortemOut:
    """The text before stays among the versions."""
    wish = PostmortemEdit(body.text, body.revision, body.title)
    return PostmortemOut.of(incident_postmortem.edit_postmortem(context, incident_id, wish, actor=actor))


@router.post(f"{ONE}/publish", operation_id="publishPostmortem", dependencies=RESPOND, summary="Publish it")
def publish(incident_id: IncidentId, body: PublishPostmortemIn, context: ContextDep, actor: ActorDep) -> PostmortemOut:
    """Others may rely on it; it can still be corrected."""
    return PostmortemOut.of(incident_postmortem.publish_postmortem(context, incident_id, revision=body.revision, actor=actor))


@router.get(f"{ONE}/versions", operation_id="listPostmortemVersions", dependencies=READ, summary="Every text it had")
def versions(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> PostmortemVersionList:
    """Newest first."""
    found = incident_postmortem.list_versions(context, incident_id, actor=actor)
    return PostmortemVersionList(items=[PostmortemVersionOut.of(each) for each in found])


@router.post(
    f"{BASE}/incidents/{{incident_id}}/tasks", operation_id="addIncidentTask", dependencies=RESPOND, status_code=201, summary="Make a task"
)
def add_task(incident_id: IncidentId, body: TaskIn, context: ContextDep, actor: ActorDep) -> TaskOut:
    """Something that has to be done because of an incident."""
    wish = TaskWish(body.title, body.owner or None, body.due_day, body.body)
    return TaskOut.of(incident_postmortem_tasks.add_task(context, incident_id, wish, actor=actor), today=datetime.now(UTC).date())


@router.get(f"{BASE}/incident-tasks", operation_id="listIncidentTasks", dependencies=READ, summary="Tasks of incidents")
def tasks(
    context: ContextDep, actor: ActorDep,
    venture: Annotated[str | None, Query(max_length=63, description="Of this venture only.")] = None,
    incident: Annotated[str | None, Query(max_length=80, description="Of this incident only.")] = None,
    owner: Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$", description="Of this person only.")] = None,
    state: Literal["open", "done"] | None = None,
    *,
    overdue: Annotated[bool, Query(description="Only open ones whose day is over.")] = False,
    limit: Annotated[int, Query(ge=1, le=500, description="Most items.")] = 200,
) -> TaskList:  # fmt: skip
    """Those due first come first."""
    wanted = TaskFilter(frozenset({venture}) if venture else None, incident, owner, state)
    found = incident_postmortem_tasks.list_tasks(context, wanted, overdue=overdue, limit=limit, actor=actor)
    today = datetime.now(UTC).date()
    return TaskList(items=[TaskOut.of(each, today=today) for each in found])


@router.post(
    f"{BASE}/incident-tasks/{{task_id}}", operation_id="changeIncidentTask", dependencies=RESPOND, summary="Finish or change a task"
)
def change_task(task_id: TaskId, body: TaskChangeIn, context: ContextDep, actor: ActorDep) -> TaskOut:
    """What is left out stays."""
    wish = TaskChange(body.state, body.owner, body.due_day)
    return TaskOut.of(incident_postmortem_tasks.change_task(context, task_id, wish, actor=actor), today=datetime.now(UTC).date())
