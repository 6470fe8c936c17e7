"""Performance looked at over versions and load: kept minutes and seconds of a real store, the real use cases that act, the real API."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.analytics_optimize import Minutes
from productops.domain.analytics_usage import UsageDay
from productops.domain.catalog_feature import FeatureEntry
from productops.domain.catalog_flags import FlagSpec
from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.release import Environment, Phase, Release, Strategy
from productops.domain.traffic import Instance, InstanceState
from productops.errors import ForbiddenError, IdempotencyError, InvalidInputError, NotFoundError
from productops.settings import Settings
from productops.store.identity import new_id
from productops.usecases.analytics_optimize import OptimizeWish, list_runs, optimize_performance, read_run
from productops.usecases.analytics_optimize_act import measure_effects, scale_fleet
from productops.usecases.context import Actor, Clock, Context
from productops.usecases.release_flags_change import create_flag, ramp_flag
from tests.integration.test_api.support import TOKEN, client_of, free_ports, serving
from tests.support import PRODUCTION, SOMEBODY, add_service, make_context, sqlite_url

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
ROUTE = "/api/v1/product-ops/performance/optimize"


@dataclass
class Stopped(Clock):
    """A clock that stands where it is put."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = replace(make_context(sqlite_url(tmp_path)), clock=Stopped())
    yield made
    made.store.close()


def minutes(version: str, *, begin: datetime, count: int, factor: float = 1.0, load: float = 40.0, seed: int = 1) -> Minutes:
    """Latency rises with load; ``factor`` makes the version slower at every load."""
    random = np.random.default_rng(seed)
    at = begin.timestamp() // 60 + np.arange(count)
    rate = load * (1 + 0.3 * np.sin(2 * np.pi * at / 240)) + random.normal(0, 2, count)
    latency = factor * 20 * np.exp(0.01 * rate) * np.exp(random.normal(0, 0.05, count))
    rows = np.column_stack([at, np.round(rate * 60), np.round(rate * 60 * 0.001), np.full(count, 60), latency, latency * 2, latency * 4])
    return Minutes(version, rows)


def keep(context: Context, *every: Minutes, service: str = "shop") -> None:
    with context.store.write() as unit:
        for each in every:
            days = {datetime.fromtimestamp(at * 60, UTC).date() for at in each.rows[:, 0]}
            for day in days:
                first = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() / 60
                rows = each.rows[(each.rows[:, 0] >= first) & (each.rows[:, 0] < first + 1440)]
                unit.analytics_reports.put_minutes(service, "production", day, Minutes(each.version, rows))


def promoted(context: Context, version: str, before: str, *, ago: timedelta) -> str:
    """A release that users have, with the earlier version's fleet still warm."""
    release_id = str(new_id())
    at = context.clock.now() - ago
    with context.store.write() as unit:
        unit.releases.add(
            Release(
                id=release_id, venture="apollo", service="shop", environment=PRODUCTION, version=version, baseline_version=before,
                strategy=Strategy.CANARY, phase=Phase.REQUESTED, steps=(), plan={}, requested_by="tester", origin="cli", reason="",
                cause=None, step_index=-1, fence=0, flow_run_id=None, created_at=at, updated_at=at, ended_at=None,
            )
        )  # fmt: skip
        for phase in (Phase.DEPLOYING, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED):
            unit.releases.move(release_id, phase, actor="tester", reason="", now=at)
        unit.fleets.want("shop", PRODUCTION, before, 2, now=at)
        unit.fleets.add_instance(Instance(str(new_id()), "shop", PRODUCTION, before, 9100, InstanceState.HEALTHY, 1, 1.0, 0, "", "", at))
    return release_id


def slower_release(context: Context) -> str:
    add_service(context, live="2.0")
    begin = NOW - timedelta(hours=40)
    keep(
        context,
        minutes("1.0", begin=begin, count=1200),
        minutes("2.0", begin=begin + timedelta(minutes=1200), count=1100, factor=1.25, seed=2),
    )
    return promoted(context, "2.0", "1.0", ago=timedelta(hours=20))


def test_a_slower_version_is_found_at_the_same_load_and_a_roll_back_is_advised(context: Context) -> None:
    release_id = slower_release(context)
    run = optimize_performance(context, OptimizeWish(service="shop"), actor=SOMEBODY)
    worst = run.findings[0]
    assert (worst.kind, worst.version, worst.against) == ("regression", "2.0", "1.0")
    assert worst.low <= 0.25 <= worst.high
    first = run.recommendations[0]
    assert (first.action, first.possible, first.target["release_id"]) == ("roll-back", True, release_id)
    assert run.state == "done"
    assert read_run(context, run.id, actor=SOMEBODY) == run


def test_a_busier_day_is_no_regression(context: Context) -> None:
    add_service(context, live="2.0")
    begin = NOW - timedelta(hours=40)
    keep(
        context, minutes("1.0", begin=begin, count=1200), minutes("2.0", begin=begin + timedelta(minutes=1200), count=1100, load=46, seed=2)
    )
    promoted(context, "2.0", "1.0", ago=timedelta(hours=20))
    run = optimize_performance(context, OptimizeWish(service="shop"), actor=SOMEBODY)
    assert [each for each in run.findings if each.kind == "regression"] == []
    assert run.recommendations[0].action == "nothing"


def test_versions_that_were_never_seen_at_the_same_load_are_not_compared(context: Context) -> None:
    add_service(context, live="2.0")
    begin = NOW - timedelta(hours=40)
    keep(context, minutes("1.0", begin=begin, count=600), minutes("2.0", begin=begin + timedelta(minutes=600), count=600, load=200))
    run = optimize_performance(context, OptimizeWish(service="shop"), actor=SOMEBODY)
    assert "requests a second, the other at" in run.facts["silent"][0]
    assert run.sentence.startswith(("too little is known", "p9"))


def test_a_service_without_traffic_is_told_so(context: Context) -> None:
    add_service(context)
    run = optimize_performance(context, OptimizeWish(service="shop"), actor=SOMEBODY)
    assert run.sentence.startswith("too little is known to say much: no usable minute")


def test_acting_rolls_back_once_however_often_the_request_is_repeated(context: Context) -> None:
    release_id = slower_release(context)
    wish = OptimizeWish(service="shop", act=True)
    run = optimize_performance(context, wish, actor=SOMEBODY, key="night-1")
    again = optimize_performance(context, wish, actor=SOMEBODY, key="night-1")
    assert (run.state, again.id, again.state) == ("acted", run.id, "acted")
    with context.store.read() as unit:
        assert unit.releases.get(release_id).phase is Phase.ROLLING_BACK
        assert len([e for e in unit.releases.transitions(release_id) if e["to"] == "rolling_back"]) == 1
    with pytest.raises(IdempotencyError):
        optimize_performance(context, replace(wish, days=3), actor=SOMEBODY, key="night-1")


def test_a_run_that_died_while_acting_is_taken_up_by_the_same_request(context: Context) -> None:
    slower_release(context)
    run = optimize_performance(context, OptimizeWish(service="shop", act=True), actor=SOMEBODY, key="night-1")
    with context.store.write() as unit:
        unit.analytics_reports.change_run(run.id, expected="acted", state="acting", acted_at=None)
    again = optimize_performance(context, OptimizeWish(service="shop", act=True), actor=SOMEBODY, key="night-1")
    assert (again.id, again.state) == (run.id, "acted")
    assert "already" in again.action["started"]


def test_a_caller_without_the_right_to_roll_back_gets_the_look_and_a_refusal(context: Context) -> None:
    release_id = slower_release(context)
    mia = Actor("mia", "api", Principal("mia", (Grant(Role.DEVELOPER, "apollo"),)))
    run = optimize_performance(context, OptimizeWish(service="shop", act=True), actor=mia)
    assert run.state == "refused"
    assert "may not do release.roll-back" in run.action["refused"]
    with context.store.read() as unit:
        assert unit.releases.get(release_id).phase is Phase.PROMOTED
    viewer = Actor("vic", "api", Principal("vic", (Grant(Role.VIEWER, "apollo"),)))
    with pytest.raises(ForbiddenError):
        optimize_performance(context, OptimizeWish(service="shop"), actor=viewer)
    assert [each.id for each in list_runs(context, subject="shop", before=None, limit=5, actor=viewer)] == [run.id]
    stranger = Actor("sam", "api", Principal("sam", (Grant(Role.ADMIN, "gemini"),)))
    with pytest.raises(NotFoundError):
        read_run(context, run.id, actor=stranger)


def test_after_the_rollback_window_nothing_is_rolled_back_by_itself(context: Context) -> None:
    slower_release(context)
    assert isinstance(context.clock, Stopped)
    context.clock.at = NOW + timedelta(days=2)
    run = optimize_performance(context, OptimizeWish(service="shop", act=True), actor=SOMEBODY)
    assert run.state == "done"
    assert "rollback window closed" in run.recommendations[0].why


def test_what_a_roll_back_brought_is_measured_at_the_same_load(context: Context) -> None:
    slower_release(context)
    run = optimize_performance(context, OptimizeWish(service="shop", act=True), actor=SOMEBODY)
    assert measure_effects(context) == []
    assert isinstance(context.clock, Stopped)
    context.clock.at = NOW + timedelta(hours=4)
    keep(context, minutes("1.0", begin=NOW, count=240, seed=5))
    (done,) = measure_effects(context)
    assert (done.id, done.effect["state"]) == (run.id, "helped"), done.effect
    assert done.effect["low"] <= -0.2 <= done.effect["high"]
    assert measure_effects(context) == []


def test_a_bend_of_latency_asks_for_instances_and_gets_them(context: Context) -> None:
    add_service(context, live="1.0")
    each = minutes("1.0", begin=NOW - timedelta(hours=20), count=1200)
    rate = each.rows[:, 1] / 60
    each.rows[:, 4:] *= np.exp(0.08 * np.maximum(rate - 42, 0))[:, None]
    keep(context, each)
    run = optimize_performance(context, OptimizeWish(service="shop", act=True), actor=SOMEBODY)
    bend = next(found for found in run.findings if found.kind == "knee")
    assert bend.low <= 42 <= bend.high
    assert (run.state, run.action["action"]) == ("acted", "more-instances"), run.action
    with context.store.read() as unit:
        fleet = unit.fleets.find("shop", PRODUCTION, "1.0")
        assert fleet is not None
        assert fleet.desired in {3, 4}
    with pytest.raises(InvalidInputError):
        scale_fleet(context, "shop", PRODUCTION, "1.0", 5, reason="", actor=SOMEBODY)


def test_seconds_become_minutes_that_outlive_them(context: Context) -> None:
    add_service(context, live="1.0")
    begin = int(NOW.timestamp()) - 600
    with context.store.write() as unit:
        for second in range(300):
            arm = ArmSecond(30, 1, LatencyHistogram((10.0, 50.0), (28, 2)))
            unit.seconds.add(begin + second, {("shop", PRODUCTION, "1.0"): arm})
    run = optimize_performance(context, OptimizeWish(service="shop"), actor=SOMEBODY)
    assert run.facts["versions"][0]["requests"] == 9000
    with context.store.write() as unit:
        unit.seconds.forget(before_s=int(NOW.timestamp()))
    again = optimize_performance(context, OptimizeWish(service="shop"), actor=SOMEBODY)
    assert again.facts["versions"][0]["requests"] == 9000


def feature_days(version: str, *, first: int, days: int, p95: float, seed: int) -> list[UsageDay]:
    random = np.random.default_rng(seed)
    made = []
    for number in range(days):
        day = (NOW - timedelta(days=first - number)).date()
        slow = p95 * math.exp(random.normal(0, 0.05))
        for dimension, value in (("", ""), ("version", version), ("country", "AQ"), ("country", "NZ")):
            factor = 2.0 if value == "AQ" else 1.0
            made.append(UsageDay("apollo", day, "invoice", dimension, value, 900, 400, 10, 9, 900, 9e4, slow / 3, slow * factor, 0.0))
    return made


def test_a_feature_that_got_slower_with_a_version_is_turned_off_by_its_flag(context: Context) -> None:
    spec = FlagSpec.model_validate({"owner": "mia", "variants": {"on": True, "off": False}, "default_variant": "off"})
    create_flag(context, "invoice-flag", venture="apollo", spec=spec, actor=SOMEBODY)
    ramp_flag(context, "invoice-flag", PRODUCTION, percent=100, actor=SOMEBODY, reason="all")
    entry = FeatureEntry.model_validate(
        {"apiVersion": "productops/v1", "kind": "Feature", "metadata": {"name": "invoice", "venture": "apollo"},
         "spec": {"work": ["SHOP-1"], "flag": "invoice-flag"}}
    )  # fmt: skip
    with context.store.write() as unit:
        unit.development_goals.put(entry, base="", author="tester", now=NOW)
        unit.analytics_usage.put_daily(
            [*feature_days("5", first=26, days=13, p95=200, seed=1), *feature_days("6", first=13, days=13, p95=300, seed=2)]
        )
    run = optimize_performance(context, OptimizeWish(feature="invoice", days=30, act=True), actor=SOMEBODY)
    assert {each.kind.value for each in run.findings} == {"regression", "segment"}
    assert (run.state, run.action["action"]) == ("acted", "flag-off"), run.action
    with context.store.read() as unit:
        ramp = unit.flags.get("invoice-flag").state.live_in(Environment.PRODUCTION).ramp
        assert ramp is not None
        assert ramp.percent == 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Context, httpx.Client]]:
    made = make_context(sqlite_url(tmp_path))
    settings = Settings(home=tmp_path, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(tmp_path))
    with serving(made, settings), client_of(settings) as client:
        yield made, client


def test_the_api_answers_with_the_look_and_where_it_is_read(served: tuple[Context, httpx.Client]) -> None:
    context, client = served
    add_service(context, live="1.0")
    answer = client.post(ROUTE, json={"service": "shop"}, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["state"] == "done"
    assert client.get(answer.headers["Location"]).json() == body
    assert client.post(ROUTE, json={"service": "shop"}, headers={"Idempotency-Key": "k1"}).json()["id"] == body["id"]
    assert [each["id"] for each in client.get(ROUTE, params={"subject": "shop"}).json()["items"]] == [body["id"]]
    assert client.post(ROUTE, json={"service": "nope"}).status_code == 404
    assert client.post(ROUTE, json={}).status_code == 422
    assert client.post(ROUTE, json={"service": "shop", "days": 400}).status_code == 422
    assert client.get(f"{ROUTE}/nonsense").status_code == 404
