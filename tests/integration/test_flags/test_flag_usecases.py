"""Changing flags on SQLite and PostgreSQL: history, approval, schedules, counts, the catalog."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from productops.adapters.catalog_files import load_catalog
from productops.domain.catalog_flags import FlagSpec, Segment
from productops.domain.governance_access import MACHINE
from productops.domain.release import Environment
from productops.domain.release_flags import ChangeState, StaleReason
from productops.domain.release_flags.changes import Archive, Edit, Kill, RampTo, RestoreTo
from productops.domain.release_flags.evaluate import Answer
from productops.errors import (
    CatalogError,
    ConflictError,
    FlagKilledError,
    IllegalTransitionError,
    InvalidInputError,
    NotFoundError,
    RevisionMismatchError,
    SelfApprovalError,
)
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Actor, Clock
from productops.usecases.release_flags import flag_changes, flag_exposure, flag_history, list_flags, read_flag, stale_report
from productops.usecases.release_flags_change import (
    approve_change,
    cancel_change,
    change_flag,
    create_flag,
    kill_flag,
    put_flag,
    ramp_flag,
    reject_change,
    restore_flag,
    revive_flag,
)
from productops.usecases.release_flags_serve import FlagCounter, FlagServer
from productops.usecases.release_reconcile import change_flags
from tests.integration.test_flags.conftest import make_flag
from tests.support import PRODUCTION

KEY = "new-checkout"
MIA, TOM = Actor("mia", "api", MACHINE), Actor("tom", "api", MACHINE)
HOUR = timedelta(hours=1)


class SetClock(Clock):
    """A wall clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        return self.at


def audited(context):
    with context.store.read() as unit:
        assert unit.audit.first_broken() is None
        return [(entry["action"], entry["actor"]) for entry in reversed(unit.audit.entries(subject=f"flag/{KEY}"))]


def current(context):
    return read_flag(context, KEY, actor=MIA).flag


def test_every_change_is_a_revision_with_who_why_before_and_after(any_context):
    make_flag(any_context)
    ramp_flag(any_context, KEY, PRODUCTION, percent=10, actor=MIA, reason="first users")
    kill_flag(any_context, KEY, actor=TOM, reason="orders fail")
    newest, ramped, made = flag_history(any_context, KEY, actor=MIA)
    assert [(each.revision, each.action, each.author, each.reason) for each in (newest, ramped, made)] == [
        (3, "kill", "tom", "orders fail"), (2, "ramp", "mia", "first users"), (1, "create", "tester", "")
    ]  # fmt: skip
    assert ramped.before == made.after
    assert made.before is None
    assert ramped.summary == "ramp on to 10 % in production"
    assert newest.after == current(any_context).state
    assert audited(any_context) == [("flag.created", "tester"), ("flag.ramp", "mia"), ("flag.kill", "tom")]
    assert [each.revision for each in flag_history(any_context, KEY, limit=1, before=3, actor=MIA)] == [2]


def test_a_change_that_changes_nothing_leaves_no_revision(any_context):
    make_flag(any_context)
    ramp_flag(any_context, KEY, PRODUCTION, percent=10, actor=MIA, reason="")
    ramp_flag(any_context, KEY, PRODUCTION, percent=10, actor=MIA, reason="again")
    assert current(any_context).revision == 2


def test_restoring_brings_back_everything_as_it_was(any_context):
    make_flag(any_context)
    segment = Segment(attribute="country", values=("NZ",))
    ramp_flag(any_context, KEY, PRODUCTION, percent=10, segments=[segment], actor=MIA, reason="")
    before = current(any_context).state
    change_flag(any_context, KEY, Edit(patch={"default_variant": "on", "owner": "other"}), actor=MIA)
    kill_flag(any_context, KEY, actor=MIA, reason="x")
    restore_flag(any_context, KEY, 2, actor=TOM, reason="back to the ramp")
    after = current(any_context)
    assert (after.revision, after.spec, after.state.live_in(PRODUCTION)) == (5, before.spec, before.live_in(PRODUCTION))
    restore_flag(any_context, KEY, None, actor=TOM, reason="no, kill it")
    assert current(any_context).state.live_in(PRODUCTION).killed
    with pytest.raises(InvalidInputError, match="no revision 99"):
        restore_flag(any_context, KEY, 99, actor=TOM, reason="")


def test_who_changes_a_revision_that_is_no_longer_the_newest_is_told_so(any_context):
    make_flag(any_context)
    spec = FlagSpec(owner="b")
    put_flag(any_context, KEY, venture="apollo", spec=spec, expected_revision=1, actor=MIA)
    with pytest.raises(RevisionMismatchError, match="revision 2, not 1"):
        put_flag(any_context, KEY, venture="apollo", spec=spec, expected_revision=1, actor=TOM)
    with pytest.raises(ConflictError, match="exists"):
        create_flag(any_context, KEY, venture="apollo", spec=spec, actor=TOM)
    with pytest.raises(NotFoundError, match="known: new-checkout"):
        kill_flag(any_context, "other", actor=TOM, reason="x")
    with pytest.raises(NotFoundError, match="venture"):
        create_flag(any_context, "other", venture="none", spec=spec, actor=TOM)


def test_writers_at_the_same_moment_lose_nothing(any_context):
    make_flag(any_context)
    make_flag(any_context, "second")
    failures = []

    def work(number):
        try:
            change_flag(any_context, KEY if number % 2 else "second", Edit(patch={"description": f"by {number}"}), actor=MIA)
        except ConflictError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    revisions = [each.revision for key in (KEY, "second") for each in flag_history(any_context, key, actor=MIA)]
    assert len(revisions) + len(failures) == 10
    assert audited(any_context)
    with any_context.store.read() as unit:
        assert unit.flags.versions().of(PRODUCTION) == len(revisions)


def test_a_flag_that_needs_approval_changes_only_by_two_people(any_context):
    make_flag(any_context, approval_required=True)
    outcome = ramp_flag(any_context, KEY, PRODUCTION, percent=50, actor=MIA, reason="half")
    assert not outcome.applied
    assert current(any_context).state.live_in(PRODUCTION).ramp is None
    assert [each.state for each in read_flag(any_context, KEY, actor=MIA).waiting] == [ChangeState.PROPOSED]
    with pytest.raises(SelfApprovalError, match="somebody else"):
        approve_change(any_context, KEY, outcome.waiting.id, actor=MIA)
    assert approve_change(any_context, KEY, outcome.waiting.id, actor=TOM).applied
    (newest, _) = flag_history(any_context, KEY, actor=MIA)
    assert (newest.author, current(any_context).state.live_in(PRODUCTION).ramp.percent) == ("mia", 50)
    with pytest.raises(IllegalTransitionError, match="applied"):
        approve_change(any_context, KEY, outcome.waiting.id, actor=TOM)
    assert audited(any_context)[1:] == [("flag.proposed", "mia"), ("flag.change_approved", "tom"), ("flag.ramp", "mia")]


def test_a_proposal_for_another_revision_a_refused_and_a_withdrawn_one_never_apply(any_context):
    make_flag(any_context, approval_required=True)
    first = ramp_flag(any_context, KEY, PRODUCTION, percent=50, actor=MIA, reason="").waiting
    second = ramp_flag(any_context, KEY, PRODUCTION, percent=60, actor=MIA, reason="").waiting
    third = change_flag(any_context, KEY, Archive(), actor=MIA).waiting
    reject_change(any_context, KEY, second.id, actor=TOM, reason="too much")
    cancel_change(any_context, KEY, third.id, actor=MIA, reason="not yet")
    kill_flag(any_context, KEY, actor=TOM, reason="orders fail")
    with pytest.raises(RevisionMismatchError, match="propose it anew"):
        approve_change(any_context, KEY, first.id, actor=TOM)
    states = {each.id: each.state for each in flag_changes(any_context, KEY, actor=MIA)}
    assert states == {first.id: ChangeState.PROPOSED, second.id: ChangeState.REJECTED, third.id: ChangeState.CANCELLED}
    for change in (second, third):
        with pytest.raises(IllegalTransitionError):
            approve_change(any_context, KEY, change.id, actor=TOM)
    assert [each.id for each in flag_changes(any_context, waiting=True, actor=MIA)] == [first.id]


def test_a_kill_needs_a_reason_and_no_approval(any_context):
    make_flag(any_context, approval_required=True)
    with pytest.raises(InvalidInputError, match="why"):
        kill_flag(any_context, KEY, actor=MIA, reason=" ")
    assert kill_flag(any_context, KEY, actor=MIA, reason="fire").applied
    assert not revive_flag(any_context, KEY, actor=MIA, reason="out").applied


def test_a_ramp_of_a_killed_flag_is_refused_so_that_no_release_believes_it_has_users(any_context):
    make_flag(any_context)
    kill_flag(any_context, KEY, environments=[PRODUCTION], actor=MIA, reason="x")
    with pytest.raises(FlagKilledError):
        ramp_flag(any_context, KEY, PRODUCTION, percent=5, actor=MIA, reason="")
    assert ramp_flag(any_context, KEY, Environment.STAGING, percent=5, actor=MIA, reason="").applied


def test_a_scheduled_change_takes_effect_on_the_first_look_after_its_time(any_context):
    context = replace(any_context, clock=SetClock())
    make_flag(context)
    server = FlagServer(context)
    server.refresh()
    operation = RampTo(environment=PRODUCTION, percent=100)
    waiting = change_flag(context, KEY, operation, at=context.clock.now() + HOUR, actor=MIA, reason="launch").waiting
    server.refresh()
    assert server.flag_set(PRODUCTION).evaluate(KEY, {}).variant == "off"
    context.clock.at += HOUR
    server.refresh()
    assert server.flag_set(PRODUCTION).evaluate(KEY, {}).variant == "on"
    assert [each.state for each in flag_changes(context, KEY, actor=MIA) if each.id == waiting.id] == [ChangeState.APPLIED]
    newest = flag_history(context, KEY, actor=MIA)[0]
    assert (newest.author, newest.reason) == ("mia", "launch")
    assert change_flags(context) == []


def test_the_reconciler_applies_what_nobody_looked_at_and_once_only(any_context):
    context = replace(any_context, clock=SetClock())
    make_flag(context)
    due = change_flag(context, KEY, Edit(patch={"default_variant": "on"}), at=context.clock.now() + HOUR, actor=MIA).waiting
    assert change_flags(context) == []
    context.clock.at += HOUR
    assert change_flags(context) == [due.id]
    assert change_flags(context) == []
    assert current(context).spec.default_variant == "on"


def test_a_scheduled_change_never_undoes_a_kill_it_could_not_know_of(any_context):
    context = replace(any_context, clock=SetClock())
    make_flag(context)
    at = context.clock.now() + HOUR
    change_flag(context, KEY, RestoreTo(revision=1), at=at, actor=MIA)
    lost = change_flag(context, KEY, RampTo(environment=PRODUCTION, percent=50), at=at, actor=MIA).waiting
    kill_flag(context, KEY, actor=TOM, reason="orders fail")
    context.clock.at += HOUR
    change_flags(context)
    assert current(context).state.live_in(PRODUCTION).killed
    (failed,) = [each for each in flag_changes(context, KEY, actor=MIA) if each.id == lost.id]
    assert failed.state is ChangeState.FAILED
    assert "killed" in failed.outcome
    with context.store.read() as unit:
        assert unit.flags.versions().next_due_at is None


def test_a_schedule_of_a_flag_that_needs_approval_waits_for_both(any_context):
    context = replace(any_context, clock=SetClock())
    make_flag(context, approval_required=True)
    at = context.clock.now() + HOUR
    waiting = change_flag(context, KEY, RampTo(environment=PRODUCTION, percent=50), at=at, actor=MIA).waiting
    assert waiting.state is ChangeState.PROPOSED
    approved = approve_change(context, KEY, waiting.id, actor=TOM)
    assert approved.waiting.state is ChangeState.SCHEDULED
    context.clock.at += HOUR
    assert change_flags(context) == [waiting.id]


def test_a_time_that_is_over_or_has_no_zone_is_refused(any_context):
    make_flag(any_context)
    with pytest.raises(InvalidInputError, match="is over"):
        change_flag(any_context, KEY, Kill(), at=datetime(2020, 1, 1, tzinfo=UTC), actor=MIA, reason="x")
    with pytest.raises(InvalidInputError, match="zone"):
        change_flag(any_context, KEY, Kill(), at=datetime(2099, 1, 1), actor=MIA, reason="x")  # noqa: DTZ001


def test_counts_of_several_processes_add_up_and_old_ones_are_forgotten(any_context):
    context = replace(any_context, clock=SetClock())
    make_flag(context)
    server = FlagServer(context)
    server.refresh()
    answer = server.flag_set(PRODUCTION).evaluate(KEY, {})
    assert isinstance(answer, Answer)
    counters = FlagCounter(), FlagCounter()
    for number, counter in enumerate(counters):
        for _ in range(10 + number):
            counter.add(answer, PRODUCTION, bulk=False)
        counter.add(answer, PRODUCTION, bulk=True)
        assert counter.flush(context) == 1
        assert counter.flush(context) == 0
    assert flag_exposure(context, KEY, PRODUCTION, actor=MIA).evaluations == {"off": 23}
    context.clock.at += timedelta(days=91)
    change_flags(context)
    with context.store.read() as unit:
        assert unit.flag_counts.by_minute(KEY, PRODUCTION, since=datetime(2020, 1, 1, tzinfo=UTC)) == []
    assert StaleReason.UNUSED in {each.reason for each in stale_report(context, actor=MIA)}


def test_counts_that_cannot_be_written_are_kept_for_the_next_time(context):
    make_flag(context)
    server = FlagServer(context)
    server.refresh()
    counter = FlagCounter()
    counter.add(server.flag_set(PRODUCTION).evaluate(KEY, {}), PRODUCTION, bulk=False)
    with context.store.write() as unit:
        bind = unit._session.get_bind()
        unit._session.connection().exec_driver_sql("ALTER TABLE flag_counts RENAME TO away")
    with pytest.raises(Exception, match="flag_counts"):
        counter.flush(context)
    with bind.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO flag_counts")
    assert counter.flush(context) == 1
    assert flag_exposure(context, KEY, PRODUCTION, actor=MIA).evaluations == {"off": 1}


CATALOG = """
apiVersion: productops/v1
kind: Venture
metadata: {name: apollo}
---
apiVersion: productops/v1
kind: Flag
metadata: {name: new-checkout, venture: apollo}
spec:
  description: The checkout in one page.
  owner: team-checkout
  expires_on: 2026-12-01
  approval_required: APPROVAL
  targeting: {"if": [{"==": [{"var": "staff"}, true]}, "on", null]}
  environments:
    staging: {default_variant: "on"}
    production: {}
"""


def apply(context, folder, text=CATALOG, approval="false"):
    (folder / "flags.yaml").write_text(text.replace("APPROVAL", approval))
    return {change.name: change.outcome for change in apply_catalog(context, load_catalog(folder), actor=MIA)}


def test_the_catalog_declares_flags_and_leaves_ramps_and_kills_alone(any_context, tmp_path):
    folder = tmp_path / "catalog"
    folder.mkdir()
    assert apply(any_context, folder)[KEY] == "created"
    assert apply(any_context, folder)[KEY] == "unchanged"
    ramp_flag(any_context, KEY, PRODUCTION, percent=20, actor=MIA, reason="")
    change_flag(any_context, KEY, Edit(patch={"description": "edited at run time"}), actor=TOM)
    kill_flag(any_context, KEY, actor=TOM, reason="fire")
    assert apply(any_context, folder)[KEY] == "unchanged"
    assert apply(any_context, folder, CATALOG.replace("team-checkout", "team-payments"))[KEY] == "changed"
    flag = current(any_context)
    assert (flag.spec.owner, flag.spec.description) == ("team-payments", "edited at run time")
    assert flag.state.live_in(PRODUCTION).killed
    assert flag.state.live_in(PRODUCTION).ramp.percent == 20
    assert flag_history(any_context, KEY, actor=MIA)[0].action == "declare"
    assert [each.key for each in list_flags(any_context, venture="apollo", actor=MIA)] == [KEY]


def test_the_catalog_proposes_where_changes_need_approval_and_does_so_once(any_context, tmp_path):
    folder = tmp_path / "catalog"
    folder.mkdir()
    apply(any_context, folder, approval="true")
    changed = CATALOG.replace("team-checkout", "team-payments")
    assert apply(any_context, folder, changed, approval="true")[KEY] == "proposed"
    assert apply(any_context, folder, changed, approval="true")[KEY] == "proposed"
    (waiting,) = read_flag(any_context, KEY, actor=MIA).waiting
    approve_change(any_context, KEY, waiting.id, actor=TOM)
    assert current(any_context).spec.owner == "team-payments"
    assert apply(any_context, folder, changed, approval="true")[KEY] == "unchanged"


def test_a_wrong_flag_is_named_with_file_and_line(tmp_path):
    (tmp_path / "flags.yaml").write_text(CATALOG.replace("APPROVAL", "false").replace('"==": [', '"equals": ['))
    with pytest.raises(CatalogError, match=r"flags.yaml:\d+: spec.targeting: .*'equals'"):
        load_catalog(tmp_path)
    (tmp_path / "flags.yaml").write_text(CATALOG.replace("APPROVAL", "false").replace("venture: apollo", "venture: apolo"))
    with pytest.raises(CatalogError, match="apolo"):
        load_catalog(tmp_path)
