"""What the API tells of the judge: plans with their outlook, pictures, metrics of one's own, releases judged again."""

import time

from productops.domain.analysis import ArmSecond, LatencyHistogram
from tests.integration.test_api.support import OPS, Served
from tests.support import PRODUCTION

METRICS = f"{OPS}/services/shop/environments/production/metrics"


def busy(api: Served) -> None:
    """Two minutes of traffic of what is live."""
    now = int(time.time())
    with api.context.store.write() as unit:
        for at_s in range(now - 120, now):
            second = ArmSecond(100, at_s % 2, LatencyHistogram((5.0, 50.0), (90, 10)))
            unit.seconds.add(at_s, {("shop", PRODUCTION, "1.0"): second})


def test_a_plan_says_which_harm_it_finds_how_fast(api):
    quiet = api.client.post(f"{OPS}/release/2.0/plan", json={"service": "shop"}).json()
    assert quiet["outlook"] is None
    busy(api)
    plan = api.client.post(f"{OPS}/release/2.0/plan", json={"service": "shop", "weights_pct": [20], "hold_s": 600}).json()
    assert 90 < plan["outlook"]["traffic"]["requests_per_s"] < 110
    times = {harm["name"]: harm["detected_s"] for harm in plan["outlook"]["harms"]}
    assert times["30 % fail"] <= 2 < times["errors ×5"] < times["errors ×2"]


def test_a_plan_is_drawn(api):
    busy(api)
    answer = api.client.post(f"{OPS}/release/2.0/plan/picture", json={"service": "shop"})
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "30 % fail" in answer.text
    refused = api.client.post(f"{OPS}/release/9.9/plan/picture", json={"service": "shop"})
    assert (refused.status_code, refused.json()["slug"]) == (404, "not-found")


def test_metrics_of_ones_own_are_kept_and_nonsense_is_refused(api):
    now = int(time.time())
    good = api.client.post(METRICS, json={"version": "1.0", "at_s": now, "values": {"orders": {"events": 3, "total": 41}, "cpu": 0.61}})
    assert (good.status_code, good.json()) == (200, {"kept": 2})
    bodies = (
        {"version": "1.0", "at_s": now, "values": {}},
        {"version": "1.0", "at_s": now, "values": {"Orders!": 1.0}},
        {"version": "1.0", "at_s": now, "values": {"orders": {"events": -1, "total": 4}}},
        {"version": "1.0", "at_s": now * 1000, "values": {"cpu": 0.5}},
        {"version": "1.0\x00", "at_s": now, "values": {"cpu": 0.5}},
    )
    for body in bodies:
        answer = api.client.post(METRICS, json=body)
        assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-input"), body
    unknown = api.client.post(f"{OPS}/services/nothing/environments/production/metrics", json=bodies[0] | {"values": {"cpu": 0.5}})
    assert unknown.status_code == 404


def test_past_releases_are_judged_again_page_by_page(shared):
    page = shared.client.post(f"{OPS}/releases/backtest", json={"analysis": {"judge": "kayenta"}, "limit": 5})
    assert (page.status_code, page.json()["next"]) == (200, None)
    wrong = shared.client.post(f"{OPS}/releases/backtest", json={"analysis": {"alpha": "much"}})
    assert wrong.status_code == 422
    assert "analysis.alpha" in wrong.json()["detail"]
