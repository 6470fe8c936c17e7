"""How a flag is planned as a release, and how answers that say who had it are counted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from productops.adapters.envoy.exposure_log import access_log, read_line
from productops.agent.exposures import ExposureTail, counted
from productops.agent.leases import LeaseWatch
from productops.domain.catalog import Rollout
from productops.domain.exposures import exposed_arms, flag_arm, upper_bound_ms
from productops.domain.release import Environment, Strategy
from productops.domain.strategies import Overrides, RolloutPlan, Scene, plan_rollout
from productops.domain.strategies.feature_toggle import FeatureToggle, flag_target
from productops.domain.strategies.plan import FlagScene
from productops.domain.traffic import Lease, TrafficTarget
from productops.errors import InvalidInputError

ON, OFF = "flag:new-checkout=on", "flag:new-checkout=off"
SHOP = ("shop", Environment.PRODUCTION)


def plan(section: dict[str, Any] | None = None, *, percent: float = 0.0, key: str = "new-checkout", **overrides: Any) -> RolloutPlan:
    rollout = Rollout.model_validate({"feature_toggle": section or {}})
    return plan_rollout(Strategy.FEATURE_TOGGLE, rollout, Overrides(**overrides), Scene(flag=FlagScene(key, "on", "off", percent)))


def line(exposure: str = "new-checkout=on", **changes: object) -> bytes:
    entry = {"cluster": "po|shop|production|1~2e0", "status": 200, "duration_ms": 7, "flags": None, "exposure": exposure}
    return json.dumps(entry | changes).encode()


# ---- the plan


def test_users_with_the_flag_are_compared_with_those_without_it_and_by_no_metric_of_a_version() -> None:
    rollout = Rollout.model_validate({"analysis": {"metrics": [{"name": "cart_errors"}]}})
    made = plan_rollout(Strategy.FEATURE_TOGGLE, rollout, Overrides(), Scene(flag=FlagScene("new-checkout", "on", "off")))
    assert made.arms == (OFF, ON)
    assert made.analysis.metrics == ()


def test_steps_carry_the_segments_of_those_before_and_the_share_of_all_others() -> None:
    staff = {"attribute": "plan", "values": ["staff"]}
    made = plan({"steps": [{"flag_pct": 0, "hold_s": 5, "segments": [staff]}, {"flag_pct": 12.5, "hold_s": 9}]}).steps
    assert [(s.flag_pct, s.hold_s, len(s.segments)) for s in made] == [(0, 5, 1), (12.5, 9, 1)]
    assert made[0].title == "flag for attribute plan staff and 0 %"


def test_a_request_may_name_its_own_shares() -> None:
    assert [(s.flag_pct, s.hold_s) for s in plan(weights_pct=(1, 20), hold_s=30).steps] == [(1, 30), (20, 30)]
    with pytest.raises(InvalidInputError, match="rise from step to step"):
        plan(weights_pct=(20, 10))


def test_steps_that_the_flag_has_passed_already_are_left_out() -> None:
    section = {"steps": [{"flag_pct": p, "hold_s": 5} for p in (5, 20, 60)]}
    assert [s.flag_pct for s in plan(section, percent=20).steps] == [20, 60]
    assert [s.flag_pct for s in plan(section, percent=80).steps] == [60], "one is judged at least; nobody loses the flag in it"


@pytest.mark.parametrize("shares", [(0, 10), (10, 10), (50, 10)])
def test_steps_that_give_the_flag_to_nobody_new_are_refused(shares: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match="more users"):
        FeatureToggle.model_validate({"steps": [{"flag_pct": p, "hold_s": 5} for p in shares]})


def test_a_catalog_that_names_a_flag_refuses_another() -> None:
    with pytest.raises(InvalidInputError, match="is for the flag 'search'"):
        plan({"flag": "search"})


@pytest.mark.parametrize("version", ["1.2.0", "new-checkout@", "@on", "a@b@c", "x" * 70 + "@on", ""])
def test_only_a_flag_and_a_variant_name_such_a_release(version: str) -> None:
    with pytest.raises(InvalidInputError, match="<flag>@<variant>"):
        flag_target(version)


def test_names_that_are_too_long_to_be_counted_are_refused_before_anything_begins() -> None:
    scene = Scene(flag=FlagScene("f" * 60, "v" * 60, "off"))
    with pytest.raises(InvalidInputError, match="too long"):
        plan_rollout(Strategy.FEATURE_TOGGLE, Rollout(), Overrides(), scene)


def test_without_users_there_is_nobody_to_give_a_flag_to() -> None:
    with pytest.raises(InvalidInputError, match="release a version first"):
        plan_rollout(Strategy.FEATURE_TOGGLE, Rollout(), Overrides(), Scene(has_baseline=False, flag=FlagScene("a", "on", "off")))


# ---- the lease


def test_a_lease_on_a_flag_lapses_like_one_on_traffic_though_the_router_has_no_candidate() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    lease = Lease(holder="release 1", ttl_s=3.0, deadline=now + timedelta(seconds=3), beat=7)
    target = TrafficTarget(*SHOP, 4, 4, "1.0", None, 0, header_only=False, release_id="1", fence=2, lease=lease)
    watch = LeaseWatch()
    watch.observe([target], read_at=100.0, now=now)
    assert not target.exposed
    assert (watch.lapsed(monotonic=102.9), watch.lapsed(monotonic=103.1)) == ({}, {SHOP: 7})


# ---- the log


def test_the_router_writes_only_answers_that_say_what_a_user_had() -> None:
    assert "x-productops-exposure" in json.dumps(access_log(Path("/x"))["filter"])


def test_an_answer_counts_for_every_flag_it_names_and_fails_for_all_of_them() -> None:
    seconds = counted([line("new-checkout=on, search=b"), line("new-checkout=on", status=503), line("new-checkout=off", duration_ms=120)])
    assert {key[2]: (arm.requests, arm.failures) for key, arm in seconds.items()} == {ON: (2, 1), "flag:search=b": (1, 0), OFF: (1, 0)}
    assert seconds[*SHOP, OFF].latency.upper_ms == (130.0,)


@pytest.mark.parametrize("changes", [{"flags": "UC"}, {"flags": "UT,X"}, {"status": 0}, {"status": 504}])
def test_an_answer_that_broke_off_is_a_failure(changes: dict[str, object]) -> None:
    assert counted([line(**changes)])[*SHOP, ON].failures == 1


def test_a_user_who_leaves_is_no_failure() -> None:
    assert counted([line(flags="DC")])[*SHOP, ON].failures == 0


@given(st.binary(max_size=200))
def test_no_line_whatever_it_holds_stops_the_counting(text: bytes) -> None:
    read_line(text)


@given(st.dictionaries(st.sampled_from(["cluster", "status", "duration_ms", "flags", "exposure"]), st.none() | st.text() | st.integers()))
def test_no_entry_whatever_it_holds_stops_the_counting(entry: dict[str, object]) -> None:
    read_line(json.dumps(entry).encode())


@given(st.text(max_size=300))
def test_what_a_service_claims_becomes_at_most_twenty_names_that_can_be_stored(header: str) -> None:
    arms = exposed_arms(header)
    assert len(arms) <= 20
    assert all(len(arm) <= 100 for arm in arms)


def test_an_exposure_is_called_as_the_plan_calls_it() -> None:
    assert exposed_arms("new-checkout=on") == (flag_arm("new-checkout", "on"),)


@given(st.integers(0, 10_000_000))
def test_a_bucket_holds_its_latency_and_is_a_tenth_of_it_wide_at_most(duration_ms: int) -> None:
    upper = upper_bound_ms(duration_ms)
    assert duration_ms < upper <= max(duration_ms + 1, duration_ms * 1.1 + 1)


def test_too_many_names_are_bounded() -> None:
    assert len(counted([line(f"f{n}=on") for n in range(1000)])) == 200


# ---- following the file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "exposures.jsonl"
    made.write_bytes(line() + b"\n")
    return made


@pytest.fixture
def tail(path: Path) -> Iterator[ExposureTail]:
    made = ExposureTail(path)
    yield made
    made.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def requests(tail: ExposureTail) -> int | None:
    found = tail.take()
    return None if found is None else sum(arm.requests for arm in found.values())


def test_what_was_written_before_it_looked_is_unknown_and_then_each_line_counts_once(path: Path, tail: ExposureTail) -> None:
    assert requests(tail) is None
    append(path, line() + b"\n" + line()[:20])
    assert requests(tail) == 1
    append(path, line()[20:] + b"\n")
    assert [requests(tail), requests(tail)] == [1, 0]


def test_without_a_log_nothing_is_known_and_it_goes_on_when_there_is_one(path: Path, tail: ExposureTail) -> None:
    path.unlink()
    assert requests(tail) is None
    append(tail.path, b"")
    assert requests(tail) is None
    append(tail.path, line() + b"\n")
    assert requests(tail) == 1


def test_a_log_that_is_moved_away_or_emptied_loses_no_line_after_that(path: Path, tail: ExposureTail) -> None:
    tail.take()
    append(path, line() + b"\n")
    path.rename(path.with_suffix(".1"))
    assert requests(tail) == 1, "the old one's last lines, while there is no other"
    append(path.with_suffix(".1"), line() + b"\n")
    append(path, (line() + b"\n") * 2)
    assert requests(tail) == 3
    os.truncate(path, 0)
    append(path, line() + b"\n")
    assert requests(tail) == 1


def test_a_log_that_has_grown_is_emptied_and_goes_on(path: Path, tail: ExposureTail) -> None:
    tail.file_max = 1_000
    tail.take()
    append(path, (line() + b"\n") * 100)
    assert requests(tail) == 100
    assert path.stat().st_size == 0
    append(path, line() + b"\n")
    assert requests(tail) == 1


def test_more_than_can_be_read_in_a_second_is_unknown_and_not_half_counted(path: Path, tail: ExposureTail) -> None:
    tail.read_max = 1_000
    tail.take()
    append(path, (line() + b"\n") * 100)
    assert requests(tail) is None
    assert tail.skipped > 0
    append(path, line() + b"\n")
    assert requests(tail) == 1
