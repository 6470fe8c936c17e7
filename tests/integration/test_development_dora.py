"""Delivery figures over the real API, from deployments of tools, releases of our own, commits and incidents in a store on a real file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.development import Change, ChangeState, Commit, Deployment, Read, RunState
from productops.domain.development_sync import DevelopmentSource
from productops.domain.governance_access import Grant, Role
from productops.settings import Settings
from productops.usecases.context import Context
from productops.usecases.development_attribution import attribute_incidents
from productops.usecases.incident_merge import merge_incidents
from tests.integration.test_api.support import TOKEN, client_of, free_ports, person_token, serving
from tests.support import SOMEBODY, add_service, make_context, sqlite_url

DEV = "/api/v1/product-ops/development"
NOW = datetime.now(UTC).replace(microsecond=0)
SOURCE = DevelopmentSource("gh", "apollo", DevelopmentSourceSpec.model_validate({"system": "github", "projects": ["acme/shop"]}))


def at(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def sha(letter: str) -> str:
    return letter * 40


def commit(letter: str, *parents: str, hours: float, title: str = "work") -> Commit:
    return Commit(
        external_id=sha(letter), sha=sha(letter), repository="acme/shop", title=title, committed_at=at(hours), changed_at=at(hours),
        parents=tuple(sha(each) for each in parents),
    )  # fmt: skip


def deployed(name: str, letter: str, *, hours: float, ok: bool = True) -> Deployment:
    return Deployment(
        external_id=name, repository="acme/shop", sha=sha(letter), environment="production", production=True, ref=f"v{name}",
        service="shop", status=RunState.SUCCEEDED if ok else RunState.FAILED, started_at=at(hours + 0.1), finished_at=at(hours),
        changed_at=at(hours),
    )  # fmt: skip


@dataclass(frozen=True)
class House:
    context: Context
    client: httpx.Client

    def tell(self, *things: Read) -> None:
        with self.context.store.write() as unit:
            unit.development.put(SOURCE, things, now=datetime.now(UTC))

    def dora(self, **query: Any) -> dict[str, Any]:
        answer = self.client.get(f"{DEV}/dora", params={"venture": "apollo"} | query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def harm(self, *, began: float, ended: float | None) -> str:
        with self.context.store.write() as unit:
            incident = unit.incidents.open(
                venture_id=unit.catalog.venture_id("apollo"), kind="availability", severity="SEV2", title="Nobody can pay",
                description="", services=["shop"], detection="person", impact={"environment": "production"}, now=at(began),
            )  # fmt: skip
        if ended is not None:
            with self.context.store.write() as unit:
                unit.incidents.resolve(incident, steps=["mended"], now=at(ended))
        return incident


def values(report: dict[str, Any], name: str, who: str = "people") -> dict[str, Any]:
    found: dict[str, Any] = next(f for part in report[who].values() for f in part if f["name"] == name)
    return dict(found["values"])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    context = make_context(sqlite_url(tmp_path))
    add_service(context, "shop", live="1.0")
    settings = Settings(home=tmp_path, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(tmp_path))
    with serving(context, settings), client_of(settings) as client:
        made = House(context, client)
        made.tell(
            commit("a", hours=300), commit("b", "a", hours=110), commit("c", "b", hours=60), commit("d", "c", hours=30),
            deployed("1", "a", hours=200), deployed("2", "b", hours=100), deployed("3", "c", hours=50), deployed("4", "d", hours=20),
            deployed("5", "d", hours=10, ok=False),
        )  # fmt: skip
        yield made


def test_lead_time_counts_each_commit_once_and_says_what_it_cannot_know(house):
    report = house.dora()
    found = values(report, "lead_time")
    assert (found["count"], found["median_s"]) == (3, 10 * 3600)
    assert found["deployments"] == 3
    assert any("first known of their service" in note for note in report["notes"])


def test_a_failed_deployment_job_reached_nobody_and_is_no_deployment(house):
    report = house.dora()
    assert values(report, "deployment_frequency")["count"] == 4
    assert [d["version"] for d in report["deployments"]] == ["v1", "v2", "v3", "v4"]


def test_an_incident_counts_for_the_deployment_that_evidence_points_to_and_both_numbers_are_shown_when_a_person_says_otherwise(house):
    incident = house.harm(began=49.9, ended=48)
    report = house.dora()
    assert values(report, "change_failure_rate") == {"share": 0.25, "part": 1, "whole": 4}
    assert values(report, "failed_deployment_recovery_time")["median_s"] == pytest.approx(2 * 3600)
    assert values(report, "time_to_restore_service")["median_s"] == pytest.approx(1.9 * 3600)
    attribute_incidents(house.context, "apollo", actor=SOMEBODY)
    listed = house.client.get(f"{DEV}/attributions", params={"incident": incident}).json()["items"]
    best = max(listed, key=lambda each: each["confidence"])
    assert best["deployment"].startswith("deployment/")
    assert "reached users" in best["reason"]
    said = house.client.post(f"{DEV}/attributions/{best['id']}/overrule", json={"deployment": None, "reason": "the bank was down"})
    assert said.status_code == 201, said.text
    report = house.dora()
    assert report["overruled"] == 1
    assert values(report, "change_failure_rate")["part"] == 0
    assert values(report, "change_failure_rate", "machine")["part"] == 1
    with house.context.store.read() as unit:
        actions = {entry.action for entry in unit.audit.following(0)}
    assert {"incident.attributed", "incident.attribution-overruled"} <= actions


def test_a_review_that_finds_the_same_causes_writes_nothing(house):
    house.harm(began=49.9, ended=48)
    assert len(attribute_incidents(house.context, "apollo", actor=SOMEBODY)) == 1
    assert attribute_incidents(house.context, "apollo", actor=SOMEBODY) == []


def test_an_incident_of_another_service_is_blamed_on_nobody(house):
    with house.context.store.write() as unit:
        unit.incidents.open(
            venture_id=unit.catalog.venture_id("apollo"), kind="data", severity="SEV1", title="Numbers are gone", description="",
            services=["ledger"], detection="person", impact={}, now=at(49.9),
        )  # fmt: skip
    assert values(house.dora(), "change_failure_rate")["part"] == 0


def test_going_back_to_an_older_commit_ends_the_failed_deployment_and_is_none_itself(house):
    house.tell(deployed("6", "c", hours=19))
    report = house.dora()
    assert values(report, "deployment_frequency")["count"] == 4
    assert [d["outcome"] for d in report["deployments"]] == ["live", "live", "live", "rolled_back"]
    assert values(report, "failed_deployment_recovery_time")["median_s"] == pytest.approx(3600)
    assert values(report, "lead_time")["count"] == 2


def test_a_revert_is_rework_and_has_no_lead_time(house):
    house.tell(commit("e", "d", hours=6, title='Revert "work"'), deployed("7", "e", hours=5))
    report = house.dora()
    assert values(report, "lead_time")["count"] == 3
    assert values(report, "rework_rate") == {"share": 0.2, "part": 1, "whole": 5}


def test_a_squash_counts_with_the_commits_of_its_branch(house):
    branch = [
        Commit(external_id=sha(x), sha=sha(x), repository="acme/shop", title="part", committed_at=at(h), changed_at=at(h), change="77")
        for x, h in (("1", 15), ("2", 12))
    ]  # fmt: skip
    squash = Change(
        external_id="77", key="acme/shop#77", repository="acme/shop", title="pay", state=ChangeState.MERGED, opened_at=at(15),
        merged_at=at(9), changed_at=at(9), merge_sha=sha("e"),
    )  # fmt: skip
    house.tell(*branch, squash, commit("e", "d", hours=9), deployed("8", "e", hours=5))
    assert values(house.dora(), "lead_time")["count"] == 5


def test_figures_of_a_past_window_do_not_change_when_the_window_moves(house):
    begin = at(110)
    one = house.dora(**{"from": begin.isoformat(), "to": at(40).isoformat()})
    other = house.dora(**{"from": (begin - timedelta(days=30)).isoformat(), "to": at(40).isoformat()})
    assert values(one, "lead_time")["count"] == values(other, "lead_time")["count"] == 2


@pytest.mark.parametrize("query", [{"from": "2030-01-01T00:00:00Z", "to": "2029-01-01T00:00:00Z"}, {"from": "0999-01-01T00:00:00Z"}])
def test_a_window_that_is_none_is_refused(house, query):
    answer = house.client.get(f"{DEV}/dora", params={"venture": "apollo"} | query)
    assert answer.status_code == 422
    assert "is no window" in answer.json()["detail"]


def test_a_viewer_reads_the_figures_and_may_not_overrule_them(house):
    house.harm(began=49.9, ended=48)
    attribute_incidents(house.context, "apollo", actor=SOMEBODY)
    token = person_token(house.context, "vera", Grant(Role.VIEWER, "apollo"))
    mine = {"Authorization": f"Bearer {token}"}
    listed = house.client.get(f"{DEV}/attributions", headers=mine).json()["items"]
    body = {"deployment": None, "reason": "the bank was down"}
    refused = house.client.post(f"{DEV}/attributions/{listed[0]['id']}/overrule", json=body, headers=mine)
    assert refused.status_code == 403
    assert house.client.get(f"{DEV}/dora", params={"venture": "apollo"}, headers=mine).status_code == 200


def test_a_deployment_of_nobody_cannot_be_blamed(house):
    house.harm(began=49.9, ended=48)
    attribute_incidents(house.context, "apollo", actor=SOMEBODY)
    one = house.client.get(f"{DEV}/attributions").json()["items"][0]["id"]
    for wrong, status in (("deployment/none", 404), ("v3", 422)):
        answer = house.client.post(f"{DEV}/attributions/{one}/overrule", json={"deployment": wrong, "reason": "it was that one"})
        assert answer.status_code == status


def test_two_incidents_that_were_merged_are_one_in_the_time_to_restore_and_the_other_one_has_no_time_of_its_own(house):
    kept = house.harm(began=49.9, ended=None)
    gone = house.harm(began=49.8, ended=None)
    with house.context.store.write() as unit:
        unit.incidents.measure(gone, {"release_id": "a release"})
    merge_incidents(house.context, kept, [gone], reason="the same harm", actor=SOMEBODY)
    attribute_incidents(house.context, "apollo", actor=SOMEBODY)
    with house.context.store.write() as unit:
        unit.incidents.resolve(kept, steps=["mended"], now=at(48))
        merged, survivor = unit.incidents.get(gone), unit.incidents.get(kept)
    assert (merged.merged_into, merged.mttr_minutes) == (kept, None)
    assert survivor.releases == ("a release",)
    report = house.dora()
    assert values(report, "time_to_restore_service")["count"] == 1
    assert values(report, "change_failure_rate")["part"] == 1
    assert values(report, "failed_deployment_recovery_time")["median_s"] == pytest.approx(2 * 3600)
