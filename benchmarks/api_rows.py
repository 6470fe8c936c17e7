"""Fills a store with the past of a busy house: releases with steps, moves and events, and a long audit."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine, insert, text
from sqlalchemy.orm import Session

from benchmarks.api_stack import ME, PRODUCTION, VERSIONS, service_spec
from productops.store import tables
from productops.store.governance_audit import Audit
from productops.store.identity import new_id
from productops.usecases.context import Context
from productops.usecases.release_request import ReleaseWish, request_release

SERVICES = 300
IN_FLIGHT = 100
BATCH = 2_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Filled:
    """What is there: ids of releases, services with a past, services that may be released, releases in flight."""

    releases: list[str]
    services: list[str]
    idle: list[str]
    in_flight: list[str]
    audit: int
    audit_early: str


def fill(context: Context, url: str, home: Path, *, releases: int, audit: int, seconds: float) -> Filled:
    """Write it all. ``seconds`` of load need services to release: those have no past."""
    busy = [f"service-{number:03}" for number in range(SERVICES)]
    fresh = [f"fresh-{number:04}" for number in range(IN_FLIGHT + int(seconds * 8) + 100)]
    for version in VERSIONS:
        (home / "versions" / version).mkdir(parents=True, exist_ok=True)
    with context.store.write() as unit:
        now = context.clock.now()
        unit.catalog.put_venture("apollo", title="Apollo", description="", author="benchmark", now=now)
        for name in [*busy, *fresh]:
            unit.catalog.put_service(name, venture="apollo", spec=service_spec(), base=str(home / "versions"), author="benchmark", now=now)
            fence = unit.traffic.take(name, PRODUCTION, str(new_id()))
            unit.traffic.promote(name, PRODUCTION, fence=fence, version="1.0.0")
    ids = _past(context, url, busy, releases)
    in_flight = [request_release(context, ReleaseWish(service=name, version="1.1.0"), actor=ME).id for name in fresh[:IN_FLIGHT]]
    _audit(url, audit)
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    engine.dispose()
    return Filled(ids, busy, fresh[IN_FLIGHT:], in_flight, audit, (BEGIN + timedelta(seconds=audit // 50)).isoformat())


def _audit(url: str, count: int) -> None:
    """Entries as the product chains them, many in a transaction."""
    engine = create_engine(url)
    for first in range(0, count, 5000):
        with Session(engine) as session, session.begin():
            log = Audit(session)
            for number in range(first, min(count, first + 5000)):
                log.add(
                    "flag.ramp" if number % 5 else "release.promoted", f"flag/f{number % 5000}", actor=f"person {number % 200}",
                    origin="cli", now=BEGIN + timedelta(seconds=number), reason=f"reason {number}", before={"pct": 5}, after={"pct": 10},
                )  # fmt: skip
            log.seal()
    engine.dispose()


def _past(context: Context, url: str, services: list[str], count: int) -> list[str]:
    """Releases that have ended, as the product would have written them."""
    with context.store.read() as unit:
        venture = unit.catalog.venture_id("apollo")
    draw, ids, engine = random.Random(7), [], create_engine(url)
    steps = [{"weight_pct": weight, "hold_s": 30.0} for weight in (5, 20, 50)]
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        for first in range(0, count, BATCH):
            rows: dict[type, list[dict[str, object]]] = {kind: [] for kind in _KINDS}
            for number in range(first, min(count, first + BATCH)):
                release_id, at = new_id(), BEGIN + timedelta(minutes=4 * number)
                ids.append(str(release_id))
                _one(rows, release_id, venture, services[number % len(services)], at, steps, good=draw.random() < 0.9)
            for kind in _KINDS:
                connection.execute(insert(kind), rows[kind])
            connection.commit()
    engine.dispose()
    return ids


_KINDS = (tables.ReleaseRow, tables.TransitionRow, tables.StepRow, tables.EventRow, tables.DeploymentOpsEvent)
_SUMMARY = {
    "candidate": {"requests": 41200, "failures": 12, "p99_ms": 81.0},
    "baseline": {"requests": 52000, "failures": 15, "p99_ms": 79.5},
}


def _one(rows: dict[type, list[dict[str, object]]], release_id: object, venture: object, service: str, at: datetime, steps: list[dict[str, object]], *, good: bool) -> None:  # fmt: skip  # noqa: E501
    end = at + timedelta(minutes=3)
    phases = (
        ["deploying", "rolling_out", "promoting", "validating", "promoted"]
        if good
        else ["deploying", "rolling_out", "rolling_back", "rolled_back"]
    )
    rows[tables.ReleaseRow].append(
        {
            "id": release_id, "venture": "apollo", "service": service, "environment": "production", "version": "1.0.0",
            "baseline_version": "0.9.0", "strategy": "canary", "phase": phases[-1], "steps": steps, "plan": {"validate_s": 30, "note": ""},
            "requested_by": "benchmark", "origin": "cli", "reason": "", "cause": None if good else "verdict", "step_index": 2, "fence": 1,
            "flow_run_id": str(release_id), "active_key": None, "created_at": at, "updated_at": end, "ended_at": end, "heartbeat_at": end,
        }
    )  # fmt: skip
    before = "requested"
    for number, phase in enumerate(phases):
        moved = at + timedelta(seconds=30 * number)
        rows[tables.TransitionRow].append(
            {"release_id": release_id, "source": before, "target": phase, "actor": "flow", "reason": "", "evidence": {}, "at": moved}
        )
        rows[tables.EventRow].append({"release_id": release_id, "type": "phase", "at": moved, "payload": {"from": before, "to": phase}})
        before = phase
    for index, step in enumerate(steps):
        rows[tables.StepRow].append(
            {
                "release_id": release_id, "step_index": index, "weight_pct": step["weight_pct"], "hold_s": 30.0, "header_only": False,
                "started_at": at, "ended_at": end, "verdict": "passed", "reason": "", "summary": _SUMMARY,
            }
        )  # fmt: skip
    rows[tables.DeploymentOpsEvent].append(
        {
            "ops_id": new_id(), "venture_id": venture, "deployment_id": release_id, "version": "1.0.0", "environment": "production",
            "pipeline_status": "succeeded" if good else "rolled_back", "deployment_type": "canary", "started_at": at, "completed_at": end,
            "duration": end - at, "success_metrics": _SUMMARY, "failure_details": None, "rollback_details": None,
            "performance_impact": _SUMMARY, "chairman_approval": False, "created_at": at,
        }
    )  # fmt: skip
