"""Routes of insights about use: list, read with all figures, picture, accept, dismiss, look now, nights, tasks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from productops.api import paging
from productops.api.access import allowed
from productops.api.analytics_insights_schemas import (
    AcceptInsightIn,
    AnalyticsInsightDetail,
    AnalyticsInsightOut,
    AnalyticsInsightPage,
    DismissInsightIn,
    HelpedOut,
    InsightNightList,
    InsightNightOut,
    InsightReportOut,
    InsightTaskList,
    InsightTaskOut,
    LookWish,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.analytics_insight import AnalyticsInsightKind, AnalyticsInsightState
from productops.domain.governance_access import Operation
from productops.store.analytics_insights import AnalyticsInsightFilter
from productops.usecases import analytics_insight_decide, analytics_insight_read
from productops.usecases.analytics_insight_decide import Acceptance

INSIGHTS = f"{BASE}/insights"
router = APIRouter(tags=["analytics"])
READ = [allowed(Operation.ANALYTICS_READ)]
DECIDE = [allowed(Operation.INSIGHT_DECIDE)]
WRITE = [allowed(Operation.ANALYTICS_WRITE)]
InsightId = Annotated[str, Path(max_length=64, description="Id of the insight.")]
VentureName = Annotated[str, Path(max_length=63, description="Name of the venture.")]
Text = Query(max_length=255, pattern=r"^[^\x00]*$")


@router.get(INSIGHTS, operation_id="listAnalyticsInsights", dependencies=READ, summary="List insights, newest first")
def list_insights(
    context: ContextDep, actor: ActorDep,
    venture: Annotated[str | None, Text] = None,
    feature: Annotated[str | None, Text] = None,
    kind: AnalyticsInsightKind | None = None,
    state: Annotated[list[AnalyticsInsightState] | None, Query(description="Any of these; nothing: all.")] = None,
    limit: paging.Limit = 50, after: paging.After = None,
) -> AnalyticsInsightPage:  # fmt: skip
    """Filters are exact and can be combined; `helped` says how many accepted ones did what they promised."""
    wanted = AnalyticsInsightFilter(venture, feature, kind, tuple(state or ()))
    found = analytics_insight_read.list_insights(context, wanted, after=paging.decode_id(after), limit=limit, actor=actor)
    following = paging.encode(found.following) if found.following is not None else None
    return AnalyticsInsightPage(
        items=[AnalyticsInsightOut.of(each) for each in found.items], next=following, helped=HelpedOut.of(found.helped)
    )  # fmt: skip


@router.get(f"{INSIGHTS}/{{insight_id}}", operation_id="getAnalyticsInsight", dependencies=READ, summary="Read an insight")
def read_insight(insight_id: InsightId, context: ContextDep, actor: ActorDep) -> AnalyticsInsightDetail:
    """With the rows that every figure comes from."""
    return AnalyticsInsightDetail.of(analytics_insight_read.read_insight(context, insight_id, actor=actor))


@router.get(
    f"{INSIGHTS}/{{insight_id}}/picture", operation_id="drawAnalyticsInsight", dependencies=READ, summary="An insight as a picture",
    response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}},
)  # fmt: skip
def draw(insight_id: InsightId, context: ContextDep, actor: ActorDep) -> Response:
    """SVG: the days, what was expected of them, and since when they are apart."""
    from productops.adapters.analytics_insight_picture import draw_insight

    found = analytics_insight_read.read_insight(context, insight_id, actor=actor)
    return Response(draw_insight(found), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


@router.post(f"{INSIGHTS}/{{insight_id}}/accept", operation_id="acceptAnalyticsInsight", dependencies=DECIDE, summary="Accept an insight")
def accept(insight_id: InsightId, body: AcceptInsightIn, context: ContextDep, actor: ActorDep) -> AnalyticsInsightDetail:
    """Make the task, change the flag (proposed where that needs approval), or roll the release back. Its effect is measured later."""
    wish = Acceptance(body.action, body.reason, body.after_days)
    return AnalyticsInsightDetail.of(analytics_insight_decide.accept_insight(context, insight_id, wish, actor=actor))


@router.post(
    f"{INSIGHTS}/{{insight_id}}/dismiss", operation_id="dismissAnalyticsInsight", dependencies=DECIDE, summary="Dismiss an insight"
)
def dismiss(insight_id: InsightId, body: DismissInsightIn, context: ContextDep, actor: ActorDep) -> AnalyticsInsightDetail:
    """With a reason. It comes back when it is twice as large."""
    return AnalyticsInsightDetail.of(analytics_insight_decide.dismiss_insight(context, insight_id, reason=body.reason, actor=actor))


@router.post(f"{INSIGHTS}/{{insight_id}}/finish", operation_id="finishAnalyticsInsight", dependencies=DECIDE, summary="Its task is done")
def finish(insight_id: InsightId, context: ContextDep, actor: ActorDep) -> AnalyticsInsightDetail:
    """The effect is measured on its day all the same."""
    return AnalyticsInsightDetail.of(analytics_insight_decide.finish_insight_task(context, insight_id, actor=actor))


@router.post(f"{BASE}/insight-nights/{{venture}}", operation_id="lookForInsights", dependencies=WRITE, summary="Look at a day now")
def look(venture: VentureName, body: LookWish, context: ContextDep, actor: ActorDep) -> InsightReportOut:
    """As the nightly flow does. A day is looked at once: a second time shows what the first one found, and spends nothing."""
    from productops.usecases.analytics_insight_find import find_insights  # brings the numerics

    return InsightReportOut.of(find_insights(context, venture, body.day, actor=actor))


@router.get(
    f"{BASE}/insight-nights/{{venture}}", operation_id="listInsightNights", dependencies=READ, summary="What nights spent and found"
)
def nights(
    venture: VentureName, context: ContextDep, actor: ActorDep,
    limit: Annotated[int, Query(ge=1, le=400, description="Newest nights.")] = 91,
) -> InsightNightList:  # fmt: skip
    """Oldest first: the record of the budget of false discoveries."""
    found = analytics_insight_read.list_insight_nights(context, venture, limit=limit, actor=actor)
    return InsightNightList(items=[InsightNightOut.of(each) for each in found])


@router.get(f"{BASE}/insight-tasks/{{venture}}", operation_id="listInsightTasks", dependencies=READ, summary="Tasks that came of insights")
def tasks(
    venture: VentureName, context: ContextDep, actor: ActorDep,
    state: Annotated[str | None, Query(pattern="^(open|done)$", description="open or done; nothing: both.")] = None,
) -> InsightTaskList:  # fmt: skip
    """The newest 200."""
    found = analytics_insight_read.list_insight_tasks(context, venture, state=state, actor=actor)
    return InsightTaskList(items=[InsightTaskOut.of(each) for each in found])
