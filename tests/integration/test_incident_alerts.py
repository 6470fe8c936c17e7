"""Alerts in a real database: kept once, held back with a reason, and made one incident of one cause."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from productops.adapters.catalog_files import load_catalog
from productops.domain.catalog_incident import Matcher
from productops.domain.catalog_playbook import PlaybookSpec
from productops.domain.incident_alert import AlertState
from productops.domain.incident_playbook import Response, ResponseState, StepRecord
from productops.domain.incident_state import IncidentStatus
from productops.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from productops.usecases.catalog import apply_catalog
from productops.usecases.incident import resolve_incident
from productops.usecases.incident_alerts import take_alerts
from productops.usecases.incident_change import Wish, acknowledge_incident, set_incident_severity
from productops.usecases.incident_log import read_incident_log
from productops.usecases.incident_silence import end_silence, list_silences, silence_alerts
from productops.usecases.incident_tend import Tended, forget_alerts, tend_incidents
from tests.integration.incident_lab import BOB, EVE, MIA, IncidentLab
from tests.support import PRODUCTION, SOMEBODY, sqlite_url

SHOPS: dict[str, tuple[str, ...]] = {f"shop-{number:02}": ("db",) for number in range(40)}


@pytest.fixture
def lab(tmp_path: Path) -> IncidentLab:
    return IncidentLab(sqlite_url(tmp_path), {"db": (), "shop": ("db",), "cart": ("shop",), "blog": ()})


def tend(lab: IncidentLab) -> Tended:
    return tend_incidents(lab.context, actor=SOMEBODY)


def test_a_database_that_is_down_is_one_incident_and_not_forty(tmp_path: Path) -> None:
    lab = IncidentLab(sqlite_url(tmp_path), {"db": ()} | SHOPS)
    first = lab.take(*(lab.alert(name) for name in list(SHOPS)[:39]))
    assert len(first.opened) == 1
    lab.clock.pass_by(5)
    second = lab.take(lab.alert("db", "down", summary="db refuses connections"), lab.alert("shop-39"))
    assert second.opened == ()
    assert second.touched == first.opened
    incident = lab.incidents()[0]
    assert incident.component == "db"
    assert incident.title == "db refuses connections (40 services that depend on it)"
    assert len(incident.services) == 41
    kinds = [entry.kind for entry in read_incident_log(lab.context, incident.id, actor=EVE)]
    assert kinds == ["opened", "alerts", "root"]
    assert {stored.state for stored in lab.alerts()} == {AlertState.GROUPED}
    assert "depends on db" in " ".join(stored.reason for stored in lab.alerts(service="db"))


def test_services_that_have_nothing_to_do_with_each_other_are_two_incidents(lab: IncidentLab) -> None:
    taken = lab.take(lab.alert("shop"), lab.alert("blog"))
    assert len(taken.opened) == 2
    assert {incident.services for incident in lab.incidents()} == {("shop",), ("blog",)}


def test_the_same_alert_is_kept_once_and_counted(lab: IncidentLab) -> None:
    alert = lab.alert()
    assert lab.take(alert).stored == 1
    lab.clock.pass_by(60)
    again = lab.take(alert, replace(alert, value=2.0))
    assert (again.stored, again.duplicates, again.opened) == (0, 2, ())
    stored = lab.alerts()[0]
    assert (stored.received, stored.alert.value) == (3, 2.0)
    assert len(lab.incidents()) == 1


def test_an_old_message_that_comes_after_the_end_opens_nothing(lab: IncidentLab) -> None:
    alert = lab.alert()
    lab.clock.pass_by(30)
    assert lab.take(lab.over(alert)).opened == ()
    lab.clock.pass_by(5)
    late = lab.take(alert)
    assert (late.stored, late.duplicates, late.opened) == (0, 1, ())
    assert [stored.state for stored in lab.alerts()] == [AlertState.ENDED]
    assert lab.incidents() == []


def test_an_alert_that_begins_and_ends_in_one_batch_and_begins_again_is_two_times(lab: IncidentLab) -> None:
    alert = lab.alert()
    lab.clock.pass_by(60)
    later = replace(alert, starts_at=lab.clock.now() + timedelta(seconds=1))
    taken = lab.take(alert, replace(lab.over(alert), ends_at=lab.clock.now()), later)
    assert (taken.stored, taken.ended) == (2, 1)
    assert len(lab.incidents()) == 1
    assert sorted(stored.alert.status for stored in lab.alerts()) == ["firing", "resolved"]


def test_a_bad_alert_is_refused_by_its_place_and_the_others_are_kept(lab: IncidentLab) -> None:
    taken = lab.take(lab.alert("shop"), replace(lab.alert(), venture="nobody"), lab.alert("unheard-of"))
    assert [(each.index, "no venture 'nobody'" in each.reason) for each in taken.refused] == [(1, True)]
    assert taken.stored == 2
    unknown = next(stored for stored in lab.alerts() if stored.alert.service is None)
    assert unknown.alert.component == "unheard-of"
    with pytest.raises(ForbiddenError, match="may not do"):
        take_alerts(lab.context, [lab.alert()], actor=BOB)


def test_mild_alerts_are_listed_and_open_nothing_until_a_worse_one_comes(lab: IncidentLab) -> None:
    assert lab.take(lab.alert("cart", severity="SEV4"), lab.alert("blog", severity="SEV4")).opened == ()
    assert {stored.state for stored in lab.alerts()} == {AlertState.LISTED}
    assert all("opens no incident" in stored.reason for stored in lab.alerts())
    lab.clock.pass_by(20)
    opened = lab.take(lab.alert("shop")).opened
    assert len(opened) == 1
    states = {stored.alert.service: stored.state for stored in lab.alerts()}
    assert states == {"cart": AlertState.GROUPED, "shop": AlertState.GROUPED, "blog": AlertState.LISTED}


def test_a_silence_holds_back_with_its_reason_and_its_end_lets_through(lab: IncidentLab) -> None:
    fits = (Matcher(field="service", value="sh*", how="like"), Matcher(field="labels.team", value="web", how="is-not"))
    ends = lab.clock.now() + timedelta(hours=1)
    made = silence_alerts(lab.context, "apollo", fits, reason="moving the database", ends_at=ends, actor=MIA)
    taken = lab.take(lab.alert("shop"), lab.alert("blog"))
    assert (taken.suppressed, len(taken.opened)) == (1, 1)
    held = lab.alerts(states=(AlertState.SILENCED,))[0]
    assert "moving the database" in held.reason
    assert made.id in held.reason
    assert tend(lab).opened == ()
    lab.clock.pass_by(60)
    end_silence(lab.context, made.id, actor=MIA)
    assert len(tend(lab).opened) == 1
    assert lab.alerts(states=(AlertState.SILENCED,)) == []
    assert list_silences(lab.context, actor=EVE) == []
    assert len(list_silences(lab.context, current_only=False, actor=EVE)) == 1
    with pytest.raises(ConflictError, match="ended at"):
        end_silence(lab.context, made.id, actor=MIA)


def test_who_may_not_silence_is_refused_and_a_silence_of_everything_is_too(lab: IncidentLab) -> None:
    fits = (Matcher(field="service", value="shop"),)
    ends = lab.clock.now() + timedelta(hours=1)
    with pytest.raises(ForbiddenError):
        silence_alerts(lab.context, "apollo", fits, reason="x", ends_at=ends, actor=EVE)
    with pytest.raises(InvalidInputError, match="matchers"):
        silence_alerts(lab.context, "apollo", (), reason="x", ends_at=ends, actor=MIA)
    with pytest.raises(InvalidInputError, match="30 days"):
        silence_alerts(lab.context, "apollo", fits, reason="x", ends_at=ends + timedelta(days=31), actor=MIA)
    made = silence_alerts(lab.context, "apollo", fits, reason="x", ends_at=ends, actor=MIA)
    with pytest.raises(NotFoundError):
        end_silence(lab.context, made.id, actor=BOB)


def test_an_alert_that_comes_and_goes_is_held_back_and_reopens_nothing(lab: IncidentLab) -> None:
    states = []
    for _ in range(6):
        alert = lab.alert()
        lab.take(alert)
        lab.clock.pass_by(20)
        lab.take(lab.over(alert))
        lab.clock.pass_by(20)
        states.append(lab.alerts()[0].state)
        if len(states) == 1:
            resolve_incident(lab.context, lab.incidents()[0].id, steps=["restarted"], actor=SOMEBODY)
    assert states[:3] == [AlertState.GROUPED] * 3
    assert states[3:] == [AlertState.DAMPED] * 3
    assert len(lab.incidents()) == 1
    assert "began 4 times within 10 min" in lab.alerts(states=(AlertState.DAMPED,))[-1].reason
    steady = lab.alert(severity="SEV1")
    lab.take(steady)
    assert lab.alerts()[0].state is AlertState.GROUPED


def test_what_a_response_ended_each_time_did_not_come_and_go_by_itself(tmp_path: Path) -> None:
    lab = IncidentLab(sqlite_url(tmp_path), {"shop": ()})
    for _ in range(6):
        alert = lab.alert()
        lab.take(alert)
        assert lab.alerts()[0].state is AlertState.GROUPED
        lab.clock.pass_by(20)
        incident = lab.incidents()[0]
        _mended(lab, incident.id)
        lab.take(lab.over(alert))
        resolve_incident(lab.context, incident.id, steps=["rolled back"], actor=SOMEBODY)
        lab.clock.pass_by(20)


def _mended(lab: IncidentLab, incident_id: str) -> None:
    """A response that changed something, and worked."""
    spec, now = PlaybookSpec.model_validate({"steps": [{"do": "scale"}]}), lab.clock.now()
    step = StepRecord(0, "step", "scale", {}, state="done", ended_at=now)
    response = Response(
        id="", incident_id=incident_id, number=1, playbook="more", spec=spec, base="", venture="apollo", service="shop",
        environment=PRODUCTION, cause={}, mode="act", state=ResponseState.SUCCEEDED, why="", reason="", by="productops", since=now,
        created_at=now, ended_at=now, steps=(step,),
    )  # fmt: skip
    with lab.context.store.write() as unit:
        number = len(unit.responses.of_incident(incident_id)) + 1
        unit.responses.begin(replace(response, number=number), ["shop"])


def test_a_statement_about_three_requests_is_no_evidence_until_there_are_more(lab: IncidentLab) -> None:
    alert = lab.alert(evidence={"requests": 3})
    assert lab.take(alert).opened == ()
    assert "rests on 3 requests" in lab.alerts()[0].reason
    assert len(lab.take(replace(alert, evidence={"requests": 300})).opened) == 1


def test_quiet_mitigates_and_the_same_alert_reopens(lab: IncidentLab) -> None:
    alert = lab.alert()
    opened = lab.take(alert).opened[0]
    lab.clock.pass_by(60)
    lab.take(lab.over(alert))
    lab.clock.pass_by(100)
    assert tend(lab).mitigated == ()
    lab.clock.pass_by(30)
    assert tend(lab).mitigated == (opened,)
    assert lab.incidents()[0].status is IncidentStatus.MITIGATED
    resolve_incident(lab.context, opened, steps=["it went away"], actor=SOMEBODY)
    lab.clock.pass_by(600)
    again = lab.take(lab.alert())
    assert (again.opened, again.touched) == ((), (opened,))
    incident = lab.incidents()[0]
    assert (incident.status, incident.reopened, incident.resolved_at) == (IncidentStatus.INVESTIGATING, 1, None)
    lab.clock.pass_by(7200)
    resolve_incident(lab.context, opened, steps=["really"], actor=SOMEBODY)


def test_an_alert_that_gets_far_worse_after_somebody_resolved_its_incident_reopens_it_at_once(lab):
    slow = lab.alert(name="slow answers", value=140.0, evidence={"series": "service.p95_ms"})
    incident = lab.take(slow).opened[0]
    resolve_incident(lab.context, incident, steps=("it was nothing",), actor=SOMEBODY)
    lab.clock.pass_by(5)
    lab.take(replace(slow, value=150.0))
    assert lab.incidents()[0].status is IncidentStatus.RESOLVED
    lab.clock.pass_by(5)
    lab.take(replace(slow, value=240.0))
    assert lab.incidents()[0].status is IncidentStatus.INVESTIGATING


def test_an_alert_that_still_fires_after_somebody_resolved_its_incident_reopens_it(lab: IncidentLab) -> None:
    alert = lab.alert()
    opened = lab.take(alert).opened[0]
    resolve_incident(lab.context, opened, steps=["wishful"], actor=SOMEBODY)
    lab.clock.pass_by(30)
    assert lab.take(alert).touched == ()
    lab.clock.pass_by(100)
    assert lab.take(alert).touched == (opened,)
    assert lab.incidents()[0].reopened == 1


def test_an_alert_nobody_tells_any_more_ends_after_a_day(lab: IncidentLab) -> None:
    lab.take(lab.alert())
    lab.clock.pass_by(86_500)
    assert tend(lab).ended == 1
    assert lab.alerts()[0].alert.status == "resolved"
    assert "not told again" in lab.alerts()[0].reason


def test_impact_is_counted_from_traffic_and_makes_it_more_severe(lab: IncidentLab) -> None:
    lab.traffic("shop", seconds=100, requests=100, failures=1)
    lab.clock.pass_by(60)
    opened = lab.take(lab.alert(severity="SEV3")).opened[0]
    assert lab.incidents()[0].severity == "SEV3"
    lab.clock.pass_by(30)
    lab.traffic("shop", seconds=30, requests=100, failures=60)
    assert opened in tend(lab).weighed
    incident = lab.incidents()[0]
    assert incident.severity == "SEV1"
    assert 1700 < incident.impact["requests_failed"] < 1800
    assert incident.impact["failing_share"] > 0.5
    assert "rule 1" in read_incident_log(lab.context, opened, actor=EVE)[-1].text


def test_a_worse_alert_makes_its_incident_worse_unless_a_person_has_spoken(lab: IncidentLab) -> None:
    first = lab.alert(severity="SEV3")
    opened = lab.take(first).opened[0]
    lab.take(lab.alert("cart", severity="SEV2"))
    assert lab.incidents()[0].severity == "SEV2"
    lab.take(replace(first, severity="SEV1"))
    assert lab.incidents()[0].severity == "SEV1"
    set_incident_severity(lab.context, Wish(opened, MIA), "SEV3", reason="only our own people see it")
    lab.take(lab.alert("shop", "Other", severity="SEV1"))
    assert lab.incidents()[0].severity == "SEV3"
    severities = [e.text for e in read_incident_log(lab.context, opened, actor=EVE) if e.kind == "severity"]
    assert [text[:12] for text in severities] == ["SEV3 -> SEV2", "SEV2 -> SEV1", "SEV1 -> SEV3"]


def test_two_incidents_that_turn_out_to_be_one_are_merged_unless_somebody_took_them_up(tmp_path: Path) -> None:
    lab = IncidentLab(sqlite_url(tmp_path), {"db": (), "left": ("db",), "right": ("left",), "far": ()})
    lab.take(lab.alert("right", labels={"release_id": "a"}), lab.alert("db", labels={"release_id": "b"}))
    # Both are known to depend on each other only through what stands between them, so they are one from the beginning.
    assert len(lab.incidents()) == 1
    far = lab.take(lab.alert("far")).opened[0]
    joined = lab.take(lab.alert("far", "disk", labels={"release_id": "a"}))
    assert len(joined.touched) >= 1
    gone = next(each for each in lab.incidents() if each.merged_into)
    assert gone.id == far
    assert gone.status is IncidentStatus.CLOSED
    assert len([each for each in lab.incidents() if each.live]) == 1


def test_a_thousand_alerts_of_one_cause_are_one_incident_at_once(tmp_path: Path) -> None:
    lab = IncidentLab(sqlite_url(tmp_path), {"db": ()} | SHOPS)
    names = ["db", *SHOPS]
    storm = [lab.alert(names[n % 41], f"errors-{n % 7}", labels={"pod": f"p{n}"}) for n in range(1000)]
    began = time.monotonic()
    opened: set[str] = set()
    for start in range(0, 1000, 100):
        opened |= set(lab.take(*storm[start : start + 100]).opened)
    took = time.monotonic() - began
    assert len(opened) == 1
    assert len(lab.alerts(incident_id=opened.pop())) == 1000
    assert took < 20


def test_senders_at_the_same_time_make_one_incident_on_each_database(database_url: str) -> None:
    lab = IncidentLab(database_url, {"db": ()} | SHOPS)
    names = ["db", *SHOPS]
    parts = [[lab.alert(names[n % 41], f"errors-{part}", labels={"pod": f"p{n}"}) for n in range(25)] for part in range(6)]
    with ThreadPoolExecutor(6) as senders:
        taken = list(senders.map(lambda part: lab.take(*part), parts))
    assert sum(each.stored for each in taken) == 150
    assert len({opened for each in taken for opened in each.opened}) == 1
    incident = lab.incidents()[0]
    with lab.context.store.read() as unit:
        assert unit.alerts.counts(incident.id) == (150, 150)
    numbers = [entry.seq for entry in read_incident_log(lab.context, incident.id, actor=EVE)]
    assert numbers == list(range(1, len(numbers) + 1))
    acknowledge_incident(lab.context, Wish(incident.id, MIA))
    assert lab.take(*parts[0]).duplicates == 25
    lab.clock.pass_by(30)
    lab.take(*(lab.over(alert) for part in parts for alert in part))
    lab.clock.pass_by(200)
    assert tend(lab).mitigated == (incident.id,)
    lab.context.store.close()


def test_a_policy_and_a_window_of_the_catalog_are_used_and_go_when_they_are_declared_no_more(lab: IncidentLab, tmp_path: Path) -> None:
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "a.yaml").write_text(
        "apiVersion: productops/v1\nkind: Venture\nmetadata: {name: apollo}\n---\n"
        "apiVersion: productops/v1\nkind: SeverityPolicy\nmetadata: {name: apollo, venture: apollo}\nspec: {opens_at: SEV1}\n---\n"
        "apiVersion: productops/v1\nkind: MaintenanceWindow\nmetadata: {name: night, venture: apollo}\n"
        "spec: {reason: index, begins: 2020-01-01T00:00:00Z, ends: 2099-01-01T00:00:00Z, match: [{field: service, value: blog}]}\n"
    )
    changes = apply_catalog(lab.context, load_catalog(folder), actor=SOMEBODY)
    assert ("SeverityPolicy", "created") in {(each.kind, each.outcome) for each in changes}
    assert lab.take(lab.alert("shop"), lab.alert("blog", severity="SEV1")).opened == ()
    assert {stored.alert.service: stored.state for stored in lab.alerts()} == {
        "shop": AlertState.LISTED, "blog": AlertState.MAINTENANCE,
    }  # fmt: skip
    (folder / "a.yaml").write_text("apiVersion: productops/v1\nkind: Venture\nmetadata: {name: apollo}\n")
    removed = {(each.kind, each.outcome) for each in apply_catalog(lab.context, load_catalog(folder), actor=SOMEBODY)}
    assert {("SeverityPolicy", "removed"), ("MaintenanceWindow", "removed")} <= removed
    # By the shipped policy what was listed is an incident, too.
    assert len(tend(lab).opened) == 2


def test_healthy_noise_opens_nothing_in_a_day(lab: IncidentLab) -> None:
    for hour in range(24):
        alert = lab.alert(("shop", "cart", "blog")[hour % 3], f"blip-{hour % 5}", severity="SEV4", source="anomaly")
        assert lab.take(alert).opened == ()
        lab.clock.pass_by(60)
        lab.take(lab.over(alert))
        lab.clock.pass_by(3540)
    assert lab.incidents() == []
    assert len(lab.alerts()) == 24


def test_alerts_of_no_incident_are_kept_as_long_as_their_ventures_policy_says_and_the_others_stay(tmp_path: Path, lab: IncidentLab) -> None:
    listed, grouped = lab.alert("blog", severity="SEV4"), lab.alert("shop")
    lab.take(listed, grouped)
    lab.take(lab.over(listed), lab.over(grouped))
    lab.clock.pass_by(8 * 86_400)
    assert forget_alerts(lab.context) == 0
    policy = "apiVersion: productops/v1\nkind: Venture\nmetadata: {name: apollo}\n---\n"
    policy += "apiVersion: productops/v1\nkind: SeverityPolicy\nmetadata: {name: apollo, venture: apollo}\nspec: {keep_days: 7}\n"
    (folder := tmp_path / "catalog").mkdir()
    (folder / "policy.yaml").write_text(policy)
    apply_catalog(lab.context, load_catalog(folder), actor=SOMEBODY)
    assert forget_alerts(lab.context) == 1
    assert [stored.alert.service for stored in lab.alerts()] == ["shop"]
    with lab.context.store.read() as unit:
        told = [entry for entry in unit.audit.following(0) if entry.action == "alerts.forgotten"]
    assert [json.loads(entry.detail)["count"] for entry in told] == [1]
    assert forget_alerts(lab.context) == 0
