"""What a release measured: by step and as a whole, from the stored seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from productops.domain.analysis import ArmSecond
from productops.domain.release import Release
from productops.domain.routing import merge_histograms
from productops.domain.traffic_summary import ArmSummary, summarise
from productops.store import Unit


def arm_summaries(unit: Unit, release: Release, *, start: datetime, end: datetime) -> dict[str, ArmSummary]:
    """Traffic of ``candidate`` and ``baseline`` in the seconds that began in ``[start, end)``."""
    versions = dict(zip(("baseline", "candidate"), release.arms, strict=True))
    seconds = unit.seconds.between(
        release.service, release.environment, [v for v in versions.values() if v],
        after_s=int(start.timestamp()) - 1, until_s=int(end.timestamp()) + 1,
    )  # fmt: skip
    found = {}
    for arm, version in versions.items():
        rows: list[ArmSecond] = [arm_second for row in seconds.values() if version and (arm_second := row.get(version)) is not None]
        found[arm] = summarise(rows, merge_histograms([r.latency for r in rows]))
    return found


def release_summary(unit: Unit, release: Release) -> dict[str, Any]:
    """JSON-ready totals over all steps: requests, failures and latency of both versions, and the share that was harmed."""
    steps = unit.releases.steps(release.id)
    if not steps:
        return {}
    end = steps[-1].ended_at or release.ended_at or release.updated_at
    arms = arm_summaries(unit, release, start=steps[0].started_at, end=end)
    total = arms["candidate"].requests + arms["baseline"].requests
    return {
        "candidate": arms["candidate"].to_dict(),
        "baseline": arms["baseline"].to_dict(),
        "candidate_failures": arms["candidate"].failures,
        "harmed_share": round(arms["candidate"].failures / total, 6) if total else 0.0,
    }
