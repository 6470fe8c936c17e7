"""Risk of changes and releases over the real API; models learned from a venture's own past in a store on a real file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from productops.domain.development import Change, ChangeState, Commit, FileChange
from productops.domain.quality import CaseResult, Outcome, Parsed
from productops.domain.release import Environment, Phase
from productops.errors import RiskModelError
from productops.settings import Settings
from productops.store.development_risk import KnownModel
from productops.store.identity import new_id
from productops.usecases.context import Context
from productops.usecases.development_risk import noted_risk
from productops.usecases.development_risk_facts import parts_of
from productops.usecases.development_risk_train import review_risk
from productops.usecases.governance_approvals_release import risk_of
from productops.usecases.quality_validate import ValidateRequest, validate_quality
from productops.usecases.release_request import ReleaseWish, place_release
from tests.integration.test_api.support import TOKEN, HandMadeOrchestrator, client_of, free_ports, serving
from tests.integration.test_development_dora import DEV, SOURCE, House, at, commit, sha
from tests.support import SOMEBODY, add_service, make_context, sqlite_url

DAY_H = 24.0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    context = make_context(sqlite_url(tmp_path))
    add_service(context, "shop", live="1.0")
    settings = Settings(home=tmp_path, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(tmp_path))
    with serving(context, settings), client_of(settings) as client:
        yield House(context, client)


def change(number: int, *, hours: float, lines: int = 20, path: str = "shop/pay.py", title: str = "", **more: Any) -> Change:
    state = {"state": ChangeState.MERGED, "merged_at": at(hours)} | more
    return Change(
        external_id=str(number), key=f"acme/shop#{number}", repository="acme/shop", title=title or f"change {number}", author="mia",
        opened_at=at(hours + 5), changed_at=at(hours), additions=lines, deletions=lines // 4, file_count=1,
        files=(FileChange(path, lines, lines // 4),), services=("shop",), **state,
    )  # fmt: skip


def past(house: House, count: int = 500) -> None:
    """Most changes to old files break things, few to young ones do, whatever their size; a revert tells which did."""
    random = np.random.default_rng(3)
    told: list[Change] = []
    for number in range(count):
        hours = (count - number) * DAY_H + 61 * DAY_H
        old = bool(random.random() < 0.4)
        lines = int(random.integers(5, 200))
        told.append(change(number, hours=hours, lines=lines, path=f"core/old{number % 3}.py" if old else f"new/{number}.py"))
        if random.random() < (0.85 if old else 0.1):
            told.append(replace(change(10_000 + number, hours=hours - 5, title=f'Revert "change {number}"'), files=()))
    house.tell(*told)


def rated(house: House, subject: str) -> dict[str, Any]:
    answer = house.client.get(f"{DEV}/risk/{subject}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_until_a_venture_has_a_past_of_its_own_the_rule_decides_and_the_public_model_is_shown_beside_it(house):
    house.tell(change(1, hours=2, state=ChangeState.OPEN, merged_at=None))
    found = rated(house, "shop%231")
    assert found["method"] == "prior"
    assert 0 < found["probability"] < 1
    assert "the rule decides" in found["why_method"]
    assert any(reason.startswith("(not decisive)") for reason in found["reasons"])
    assert found["rows"][0]["key"] == "acme/shop#1"


def test_a_change_whose_files_nobody_knows_is_rated_by_the_rule_alone(house):
    house.tell(
        Change(external_id="2", key="acme/shop#2", repository="acme/shop", title="x", opened_at=at(3), changed_at=at(3))
    )  # fmt: skip
    found = rated(house, "acme%2Fshop%232".rpartition("%2F")[2])
    assert (found["method"], found["probability"]) == ("rule", None)
    assert "nobody knows how much it changes" in found["reasons"]


def test_a_model_that_beats_simple_rules_on_later_changes_is_used_and_says_why(house):
    past(house)
    house.tell(change(9001, hours=3, path="core/old1.py"), change(9002, hours=2, path="new/fresh.py"))
    review = review_risk(house.context, "apollo", learn_now=True, actor=SOMEBODY)
    assert review.learned is not None
    assert review.learned.state == "trusted", review.learned.reason
    assert review.predicted == 2
    risky, calm = rated(house, "shop%239001"), rated(house, "shop%239002")
    assert (risky["method"], risky["model_id"]) == ("learned", review.learned.id)
    assert risky["probability"] > 2 * calm["probability"]
    assert risky["level"] in {"medium", "high"}
    assert risky["stored"]["outcome"] is None
    models = house.client.get(f"{DEV}/risk-models", params={"venture": "apollo"}).json()
    assert (models["method"], models["items"][0]["state"]) == ("learned", "trusted")
    house.tell(change(9003, hours=1, path="log/z.txt", title='Revert "change 9001"'))
    again = review_risk(house.context, "apollo", actor=SOMEBODY)
    assert (again.settled, again.learned) == (1, None)
    assert rated(house, "shop%239001")["stored"]["outcome"] == "broke"


def test_too_little_past_is_learned_from_and_not_trusted(house):
    past(house, count=60)
    review = review_risk(house.context, "apollo", learn_now=True, actor=SOMEBODY)
    assert review.learned is not None
    assert review.learned.state == "distrusted"
    assert "needed" in review.model


def test_a_stored_model_that_is_none_is_never_used(house):
    wrong = KnownModel(str(new_id()), "apollo", "trusted", "it said so", {"format": "evil"}, {}, {}, 1, 0, "tester", datetime.now(UTC))
    with house.context.store.write() as unit:
        unit.risk_models.add(wrong)
    with pytest.raises(RiskModelError):
        parts_of(wrong)
    house.tell(change(1, hours=2, state=ChangeState.OPEN, merged_at=None))
    found = rated(house, "shop%231")
    assert found["method"] == "prior"
    assert "cannot be read" in found["why_method"]


def test_a_release_is_rated_when_it_is_asked_for_and_its_rating_is_kept_with_what_became_of_it(house):
    house.tell(commit("a", hours=90), commit("b", "a", hours=20), change(5, hours=20, merge_sha=sha("b")))
    for version, letter in (("1.0", "a"), ("1.1.0", "b")):
        tests = (CaseResult("s", "c", "pays", Outcome.PASSED),)
        validate_quality(
            house.context, ValidateRequest("shop", version, commit=sha(letter)), Parsed(formats=("junit",), tests=tests), SOMEBODY
        )
    context = Context(house.context.store, house.context.doorbell, 3.0, orchestrator=HandMadeOrchestrator())
    release = place_release(context, ReleaseWish("shop", "1.1.0"), actor=SOMEBODY).release
    noted = release.plan["risk"]
    assert noted["changes"] == ["acme/shop#5"]
    assert noted["method"] == "prior"
    assert "nobody knows how much it changes" not in noted["reasons"]
    assert risk_of(context, release).level.value == noted["level"]
    found = rated(house, release.id)
    assert found["stored"]["subject"] == f"release/{release.id}"
    for phase in (Phase.DEPLOYING, Phase.ROLLING_OUT, Phase.ROLLING_BACK, Phase.ROLLED_BACK):
        with house.context.store.write() as unit:
            unit.releases.move(release.id, phase, actor="flow", reason="it failed", now=datetime.now(UTC))
    review_risk(house.context, "apollo", actor=SOMEBODY)
    kept = rated(house, release.id)["stored"]
    assert (kept["outcome"], kept["outcome_reason"].startswith("it was rolled back")) == ("broke", True)


def test_a_release_of_an_unknown_commit_says_that_the_rule_decides(house):
    context = Context(house.context.store, house.context.doorbell, 3.0, orchestrator=HandMadeOrchestrator())
    release = place_release(context, ReleaseWish("shop", "1.1.0"), actor=SOMEBODY).release
    assert release.plan["risk"]["method"] == "rule"
    assert "nobody knows which changes" in release.plan["risk"]["why_method"]


def test_a_model_drifts_out_of_use_and_the_rule_decides_again(house):
    past(house)
    learned = review_risk(house.context, "apollo", learn_now=True, actor=SOMEBODY).learned
    assert learned is not None
    later = datetime.now(UTC) + timedelta(days=400)
    told = []
    for number in range(260):
        hours = -(later - datetime.now(UTC)).total_seconds() / 3600 + 60 * DAY_H + number
        told.append(change(20_000 + number, hours=hours, lines=40_000, path=f"generated/{number}.py"))
    house.tell(*told)
    review = review_risk(house.context, "apollo", actor=SOMEBODY)
    assert review.drift
    assert "out of use" in review.model
    models = house.client.get(f"{DEV}/risk-models", params={"venture": "apollo"}).json()
    assert (models["method"], models["items"][0]["state"]) == ("prior", "drifted")
    with house.context.store.read() as unit:
        assert "risk.drifted" in {entry.action for entry in unit.audit.following(0)}


def test_what_was_said_is_listed_page_by_page(house):
    house.tell(*(change(n, hours=n, state=ChangeState.OPEN, merged_at=None) for n in (1, 2, 3)))
    review_risk(house.context, "apollo", actor=SOMEBODY)
    first = house.client.get(f"{DEV}/risk", params={"limit": 2}).json()
    rest = house.client.get(f"{DEV}/risk", params={"limit": 2, "after": first["next"]}).json()
    assert len(first["items"]) + len(rest["items"]) == 3
    assert rest["next"] is None


def test_a_review_twice_writes_nothing_the_second_time(house):
    house.tell(
        change(1, hours=2, state=ChangeState.OPEN, merged_at=None),
        Commit(external_id="c", sha=sha("c"), repository="acme/shop", changed_at=at(2)),
    )
    assert SOURCE.name == "gh"
    first = review_risk(house.context, "apollo", actor=SOMEBODY)
    second = review_risk(house.context, "apollo", actor=SOMEBODY)
    assert (first.predicted, second.predicted, second.settled, second.answers) == (1, 0, 0, 0)


def test_rating_a_first_version_writes_nothing(context: Context) -> None:
    """A reading transaction that begins to write fails as soon as somebody else writes, too."""
    add_service(context, "new")
    risk = noted_risk(context, venture="apollo", service="new", version="1.0", environment=Environment.PRODUCTION)
    assert risk["risk"]
    with context.store.read() as unit:
        assert unit.traffic.find("new", Environment.PRODUCTION) is None
