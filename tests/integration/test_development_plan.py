"""Plans of stored work: made, kept near to the plan before, compared, accepted, forecast, and served by the API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import structlog

from productops.adapters.calendar_sources import CalendarSources
from productops.cli.main import app as program
from productops.domain.catalog_team import TeamSpec
from productops.domain.development import Stage
from productops.domain.development_plan_facts_changes import Scenario
from productops.domain.development_plan_facts_report import plan_markdown
from productops.domain.development_plan_facts_stored import PlanState, Subject
from productops.domain.governance_access import Grant, Operation, Role
from productops.errors import ConflictError, ForbiddenError, ImpossiblePlanError, NotFoundError
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.usecases import development_forecast as forecasting
from productops.usecases import development_plan as planning
from productops.usecases.context import Actor, Clock, Context
from productops.usecases.development_plan import PlanWish
from productops.usecases.development_plan_what_if import WhatIfWish, try_scenarios
from tests.integration.development_plan_lab import NOW, SOURCE, furnish_plan, item, team, work
from tests.integration.test_api.support import TOKEN, client_of, free_ports, person_token, serving
from tests.support import SOMEBODY, make_context, sqlite_url

PLANS = "/api/v1/product-ops/development/plans"
FORECASTS = "/api/v1/product-ops/development/forecasts"
ONE_MORE = Scenario.model_validate({"changes": [{"kind": "add-person", "person": {"id": "cy", "skills": {"frontend": 1}}}]})
LIMIT_S = 0.8


class HandClock(Clock):
    """Shows the time it was set to."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self):
        return self.at


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = replace(make_context(sqlite_url(tmp_path)), clock=HandClock())
    yield made
    made.store.close()


def wish(**more) -> PlanWish:
    return PlanWish(venture="apollo", **({"limit_s": LIMIT_S} | more))


def make(context: Context, **more):
    return planning.make_development_plan(context, wish(**more), actor=SOMEBODY)


def put(context: Context, *things) -> None:
    with context.store.write() as unit:
        unit.development.put(SOURCE, things, now=context.clock.now())


def audited(context: Context) -> list[str]:
    with context.store.read() as unit:
        return [entry.action for entry in unit.audit.following(0)]


def test_stored_work_becomes_the_current_plan_with_dates_and_a_second_plan_moves_nothing(context):
    furnish_plan(context)
    plan = make(context)
    assert (plan.state, plan.proven) == (PlanState.CURRENT, True)
    tasks = {each["item"]: each for each in plan.plan["tasks"]}
    assert (tasks["SHOP-11"]["person"], tasks["SHOP-11"]["slot_from"]) == ("ann", 0)
    assert tasks["SHOP-12"]["starts_at"] >= tasks["SHOP-11"]["ends_at"]
    with context.store.read() as unit:
        stored = unit.development_forecasts.of_plan(plan.id)
        assert unit.development_plans.current("apollo").plan_id == plan.id
    assert {(each.subject, each.key) for each in stored} == {
        (Subject.FEATURE, "SHOP-1"), (Subject.FEATURE, "SHOP-2"), (Subject.SPRINT, "gh/7"),
    }  # fmt: skip
    assert all(each.p50_at <= each.p80_at <= each.p95_at for each in stored)
    context.clock.at += timedelta(minutes=1)
    again = make(context)
    assert again.changed["moves"] == []
    with context.store.read() as unit:
        assert unit.development_plans.get(plan.id).state is PlanState.SUPERSEDED
    assert audited(context).count("development.planned") == 2


def test_new_work_is_added_and_what_moves_says_why(context):
    furnish_plan(context)
    make(context)
    put(context, item("SHOP-23", feature="SHOP-2"))
    plan = make(context)
    assert plan.changed["new"] == ["SHOP-23"]
    assert all(each["why"] for each in plan.changed["moves"])
    text = plan_markdown(plan, [], calibration="")
    assert "Bob" in text
    assert "Gift cards" in text


def test_a_scenario_changes_nothing_until_it_is_accepted_and_then_holds_for_the_next_plan(context):
    furnish_plan(context)
    first = make(context)
    compared = try_scenarios(context, WhatIfWish((ONE_MORE,), venture="apollo", limit_s=LIMIT_S), actor=SOMEBODY)
    as_is, tried = compared.cases
    assert (as_is.plan_id, tried.outcome.saved_h > 0) == (first.id, True)
    assert planning.current_plan(context, "apollo", actor=SOMEBODY).id == first.id
    accepted = planning.accept_plan(context, tried.plan_id, reason="we hire", actor=SOMEBODY)
    assert planning.current_plan(context, "apollo", actor=SOMEBODY).id == accepted.id
    after = make(context)
    assert "cy" in {each["person"] for each in after.plan["people"]}
    assert len(after.changes) == 1
    forgotten = make(context, keep_changes=False)
    assert "cy" not in {each["person"] for each in forgotten.plan["people"]}
    assert "development.plan_accepted" in audited(context)


def test_a_draft_beside_a_plan_that_is_no_longer_current_is_not_accepted(context):
    furnish_plan(context)
    make(context)
    compared = try_scenarios(context, WhatIfWish((ONE_MORE,), venture="apollo", limit_s=LIMIT_S), actor=SOMEBODY)
    make(context)
    with pytest.raises(ConflictError, match="no longer the current one"):
        planning.accept_plan(context, compared.cases[1].plan_id, actor=SOMEBODY)


def test_two_plans_at_once_make_one_current_and_refuse_the_other(context):
    furnish_plan(context)
    ready = planning.prepare_plan(context, wish(), actor=SOMEBODY)
    make(context)
    with pytest.raises(ConflictError, match="became the current one"):
        planning.make_development_plan(context, wish(), actor=SOMEBODY, prepared=ready)


def test_what_cannot_be_kept_is_named_and_nothing_is_stored(context):
    furnish_plan(context, spec=team(binding_labels=["must"]))
    for each in work():
        if each.external_id == "f1":
            due = NOW + timedelta(hours=3)
            put(context, replace(each, labels=("must",), due_at=due, changed_at=NOW + timedelta(seconds=1)))
    with pytest.raises(ImpossiblePlanError, match="SHOP-1") as caught:
        make(context)
    assert any("SHOP-1" in each for each in caught.value.extra["conflict"])
    assert planning.list_plans(context, planning.PlanFilter(), actor=SOMEBODY) == []


def test_forecasts_are_settled_when_the_work_is_done_and_calibration_counts_each_feature_once(context):
    furnish_plan(context)
    make(context)
    make(context)
    done = NOW + timedelta(days=1, hours=3)
    for key, external in (("SHOP-21", "f2"), ("SHOP-22", "f2")):
        put(context, item(key, feature=external, stage=Stage.DONE, started_at=NOW, done_at=done, changed_at=done))
    context.clock.at = done + timedelta(hours=1)
    assert forecasting.settle_forecasts(context, "apollo", actor=SOMEBODY) == 0  # more may come; nobody closed the feature
    context.clock.at = done + timedelta(days=4)
    assert forecasting.settle_forecasts(context, "apollo", actor=SOMEBODY) == 2
    told = forecasting.calibration(context, actor=SOMEBODY)
    assert [each.count for each in told.levels] == [1, 1, 1]
    assert "P80s, 100 % held" in told.sentence.replace("100%", "100 %")
    [settled] = forecasting.list_forecasts(context, actor=SOMEBODY, key="SHOP-2", limit=1)
    assert settled.actual_at == done
    assert 0 <= settled.place <= 1


def test_forecasts_are_made_anew_of_the_current_plan_and_what_is_at_risk_is_told(context):
    furnish_plan(context)
    with pytest.raises(NotFoundError, match="no plan to forecast"):
        forecasting.forecast_current(context, "apollo", actor=SOMEBODY)
    plan = make(context, forecast=False)
    found = forecasting.forecast_current(context, "apollo", actor=SOMEBODY)
    assert len(found) == 3
    risky = [replace(each, chance=0.1) if each.key == "SHOP-1" else each for each in found]
    assert "SHOP-1" in forecasting.tell_dates(context, plan, risky, actor=SOMEBODY)


def test_absences_are_read_from_a_calendar_file_and_its_last_copy_stays(context, tmp_path):
    ics = tmp_path / "ann.ics"
    days = f"DTSTART;VALUE=DATE:{NOW:%Y%m%d}\r\nDTEND;VALUE=DATE:{NOW + timedelta(days=5):%Y%m%d}\r\n"
    ics.write_text(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20261101T000000Z\r\n"
        f"{days}SUMMARY:away\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    spec = team().model_dump(mode="json")
    spec["people"][0]["absence_calendar"] = {"kind": "file", "path": str(ics)}
    furnish_plan(context, spec=TeamSpec.model_validate(spec))
    ready = planning.prepare_plan(context, wish(), actor=SOMEBODY, sources=CalendarSources())
    assert len(ready.work.request.people[0].absences) == 1
    ics.unlink()
    context.clock.at += timedelta(hours=1)
    ready = planning.prepare_plan(context, wish(), actor=SOMEBODY, sources=CalendarSources())
    assert len(ready.work.request.people[0].absences) == 1
    assert [gap.kind for gap in ready.work.gaps] == ["calendar"]
    assert audited(context).count("development.absences_read") == 2


def test_a_viewer_reads_plans_and_makes_none_and_another_venture_sees_nothing(context):
    furnish_plan(context)
    plan = make(context)
    viewer = Actor("vic", "api", replace(SOMEBODY.principal, name="vic", grants=(Grant(Role.VIEWER, "apollo"),)))
    assert planning.show_plan(context, plan.id, actor=viewer).id == plan.id
    with pytest.raises(ForbiddenError, match=Operation.DEVELOPMENT_PLAN.value):
        planning.make_development_plan(context, wish(), actor=viewer)
    other = Actor("oda", "api", replace(SOMEBODY.principal, name="oda", grants=(Grant(Role.ADMIN, "gemini"),)))
    with pytest.raises(NotFoundError):
        planning.show_plan(context, plan.id, actor=other)
    with pytest.raises(NotFoundError):
        planning.make_development_plan(context, wish(), actor=other)
    assert planning.list_plans(context, planning.PlanFilter(), actor=other) == []
    assert forecasting.list_forecasts(context, actor=other) == []


def test_a_wish_that_waits_is_made_once_and_what_is_wrong_with_it_is_kept(context):
    asked = planning.ask_for_plan(context, wish(), actor=SOMEBODY)  # there is no work yet
    assert planning.is_plan_waiting(context)
    failed = planning.make_waiting(context, owner="one")
    assert (failed.id, failed.state, failed.error["slug"]) == (asked.id, PlanState.FAILED, "invalid-input")
    furnish_plan(context)
    planning.ask_for_plan(context, wish(), actor=SOMEBODY)
    with context.store.write() as unit:
        assert unit.development_plans.claim(owner="dead", now=context.clock.now()) is not None
    assert planning.make_waiting(context, owner="two") is None  # somebody has it
    context.clock.at += timedelta(minutes=4)
    made = planning.make_waiting(context, owner="two")
    assert (made.state, made.asked_by) == (PlanState.CURRENT, SOMEBODY.name)
    assert not planning.is_plan_waiting(context)


@pytest.mark.slow
def test_postgresql_keeps_plans_forecasts_and_teams_alike(postgres_url):
    context = replace(make_context(postgres_url), clock=HandClock())
    furnish_plan(context)
    first, second = make(context), make(context)
    with context.store.read() as unit:
        assert unit.development_plans.current("apollo").plan_id == second.id
        assert unit.development_plans.get(first.id).plan == first.plan
        assert [each.key for each in unit.development_forecasts.of_plan(first.id)] == [f["key"] for f in first.extra["forecasts"]]
    ready = planning.prepare_plan(context, wish(), actor=SOMEBODY)
    make(context)
    with pytest.raises(ConflictError):
        planning.make_development_plan(context, wish(), actor=SOMEBODY, prepared=ready)
    planning.ask_for_plan(context, wish(keep="draft"), actor=SOMEBODY)
    assert planning.make_waiting(context, owner="one").state is PlanState.DRAFT
    context.store.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[Context, Settings, httpx.Client]]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    folder = tmp_path_factory.mktemp("plans")
    context = make_context(sqlite_url(folder))
    furnish_plan(context)
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(folder))
    with serving(context, settings), client_of(settings) as client:
        client.timeout = 60
        yield context, settings, client
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_the_api_makes_shows_draws_compares_and_accepts_plans(served):
    _, _, client = served
    missing = client.get(f"{PLANS}/current", params={"venture": "apollo"})
    assert missing.status_code == 404
    answer = client.post(PLANS, json={"venture": "apollo", "limit_s": LIMIT_S})
    assert answer.status_code == 201, answer.text
    plan = answer.json()
    assert answer.headers["Location"] == f"{PLANS}/{plan['id']}"
    assert (plan["is_current"], len(plan["plan"]["tasks"]), len(plan["forecasts"])) == (True, 4, 3)
    read = client.get(f"{PLANS}/{plan['id']}", params={"work": True})
    assert len(read.json()["work"]["items"]) == 4
    assert (
        client.get(f"{PLANS}/{plan['id']}", headers={"If-None-Match": client.get(f"{PLANS}/{plan['id']}").headers["ETag"]}).status_code
        == 304
    )
    picture = client.get(f"{PLANS}/{plan['id']}/picture.svg")
    assert picture.headers["Content-Type"].startswith("image/svg+xml")
    assert "SHOP-11" in picture.text
    compared = client.post(f"{PLANS}/what-if", json={"venture": "apollo", "scenarios": [ONE_MORE.model_dump(mode="json")], "limit_s": 1})
    assert [case["name"] for case in compared.json()["cases"]] == ["as it is", ONE_MORE.title()]
    accepted = client.post(f"{PLANS}/{compared.json()['cases'][1]['plan_id']}/accept", json={"reason": "we hire"})
    assert accepted.json()["state"] == "current", accepted.text
    page = client.get(PLANS, params={"venture": "apollo", "limit": 1}).json()
    assert page["next"]
    assert client.get(PLANS, params={"after": page["next"]}).json()["items"][0]["id"] == plan["id"]
    found = client.get(FORECASTS, params={"venture": "apollo", "subject": "feature"}).json()
    assert {each["key"] for each in found["items"]} == {"SHOP-1", "SHOP-2"}
    assert "no forecast has come to its end" in found["calibration"]["sentence"]


def test_much_work_is_planned_by_another_process_and_followed_at_its_location(served):
    _, _, client = served
    answer = client.post(PLANS, json={"venture": "apollo", "later": True, "limit_s": 1, "keep": "draft", "note": "for Monday"})
    assert answer.status_code == 202, answer.text
    where, deadline = answer.headers["Location"], time.monotonic() + 60
    while (plan := client.get(where).json())["state"] == "waiting" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert (plan["state"], plan["note"]) == ("draft", "for Monday")
    assert plan["plan"]["tasks"]


def test_the_api_plans_work_that_is_sent_and_refuses_what_cannot_be(served):
    _, _, client = served
    due = (NOW + timedelta(hours=4)).isoformat()
    work = {
        "starts_at": NOW.isoformat(), "people": [{"id": "ann"}], "features": [{"id": "f", "deadline": due}],
        "items": [{"id": "a", "hours": 8, "feature": "f"}],
    }  # fmt: skip
    body = {"venture": "apollo", "keep": "draft", "limit_s": 1, "work": work}
    late = client.post(PLANS, json=body)
    assert late.json()["plan"]["features"][0]["late_h"] > 0, late.text
    work["features"][0]["binding"] = True
    impossible = client.post(PLANS, json=body)
    assert (impossible.status_code, impossible.json()["slug"]) == (422, ImpossiblePlanError.slug)
    assert impossible.json()["conflict"]
    assert client.post(PLANS, json=body | {"venture": "nowhere"}).status_code == 404
    viewer = person_token(served[0], "val", Grant(Role.VIEWER, "apollo"))
    assert client.post(PLANS, json=body, headers={"Authorization": f"Bearer {viewer}"}).status_code == 403


WORK = """
people: [{id: ann, skills: {backend: 1}}, {id: bob, skills: {backend: 1}}]
features: [{id: f, title: Gift cards, deadline: 2020-01-01T00:00Z}]
items:
  - {id: a, feature: f, skill: backend, hours: 8}
  - {id: b, feature: f, skill: backend, hours: 8, after: [a]}
"""


def run(*arguments: str, capsys) -> tuple[int, str, str]:
    """The program in this process: exit code, what it printed, and what it complained of."""
    code = 0
    try:
        code = program(list(arguments), standalone_mode=False) or 0
    except SystemExit as error:
        code = int(error.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_line_plans_a_file_without_any_server(tmp_path, capsys):
    file = tmp_path / "work.yaml"
    file.write_text(WORK)
    code, out, _ = run("plan", "--file", str(file), "--limit", "1", "--svg", str(tmp_path / "plan.svg"), capsys=capsys)
    assert code == 0
    assert "Gift cards" in out
    assert "critical chain" in out
    assert "cannot be kept" in out
    assert (tmp_path / "plan.svg").read_text().startswith("<svg")
    assert run("plan", "--file", str(file), "--limit", "1", "--strict", "--json", capsys=capsys)[0] == 4
    code, out, _ = run("plan", "what-if", "--file", str(file), "--remove-person", "bob", "--limit", "1", capsys=capsys)
    assert "without bob" in out
    file.write_text(WORK.replace("00:00Z}", "00:00Z, binding: true}"))
    code, out, err = run("plan", "--file", str(file), "--limit", "1", capsys=capsys)
    assert (code, "feature f" in err) == (3, True)


def test_the_command_line_asks_the_api(served, capsys, tmp_path, monkeypatch):
    _, settings, client = served
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    monkeypatch.setenv("PRODUCTOPS_TOKEN_FILE", str(token))
    monkeypatch.setenv("COLUMNS", "200")
    where = ("--api-url", str(client.base_url).rstrip("/"), "--home", str(settings.home))
    code, out, _ = run("plan", "--venture", "apollo", "--limit", "1", *where, capsys=capsys)
    assert (code, "Pay by invoice" in out) == (0, True), out
    assert "plan" in run("plan", "list", *where, capsys=capsys)[1]
    code, out, _ = run("plan", "show", "--venture", "apollo", "--json", *where, capsys=capsys)
    plan = json.loads(out)
    code, out, _ = run("plan", "what-if", plan["id"], "--drop-feature", "SHOP-2", "--json", "--limit", "1", *where, capsys=capsys)
    draft = json.loads(out)["cases"][1]["plan_id"]
    code, out, _ = run("plan", "accept", draft, "--reason", "later", *where, capsys=capsys)
    assert "is the current one now" in out
    assert "Pay by invoice" in run("plan", "forecast", "--venture", "apollo", *where, capsys=capsys)[1]
