"""Controls on SQLite and PostgreSQL: what deviates is found once, stays the same finding, is waived for a time, and is resolved."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from productops.adapters.audit_anchors import AnchorFolder, read_or_make_key
from productops.adapters.catalog_files import load_catalog
from productops.domain.catalog_approvals import Action
from productops.domain.governance_access import MACHINE, Grant, Principal, Role
from productops.domain.governance_approvals import ApprovalRequest, ApprovalState, Review, Signature
from productops.domain.governance_compliance import Outcome
from productops.domain.governance_compliance_words import FindingState
from productops.domain.release import Phase, Release
from productops.domain.release_windows import Bypass
from productops.domain.strategies.names import Strategy
from productops.errors import CatalogError, ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from productops.store.governance_compliance import FindingFilter
from productops.store.identity import new_id
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Actor, Clock
from productops.usecases.governance_compliance import (
    Remedies,
    check_controls,
    end_waiver,
    list_controls,
    list_findings,
    read_finding,
    waive_finding,
)
from tests.support import PRODUCTION, SOMEBODY, add_service

VENTURE = "apiVersion: productops/v1\nkind: Venture\nmetadata: {name: apollo}\n---\n"
NOBODY_THERE = Actor("eve", "api", Principal("eve", (Grant(Role.VIEWER, "gemini"),)))
RULE = """apiVersion: productops/v1
kind: Control
metadata: {{name: {name}{venture}}}
spec:
  title: a rule
  owner: platform
  severity: high
  remediation: see to it
  check: {{{check}}}
{more}"""


class Later(Clock):
    """A clock that can be put forward."""

    ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def lab(context):
    return replace(context, clock=Later())


@pytest.fixture
def any_lab(any_context):
    return replace(any_context, clock=Later())


@pytest.fixture
def remedies(tmp_path):
    return Remedies(read_or_make_key(tmp_path / "key"), AnchorFolder(tmp_path / "anchors"))


def declare(context, folder: Path, *rules: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "controls.yaml").write_text(VENTURE + "\n---\n".join(rules))
    apply_catalog(context, load_catalog(folder), actor=SOMEBODY)


def rule(check: str, name: str = "rule", venture: str = "", more: str = "") -> str:
    return RULE.format(name=name, check=check, venture=f", venture: {venture}" if venture else "", more=more)


def released(
    context, *, by: str = "mia", plan: dict | None = None, began: bool = True, phase: Phase = Phase.PROMOTED, version: str = "2.0"
):
    """A release that ended, written as the use cases write it, without its long way."""
    with context.store.write() as unit:
        now = context.clock.now()
        release = Release(
            id=str(new_id()), venture="apollo", service="shop", environment=PRODUCTION, version=version, baseline_version="1.0",
            strategy=Strategy.CANARY, phase=Phase.REQUESTED, steps=(), plan=plan or {}, requested_by=by, origin="api", reason="",
            cause=None,
            step_index=-1, fence=0, flow_run_id=None, created_at=now, updated_at=now, ended_at=None,
        )  # fmt: skip
        unit.releases.add(release)
        way = {
            Phase.PROMOTED: (Phase.DEPLOYING, Phase.ROLLING_OUT, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED),
            Phase.ROLLED_BACK: (Phase.DEPLOYING, Phase.ROLLING_OUT, Phase.ROLLING_BACK, Phase.ROLLED_BACK),
        }[phase]
        for step in way if began else (Phase.FAILED,):
            unit.releases.move(release.id, step, actor="flow", reason="", now=now)
    return release


def approval(context, release, *, state=ApprovalState.APPROVED, signed_by=(), decided_by=""):
    with context.store.write() as unit:
        now = context.clock.now()
        request = ApprovalRequest(
            id=str(new_id()), subject=f"release/{release.id}", action=Action.RELEASE, title=release.title, venture="apollo",
            environment=PRODUCTION, requested_by=release.requested_by, reason="", content={}, content_hash="0" * 64, facts=(), needs=(),
            state=state, created_at=now, expires_at=now + timedelta(days=1), decided_at=now, decided_by=decided_by, outcome="emergency",
        )  # fmt: skip
        unit.approvals.add(request)
        for person in signed_by:
            roles = frozenset({Role.RELEASE_MANAGER})
            unit.approvals.sign(request.id, Signature(str(new_id()), person, roles, "0" * 64, "", "api", now))
        if decided_by:
            unit.approvals.decide(replace(unit.approvals.get(request.id)), state, by=decided_by, outcome="emergency", now=now)
    return request


def review(context, request, *, closed_by=None):
    with context.store.write() as unit:
        now = context.clock.now()
        made = Review(str(new_id()), request.id, request.subject, "apollo", "dora", "it burns", now, now + timedelta(hours=72))
        unit.approval_reviews.add(made)
        if closed_by:
            unit.approval_reviews.close(made.id, by=closed_by, note="was right", now=now)
    return made


def check(context, remedies=None):
    (result,) = check_controls(context, actor=SOMEBODY, remedies=remedies).results
    return result


def findings(context, **wanted):
    return list_findings(context, FindingFilter(**wanted), actor=SOMEBODY)


def test_a_release_that_nobody_else_signed_is_found_once_and_resolved_by_a_reviewed_override(any_lab, tmp_path):
    declare(any_lab, tmp_path / "c", rule("kind: four-eyes"))
    add_service(any_lab, live="1.0")
    signed, alone = released(any_lab), released(any_lab)
    approval(any_lab, signed, signed_by=("tom",))
    released(any_lab, began=False)
    assert (first := check(any_lab)).outcome is Outcome.VIOLATED
    assert (first.opened, first.still, first.looked_at) == (1, 0, 2)
    (found,) = findings(any_lab)
    assert (found.subject, found.state(any_lab.clock.now()), found.evidence["requested_by"]) == (
        f"release/{alone.id}", FindingState.OPEN, "mia"
    )  # fmt: skip
    again = check(any_lab)
    assert (again.opened, again.still, findings(any_lab)[0].id) == (0, 1, found.id)
    overridden = approval(any_lab, alone, state=ApprovalState.OVERRIDDEN, decided_by="dora")
    review(any_lab, overridden, closed_by="ola")
    assert (check(any_lab).resolved, findings(any_lab)[0].resolved_at is not None) == (1, True)


def test_an_override_is_given_time_for_its_review_and_found_when_that_is_over(lab, tmp_path):
    declare(lab, tmp_path / "c", rule("kind: four-eyes", "eyes"), rule("kind: overrides-reviewed, within_days: 3", "reviews"))
    add_service(lab, live="1.0")
    review(lab, approval(lab, released(lab), state=ApprovalState.OVERRIDDEN, decided_by="dora"))
    assert {r.outcome for r in check_controls(lab, actor=SOMEBODY).results} == {Outcome.KEPT}
    lab.clock.ahead = timedelta(days=4)
    assert {r.outcome for r in check_controls(lab, actor=SOMEBODY).results} == {Outcome.VIOLATED}
    assert "has waited 4 days for its review" in next(f.sentence for f in findings(lab, control="reviews"))


def test_who_asked_and_approved_is_found_in_approvals_reviews_and_bypasses(lab, tmp_path):
    declare(lab, tmp_path / "c", rule("kind: no-self-approval"))
    add_service(lab, live="1.0")
    approval(lab, released(lab), signed_by=("Mia ",))
    review(lab, approval(lab, released(lab, by="dora"), state=ApprovalState.OVERRIDDEN, decided_by="dora"), closed_by="dora")
    with lab.store.write() as unit:
        now = lab.clock.now()
        bypass = Bypass(str(new_id()), "apollo", "shop", PRODUCTION, None, "urgent", "max", now, now + timedelta(hours=1))
        unit.bypasses.add(bypass)
        unit.bypasses.approve(bypass.id, by="max", note="", now=now)
    assert check(lab).opened == 4


def test_a_start_in_a_freeze_is_found_unless_another_person_let_it_pass(lab, tmp_path):
    freeze = (
        "apiVersion: productops/v1\nkind: ChangeWindow\nmetadata: {name: closing}\nspec: {effect: freeze, title: Closing, "
        "times: [{starts: '2026-01-01T00:00', ends: '2099-01-01T00:00'}]}"
    )
    declare(lab, tmp_path / "c", rule("kind: freezes-kept"), freeze)
    with lab.store.write() as unit:
        from productops.domain.catalog_windows import Effect
        from productops.domain.release_windows import Occurrence

        begin = lab.clock.now()
        unit.calendars.replace(
            "closing", [Occurrence("closing", Effect.FREEZE, "1", "Closing", begin - timedelta(days=1), begin + timedelta(days=9))]
        )
    add_service(lab, live="1.0")
    released(lab)
    with lab.store.write() as unit:
        now = lab.clock.now()
        bypass = Bypass(str(new_id()), "apollo", "shop", PRODUCTION, None, "urgent", "max", now, now + timedelta(hours=1))
        unit.bypasses.add(bypass)
        unit.bypasses.approve(bypass.id, by="ola", note="", now=now)
    released(lab, plan={"bypass": bypass.id})
    assert (check(lab).opened, "began in the freeze 'Closing' (closing) without a bypass" in findings(lab)[0].sentence) == (1, True)


def test_an_unjudged_promotion_and_a_missing_drill_are_found(lab, tmp_path):
    declare(lab, tmp_path / "c", rule("kind: analysis-kept", "judged"), rule("kind: rollback-drilled, within_days: 30", "drill"))
    add_service(lab, live="1.0")
    released(lab, plan={"analysis": {"on_inconclusive": "proceed"}})
    results = {r.control: r for r in check_controls(lab, actor=SOMEBODY).results}
    assert (results["judged"].opened, results["drill"].opened) == (2, 1)
    assert "was never rolled back" in findings(lab, control="drill")[0].sentence
    released(lab, phase=Phase.ROLLED_BACK, version="3.0")
    assert {r.control: r.resolved for r in check_controls(lab, actor=SOMEBODY).results}["drill"] == 1


def test_an_unused_token_is_revoked_only_where_the_control_says_so(any_lab, tmp_path, remedies):
    with any_lab.store.write() as unit:
        now = any_lab.clock.now()
        ci = unit.principals.add("ci", kind="service", subject=None, email="", declared_in=None, now=now)
        unit.principals.grant(Grant(Role.DEVELOPER), person=ci, given_by="owner", now=now)
        unit.tokens.add(
            ci, public_id="0" * 12, name="build", secret_hash="0" * 64, operations=None, venture="*", environment="*",
            created_by="owner", expires_at=now + timedelta(days=300), now=now,
        )  # fmt: skip
    any_lab.clock.ahead = timedelta(days=100)
    declare(any_lab, tmp_path / "c", rule("kind: tokens-in-use"))
    assert (check(any_lab, remedies).opened, check(any_lab, remedies).remedied) == (1, ())
    declare(any_lab, tmp_path / "c", rule("kind: tokens-in-use", more="  remediate: true"))
    done = check(any_lab, remedies)
    assert (done.outcome, done.resolved, done.remedied) == (Outcome.KEPT, 1, ("token 000000000000 was revoked",))
    with any_lab.store.read() as unit:
        (told,) = [e for e in unit.audit.entries(subject="token/000000000000") if e["action"] == "token.revoked"]
    assert (told["actor"], told["detail"]["after"]["revoked"]) == ("control rule", True)


def test_an_old_anchor_is_found_and_remedied_but_what_cannot_be_looked_at_is_never_kept(lab, tmp_path, remedies):
    declare(lab, tmp_path / "c", rule("kind: audit-anchored"))
    without = check(lab)
    assert (without.outcome, "does not know where" in without.note) == (Outcome.UNCHECKED, True)
    assert check(lab, remedies).opened == 1
    assert check(lab).still == 1, "what was not looked at stays as it is"
    declare(lab, tmp_path / "c", rule("kind: audit-anchored", more="  remediate: true"))
    assert "an anchor of entry" in check(lab, remedies).remedied[0]
    lab.clock.ahead = timedelta(hours=30)
    assert check(lab, remedies).remedied, "entries came after the anchor, which is a day old by now"


@pytest.mark.parametrize(("check_", "sentence"), [("kind: backup-drilled", "no restore"), ("kind: admins-few, at_most: 1", "2 people")])
def test_what_concerns_the_installation_is_found(lab, tmp_path, check_, sentence):
    with lab.store.write() as unit:
        for name in ("ada", "bob"):
            person = unit.principals.add(name, kind="person", subject=None, email="", declared_in=None, now=lab.clock.now())
            unit.principals.grant(Grant(Role.ADMIN), person=person, given_by="owner", now=lab.clock.now())
    declare(lab, tmp_path / "c", rule(check_))
    assert (check(lab).opened, sentence in findings(lab)[0].sentence) == (1, True)


def test_a_waiver_bears_a_finding_until_it_expires_and_then_it_is_open_again(any_lab, tmp_path):
    declare(any_lab, tmp_path / "c", rule("kind: backup-drilled"))
    check(any_lab)
    (found,) = findings(any_lab)
    soon = any_lab.clock.now() + timedelta(days=7)
    with pytest.raises(InvalidInputError, match="at least 10 characters"):
        waive_finding(any_lab, found.id, owner="dora", reason="later", expires_at=soon, actor=SOMEBODY)
    with pytest.raises(InvalidInputError, match="within 366 days"):
        waive_finding(any_lab, found.id, owner="dora", reason="not in this life", expires_at=soon + timedelta(days=500), actor=SOMEBODY)
    with pytest.raises(NotFoundError):
        waive_finding(any_lab, found.id, owner="dora", reason="not my venture", expires_at=soon, actor=NOBODY_THERE)
    waived = waive_finding(any_lab, found.id, owner="dora", reason="the new disks come next week", expires_at=soon, actor=SOMEBODY)
    assert waived.state(any_lab.clock.now()) is FindingState.WAIVED
    assert (check(any_lab).waived, len(findings(any_lab, state=FindingState.OPEN)), list_controls(any_lab, actor=SOMEBODY)[0].waived) == (
        1,
        0,
        1,
    )
    any_lab.clock.ahead = timedelta(days=8)
    assert findings(any_lab, state=FindingState.OPEN)[0].id == found.id, "without a check in between"
    assert (check(any_lab).waived, check(any_lab).still) == (0, 1)
    with any_lab.store.read() as unit:
        told = [e["action"] for e in unit.audit.entries(subject=f"finding/{found.id}")]
    assert told == ["compliance.waiver_expired", "compliance.waived", "compliance.opened"]
    assert read_finding(any_lab, found.id, actor=SOMEBODY)[1][0].ended_at is not None
    with pytest.raises(ConflictError, match="is not waived"):
        end_waiver(any_lab, found.id, reason="", actor=SOMEBODY)


def test_findings_of_a_control_that_is_no_longer_declared_are_resolved(lab, tmp_path):
    declare(lab, tmp_path / "c", rule("kind: backup-drilled"))
    check(lab)
    declare(lab, tmp_path / "c")
    assert check(lab).note == "no longer declared"
    assert findings(lab)[0].resolved_at is not None
    with lab.store.read() as unit:
        (removed,) = [e for e in unit.audit.entries(subject="Control/rule") if e["action"] == "catalog.removed"]
    assert removed["detail"]["before"]["check"]["kind"] == "backup-drilled"


def test_a_viewer_of_another_venture_sees_no_finding_and_may_not_check(lab, tmp_path):
    declare(lab, tmp_path / "c", rule("kind: four-eyes"))
    add_service(lab, live="1.0")
    released(lab)
    check(lab)
    assert list_findings(lab, FindingFilter(), actor=NOBODY_THERE) == []
    with pytest.raises(NotFoundError):
        read_finding(lab, findings(lab)[0].id, actor=NOBODY_THERE)
    with pytest.raises(ForbiddenError):
        check_controls(lab, actor=NOBODY_THERE)
    friend = Actor("tom", "api", Principal("tom", (Grant(Role.VIEWER, "apollo"),)))
    assert len(list_findings(lab, FindingFilter(), actor=friend)) == 1


def test_a_wrong_control_is_named_with_its_file_and_line(context, tmp_path):
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "x.yaml").write_text(VENTURE + rule("kind: four-eyes, dais: 3"))
    with pytest.raises(CatalogError, match=r"x.yaml:\d+: spec.check.dais: unknown field; did you mean 'days'"):
        load_catalog(folder)
    (folder / "x.yaml").write_text(VENTURE + rule("kind: four-eyes", more="  services: [nowhere]"))
    with pytest.raises(CatalogError, match="for service 'nowhere', which is not declared"):
        apply_catalog(context, load_catalog(folder), actor=SOMEBODY)


def test_the_shipped_controls_are_applied_and_looked_at(context, remedies):
    entries = [e for e in load_catalog(Path(__file__).parents[2] / "catalog") if e.entry.kind in {"Venture", "Control"}]
    apply_catalog(context, entries, actor=Actor("ada", "cli", MACHINE))
    results = check_controls(context, actor=SOMEBODY, remedies=remedies).results
    assert len(results) == 12
    assert not [r for r in results if r.outcome is Outcome.UNCHECKED]
