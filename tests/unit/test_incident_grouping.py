"""Alerts on paper: what is the same, what belongs together, what is held back, how severe it is, and where an incident can go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from productops.domain.catalog_incident import MaintenanceWindowSpec, Matcher, SeverityPolicySpec, SeverityRule, SeverityWhen, Weekly
from productops.domain.incident_alert import Alert, AlertState, fingerprint_of
from productops.domain.incident_fold import fold
from productops.domain.incident_group import Group, Topology, find_root, plan_groups, read_group, title_of
from productops.domain.incident_impact import TrafficSum, impact_of, severity_of
from productops.domain.incident_state import EDGES, IncidentStatus, check_move
from productops.domain.incident_suppress import Maintenance, Silence, Suppression, fits
from productops.domain.release import Environment
from productops.errors import IllegalTransitionError

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
PRODUCTION = Environment.PRODUCTION
POLICY = SeverityPolicySpec()
CHAIN = Topology({"web": ("shop",), "shop": ("db",), "cart": ("db",), "db": (), "blog": (), "zoo": ("blog",)})


def alert(service: str | None = "shop", at: float = 0.0, **more: Any) -> Alert:
    known: dict[str, Any] = {
        "source": "rule", "name": "errors", "venture": "apollo", "service": service, "environment": PRODUCTION, "severity": "SEV2",
        "starts_at": NOW + timedelta(seconds=at),
    }  # fmt: skip
    return Alert(**known | more)


def plan(*alerts: Alert, groups: tuple[Group, ...] = (), topology: Topology = CHAIN, now: datetime = NOW) -> list[set[str]]:
    found = plan_groups([(each, None) for each in alerts], groups, topology, POLICY, now=now)
    by_group: dict[int, set[str]] = {}
    for placed in found.placed:
        by_group.setdefault(id(placed.group), set()).update(str(each.service or each.component) for each in placed.alerts)
    return sorted(by_group.values(), key=sorted)


def test_the_order_of_labels_does_not_make_another_alert() -> None:
    assert fingerprint_of("rule", "x", {"a": "1", "b": "2"}) == fingerprint_of("rule", "x", {"b": "2", "a": "1"})
    assert fingerprint_of("rule", "x", {"a": "1"}) != fingerprint_of("rule", "x", {"a": "2"})
    assert alert("shop").fingerprint != alert("cart").fingerprint
    assert alert("shop", 5, severity="SEV1", summary="other words").fingerprint == alert("shop").fingerprint


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"severity": "bad"}, "none of SEV1"), ({"source": "gossip"}, "none of"), ({"name": ""}, "1 to 200"),
     ({"starts_at": datetime(2026, 1, 1)}, "zone"), ({"status": "odd"}, "neither")],  # noqa: DTZ001 - that is what is wrong with it
)  # fmt: skip
def test_what_is_no_alert_says_why(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        alert(**wrong)


def test_services_that_depend_on_each_other_are_one_group_and_others_are_not() -> None:
    assert plan(alert("web"), alert("db"), alert("blog"), alert("zoo")) == [{"blog", "zoo"}, {"db", "web"}]


def test_services_that_share_a_dependency_are_one_group_only_shortly_after_each_other() -> None:
    assert plan(alert("shop"), alert("cart")) == [{"cart", "shop"}]
    old = Group(incident_id="i", last_at=(NOW - timedelta(seconds=200)).timestamp(), environments={"production"})
    old.take(alert("shop"))
    old.last_at = (NOW - timedelta(seconds=200)).timestamp()
    assert len(plan_groups([(alert("cart"), None)], [old], CHAIN, POLICY, now=NOW).placed) == 1
    assert plan_groups([(alert("cart"), None)], [old], CHAIN, POLICY, now=NOW).placed[0].group is not old


def test_two_changes_at_a_time_are_two_causes_and_the_same_change_is_one() -> None:
    one, two = {"release_id": "r1"}, {"release_id": "r2"}
    assert plan(alert("shop", labels=one), alert("cart", labels=two)) == [{"cart"}, {"shop"}]
    assert plan(alert("shop", labels=one), alert("blog", labels=one)) == [{"blog", "shop"}]


def test_services_on_one_host_are_one_group_whose_root_is_the_host() -> None:
    place = {"host": "h1"}
    alerts = [alert("shop", labels=place), alert("blog", 1, labels=place), alert(None, 2, component="host/h1")]
    found = plan_groups([(each, None) for each in alerts], (), CHAIN, POLICY, now=NOW)
    assert len({id(placed.group) for placed in found.placed}) == 1
    assert find_root(found.placed[0].group, CHAIN) == "host/h1"


def test_environments_are_kept_apart() -> None:
    found = plan_groups(
        [(alert("shop"), None), (alert("shop", environment=Environment.STAGING), None)], (), CHAIN, POLICY, now=NOW
    )  # fmt: skip
    assert len({id(placed.group) for placed in found.placed}) == 2


def test_what_broke_is_what_the_others_depend_on_however_late_it_is_told() -> None:
    group = Group()
    for number, name in enumerate(("web", "shop", "cart", "db")):
        group.take(alert(name, number, summary=f"{name} fails"))
    assert find_root(group, CHAIN) == "db"
    assert title_of(group, "db", CHAIN) == "db fails (3 services that depend on it)"
    assert read_group(group.document()).document() == group.document()


@given(st.permutations(["web", "shop", "cart", "db", "blog", "zoo"]))
def test_the_groups_do_not_depend_on_the_order_alerts_come_in(names: list[str]) -> None:
    assert plan(*(alert(name, number) for number, name in enumerate(names))) == [{"blog", "zoo"}, {"cart", "db", "shop", "web"}]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 9)), max_size=30))
def test_every_alert_that_is_told_is_counted_exactly_once(told: list[tuple[str, bool, int]]) -> None:
    batch = [
        alert(name=name, at=at, status="firing")
        if firing
        else alert(name=name, at=at, status="resolved", ends_at=NOW + timedelta(seconds=at + 1))
        for name, firing, at in told
    ]
    ids = iter(str(number) for number in range(100))
    folded = fold(batch, {}, now=NOW + timedelta(minutes=1), new_id=lambda: next(ids))
    assert len(folded.marks) == len(batch)
    assert sum(e.stored.received for e in (*folded.newest.values(), *folded.superseded)) == len(batch)
    assert {each.alert.fingerprint for each in folded.newest.values()} == {each.fingerprint for each in batch}
    assert len(folded.newest) + len(folded.superseded) == folded.marks.count("stored")


def test_a_matcher_compares_labels_and_fields_and_no_matcher_fits_nothing() -> None:
    one = alert("shop", labels={"team": "web"}, component="host/h[1]")
    assert fits((Matcher(field="service", value="shop"), Matcher(field="labels.team", value="w*", how="like")), one)
    assert not fits((Matcher(field="service", value="shop"), Matcher(field="labels.team", value="web", how="is-not")), one)
    assert fits((Matcher(field="component", value="host/h[1]", how="like"),), one)
    assert not fits((), one)
    with pytest.raises(ValidationError, match="no label"):
        Matcher(field="password", value="x")


def test_what_holds_an_alert_back_says_so() -> None:
    window = MaintenanceWindowSpec(
        reason="index", begins=NOW - timedelta(hours=1), ends=NOW + timedelta(hours=1), match=(Matcher(field="service", value="db"),)
    )
    silence = Silence(
        "s1", "apollo", (Matcher(field="service", value="shop"),), "moving", "mia", NOW - timedelta(hours=1), NOW + timedelta(hours=1), NOW
    )
    held = Suppression(POLICY, (silence,), (Maintenance("night", "apollo", window),))
    states = {name: held.of(alert(name), began=(NOW.timestamp(),), now=NOW) for name in ("db", "shop", "blog")}
    assert states["db"] is not None
    assert (states["db"].state, "night" in states["db"].reason) == (AlertState.MAINTENANCE, True)
    assert states["shop"] is not None
    assert (states["shop"].state, "mia" in states["shop"].reason) == (AlertState.SILENCED, True)
    assert states["blog"] is None


def test_a_weekly_window_follows_the_clock_of_its_zone_across_midnight_and_summer_time() -> None:
    zone = ZoneInfo("Europe/Berlin")
    window = MaintenanceWindowSpec(
        reason="index", weekly=Weekly(day="saturday", at="23:30", for_minutes=120), timezone="Europe/Berlin",
        match=(Matcher(field="service", value="db"),),
    )  # fmt: skip
    for year, month, day in ((2026, 3, 28), (2026, 10, 24), (2026, 7, 4)):
        inside = datetime(year, month, day + 1, 0, 30, tzinfo=zone).astimezone(UTC)
        assert window.open_until(inside) == datetime(year, month, day, 23, 30, tzinfo=zone).astimezone(UTC) + timedelta(hours=2)
        assert window.open_until(inside + timedelta(hours=2)) is None
    with pytest.raises(ValidationError, match="either"):
        MaintenanceWindowSpec(reason="x", match=(Matcher(field="service", value="db"),))
    with pytest.raises(ValidationError, match="no time zone"):
        MaintenanceWindowSpec(reason="x", weekly=window.weekly, timezone="Mars/Base", match=window.match)


def test_severity_follows_what_users_suffer_and_stays_low_outside_production() -> None:
    harm = impact_of(
        services=1, minutes=3, during=TrafficSum(1000, 300), lately=TrafficSum(100, 40), before=TrafficSum(10_000, 100)
    )  # fmt: skip
    assert (harm.failed, round(harm.usual_share, 4)) == (290, 0.01)
    known: dict[str, Any] = {"services": ["shop"], "sources": ["rule"]}
    assert severity_of(POLICY, alerts="SEV3", environment=PRODUCTION, impact=harm, **known)[0] == "SEV1"
    assert severity_of(POLICY, alerts="SEV3", environment=PRODUCTION, impact=None, **known)[0] == "SEV3"
    assert severity_of(POLICY, alerts="SEV1", environment=Environment.STAGING, impact=harm, **known)[0] == "SEV3"
    own = SeverityPolicySpec(rules=(SeverityRule(when=SeverityWhen(services=("shop",)), severity="SEV1"),))
    assert severity_of(own, alerts="SEV4", environment=PRODUCTION, impact=None, **known)[0] == "SEV1"


@given(st.sampled_from(IncidentStatus), st.sampled_from(IncidentStatus))
def test_an_incident_moves_along_the_declared_edges_only(before: IncidentStatus, after: IncidentStatus) -> None:
    if after in EDGES[before]:
        check_move("i", before, after)
    else:
        with pytest.raises(IllegalTransitionError, match="it can become"):
            check_move("i", before, after)
