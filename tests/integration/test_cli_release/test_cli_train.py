"""The commands of trains."""

import json
import re
from dataclasses import dataclass, field

import pytest

from productops.usecases.release_train_advance import advance_train
from tests.integration.test_api.conftest import Installation
from tests.integration.test_api.support import put_service
from tests.integration.test_cli_release.conftest import CarryingOut
from tests.integration.test_release_train import promote_by_hand
from tests.support import SOMEBODY


@dataclass
class Station(CarryingOut):
    """Carries each train out at once, as flows would in their time."""

    trains: list[str] = field(default_factory=list)
    driving: bool = True

    def start_train(self, parameters, *, key):
        train_id = str(parameters["train_id"])
        self.trains.append(train_id)
        while self.driving and not advance_train(self.context, train_id, actor=SOMEBODY).ended:
            with self.context.store.read() as unit:
                requested = unit.releases.all_active()
            for release in requested:
                promote_by_hand(self.context, release)
        return f"run-of-{key}"


@pytest.fixture
def carried(fresh):
    """Takes the place of the fixture of that name; cart beside shop, both live with 1.0."""
    from dataclasses import replace

    station = Station(carrying=False)
    context = replace(fresh.context, orchestrator=station)
    station.context = context
    with context.store.read() as unit:
        base = unit.catalog.service("shop").base
    put_service(context, base, name="cart", live="1.0")
    return Installation(context, fresh.settings, station)


START = ("train", "start", "shop=2.0", "cart=2.0", "--after", "shop:cart")


def test_a_train_is_started_followed_and_shown(cli):
    said = cli.run(*START, "--wait")
    assert said.code == 0, said.err
    assert re.search(r"cart 2\.0 promoted\n(.*\n)*train .* is promoted", said.out)
    train = cli.orchestrator.trains[0]
    assert "shop" in cli.run("train", "show", train).out
    assert json.loads(cli.run("train", "list", "--json").out)["items"][0]["id"] == train
    assert train in cli.run("train", "list").out


def test_a_plan_shows_the_order_and_starts_nothing(cli):
    said = cli.run(*START, "--plan")
    assert said.out.index("cart") < said.out.index("shop")
    assert cli.orchestrator.trains == []
    assert cli.run("train", "list").out == "no trains\n"


def test_a_train_is_aborted(cli):
    cli.orchestrator.driving = False
    train = json.loads(cli.run(*START, "--json").out)["id"]
    said = cli.run("train", "abort", train, "--reason", "wrong day", "--wait")
    assert said.code == 0
    assert "rolled back: aborted by owner: wrong day" in said.out


def test_what_is_wrong_with_a_train_is_told(cli):
    assert cli.run("train", "start", "shop").code == 64
    said = cli.run("train", "start", "shop=2.0", "cart=2.0", "--after", "shop:cart", "--after", "cart:shop")
    assert said.code == 64
    assert "in a circle: " in said.err
