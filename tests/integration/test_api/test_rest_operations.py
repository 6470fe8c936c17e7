"""The reading half of the DeploymentOpsAPI, and pages of lists."""

import time

import pytest

from productops.domain.analysis import ArmSecond, LatencyHistogram, RatioCount
from productops.domain.release import Phase
from productops.domain.traffic import Instance, InstanceState
from productops.store.identity import new_id
from tests.integration.test_api.support import OPS, put_service
from tests.support import PRODUCTION

DEPLOYMENT = "/api/v1/deployment-ops"


def read(api, path, **query):
    answer = api.client.get(f"{DEPLOYMENT}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def count_traffic(api, second, requests, failures, *, version="1.0"):
    latency = LatencyHistogram((10.0, 100.0), (requests - 1, 1)) if requests else LatencyHistogram()
    with api.context.store.write() as unit:
        unit.seconds.add(second, {("shop", PRODUCTION, version): ArmSecond(requests, failures, latency)})


def add_instance(api, state):
    with api.context.store.write() as unit:
        made = Instance(str(new_id()), "shop", PRODUCTION, "1.0", 9000, state, 1, 1.0, 0, "", "", api.context.clock.now())
        unit.fleets.add_instance(made)


def test_the_history_of_deployments_is_read_page_by_page_with_filters(api):
    made = []
    for _ in range(3):
        made.append(api.asked())
        api.move(made[-1], Phase.FAILED)
        with api.context.store.write() as unit:
            unit.deployments.record(unit.releases.get(made[-1]), unit.catalog.venture_id("apollo"))
    made.append(api.asked())
    first = read(api, "/deployments", limit=3)
    second = read(api, "/deployments", limit=3, after=first["next"])
    assert [d["deployment_id"] for d in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None
    assert [d["deployment_id"] for d in read(api, "/deployments", status="pending")["items"]] == [made[-1]]
    assert len(read(api, "/deployments", status="failed", service="shop", environment="production", venture="apollo")["items"]) == 3
    assert read(api, "/deployments", service="other")["items"] == []
    assert api.client.get(f"{DEPLOYMENT}/deployments", params={"after": "nonsense"}).json()["slug"] == "invalid-input"


def test_health_says_what_is_wrong_and_where(api):
    report = read(api, "/infrastructure/apollo/health")
    assert (report["health"], report["places"][0]["reasons"][0]) == ("down", "none of 2 instances is healthy")
    add_instance(api, InstanceState.HEALTHY)
    assert read(api, "/infrastructure/apollo/health")["places"][0]["reasons"][0] == "1 of 2 instances are healthy"
    add_instance(api, InstanceState.HEALTHY)
    with api.context.store.write() as unit:
        target = unit.traffic.get("shop", PRODUCTION)
        unit.traffic.confirm("shop", PRODUCTION, generation=target.generation, now=api.context.clock.now())
    count_traffic(api, int(time.time()) - 5, 100, 3)
    report = read(api, "/infrastructure/apollo/health")
    assert (report["health"], report["places"][0]["reasons"]) == ("ok", [])
    assert report["places"][0]["traffic"] == {"requests": 100, "failures": 3, "failure_ratio": 0.03, "p50_ms": 10.0, "p99_ms": 10.0}
    incident = api.client.post(f"{DEPLOYMENT}/incidents", json={"title": "slow", "service": "shop"}).json()["incident"]["incident_id"]
    report = read(api, "/infrastructure/apollo/health")
    assert (report["health"], report["places"][0]["open_incidents"]) == ("degraded", [incident])
    assert api.client.get(f"{DEPLOYMENT}/infrastructure/nobody/health").status_code == 404


def test_metrics_are_summed_up_by_step_and_a_missed_second_is_not_zero(api):
    start = int(time.time()) - 100
    for second in range(20):
        if second == 7:
            with api.context.store.write() as unit:
                unit.seconds.add(start + second, {("shop", PRODUCTION, "1.0"): None})
        else:
            count_traffic(api, start + second, 10, 1)
    with api.context.store.write() as unit:
        unit.seconds.add_metrics(("shop", PRODUCTION, "1.0"), start + 3, {"orders": RatioCount(2, 10), "cpu": 0.5})
    since = api.context.clock.now().fromtimestamp(start).astimezone().isoformat()
    until = api.context.clock.now().fromtimestamp(start + 20).astimezone().isoformat()
    points = read(api, "/metrics", service="shop", since=since, until=until, step_s=10)["points"]
    assert [(p["traffic"]["requests"], p["measured_s"], p["missed_s"]) for p in points] == [(90, 9, 1), (100, 10, 0)]
    assert (points[0]["levels"], points[0]["events"]) == ({"cpu": 0.5}, {"orders": {"events": 2, "total": 10}})
    assert read(api, "/metrics", service="shop", version="9.9")["points"] == []


@pytest.mark.parametrize(
    "query", [{"until": "2026-01-01T00:00:00Z", "since": "2026-01-02T00:00:00Z"}, {"since": "2026-01-01T00:00:00Z"}, {"step_s": 0}]
)
def test_metrics_of_an_impossible_time_are_refused(shared, query):
    answer = shared.client.get(f"{DEPLOYMENT}/metrics", params={"service": "shop"} | query)
    assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-input")


def test_incidents_are_listed_by_status_and_venture(api):
    made = [
        api.client.post(f"{DEPLOYMENT}/incidents", json={"title": f"harm {n}", "service": "shop"}).json()["incident"]["incident_id"]
        for n in range(3)
    ]
    api.client.post(f"{DEPLOYMENT}/incidents/{made[0]}/resolution", json={"steps": ["done"]})
    first = read(api, "/incidents", limit=2)
    assert [i["incident_id"] for i in first["items"]] == [made[2], made[1]]
    assert [i["incident_id"] for i in read(api, "/incidents", after=first["next"])["items"]] == [made[0]]
    assert [i["incident_id"] for i in read(api, "/incidents", status="resolved")["items"]] == [made[0]]
    assert len(read(api, "/incidents", venture="apollo")["items"]) == 3
    assert read(api, "/incidents", venture="zeus")["items"] == []


def test_services_and_flags_are_read_page_by_page(api, tmp_path):
    for name in ("cart", "mail", "zoo"):
        put_service(api.context, tmp_path, name=name)
    for key in ("a", "b", "c"):
        spec = {"owner": "mia", "variants": {"on": True, "off": False}, "default_variant": "off"}
        made = api.client.post(f"{OPS}/flags", json={"key": key, "venture": "apollo", "spec": spec, "reason": "test"})
        assert made.status_code == 201, made.text
    for path, name, expected in (("services", "name", ["cart", "mail", "shop", "zoo"]), ("flags", "key", ["a", "b", "c"])):
        first = api.client.get(f"{OPS}/{path}", params={"limit": 2}).json()
        second = api.client.get(f"{OPS}/{path}", params={"limit": 2, "after": first["next"]}).json()
        assert [item[name] for item in first["items"] + second["items"]] == expected
        assert second["next"] is None


def test_what_is_not_built_yet_does_not_pretend(shared):
    assert shared.client.get(f"{OPS}/analytics/x").status_code == 404
