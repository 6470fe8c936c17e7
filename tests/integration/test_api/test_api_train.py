"""Trains over HTTP."""

from dataclasses import dataclass, field, replace

import pytest

from tests.integration.test_api.conftest import Installation
from tests.integration.test_api.support import OPS, HandMadeOrchestrator, put_service

TRAINS = f"{OPS}/trains"


@dataclass
class Orchestrator(HandMadeOrchestrator):
    """Starts trains, too."""

    trains: list[str] = field(default_factory=list)

    def start_train(self, parameters, *, key):
        self._check()
        self.trains.append(str(parameters["train_id"]))
        return f"run-of-{key}"


@pytest.fixture
def served(api, serve):
    """shop and cart, live with 1.0, and an orchestrator that starts trains."""
    put_service(api.context, api.versions, name="cart", live="1.0")
    orchestrator = Orchestrator()
    context = replace(api.context, orchestrator=orchestrator)
    serve(Installation(context, api.settings, orchestrator))
    return replace(api, context=context, orchestrator=orchestrator)


def body(**more):
    return {"members": [{"service": "shop", "version": "2.0", "depends_on": ["cart"]}, {"service": "cart", "version": "2.0"}]} | more


def test_a_train_is_asked_for_read_listed_and_aborted(served):
    answer = served.client.post(TRAINS, json=body(), headers={"Idempotency-Key": "k"})
    train = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"{TRAINS}/{train['id']}")
    assert [(m["service"], m["depends_on"]) for m in train["members"]] == [("cart", []), ("shop", ["cart"])]
    assert train["flow_run"]["id"] == f"run-of-train-{train['id']}"
    again = served.client.post(TRAINS, json=body(), headers={"Idempotency-Key": "k"})
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (train["id"], "true")
    assert [t["id"] for t in served.client.get(TRAINS).json()["items"]] == [train["id"]]
    aborted = served.client.post(f"{TRAINS}/{train['id']}/abort", json={"reason": "wrong day"})
    assert (aborted.status_code, aborted.json()["phase"]) == (202, "rolled_back")
    assert served.client.get(f"{TRAINS}/{train['id']}").json()["members"][0]["phase"] == "skipped"
    assert served.client.post(f"{TRAINS}/{train['id']}/abort", json={"reason": "again"}).status_code == 409


def test_a_circle_is_a_problem_that_names_it(served):
    circle = body()
    circle["members"][1]["depends_on"] = ["shop"]
    answer = served.client.post(TRAINS, json=circle)
    assert (answer.status_code, answer.json()["slug"]) == (422, "dependency-cycle")
    assert set(answer.json()["cycle"].split(" → ")) == {"shop", "cart"}


def test_a_plan_of_a_train_writes_nothing(served):
    assert [m["service"] for m in served.client.post(f"{TRAINS}/plan", json=body()).json()["members"]] == ["cart", "shop"]
    assert served.client.get(TRAINS).json() == {"items": [], "next": None}


def test_without_prefect_a_train_is_accepted_all_the_same(served):
    served.orchestrator.away = True
    answer = served.client.post(TRAINS, json=body())
    assert (answer.status_code, answer.json()["flow_run"]) == (202, None)


@pytest.mark.parametrize("wrong", [{"members": []}, {"side_by_side": 0}, {"mode": "some"}, {"speed": 1}])
def test_what_is_wrong_is_named(shared, wrong):
    answer = shared.client.post(TRAINS, json=body(**wrong))
    assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-input")
    assert next(iter(wrong)) in answer.json()["detail"]


def test_a_train_that_does_not_exist_is_not_found(shared):
    assert shared.client.get(f"{TRAINS}/nothing").status_code == 404
    assert shared.client.post(f"{TRAINS}/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11/abort", json={"reason": "x"}).status_code == 404
