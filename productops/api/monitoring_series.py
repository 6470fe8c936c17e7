"""Routes of series of metrics: send points, list series, read them back, set thresholds; and where metrics are fetched."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime

from productops.api import paging
from productops.api.access import allowed
from productops.api.conventions import BYTES_MAX
from productops.api.monitoring_series_schemas import (
    Category,
    PointsBody,
    PointsOut,
    ScrapeTargetList,
    ScrapeTargetOut,
    SeriesAnswer,
    SeriesOut,
    SeriesPage,
    SeriesPointsOut,
    ThresholdsBody,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.monitoring_series import SeriesStatus, Statistic
from productops.errors import InvalidInputError
from productops.store.monitoring_series import SeriesFilter

METRICS, SERIES = f"{BASE}/metrics", f"{BASE}/series"
DEFAULT_SPAN = timedelta(hours=1)
BODY_BYTES = 4_194_304
SHOWN_MAX = 2_000_000
router = APIRouter(tags=["monitoring"])
READ = [allowed(Operation.METRIC_READ)]
Text = Query(max_length=255, pattern=r"^[^\x00]*$")
Tags = Annotated[
    list[Annotated[str, Query(max_length=356)]] | None,
    Query(max_length=20, description="`name=value`, each of which has to be there.", examples=[["environment=production"]]),
]
Component = Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$", description="May end in `*`.", examples=["storefront"])]
Venture = Annotated[str, Query(max_length=63, pattern=r"^[^\x00]*$", description="Empty: of hosts.", examples=["apollo"])]
Number = Annotated[int, Path(ge=0, le=2**62, description="Number of the series.")]


@router.post(
    METRICS, operation_id="sendSeriesPoints", dependencies=[allowed(Operation.METRIC_WRITE)], summary="Send points of series",
    openapi_extra={BYTES_MAX: BODY_BYTES},
)  # fmt: skip
def send_points(body: PointsBody, context: ContextDep, actor: ActorDep) -> PointsOut:
    """At most 50,000 points at once, of the last 7 days; of several in the same second of a series the last one counts.

    A series that nobody knew is made. All of it is kept, or nothing.
    """
    from productops.usecases.monitoring_series import Point, put_points, series_key

    points = [
        Point(key, at, value)
        for each in body.series
        for key in (series_key(each.venture, each.component, each.category, each.name, each.tags),)
        for at, value in each.points
    ]
    return PointsOut(kept=put_points(context, points, actor=actor))


@router.get(METRICS, operation_id="readSeries", dependencies=READ, summary="Read series back")
def read(
    context: ContextDep, actor: ActorDep, *, venture: Venture = "", component: Component = None,
    name: Annotated[str | None, Text] = None, tag: Tags = None,
    since: Annotated[AwareDatetime | None, Query(description="Default: an hour before `until`.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Default: now.")] = None,
    step_s: Annotated[int | None, Query(ge=1, le=31_536_000, description="Seconds that a value stands for; nothing: every point.")] = None,
    statistic: Annotated[Statistic, Query(description="What of a step is told.")] = Statistic.MEAN,
) -> SeriesAnswer:  # fmt: skip
    """Every series that fits, with its points in [since, until). Steps begin at multiples of `step_s`.

    A long time is read fastest by steps of whole minutes or hours, for which sums are kept.
    """
    from productops.usecases.monitoring_series import read_series

    end = until or context.clock.now() + timedelta(seconds=1)
    begin = since or end - DEFAULT_SPAN
    found = read_series(
        context, venture=venture, component=component, name=name, tags=tags_of(tag), since=begin, until=end, step_s=step_s,
        statistic=statistic, actor=actor,
    )  # fmt: skip
    shown = sum(len(each.at) for each in found)
    if shown > SHOWN_MAX:
        raise InvalidInputError(
            f"that is {shown:,} values; at most {SHOWN_MAX:,} are told at once: name a series, or ask for a longer step_s"
        )
    return SeriesAnswer(
        since=begin, until=end, step_s=step_s, statistic=statistic.value, series=[SeriesPointsOut.of(each) for each in found]
    )  # fmt: skip


@router.get(SERIES, operation_id="listSeries", dependencies=READ, summary="List series")
def list_(
    context: ContextDep, actor: ActorDep, *,
    venture: Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$", description="Nothing: of all you may see.")] = None,
    component: Component = None, name: Annotated[str | None, Text] = None, category: Category | None = None,
    status: SeriesStatus | None = None, tag: Tags = None, after: paging.After = None, limit: paging.ManyLimit = 100,
) -> SeriesPage:  # fmt: skip
    """In the order they became known, with their newest values; filters can be combined."""
    from productops.usecases.monitoring_series import list_series

    wanted = SeriesFilter(venture, component, name, tags_of(tag), category, status)
    found = list_series(context, wanted, after=_place(after), limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda info: [str(info.number)])
    return SeriesPage(items=[SeriesOut.of(each) for each in page], next=following)


@router.get(f"{SERIES}/{{number}}", operation_id="getSeries", dependencies=READ, summary="Read what a series is")
def show(number: Number, context: ContextDep, actor: ActorDep) -> SeriesOut:
    """With its thresholds and newest value."""
    from productops.usecases.monitoring_series import get_series

    return SeriesOut.of(get_series(context, number, actor=actor))


@router.post(
    f"{SERIES}/{{number}}/thresholds", operation_id="setSeriesThresholds", dependencies=[allowed(Operation.ALERT_SET)],
    summary="Set thresholds of a series",
)  # fmt: skip
def set_limits(number: Number, body: ThresholdsBody, context: ContextDep, actor: ActorDep) -> SeriesOut:
    """Both null takes them off. The next point tells the status; a change of it is a row of infrastructure_metrics at once."""
    from productops.usecases.monitoring_series import set_thresholds

    return SeriesOut.of(set_thresholds(context, number, body.to_domain(), actor=actor))


@router.get(f"{BASE}/scrape-targets", operation_id="listScrapeTargets", dependencies=READ, summary="List scrape targets")
def targets(context: ContextDep, actor: ActorDep) -> ScrapeTargetList:
    """What the catalog declares (`kind: ScrapeTarget`), and how the last try of each went."""
    from productops.usecases.monitoring_series_targets import list_scrape_targets

    return ScrapeTargetList(items=[ScrapeTargetOut.of(each) for each in list_scrape_targets(context, actor=actor)])


def tags_of(given: list[str] | None) -> dict[str, str]:
    """Pairs of texts such as ``environment=production``. Raises: InvalidInputError."""
    wrong = [each for each in given or () if "=" not in each]
    if wrong:
        raise InvalidInputError(f"tag {wrong[0][:80]!r} is no pair; write it as name=value")
    return dict(each.split("=", 1) for each in given or ())


def _place(after: str | None) -> int:
    place = paging.decode_one(after)
    if place is None:
        return 0
    if not place.isdigit() or len(place) > 18:
        raise InvalidInputError(paging.WRONG)
    return int(place)
