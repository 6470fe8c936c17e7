"""A service with a stored history of runs, tests and series, written as a run would be."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from productops.domain.quality import Parsed
from productops.domain.quality_gates_diff import ChangedLines
from productops.store.identity import new_id
from productops.store.quality_evidence import DIFF, packed
from productops.store.tables import (
    QualityEvidenceRow,
    QualityGateRow,
    QualityRunRow,
    QualitySeriesRow,
    QualityTestResultRow,
    QualityTestRow,
)
from productops.usecases.context import Context
from tests.support import add_service

TESTS_IN_ALL = 400
NOTHING = {"reasons": [], "items": [], "items_total": 0, "to_pass": "", "figures": {}, "links": []}


def key_of(name: str) -> str:
    """As a test's key looks."""
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def add_history(
    context: Context, rows: Mapping[str, str], *, service: str = "shop", begin: datetime, commits: str = "",
    changed: Sequence[Sequence[str]] = (), series: Sequence[float] = (), version: str = "1.0",
) -> list[str]:  # fmt: skip
    """A run a day. ``rows``: per test one letter per run: ``.`` passed, ``F`` failed, ``R`` failed and passed when retried, blank not run.

    ``commits``: one letter per run, equal ones mean equal code; default all differ. Returns the ids of the runs.
    """
    with context.store.read() as unit:
        known = unit.catalog.find_service(service)
    if known is None:
        add_service(context, service)
    runs = max([*(len(row) for row in rows.values()), len(series)])
    ids = [new_id() for _ in range(runs)]
    codes = commits or "".join(chr(256 + begin.toordinal() % 10_000 + number) for number in range(runs))
    engine = create_engine(context.store.url)
    with Session(engine) as session:
        for number, run_id in enumerate(ids):
            at = begin + timedelta(days=number)
            session.add(
                QualityRunRow(
                    id=run_id, venture="apollo", service=service, version=version, commit=f"{ord(codes[number]):040x}", branch="main",
                    source="ci", by="tester", origin="cli", at=at, state="passed", sentence="", policy="default", policy_revision=1,
                    mainline=True, baseline_id=None, figures={}, links=[], request_key=None, fingerprint="",
                    inputs={},
                )
            )  # fmt: skip
            session.flush()
            if number < len(changed):
                diff = ChangedLines(dict.fromkeys(changed[number], (1,)))
                (part,) = [each for each in packed(Parsed(), diff) if each.name == DIFF]
                session.add(QualityEvidenceRow(run_id=run_id, part=DIFF, count=part.count, data=part.data))
            session.add(QualityEvidenceRow(run_id=run_id, part="tests", count=TESTS_IN_ALL, data=b""))
            session.add(
                QualityGateRow(
                    run_id=run_id,
                    position=0,
                    gate="e2e",
                    kind="end-to-end",
                    required=True,
                    state="passed",
                    sentence="",
                    result=dict(NOTHING),
                )
            )
            if number < len(series):
                values = array("d", [series[number] * (1 + 0.001 * each) for each in range(20)])
                session.add(
                    QualitySeriesRow(
                        id=new_id(), run_id=run_id, service=service, series="checkout", runner="ci-large", unit="ms",
                        higher_is_better=False, commit=f"{ord(codes[number]):040x}", mainline=True, accepted=True, count=20,
                        values=values.tobytes(), at=at,
                    )
                )  # fmt: skip
        for name, row in rows.items():
            _add_test(session, service, name, row, ids, codes, begin)
        session.commit()
    engine.dispose()
    return [str(each) for each in ids]


def _add_test(session: Session, service: str, name: str, row: str, ids: Sequence[object], codes: str, begin: datetime) -> None:
    first = next(number for number, letter in enumerate(row) if letter in "FR")
    last = max(number for number, letter in enumerate(row) if letter in "FR")
    session.add(
        QualityTestRow(
            service=service, key=key_of(name), suite="checkout", classname="checkout.test_pay", name=name, file=f"tests/{name}.py",
            watched_since=begin + timedelta(days=first), failed_at=begin + timedelta(days=last),
            seen_at=begin + timedelta(days=len(row) - 1),
        )
    )  # fmt: skip
    for number, letter in enumerate(row):
        if number >= first and letter != " ":
            session.add(
                QualityTestResultRow(
                    service=service, key=key_of(name), run_id=ids[number], commit=f"{ord(codes[number]):040x}",
                    outcome="failed" if letter == "F" else "passed", executions=2 if letter == "R" else 1,
                    failures=1 if letter in "FR" else 0, duration_s=6.0, message="", at=begin + timedelta(days=number),
                )
            )  # fmt: skip


def add_results(context: Context, name: str, row: str, *, begin: datetime) -> None:
    """Later runs, of new code, of a test that is watched already."""
    runs = add_history(context, {f"{name}-other": "F" + "." * (len(row) - 1)}, begin=begin)
    engine = create_engine(context.store.url)
    with Session(engine) as session:
        for number, letter in enumerate(row):
            session.add(
                QualityTestResultRow(
                    service="shop", key=key_of(name), run_id=UUID(runs[number]), commit="", outcome="failed", executions=1,
                    failures=int(letter == "F"), duration_s=6.0, message="", at=begin + timedelta(days=number),
                )
            )  # fmt: skip
        session.commit()
    engine.dispose()
