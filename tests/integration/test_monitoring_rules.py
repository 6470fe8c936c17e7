"""Alert rules and objectives through the API and the commands, against a real server; the gate; insights."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import structlog
from typer.testing import CliRunner

from productops.cli.main import app as program
from productops.domain.catalog_approvals import Attribute
from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.monitoring_series import Point, series_key
from productops.errors import BudgetSpentError, ForbiddenError
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.usecases.context import Actor, Clock, Context
from productops.usecases.monitoring_rules_evaluate import evaluate_rules
from productops.usecases.monitoring_series import put_points
from productops.usecases.monitoring_slo import allow_spent, list_objectives
from productops.usecases.release_request import ReleaseWish, place_release
from tests.integration.monitoring_slo_lab import AVAILABILITY, ago, declare, make, minutes, second, traffic
from tests.integration.test_api.support import TOKEN, client_of, free_ports, serving
from tests.support import SOMEBODY, sqlite_url

BASE = "/api/v1/deployment-ops"
NAME = "shop-availability"
QUEUE = series_key("apollo", "shop", "application", "queue.depth")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str, Context]]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    folder = tmp_path_factory.mktemp("slo")
    made, clock = make(folder)
    clock.at = datetime.now(UTC)
    declare(made, folder, AVAILABILITY)
    now = datetime.now(UTC)
    traffic(made, now - timedelta(seconds=500), 400, {"1.0": second(10, 1)})
    traffic(made, now - timedelta(seconds=4_000), 400, {"1.0": second(10)})
    minutes(made, NAME, now - timedelta(hours=5), 60, good=95, total=100)
    put_points(made, [Point(QUEUE, now.timestamp() - 300 + n, 90.0 if n > 100 else 5.0) for n in range(300)], actor=SOMEBODY)
    context = replace(made, clock=Clock())
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(folder))
    with serving(context, settings), client_of(settings) as client:
        yield client, f"http://127.0.0.1:{settings.port_base}", context
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def command(served: tuple[httpx.Client, str, Context], *words: str, code: int = 0, given: str | None = None) -> str:
    done = CliRunner().invoke(program, [*words, "--api-url", served[1]], env={"PRODUCTOPS_API_TOKEN": TOKEN}, input=given)
    assert done.exit_code == code, done.output
    return done.stdout


RULE = {
    "name": "queue", "venture": "apollo", "service": "shop", "selector": {"name": "queue.depth"},
    "condition": {"operator": ">", "threshold": 50}, "for_s": 5, "severity": "SEV3", "runbook": "https://wiki.example.com/queue",
}  # fmt: skip


def test_a_rule_is_tried_set_evaluated_changed_and_deleted(served: tuple[httpx.Client, str, Context], tmp_path: Path) -> None:
    client, _, context = served
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(RULE), encoding="utf-8")
    assert "would have fired 1 times in the last 24 h, for 1 of 1 series" in command(served, "alert", "try", str(file))
    told = command(served, "alert", "set", "-", given=json.dumps(RULE))
    rule_id = told.split()[1]
    assert "queue.depth is above 50, revision 1" in told
    assert client.post(f"{BASE}/alerts", json=RULE).status_code == 409
    now = datetime.now(UTC)
    assert evaluate_rules(context, now=now, actor=SOMEBODY) == []
    (alert,) = evaluate_rules(context, now=now + timedelta(seconds=5), actor=SOMEBODY)
    assert (alert.status, alert.source, alert.severity, alert.service, alert.value) == ("firing", "rule", "SEV3", "shop", 90.0)
    assert alert.evidence["runbook"] == RULE["runbook"]
    assert evaluate_rules(context, now=now + timedelta(seconds=6), actor=SOMEBODY) == []
    assert "shop queue.depth" in command(served, "alert", "rules", "--venture", "apollo")
    put_points(context, [Point(QUEUE, now.timestamp() + 8, 4.0)], actor=SOMEBODY)
    (over,) = evaluate_rules(context, now=now + timedelta(seconds=9), actor=SOMEBODY)
    assert (over.status, over.fingerprint) == ("resolved", alert.fingerprint)
    file.write_text(json.dumps(RULE | {"severity": "SEV2"}), encoding="utf-8")
    assert "revision 2" in command(served, "alert", "set", str(file), "--rule", rule_id)
    stale = client.put(f"{BASE}/alert-rules/{rule_id}", json=RULE, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["slug"]) == (412, "revision-mismatch")
    assert client.put(f"{BASE}/alert-rules/{rule_id}", json=RULE).status_code == 428
    assert json.loads(command(served, "alert", "show", rule_id, "--json"))["severity"] == "SEV2"
    assert "rule queue is deleted" in command(served, "alert", "delete", rule_id)
    assert client.get(f"{BASE}/alert-rules/{rule_id}").status_code == 404
    with context.store.read() as unit:
        actions = [entry.action for entry in unit.audit.following(0) if entry.subject == f"alert-rule/{rule_id}"]
    assert actions == ["alert-rule.created", "alert-rule.changed", "alert-rule.removed"]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"condition": {"operator": "absent"}}, 422, "needs over_s"),
        ({"condition": {"operator": "like", "threshold": 1}}, 422, "operator"),
        ({"venture": "gemini"}, 404, "there is no venture"),
        ({"service": "cart"}, 422, "has no service"),
        ({"severity": "SEV9"}, 422, "severity"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_the_reason(
    served: tuple[httpx.Client, str, Context], change: dict[str, object], status: int, said: str
) -> None:
    answer = served[0].post(f"{BASE}/alerts", json=RULE | change)
    assert answer.status_code == status
    assert said in answer.text


def test_a_series_that_falls_silent_is_told_of(served: tuple[httpx.Client, str, Context]) -> None:
    context = served[2]
    beat = series_key("apollo", "shop", "application", "beat")
    now = datetime.now(UTC)
    put_points(context, [Point(beat, now.timestamp() - 5, 1.0)], actor=SOMEBODY)
    silent = RULE | {"name": "silent", "selector": {"name": "beat"}, "condition": {"operator": "absent", "over_s": 30}, "for_s": 0}
    rule_id = served[0].post(f"{BASE}/alerts", json=silent).json()["rule_id"]
    moments = [now + timedelta(seconds=step) for step in range(0, 400, 5)]
    told = [alert for at in moments for alert in evaluate_rules(context, now=at, actor=SOMEBODY)]
    assert told[0].summary == "shop beat has no value for 30 s"
    assert 25 <= (told[0].starts_at - now).total_seconds() <= 30
    assert {alert.status for alert in told} == {"firing"}  # it stays silent, and stays told
    put_points(context, [Point(beat, time.time(), 1.0)], actor=SOMEBODY)
    assert [a.status for a in evaluate_rules(context, now=datetime.now(UTC), actor=SOMEBODY)] == ["resolved"]
    served[0].delete(f"{BASE}/alert-rules/{rule_id}")


def test_objectives_are_listed_shown_and_allowed(served: tuple[httpx.Client, str, Context]) -> None:
    client, _, _ = served
    assert NAME in command(served, "slo", "list", "--service", "shop")
    page = command(served, "slo", "show", NAME)
    assert "rule 1h" in page
    assert "nothing is left" in page
    found = client.get(f"{BASE}/slos/{NAME}").json()
    assert (found["spent"], found["surely_spent"], found["allowance"]) == (True, True, None)
    assert "may go out until" in command(served, "slo", "allow", NAME, "--reason", "1.2 mends the timeouts", "--minutes", "5")
    assert client.get(f"{BASE}/slos/{NAME}").json()["allowance"]["reason"] == "1.2 mends the timeouts"
    assert client.get(f"{BASE}/slos/nothing").status_code == 404


def test_health_and_insights_tell_budgets_regressions_and_what_to_do(served: tuple[httpx.Client, str, Context]) -> None:
    client, _, _ = served
    health = client.get(f"{BASE}/infrastructure/apollo/health").json()
    assert [(line["objective"], line["remaining_ratio"] < 0) for line in health["budgets"]] == [(NAME, True)]
    insights = client.get(f"{BASE}/performance/apollo/insights").json()
    assert [(v["version"], v["live"], v["now"]["failure_ratio"]) for v in insights["versions"]] == [("1.0", True, 0.1)]
    (worse,) = [r for r in insights["regressions"] if r["figure"] == "error_ratio"]
    assert worse["compared"] == "an hour ago"
    assert worse["factor"] > 100
    assert any("the budget of shop is spent" in line for line in insights["advice"])
    assert client.get(f"{BASE}/performance/gemini/insights").status_code == 404


def test_a_spent_budget_holds_releases_until_somebody_allows_one(tmp_path: Path) -> None:
    context, _ = make(tmp_path)
    declare(context, tmp_path, AVAILABILITY)
    minutes(context, NAME, ago(days=1), 10, good=900, total=1000)
    with pytest.raises(BudgetSpentError, match="nothing is left.*productops slo allow shop-availability"):
        place_release(context, ReleaseWish("shop", "1.1"), actor=SOMEBODY)
    developer = Actor("dev", "api", Principal("dev", (Grant(Role.DEVELOPER, "apollo"),)))
    with pytest.raises(ForbiddenError):
        allow_spent(context, NAME, reason="1.1 mends the timeouts", minutes=30, actor=developer)
    allow_spent(context, NAME, reason="1.1 mends the timeouts", minutes=30, actor=SOMEBODY)
    assert place_release(context, ReleaseWish("shop", "1.1"), actor=SOMEBODY).release.version == "1.1"


def test_bad_luck_among_few_requests_holds_no_release(tmp_path: Path) -> None:
    context, _ = make(tmp_path)
    declare(context, tmp_path, AVAILABILITY)
    minutes(context, NAME, ago(hours=1), 1, good=9, total=10)
    (view,) = list_objectives(context, actor=SOMEBODY)
    assert view.budget.spent
    assert not view.budget.surely_spent
    assert place_release(context, ReleaseWish("shop", "1.1"), actor=SOMEBODY).release.version == "1.1"


POLICY = """
    apiVersion: productops/v1
    kind: ApprovalPolicy
    metadata: {name: spent-budget}
    spec:
      actions: [release]
      scope: {attributes: [budget-spent]}
      signatures: [{role: release-manager}]
"""
PEOPLE = """
    apiVersion: productops/v1
    kind: Access
    metadata: {name: people}
    spec:
      people:
        - {name: mia, grants: [{role: release-manager, venture: apollo}]}
        - {name: tom, grants: [{role: release-manager, venture: apollo}]}
"""


def test_an_slo_may_leave_it_to_whoever_signs(tmp_path: Path) -> None:
    context, _ = make(tmp_path)
    named = "name: shop-availability\n"
    signing = AVAILABILITY.replace(named, f"{named}      annotations: {{productops/on-spent: approval}}\n")
    declare(context, tmp_path, signing)
    minutes(context, NAME, ago(days=1), 10, good=900, total=1000)
    with pytest.raises(BudgetSpentError, match="no approval policy names the attribute budget-spent"):
        place_release(context, ReleaseWish("shop", "1.1"), actor=SOMEBODY)
    declare(context, tmp_path, signing, PEOPLE, POLICY)
    release = place_release(context, ReleaseWish("shop", "1.1"), actor=SOMEBODY).release
    assert release.plan["attributes"] == [Attribute.BUDGET_SPENT.value]
    assert release.plan["approval"]["waits_for"]
    assert release.plan["budget"]["spent"][0]["objective"] == NAME
