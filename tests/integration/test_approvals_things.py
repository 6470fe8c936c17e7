"""Signatures for trains, flags, bypasses of freezes, and for policies and access themselves; and a process that dies in between."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import timedelta

import pytest

from productops.adapters.catalog_files import load_catalog
from productops.domain.catalog_flags import FlagSpec
from productops.domain.governance_access import MACHINE, Grant, Principal, Role
from productops.domain.governance_approvals import ApprovalState
from productops.domain.release import Environment, Phase
from productops.domain.release_flags.changes import ChangeState
from productops.domain.release_train import MemberWish, TrainPhase
from productops.errors import ApprovalNeededError, ConflictError, ForbiddenError, ImpossiblePolicyError, RevisionMismatchError
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Actor
from productops.usecases.governance_approvals import find_approval, refuse, sign
from productops.usecases.governance_approvals_policies import PolicyOutcome
from productops.usecases.release_flags_change import approve_change, create_flag, kill_flag, ramp_flag, reject_change
from productops.usecases.release_reconcile import start_unstarted
from productops.usecases.release_request import request_release
from productops.usecases.release_resume import claim_release
from productops.usecases.release_train import TrainWish, abort_train, place_train, start_train
from productops.usecases.release_train_advance import advance_train
from productops.usecases.release_windows_bypass import approve_bypass, request_bypass
from tests.integration.approvals_lab import ANN, BOB, CARL, DEV, DORA, EMIL, VENTURE, apply, make_house, policy, wish
from tests.integration.test_api.support import HandMadeOrchestrator
from tests.support import PRODUCTION, SOMEBODY, add_service, make_context, sqlite_url

FLAG = FlagSpec(owner="web")


class WithTrains(HandMadeOrchestrator):
    """Starts trains, too."""

    def start_train(self, parameters, *, key):
        self.releases[key] = parameters
        return f"run-of-{key}"


@pytest.fixture
def house(context):
    made = make_house(context)
    add_service(made, "cart", live="1.0")
    object.__setattr__(made, "orchestrator", WithTrains())
    return made


def train(context, actor=DEV):
    wished = TrainWish((MemberWish("cart", "2.0"), MemberWish("shop", "2.0", ("cart",))))
    return place_train(context, wished, actor=actor).train


def test_a_train_waits_for_the_union_of_what_its_members_need_and_its_members_for_nothing_more(house, tmp_path):
    apply(
        house, tmp_path / "catalog", policy("shop", scope="{services: [shop]}", signatures="[{role: release-manager, count: 2}]"),
        policy("cart", scope="{services: [cart]}", signatures="[{role: director}]"),
        policy("trains", actions="[train]", scope="{}", signatures="[{role: release-manager}]"),
    )  # fmt: skip
    placed = train(house)
    request = find_approval(house, placed.id, actor=DORA)
    assert {n.policy for n in request.needs} == {"shop", "cart", "trains"}
    assert start_train(house, placed) is None
    assert [m.phase for m in advance_train(house, placed.id, actor=SOMEBODY).members] == ["waiting", "waiting"]
    sign(house, request.id, actor=ANN)
    sign(house, request.id, actor=BOB)
    assert not house.orchestrator.releases
    sign(house, request.id, actor=DORA)
    assert list(house.orchestrator.releases) == [f"train-{placed.id}"]
    moved = advance_train(house, placed.id, actor=SOMEBODY)
    first = next(m for m in moved.members if m.service == "cart")
    assert claim_release(house, first.release_id, "run").flow_run_id == "run"


def test_a_refused_train_skips_its_members_and_ends(house, tmp_path):
    apply(house, tmp_path / "catalog", policy())
    placed = train(house)
    request = find_approval(house, placed.id, actor=DORA)
    refuse(house, request.id, reason="not together", actor=ANN)
    ended = advance_train(house, placed.id, actor=SOMEBODY)
    assert (ended.phase, ended.reason) == (TrainPhase.ROLLED_BACK, "approval refused: not together")
    assert {m.phase.value for m in ended.members} == {"skipped"}
    second = train(house)
    abort_train(house, second.id, reason="no", actor=ANN)
    assert find_approval(house, second.id, actor=DORA).state is ApprovalState.WITHDRAWN


def test_a_flag_waits_where_a_policy_says_so_and_a_kill_never(house, tmp_path):
    create_flag(house, "checkout", venture="apollo", spec=FLAG, actor=ANN)
    apply(house, tmp_path / "catalog", policy("flags", actions="[flag]", signatures="[{role: release-manager, count: 2}]"))
    staged = ramp_flag(house, "checkout", Environment.STAGING, percent=10, actor=DEV, reason="try")
    assert staged.applied
    waiting = ramp_flag(house, "checkout", PRODUCTION, percent=10, actor=DEV, reason="try").waiting
    assert waiting.state is ChangeState.PROPOSED
    request = find_approval(house, waiting.id, actor=DORA)
    with pytest.raises(ApprovalNeededError, match="waits for 2 release-managers"):
        approve_change(house, "checkout", waiting.id, actor=ANN)
    sign(house, request.id, actor=ANN)
    assert sign(house, request.id, actor=BOB).granted
    with house.store.read() as unit:
        assert unit.flags.get("checkout").state.live_in(PRODUCTION).ramp.percent == 10
        assert unit.flag_changes.get("checkout", waiting.id).state is ChangeState.APPLIED
    assert kill_flag(house, "checkout", actor=ANN, reason="errors").applied


def test_a_flag_that_changed_since_is_not_changed_by_old_signatures(house, tmp_path):
    create_flag(house, "checkout", venture="apollo", spec=FLAG, actor=ANN)
    apply(house, tmp_path / "catalog", policy("flags", actions="[flag]"))
    waiting = ramp_flag(house, "checkout", PRODUCTION, percent=10, actor=DEV, reason="try").waiting
    request = find_approval(house, waiting.id, actor=DORA)
    ramp_flag(house, "checkout", Environment.STAGING, percent=50, actor=DEV, reason="meanwhile")
    with pytest.raises(RevisionMismatchError):
        sign(house, request.id, actor=ANN)
    assert find_approval(house, request.id, actor=DORA).waiting
    reject_change(house, "checkout", waiting.id, actor=ANN, reason="propose it anew")
    assert find_approval(house, request.id, actor=DORA).state is ApprovalState.WITHDRAWN
    again = ramp_flag(house, "checkout", PRODUCTION, percent=10, actor=DEV, reason="try").waiting
    refuse(house, find_approval(house, again.id, actor=DORA).id, reason="no", actor=ANN)
    with house.store.read() as unit:
        assert unit.flag_changes.get("checkout", again.id).state is ChangeState.REJECTED


def test_a_bypass_takes_the_signatures_of_its_policy(house, tmp_path):
    apply(house, tmp_path / "catalog", policy("freezes", actions="[bypass]", signatures="[{role: director, count: 2}]"))
    asked = request_bypass(
        house, service="shop", environment=PRODUCTION, version=None, reason="customers cannot pay", valid_for=timedelta(hours=1), actor=ANN
    )
    with pytest.raises(ApprovalNeededError):
        approve_bypass(house, asked.id, note="", actor=BOB)
    request = find_approval(house, asked.id, actor=DORA)
    sign(house, request.id, actor=DORA)
    sign(house, request.id, actor=EMIL, note="yes")
    with house.store.read() as unit:
        assert unit.bypasses.get(asked.id).approved_by == "dora, emil"


GUARD = policy("guard", actions="[policy]", scope="{}", signatures="[{role: director, count: 2}]")


def test_the_first_policies_are_allowed_and_later_changes_of_them_wait_for_signatures(house, tmp_path):
    folder = tmp_path / "catalog"
    assert apply(house, folder, policy(), GUARD)["guard"] == "created"
    laxer = policy(scope="{environments: [staging]}")
    assert apply(house, folder, laxer, GUARD)["production"] == "proposed"
    assert apply(house, folder, laxer, GUARD)["production"] == "proposed"
    with house.store.read() as unit:
        assert unit.approval_policies.find("production").version == 1
        (request,) = unit.approvals.waiting()
    assert request.content["before"]["spec"]["scope"]["environments"] == ["production"]
    sign(house, request.id, actor=DORA)
    assert sign(house, request.id, actor=EMIL).granted
    with house.store.read() as unit:
        changed = unit.approval_policies.find("production")
    assert (changed.version, changed.spec.scope.environments) == (2, (Environment.STAGING,))
    assert apply(house, folder, laxer, GUARD)["production"] == "unchanged"


def test_nobody_takes_the_guard_away_alone(house, tmp_path):
    folder = tmp_path / "catalog"
    apply(house, folder, policy(), GUARD)
    assert apply(house, folder) == {"apollo": "unchanged", "guard": "proposed", "production": "proposed"}
    with house.store.read() as unit:
        assert len(unit.approval_policies.all()) == 2
        guard = next(r for r in unit.approvals.waiting() if r.subject.endswith("/guard"))
    sign(house, guard.id, actor=DORA)
    sign(house, guard.id, actor=EMIL)
    with house.store.read() as unit:
        assert [p.name for p in unit.approval_policies.all()] == ["production"]


ACCESS = """---
apiVersion: productops/v1
kind: Access
metadata: {name: team}
spec:
  people:
    - {name: gina, grants: [{role: %s, venture: "*"}]}
"""


def test_access_is_changed_by_signatures_only_once_a_policy_says_so(house, tmp_path):
    folder = tmp_path / "catalog"
    assert apply(house, folder, GUARD, ACCESS % "viewer")["team"] == "created"
    assert apply(house, folder, GUARD, ACCESS % "director")["team"] == "proposed"
    with house.store.read() as unit:
        (request,) = unit.approvals.waiting()
        assert [g.grant.role for g in unit.principals.get("gina").grants] == [Role.VIEWER]
    sign(house, request.id, actor=DORA)
    sign(house, request.id, actor=EMIL)
    with house.store.read() as unit:
        assert [g.grant.role for g in unit.principals.get("gina").grants] == [Role.DIRECTOR]
    assert apply(house, folder, GUARD, ACCESS % "director")["team"] == "unchanged"
    assert apply(house, folder, GUARD)["team"] == "proposed"
    with house.store.read() as unit:
        assert [g.grant.role for g in unit.principals.get("gina").grants] == [Role.DIRECTOR]


def test_who_may_not_manage_access_cannot_even_propose_it(house, tmp_path):
    folder = tmp_path / "catalog"
    apply(house, folder, GUARD, ACCESS % "viewer")
    manager = Actor("ann", "cli", Principal("ann", (Grant(Role.RELEASE_MANAGER),)))
    with pytest.raises(ForbiddenError, match=r"access\.manage"):
        apply(house, folder, GUARD, ACCESS % "director", actor=manager)


def test_a_policy_that_nobody_could_satisfy_is_refused_with_the_arithmetic(house, tmp_path):
    folder = tmp_path / "catalog"
    with pytest.raises(
        ImpossiblePolicyError, match=r"needs 4 directors, which are 4 different people; .* director: 3 \(dora, emil, fred\)"
    ):
        apply(house, folder, policy(signatures="[{role: director, count: 4}]"))
    with pytest.raises(ImpossiblePolicyError, match=r"ann may ask and cannot sign then; that gives 2 of 3 signatures"):
        apply(house, folder, policy(signatures="[{role: release-manager, count: 3}]"))
    with pytest.raises(ImpossiblePolicyError, match="incident-commander: 0 \\(nobody\\)"):
        apply(house, folder, policy(signatures="[{role: incident-commander}]"))
    with house.store.read() as unit:
        assert unit.approval_policies.all() == []


def test_outside_business_hours_signing_waits_or_more_signatures_are_needed(house, tmp_path):
    folder, now = tmp_path / "catalog", house.clock.now()
    today = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(now + timedelta(days=2)).weekday()]
    apply(house, folder, policy(more=f", hours: {{weekdays: [{today}]}}"))
    request_release(house, wish(), actor=DEV)
    with house.store.read() as unit:
        (request,) = unit.approvals.waiting()
    with pytest.raises(ConflictError, match=rf"signatures count only {today} 08:00 to 18:00 UTC; sign again from "):
        sign(house, request.id, actor=ANN)
    opens = (now + timedelta(days=2)).replace(hour=9, minute=0)
    house.clock.ahead = opens - now
    assert sign(house, request.id, actor=ANN).granted
    house.clock.ahead = timedelta(0)
    with house.store.write() as unit:
        unit.releases.move(request.subject.partition("/")[2], Phase.FAILED, actor="x", reason="x", now=now)
    apply(house, folder, policy(more=f", hours: {{weekdays: [{today}], outside: more, more: [{{role: director}}]}}"))
    request_release(house, wish(), actor=DEV)
    with house.store.read() as unit:
        (second,) = unit.approvals.waiting()
    sign(house, second.id, actor=CARL)
    assert sign(house, second.id, actor=DORA).granted


def test_a_process_killed_between_the_last_signature_and_the_start_loses_nothing(tmp_path):
    url = sqlite_url(tmp_path)
    house = make_house(make_context(url))
    apply(house, tmp_path / "catalog", policy())
    release = request_release(house, wish(), actor=DEV)
    approval_id = release.plan["approval"]["id"]
    script = f"""
        import os
        from productops.domain.governance_access import Grant, Principal, Role
        from productops.store import Store
        from productops.usecases.context import Actor, Context
        from productops.usecases.governance_approvals import sign

        class Dies:
            def start_release(self, *_, **__):
                os.kill(os.getpid(), 9)

        ann = Actor("ann", "api", Principal("ann", (Grant(Role.RELEASE_MANAGER),)))
        sign(Context(store=Store({url!r}), doorbell=None, lease_ttl_s=3, orchestrator=Dies()), {approval_id!r}, actor=ann)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, timeout=60)
    assert killed.returncode == -9
    assert find_approval(house, approval_id, actor=DORA).state is ApprovalState.APPROVED
    assert not house.orchestrator.releases
    assert start_unstarted(house, after=timedelta(0)) == [release.id]
    first = dict(house.orchestrator.releases)
    assert start_unstarted(house, after=timedelta(0)) == [release.id]  # the same run: the key is the release and the attempt
    assert house.orchestrator.releases == first
    assert claim_release(house, release.id, "run").flow_run_id == "run"
    assert start_unstarted(house, after=timedelta(0)) == []
    house.store.close()


def test_an_outcome_of_the_catalog_says_who_has_to_sign(house, tmp_path):
    folder = tmp_path / "catalog"
    apply(house, folder, policy(), GUARD)
    (folder / "catalog.yaml").write_text(VENTURE + policy(scope="{}") + GUARD)
    planned = apply_catalog(house, load_catalog(folder), actor=SOMEBODY, plan_only=True)
    found = next(c for c in planned if c.name == "production")
    assert found.waits_for.startswith("waits for 2 directors in all ventures, not tester")
    with house.store.read() as unit:
        assert unit.approvals.waiting() == []
    assert PolicyOutcome("ApprovalPolicy", "production", "proposed", found.waits_for).kind == found.kind


def test_only_people_sign_even_where_the_machine_may_do_everything(house, tmp_path):
    apply(house, tmp_path / "catalog", policy())
    release = request_release(house, wish(), actor=DEV)
    with pytest.raises(ForbiddenError, match="is a machine account"):
        sign(house, release.plan["approval"]["id"], actor=Actor("agent", "agent", MACHINE))
