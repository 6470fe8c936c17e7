"""Routes of questions about use: funnels, retention, paths, cohorts, adoption, and one feature on one page."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, Field

from productops.api.access import allowed
from productops.api.analytics_usage_schemas import (
    CohortOut,
    DefinitionOut,
    DefinitionPage,
    DroppedOut,
    FeatureUseOut,
    FunnelOut,
    PathsOut,
    PerformancePage,
    RetentionOut,
    SegmentsOut,
    UsageOut,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.analytics_usage_query import (
    COHORT_SHOWN,
    RANGE_SHOWN,
    STEPS_SHOWN,
    CohortSpec,
    FunnelQuery,
    FunnelSpec,
    PathsQuery,
    Ranged,
    RetentionQuery,
    SegmentQuery,
    Strict,
    UsageQuery,
    shown,
)
from productops.domain.analytics_usage_query import Venture as VentureText
from productops.domain.governance_access import Operation
from productops.usecases import analytics_usage_ask, analytics_usage_look, analytics_usage_saved
from productops.usecases.analytics_usage import COHORT, FUNNEL
from productops.usecases.analytics_usage_feature import feature_use

ANALYTICS = f"{BASE}/analytics"
router = APIRouter(tags=["analytics"])
READ = [allowed(Operation.ANALYTICS_READ)]
WRITE = [allowed(Operation.ANALYTICS_WRITE)]
Venture = Annotated[str, Query(max_length=63, pattern=r"^[^\x00]*$", description="Name of the venture.")]
AnyVenture = Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$", description="Of this venture only.")]
Name = Annotated[str, Path(max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="Name it is saved under.")]
Since = Annotated[AwareDatetime | None, Query(description="From this instant on; left out: 30 days before `until`.")]
Until = Annotated[AwareDatetime | None, Query(description="Before this instant; left out: now.")]
FeatureId = Annotated[str, Path(max_length=255, pattern=r"^[^\x00]+$", description="Key of the feature, as events name it.")]


class DroppedQuery(FunnelQuery):
    """A funnel, and which step was the last of the people who are asked for."""

    model_config = shown(**RANGE_SHOWN, funnel=STEPS_SHOWN, step=1)

    step: int = Field(ge=1, le=15, description="From 1; those whose last step it was.")
    most: int = Field(default=100, ge=1, le=1000)


class PerformanceQuery(Ranged):
    """Latency and failures by feature and version."""

    model_config = shown(**RANGE_SHOWN, feature="checkout")

    feature: str | None = Field(default=None, max_length=255, pattern=r"^[^\x00]*$", description="Left out: each of them.")


class CohortQuery(Strict):
    """A cohort that is not saved."""

    model_config = shown(venture="apollo", cohort=COHORT_SHOWN)

    venture: VentureText
    cohort: CohortSpec
    at: AwareDatetime | None = Field(default=None, description="At this moment; left out: now.")


@router.post(f"{ANALYTICS}/funnels", operation_id="askFunnel", dependencies=READ, summary="How far people came through a funnel")
def ask_funnel(body: FunnelQuery, context: ContextDep, actor: ActorDep) -> FunnelOut:
    """People, shares and times by step. Without events in the range, `basis.empty` says so."""
    return FunnelOut.of(analytics_usage_ask.ask_funnel(context, body, actor=actor))


@router.post(f"{ANALYTICS}/funnels/dropped", operation_id="listDropped", dependencies=READ, summary="People who stopped at a step")
def list_dropped(body: DroppedQuery, context: ContextDep, actor: ActorDep) -> DroppedOut:
    """Keys of people whose last step it was."""
    query = FunnelQuery(venture=body.venture, since=body.since, until=body.until, cohort=body.cohort, funnel=body.funnel)
    people = analytics_usage_look.dropped_people(context, query, step=body.step, actor=actor, most=body.most)
    return DroppedOut(step=body.step, people=list(people))


@router.get(f"{ANALYTICS}/funnels", operation_id="listFunnels", dependencies=READ, summary="Saved funnels")
def list_funnels(context: ContextDep, actor: ActorDep, venture: AnyVenture = None) -> DefinitionPage:
    """By venture and name."""
    return DefinitionPage.of(analytics_usage_saved.list_definitions(context, FUNNEL, venture=venture, actor=actor))


@router.get(f"{ANALYTICS}/funnels/{{name}}", operation_id="readFunnel", dependencies=READ, summary="Ask a saved funnel")
def read_funnel(
    name: Name, venture: Venture, context: ContextDep, actor: ActorDep, since: Since = None, until: Until = None
) -> FunnelOut:  # fmt: skip
    """The last 30 days where nothing is said."""
    query = analytics_usage_saved.saved_funnel(context, venture, name, since=since, until=until, actor=actor)
    return FunnelOut.of(analytics_usage_ask.ask_funnel(context, query, actor=actor))


@router.put(f"{ANALYTICS}/funnels/{{name}}", operation_id="saveFunnel", dependencies=WRITE, summary="Save a funnel")
def save_funnel(name: Name, venture: Venture, body: FunnelSpec, context: ContextDep, actor: ActorDep) -> DefinitionOut:
    """One that the catalog declares is changed there."""
    return DefinitionOut.model_validate(analytics_usage_saved.save_definition(context, venture, name, body, actor=actor))


@router.delete(
    f"{ANALYTICS}/funnels/{{name}}", operation_id="removeFunnel", dependencies=WRITE, status_code=204, summary="Forget a saved funnel"
)
def remove_funnel(name: Name, venture: Venture, context: ContextDep, actor: ActorDep) -> Response:
    """Made by hand only."""
    analytics_usage_saved.remove_definition(context, FUNNEL, venture, name, actor=actor)
    return Response(status_code=204)


@router.post(f"{ANALYTICS}/retention", operation_id="askRetention", dependencies=READ, summary="Who came back")
def ask_retention(body: RetentionQuery, context: ContextDep, actor: ActorDep) -> RetentionOut:
    """By day, week or month."""
    return RetentionOut.of(analytics_usage_ask.ask_retention(context, body, actor=actor))


@router.post(f"{ANALYTICS}/paths", operation_id="askPaths", dependencies=READ, summary="What people do after or before something")
def ask_paths(body: PathsQuery, context: ContextDep, actor: ActorDep) -> PathsOut:
    """Moves and whole paths of sessions."""
    return PathsOut.of(analytics_usage_look.ask_paths(context, body, actor=actor))


@router.post(f"{ANALYTICS}/usage", operation_id="askUsage", dependencies=READ, summary="Adoption of a feature or a venture")
def ask_usage(body: UsageQuery, context: ContextDep, actor: ActorDep) -> UsageOut:
    """New, returning, resurrected and dormant people; daily, weekly and monthly ones; time to first use."""
    return UsageOut.of(analytics_usage_ask.ask_usage(context, body, actor=actor))


@router.post(f"{ANALYTICS}/segments", operation_id="askSegments", dependencies=READ, summary="Use by a column or property")
def ask_segments(body: SegmentQuery, context: ContextDep, actor: ActorDep) -> SegmentsOut:
    """Events and people by value."""
    return SegmentsOut.of(analytics_usage_look.ask_segments(context, body, actor=actor))


@router.post(f"{ANALYTICS}/performance", operation_id="askFeaturePerformance", dependencies=READ, summary="Latency and failures by version")
def ask_performance(body: PerformanceQuery, context: ContextDep, actor: ActorDep) -> PerformancePage:
    """Exact over the whole range."""
    query = Ranged(venture=body.venture, since=body.since, until=body.until)
    return PerformancePage.of(analytics_usage_look.ask_performance(context, query, feature=body.feature, actor=actor))


@router.get(f"{ANALYTICS}/cohorts", operation_id="listCohorts", dependencies=READ, summary="Saved cohorts")
def list_cohorts(context: ContextDep, actor: ActorDep, venture: AnyVenture = None) -> DefinitionPage:
    """By venture and name."""
    return DefinitionPage.of(analytics_usage_saved.list_definitions(context, COHORT, venture=venture, actor=actor))


@router.post(f"{ANALYTICS}/cohorts", operation_id="askCohort", dependencies=READ, summary="Try a cohort without saving it")
def ask_cohort(body: CohortQuery, context: ContextDep, actor: ActorDep) -> CohortOut:
    """How many people, and the keys of some of them."""
    return CohortOut.of(analytics_usage_look.ask_cohort(context, body.venture, "", at=body.at, actor=actor, spec=body.cohort))


@router.get(f"{ANALYTICS}/cohorts/{{name}}", operation_id="readCohort", dependencies=READ, summary="Who is in a saved cohort")
def read_cohort(
    name: Name, venture: Venture, context: ContextDep, actor: ActorDep,
    at: Annotated[AwareDatetime | None, Query(description="At this moment; left out: now.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Keys of so many people.")] = 100,
) -> CohortOut:  # fmt: skip
    """Found anew each time."""
    return CohortOut.of(analytics_usage_look.ask_cohort(context, venture, name, at=at, actor=actor, most=limit))


@router.put(f"{ANALYTICS}/cohorts/{{name}}", operation_id="saveCohort", dependencies=WRITE, summary="Save a cohort")
def save_cohort(name: Name, venture: Venture, body: CohortSpec, context: ContextDep, actor: ActorDep) -> DefinitionOut:
    """One that the catalog declares is changed there."""
    return DefinitionOut.model_validate(analytics_usage_saved.save_definition(context, venture, name, body, actor=actor))


@router.delete(
    f"{ANALYTICS}/cohorts/{{name}}", operation_id="removeCohort", dependencies=WRITE, status_code=204, summary="Forget a saved cohort"
)
def remove_cohort(name: Name, venture: Venture, context: ContextDep, actor: ActorDep) -> Response:
    """Made by hand only, and used by no funnel."""
    analytics_usage_saved.remove_definition(context, COHORT, venture, name, actor=actor)
    return Response(status_code=204)


@router.get(f"{ANALYTICS}/{{feature_id}}", operation_id="readFeatureUse", dependencies=READ, summary="A feature on one page")
def read_feature_use(
    feature_id: FeatureId, context: ContextDep, actor: ActorDep, venture: AnyVenture = None,
    since: Annotated[date | None, Query(description="First UTC day; left out: 30 days.")] = None,
    until: Annotated[date | None, Query(description="The day after the last; left out: tomorrow.")] = None,
) -> FeatureUseOut:  # fmt: skip
    """Use, performance by version, what releases changed, insights and links; from daily figures, seconds behind the events."""
    return FeatureUseOut.of(feature_use(context, feature_id, venture=venture, since=since, until=until, actor=actor))
