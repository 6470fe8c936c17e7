"""Ask for releases, read them, roll them back, let them go on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from productops.domain.governance_access import MACHINE
from productops.domain.release import Phase
from productops.domain.traffic import Instance, InstanceState
from productops.store import Store
from productops.store.identity import new_id
from productops.store.migrate import upgrade
from productops.usecases.context import Context
from tests.integration.test_api.support import DEPLOYMENTS, OPS, carry_out, client_of, prepare, put_service, serving, wait_until
from tests.support import PRODUCTION, HandMadeAgent, Silent, running


def test_a_request_is_accepted_with_its_location_its_plan_and_its_flow_run(api):
    answer = api.ask(note="the new basket", weights_pct=[10, 60], hold_s=5)
    release = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{OPS}/releases/{release['id']}"
    assert "Idempotency-Replayed" not in answer.headers
    assert (release["service"], release["version"], release["baseline_version"], release["phase"]) == ("shop", "2.0", "1.0", "requested")
    assert [(s["weight_pct"], s["hold_s"]) for s in release["steps"]] == [(10, 5), (60, 5)]
    assert (release["requested_by"], release["origin"], release["note"]) == ("owner", "api", "the new basket")
    assert release["flow_run"] == {"id": f"run-of-{release['id']}", "url": f"http://prefect.test/runs/flow-run/run-of-{release['id']}"}
    assert api.orchestrator.releases[release["id"]]["version"] == "2.0"
    assert api.client.get(answer.headers["Location"]).json()["id"] == release["id"]


def test_a_release_is_kept_when_the_orchestrator_does_not_answer(api):
    api.orchestrator.away = True
    answer = api.ask()
    assert (answer.status_code, answer.json()["flow_run"], answer.json()["phase"]) == (202, None, "requested")


def test_a_repeated_key_answers_the_same_release_and_starts_what_was_not_started(api):
    api.orchestrator.away = True
    first = api.ask(key="deploy-17")
    api.orchestrator.away = False
    second = api.ask(key="deploy-17")
    assert second.status_code == 202
    assert second.json()["id"] == first.json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert list(api.orchestrator.releases) == [first.json()["id"]]


def test_a_replay_does_not_start_a_release_again_that_runs(api):
    release_id = api.ask(key="k").json()["id"]
    with api.context.store.write() as unit:
        unit.releases.claim(release_id, "run-1", instead_of=None, now=api.context.clock.now())
    api.orchestrator.releases.clear()
    assert api.ask(key="k").json()["flow_run"]["id"] == "run-1"
    assert not api.orchestrator.releases


def test_many_requests_with_one_key_at_once_make_one_release(api):
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: api.ask(key="at-once"), range(12)))
    assert {a.status_code for a in answers} == {202}
    assert len({a.json()["id"] for a in answers}) == 1
    assert sum("Idempotency-Replayed" in a.headers for a in answers) == 11
    assert len(api.client.get(f"{OPS}/releases").json()["items"]) == 1


def test_on_postgresql_many_requests_with_one_key_at_once_make_one_release_too(template, postgres_url, tmp_path):
    upgrade(postgres_url)
    _, settings, orchestrator = prepare(template, tmp_path)
    context = Context(store=Store(postgres_url), doorbell=Silent(), lease_ttl_s=3.0, orchestrator=orchestrator)
    with context.store.write() as unit:
        unit.catalog.put_venture("apollo", title="", description="", author="tester", now=context.clock.now())
    for name in ("shop", "cart"):
        put_service(context, template, name=name, live="1.0")
    with serving(context, settings), client_of(settings) as client:

        def ask(number):
            body = {"service": "cart" if number % 4 == 3 else "shop"}
            return client.post(f"{OPS}/release/2.0", json=body, headers={"Idempotency-Key": "at-once"})

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, range(24)))
        release = f"{OPS}/releases/{next(a for a in answers if a.status_code == 202).json()['id']}"
        for path in (release, f"{release}/analysis", f"{OPS}/releases?after={release[-36:]}", f"{OPS}/services", "/readyz"):
            assert client.get(path).status_code == 200, path
        ended = client.post(f"{release}/rollback", json={"reason": "not today"})
        assert (ended.status_code, ended.json()["phase"]) == (202, "failed")
        assert "event: phase" in client.get(f"{release}/events").text
        nul = client.post(f"{OPS}/release/2.0", json={"service": "shop", "note": "a\0b"})
    accepted = [a for a in answers if a.status_code == 202]
    assert len({a.json()["id"] for a in accepted}) == 1
    assert sum("Idempotency-Replayed" in a.headers for a in accepted) == len(accepted) - 1
    assert {a.json()["slug"] for a in answers if a.status_code != 202} == {"idempotency-key-reused"}
    assert nul.status_code == 422


def test_many_requests_without_a_key_at_once_make_one_release_and_conflicts(api):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.ask(), range(8)))
    assert sorted(a.status_code for a in answers) == [202] + [409] * 7
    assert {a.json()["slug"] for a in answers if a.status_code == 409} == {"release-in-flight"}


def test_a_key_with_another_request_is_refused(api):
    api.ask(key="k")
    answer = api.ask("3.0", key="k")
    assert (answer.status_code, answer.json()["slug"]) == (409, "idempotency-key-reused")


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ümlaut"])
def test_an_unusable_key_is_refused(api, key):
    answer = api.client.post(f"{OPS}/release/2.0", json={"service": "shop"}, headers=[(b"Idempotency-Key", key.encode("latin-1"))])
    assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-input")
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("version", "body", "status", "slug"),
    [
        ("1.0", {}, 409, "already-live"),
        ("0.9", {}, 422, "downgrade"),
        ("9.9", {}, 404, "not-found"),
        ("2.0", {"service": "nobody"}, 404, "not-found"),
        ("2.0", {"venture": "zeus"}, 422, "invalid-input"),
        ("2.0", {"weights_pct": [50, 20]}, 422, "invalid-input"),
        ("2.0", {"strategy": "blue-green", "weights_pct": [5]}, 422, "invalid-input"),
        ("a b", {}, 422, "invalid-input"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_refused_and_leaves_nothing(api, version, body, status, slug):
    for path in (f"{OPS}/release/{version}", f"{OPS}/release/{version}/plan"):
        answer = api.client.post(path, json={"service": "shop"} | body)
        assert (answer.status_code, answer.json()["slug"]) == (status, slug)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == f"/docs/errors#{slug}"
    assert api.client.get(f"{OPS}/releases").json() == {"items": [], "next": None}


def test_an_older_version_is_released_when_the_caller_insists(api):
    assert api.ask("0.9", force_downgrade=True).status_code == 202


def test_a_quarantined_version_is_refused_until_the_caller_insists(api):
    with api.context.store.write() as unit:
        unit.quarantine.add("shop", PRODUCTION, "2.0", release_id=str(new_id()), reason="it lost orders", now=api.context.clock.now())
    refused = api.ask()
    assert (refused.status_code, refused.json()["slug"]) == (409, "quarantined")
    assert "it lost orders" in refused.json()["detail"]
    assert api.client.post(f"{OPS}/release/2.0/plan", json={"service": "shop", "lift_quarantine": True}).status_code == 200
    assert api.ask().status_code == 409, "a plan lifts nothing"
    assert api.ask(lift_quarantine=True).status_code == 202


def test_a_second_release_of_the_service_is_refused_and_names_the_first(api):
    first = api.asked()
    answer = api.ask("3.0")
    assert (answer.status_code, answer.json()["slug"], answer.json()["release_id"]) == (409, "release-in-flight", first)


def test_a_plan_shows_the_steps_and_writes_nothing(api):
    answer = api.client.post(f"{OPS}/release/2.0/plan", json={"service": "shop", "hold_s": 7})
    plan = answer.json()
    assert answer.status_code == 200
    assert (plan["baseline_version"], plan["version"], plan["strategy"]) == ("1.0", "2.0", "canary")
    assert plan["longest_s"] == pytest.approx(14.2)
    assert [s["title"] for s in plan["steps"]] == ["20 %", "50 %"]
    assert api.client.get(f"{OPS}/releases").json()["items"] == []
    assert not api.orchestrator.releases


def test_the_first_version_of_a_service_has_no_steps(api):
    put_service(api.context, api.versions, name="fresh")
    plan = api.client.post(f"{OPS}/release/2.0/plan", json={"service": "fresh"}).json()
    assert (plan["baseline_version"], plan["steps"]) == (None, [])


def test_a_release_is_read_with_its_steps_moves_traffic_lease_and_totals(api):
    with running(HandMadeAgent(api.context)):
        release_id = api.asked(hold_s=2.2)
        assert carry_out(api.context, release_id).phase is Phase.PROMOTED
        wait_until(lambda: api.client.get(f"{OPS}/releases/{release_id}").json()["traffic"]["confirmed"])
    release = api.client.get(f"{OPS}/releases/{release_id}").json()
    assert (release["phase"], release["ended"], release["step_index"]) == ("promoted", True, 1)
    assert [s["verdict"] for s in release["steps"]] == ["passed", "passed"]
    assert [m["to"] for m in release["transitions"]] == ["deploying", "rolling_out", "promoting", "validating", "promoted"]
    assert release["summary"]["candidate"]["requests"] > 0
    assert release["summary"]["harmed_share"] >= 0
    assert (release["traffic"]["baseline_version"], release["traffic"]["confirmed"], release["traffic"]["lease"]) == ("2.0", True, None)
    analysis = api.client.get(f"{OPS}/releases/{release_id}/analysis", params={"limit": 1}).json()
    assert len(analysis["items"]) == 1
    assert analysis["items"][0]["evidence"]["schema"] >= 1
    rest = api.client.get(f"{OPS}/releases/{release_id}/analysis", params={"after_s": analysis["next"]}).json()
    assert rest["items"]
    assert rest["next"] is None
    assert rest["items"][0]["at_s"] > analysis["items"][0]["at_s"]


def test_a_release_on_its_way_shows_its_lease_and_its_traffic(api):
    release_id = api.asked()
    hold(api, release_id, ttl_s=30)
    traffic = api.client.get(f"{OPS}/releases/{release_id}").json()["traffic"]
    assert (traffic["candidate_version"], traffic["candidate_pct"], traffic["confirmed"]) == ("2.0", 20, False)
    assert traffic["release_id"] == release_id
    assert 25 < traffic["lease"]["left_s"] <= 30


def test_an_unchanged_release_answers_304_and_a_changed_one_does_not(api):
    release_id = api.asked()
    hold(api, release_id, ttl_s=30)
    path = f"{OPS}/releases/{release_id}"
    etag = api.client.get(path).headers["ETag"]
    same = api.client.get(path, headers={"If-None-Match": f'"other", {etag}'})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    assert api.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    api.client.post(f"{path}/rollback", json={"reason": "stop"})
    changed = api.client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_a_lapsed_lease_shows_its_incident(api):
    from productops.usecases.context import Actor
    from productops.usecases.release_rollback import lapse_lease

    release_id = api.asked()
    hold(api, release_id, ttl_s=1)
    with api.context.store.read() as unit:
        beat = unit.traffic.get("shop", PRODUCTION).lease.beat
    assert lapse_lease(api.context, "shop", PRODUCTION, beat=beat, actor=Actor("agent", "agent", MACHINE))
    release = api.client.get(f"{OPS}/releases/{release_id}").json()
    assert (release["phase"], release["cause"]) == ("rolling_back", "lease_lapsed")
    assert [(i["severity"], i["status"]) for i in release["incidents"]] == [("SEV3", "open")]
    assert release["traffic"]["lease"] is None


def test_pages_hold_every_release_once_newest_first(api):
    ids = []
    for number in range(7):
        put_service(api.context, api.versions, name=f"s{number}", live="1.0")
        ids.append(api.asked(service=f"s{number}"))
    seen, after = [], None
    while True:
        page = api.client.get(f"{OPS}/releases", params={"limit": 3} | ({"after": after} if after else {})).json()
        seen += [r["id"] for r in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == ids[::-1]
    only = api.client.get(f"{OPS}/releases", params={"service": "s3", "environment": "production"}).json()["items"]
    assert [r["id"] for r in only] == [ids[3]]
    assert api.client.get(f"{OPS}/releases", params={"environment": "staging"}).json()["items"] == []


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"after": "x"}, {"environment": "mars"}, {"service": "a\0b"}])
def test_a_page_that_cannot_be_is_refused(api, query):
    answer = api.client.get(f"{OPS}/releases", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, next(iter(query)))


def test_a_roll_back_of_a_release_on_its_way_gives_the_baseline_back_at_once(api):
    release_id = api.asked()
    hold(api, release_id, ttl_s=30)
    answer = api.client.post(f"{OPS}/releases/{release_id}/rollback", json={"reason": "customers cannot pay"})
    assert answer.status_code == 202
    assert (answer.json()["phase"], answer.json()["cause"], answer.json()["reason"]) == ("rolling_back", "person", "customers cannot pay")
    traffic = api.client.get(f"{OPS}/services/shop").json()["environments"][0]
    assert (traffic["live_version"], traffic["candidate_version"], traffic["candidate_pct"]) == ("1.0", None, 0)
    again = api.client.post(f"{OPS}/releases/{release_id}/rollback", json={"reason": "again"})
    assert (again.status_code, again.json()["phase"]) == (202, "rolling_back")
    assert not api.orchestrator.rollbacks, "an emergency needs no Prefect"


def test_a_roll_back_before_any_traffic_ends_the_release(api):
    release_id = api.asked()
    answer = api.client.post(f"{OPS}/releases/{release_id}/rollback", json={"reason": "not today"})
    assert (answer.status_code, answer.json()["phase"]) == (202, "failed")
    ended = api.client.post(f"{OPS}/releases/{release_id}/rollback", json={"reason": "again"})
    assert (ended.status_code, ended.json()["slug"]) == (409, "conflict")


def test_a_promoted_release_with_a_warm_fleet_is_rolled_back_by_the_services_name(api):
    release_id = promoted(api)
    now = datetime.now(UTC)
    with api.context.store.write() as unit:
        unit.fleets.add_instance(
            Instance(str(new_id()), "shop", PRODUCTION, "1.0", 9000, InstanceState.HEALTHY, 1, 1.0, 0, "", "", now + timedelta(0))
        )
    answer = api.client.post(f"{OPS}/services/shop/rollback", json={"reason": "it lost orders"})
    assert (answer.status_code, answer.json()["id"], answer.json()["phase"]) == (202, release_id, "rolling_back")
    assert not api.orchestrator.rollbacks


def test_a_promoted_release_with_a_cold_fleet_is_rolled_back_by_a_flow(api):
    release_id = promoted(api)
    answer = api.client.post(f"{OPS}/releases/{release_id}/rollback", json={"reason": "it lost orders"})
    assert (answer.status_code, answer.json()["phase"]) == (202, "promoted")
    ((key, parameters),) = api.orchestrator.rollbacks.items()
    assert parameters == {"service": "shop", "environment": "production", "reason": "it lost orders", "release_id": release_id}
    assert key.startswith(f"rollback-{release_id}")
    api.orchestrator.away = True
    failed = api.client.post(f"{OPS}/releases/{release_id}/rollback", json={"reason": "it lost orders"})
    assert (failed.status_code, failed.json()["slug"]) == (502, "orchestrator-failed")
    assert "repeat" in failed.json()["detail"]


def test_a_service_without_a_release_cannot_be_rolled_back(api):
    answer = api.client.post(f"{OPS}/services/shop/rollback", json={"reason": "x"})
    assert (answer.status_code, answer.json()["slug"]) == (404, "not-found")


def test_a_paused_release_goes_on_at_a_persons_word_and_no_other_does(api):
    release_id = api.asked()
    early = api.client.post(f"{OPS}/releases/{release_id}/resume", json={"reason": "I looked"})
    assert (early.status_code, early.json()["slug"]) == (409, "illegal-transition")
    api.move(release_id, Phase.DEPLOYING, Phase.ROLLING_OUT, Phase.PAUSED)
    answer = api.client.post(f"{OPS}/releases/{release_id}/resume", json={"reason": "I looked"})
    assert (answer.status_code, answer.json()["phase"]) == (202, "rolling_out")


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": "a\0b"}, {"reason": "x" * 2001}, {"reason": "x", "force": True}]
)
def test_a_roll_back_needs_a_reason(api, body):
    release_id = api.asked()
    for path in (f"{OPS}/releases/{release_id}/rollback", f"{OPS}/releases/{release_id}/resume", f"{OPS}/services/shop/rollback"):
        assert api.client.post(path, json=body).status_code == 422


def test_services_show_what_users_have(api):
    release_id = api.asked()
    hold(api, release_id, ttl_s=30)
    (service,) = api.client.get(f"{OPS}/services").json()["items"]
    assert (service["name"], service["venture"], service["strategy"], service["instances_wanted"]) == ("shop", "apollo", "canary", 2)
    (environment,) = service["environments"]
    assert (environment["environment"], environment["hosts"]) == ("production", ["shop.localhost"])
    assert (environment["live_version"], environment["candidate_version"], environment["candidate_pct"]) == ("1.0", "2.0", 20)
    assert environment["release"] == {"id": release_id, "version": "2.0", "phase": "rolling_out"}
    assert api.client.get(f"{OPS}/services/shop").json()["name"] == "shop"
    assert api.client.get(f"{OPS}/services/nobody").status_code == 404


def test_a_deployment_is_a_release_under_another_name(api):
    body = {"service": "shop", "version": "2.0"}
    started = api.client.post(DEPLOYMENTS, json=body, headers={"Idempotency-Key": "d1"})
    deployment = started.json()
    assert started.status_code == 202
    assert started.headers["Location"] == f"{DEPLOYMENTS}/{deployment['deployment_id']}"
    assert (deployment["pipeline_status"], deployment["deployment_type"], deployment["version"]) == ("pending", "canary", "2.0")
    assert api.client.get(f"{OPS}/releases/{deployment['deployment_id']}").status_code == 200
    assert api.client.post(DEPLOYMENTS, json=body, headers={"Idempotency-Key": "d1"}).headers["Idempotency-Replayed"] == "true"
    ended = api.client.post(f"{started.headers['Location']}/rollback", json={"reason": "not today"})
    assert (ended.status_code, ended.json()["pipeline_status"]) == (202, "failed")
    read = api.client.get(started.headers["Location"]).json()
    assert (read["pipeline_status"], read["release"]["reason"]) == ("failed", "not today")
    assert read["duration_s"] >= 0


def hold(api, release_id, *, ttl_s):
    """Put 20 % on the candidate under a lease, as the flow does; nobody confirms."""
    api.move(release_id, Phase.DEPLOYING, Phase.ROLLING_OUT)
    with api.context.store.write() as unit:
        fence = unit.traffic.take("shop", PRODUCTION, release_id)
        unit.releases.note(release_id, fence=fence)
        unit.traffic.shift(
            "shop", PRODUCTION, fence=fence, candidate_version="2.0", candidate_pct=20, header_only=False,
            holder=f"release {release_id}", ttl_s=ttl_s, now=api.context.clock.now(),
        )  # fmt: skip


def promoted(api):
    """A release that users have, its earlier version stopped."""
    release_id = api.asked()
    api.move(release_id, Phase.DEPLOYING, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED)
    with api.context.store.write() as unit:
        fence = unit.traffic.take("shop", PRODUCTION, release_id)
        unit.traffic.promote("shop", PRODUCTION, fence=fence, version="2.0")
        unit.fleets.want("shop", PRODUCTION, "1.0", 0, now=api.context.clock.now())
    return release_id
