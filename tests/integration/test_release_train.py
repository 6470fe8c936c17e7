"""Trains through the use cases, on real databases, killed wherever they can be killed."""

import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from productops.domain.release import Cause, Phase
from productops.domain.release_train import MemberPhase, TrainMode, TrainPhase, parse_members
from productops.errors import (
    ConflictError,
    DependencyCycleError,
    IdempotencyError,
    InvalidInputError,
    NotFoundError,
    ProductOpsError,
    QuarantinedError,
    ReleaseInFlightError,
)
from productops.store import Store
from productops.usecases.context import Clock, Context
from productops.usecases.release_reconcile import start_unstarted
from productops.usecases.release_request import ReleaseWish, request_release
from productops.usecases.release_rollback import give_baseline_back
from productops.usecases.release_train import TrainWish, abort_train, list_trains, place_train, plan_train, read_train, start_train
from productops.usecases.release_train_advance import advance_train, advance_trains, follow_train
from tests.integration.test_api.support import HandMadeOrchestrator
from tests.support import PRODUCTION, SOMEBODY, HandMadeAgent, add_service, service_spec

SERVICES = ("user", "cart", "web", "mail")
M = MemberPhase


@dataclass
class Orchestrator(HandMadeOrchestrator):
    """Starts trains, too."""

    trains: list[str] = field(default_factory=list)

    def start_train(self, parameters, *, key):
        self._check()
        self.trains.append(key)
        return f"run-{key[:60]}"


@pytest.fixture
def house(any_context: Context) -> Context:
    """user ← cart ← web, and mail: all live with 1.0."""
    made = replace(any_context, orchestrator=Orchestrator())
    for name in SERVICES:
        add_service(made, name, live="1.0")
    return made


def wish(*members, after=("cart:user", "web:cart"), **more):
    return TrainWish(members=parse_members(members or [f"{s}=2.0" for s in SERVICES], after), **more)


def place(context, *members, **more):
    return place_train(context, wish(*members, **more), actor=SOMEBODY).train


def phases(context, train):
    return {m.service: m.phase for m in read_train(context, train.id, actor=SOMEBODY).train.members}


def live(context):
    with context.store.read() as unit:
        return {s: unit.traffic.get(s, PRODUCTION).baseline_version for s in SERVICES}


def promote_by_hand(context, release):
    """What a release's flow does to the store when all goes well."""
    with context.store.write() as unit:
        now = context.clock.now()
        fence = unit.traffic.take(release.service, PRODUCTION, release.id)
        unit.traffic.promote(release.service, PRODUCTION, fence=fence, version=release.version)
        unit.fleets.want(release.service, PRODUCTION, release.version, 2, now=now)
        unit.fleets.want(release.service, PRODUCTION, release.baseline_version, 0, now=now)
        for phase in (Phase.DEPLOYING, Phase.ROLLING_OUT, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED):
            unit.releases.move(release.id, phase, actor="flow", reason="", now=now)


def fail_by_hand(context, release):
    """What it does when the judge has seen harm."""
    with context.store.write() as unit:
        for phase in (Phase.DEPLOYING, Phase.ROLLING_OUT):
            unit.releases.move(release.id, phase, actor="flow", reason="", now=context.clock.now())
    give_baseline_back(context, release.id, cause=Cause.VERDICT, reason="it failed", actor=SOMEBODY)


def world_moves_on(context, *, failing=(), order=None):
    """Flows carry out what was requested; the agent confirms and starts instances."""
    with context.store.read() as unit:
        requested = [r for r in unit.releases.all_active() if r.phase is Phase.REQUESTED]
    for release in requested:
        if order is not None:
            order.append(release.service)
        (fail_by_hand if release.service in failing else promote_by_hand)(context, release)
    agent = HandMadeAgent(context)
    agent._confirm()
    agent._start_instances()


def drive(context, train, *, advance: Callable = advance_train, **world):
    for _ in range(60):
        advance(context, train.id, actor=SOMEBODY)
        now = read_train(context, train.id, actor=SOMEBODY).train
        if now.ended:
            with context.store.read() as unit:
                assert unit.audit.first_broken() is None
            return now
        world_moves_on(context, **world)
    raise AssertionError(read_train(context, train.id, actor=SOMEBODY))


class Killed(BaseException):
    """The process is gone."""


class MortalStore(Store):
    """The process that uses it dies before, or right after, its first commit."""

    def __init__(self, store, *, before):
        self._engine, self._before = store._engine, before

    @contextmanager
    def write(self):
        with super().write() as unit:
            yield unit
            if self._before:
                raise Killed
        raise Killed


def dying_everywhere(context, train_id, *, actor):
    """First a process that dies before it can write, then one that dies after each single write, then the next."""
    for _ in range(60):
        survivors = 0
        for before in (True, False):
            mortal = replace(context, store=MortalStore(context.store, before=before))
            try:
                advance_train(mortal, train_id, actor=actor)
                survivors += 1
            except Killed:
                pass
        if survivors == 2:
            return


ADVANCES = {"unharmed": advance_train, "killed at every step": dying_everywhere}


@pytest.mark.parametrize("advance", ADVANCES.values(), ids=ADVANCES)
def test_all_members_are_promoted_each_after_what_it_depends_on(house, advance):
    order: list[str] = []
    ended = drive(house, place(house), advance=advance, order=order)
    assert ended.phase is TrainPhase.PROMOTED
    assert set(live(house).values()) == {"2.0"}
    assert order.index("user") < order.index("cart") < order.index("web")
    assert order.index("mail") < order.index("cart")
    with house.store.read() as unit:
        assert len(unit.releases.newest(service=None, environment=None, before=None, limit=50)) == 4


@pytest.mark.parametrize("advance", ADVANCES.values(), ids=ADVANCES)
def test_when_one_fails_all_promoted_ones_go_back_in_reverse_order(house, advance):
    train = place(house)
    ended = drive(house, train, advance=advance, failing={"web"})
    assert ended.phase is TrainPhase.ROLLED_BACK
    assert "web 2.0 failed: it failed" in ended.reason
    assert set(live(house).values()) == {"1.0"}
    assert phases(house, train) == {"user": M.ROLLED_BACK, "mail": M.ROLLED_BACK, "cart": M.ROLLED_BACK, "web": M.FAILED}
    with house.store.read() as unit:
        moved = [
            e["detail"]["service"]
            for e in reversed(unit.audit.entries())
            if e["action"] in {"train.member_rolling_back", "train.member_rolled_back"}
        ]
    assert moved.index("cart") < [i for i, s in enumerate(moved) if s == "cart"][1] < moved.index("user")


def test_members_that_went_back_with_others_are_not_barred_but_the_one_that_failed_is(house):
    drive(house, place(house), failing={"web"})
    with house.store.read() as unit:
        barred = {s: unit.quarantine.reason(s, PRODUCTION, "2.0") for s in SERVICES}
    assert {s for s, reason in barred.items() if reason} == {"web"}
    with pytest.raises(QuarantinedError, match="web"):
        place(house)


@pytest.mark.parametrize("advance", ADVANCES.values(), ids=ADVANCES)
def test_best_effort_skips_what_needs_the_failed_one_and_keeps_the_others(house, advance):
    train = place(house, mode=TrainMode.BEST_EFFORT)
    ended = drive(house, train, advance=advance, failing={"cart"})
    assert ended.phase is TrainPhase.PARTIAL
    assert phases(house, train) == {"user": M.PROMOTED, "mail": M.PROMOTED, "cart": M.FAILED, "web": M.SKIPPED}
    assert live(house) == {"user": "2.0", "mail": "2.0", "cart": "1.0", "web": "1.0"}


def test_no_more_than_the_limit_are_on_their_way(house):
    train = place(house, after=(), side_by_side=2)
    advance_train(house, train.id, actor=SOMEBODY)
    assert sum(p is M.RELEASING for p in phases(house, train).values()) == 2
    assert len(house.orchestrator.releases) == 2


@pytest.mark.parametrize("advance", ADVANCES.values(), ids=ADVANCES)
def test_an_aborted_train_gives_back_what_is_on_its_way_and_what_was_promoted(house, advance):
    train = place(house)
    for _ in range(2):
        advance_train(house, train.id, actor=SOMEBODY)
        world_moves_on(house)
    advance_train(house, train.id, actor=SOMEBODY)
    assert phases(house, train)["web"] is M.RELEASING
    abort_train(house, train.id, reason="wrong day", actor=SOMEBODY)
    ended = drive(house, train, advance=advance)
    assert (ended.phase, ended.reason) == (TrainPhase.ROLLED_BACK, "aborted by tester: wrong day")
    assert set(live(house).values()) == {"1.0"}
    with house.store.read() as unit:
        assert unit.quarantine.reason("web", PRODUCTION, "2.0") is None
    with pytest.raises(ConflictError, match="rolled_back already"):
        abort_train(house, train.id, reason="again", actor=SOMEBODY)


def test_a_member_cannot_board_a_train_that_was_turned_around(house):
    train = place(house)
    abort_train(house, train.id, reason="x", actor=SOMEBODY)
    with pytest.raises(ConflictError, match="no longer runs"):
        request_release(house, ReleaseWish(service="mail", version="2.0", train=train.id), actor=SOMEBODY)
    with house.store.read() as unit:
        assert unit.releases.active("mail", PRODUCTION) is None


def test_many_that_move_a_train_at_once_move_it_once(house):
    train = place(house)
    failures: list[BaseException] = []

    def run():
        try:
            advance_train(house, train.id, actor=SOMEBODY)
        except ProductOpsError as error:
            failures.append(error)

    for _ in range(12):
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        if read_train(house, train.id, actor=SOMEBODY).train.ended:
            break
        world_moves_on(house, failing={"web"})
    assert read_train(house, train.id, actor=SOMEBODY).train.phase is TrainPhase.ROLLED_BACK
    with house.store.read() as unit:
        assert len(unit.releases.newest(service=None, environment=None, before=None, limit=50)) == 4


def test_the_reconciler_carries_on_what_a_killed_flow_left(house):
    train = place(house)
    for _ in range(30):
        advance_trains(house, actor=SOMEBODY)
        world_moves_on(house)
        if read_train(house, train.id, actor=SOMEBODY).train.ended:
            break
    assert read_train(house, train.id, actor=SOMEBODY).train.phase is TrainPhase.PROMOTED
    assert advance_trains(house, actor=SOMEBODY) == []
    assert start_unstarted(house) == []


def test_a_member_whose_version_is_live_already_stays_as_it_is(house):
    train = place(house, "user=1.0", "cart=2.0", after=["cart:user"])
    ended = drive(house, train, failing={"cart"})
    assert phases(house, train) == {"user": M.UNCHANGED, "cart": M.FAILED}
    assert (ended.phase, live(house)["user"]) == (TrainPhase.ROLLED_BACK, "1.0")


def test_a_first_version_that_cannot_be_given_back_is_told_and_keeps_what_it_needs(house):
    add_service(house, "fresh")
    train = place(house, "user=2.0", "fresh=1.0", "mail=2.0", after=["fresh:user", "mail:fresh"])

    def first_live(context, train_id, *, actor):
        advance_train(context, train_id, actor=actor)
        with context.store.write() as unit:
            release = unit.releases.active("fresh", PRODUCTION)
            if release is not None and release.phase is Phase.REQUESTED:
                unit.traffic.promote("fresh", PRODUCTION, fence=unit.traffic.take("fresh", PRODUCTION, release.id), version="1.0")
                for phase in (Phase.DEPLOYING, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED):
                    unit.releases.move(release.id, phase, actor="flow", reason="", now=context.clock.now())

    ended = drive(house, train, advance=first_live, failing={"mail"})
    assert ended.phase is TrainPhase.STUCK
    assert "fresh" in ended.reason
    assert phases(house, train) == {"user": M.PROMOTED, "fresh": M.STUCK, "mail": M.FAILED}


def test_a_member_waits_while_another_release_of_its_service_is_on_its_way(house):
    train = place(house)
    request_release(house, ReleaseWish(service="cart", version="1.5"), actor=SOMEBODY)
    advance_train(house, train.id, actor=SOMEBODY)
    with house.store.read() as unit:
        (own,) = [r for r in unit.releases.all_active() if r.service == "user"]
    promote_by_hand(house, own)
    advance_train(house, train.id, actor=SOMEBODY)
    cart = next(m for m in read_train(house, train.id, actor=SOMEBODY).train.members if m.service == "cart")
    assert (cart.phase, "wait for it" in cart.reason) == (M.WAITING, True)
    assert drive(house, train).phase is TrainPhase.PROMOTED


def test_a_promoted_member_that_a_person_rolls_back_turns_the_train_around(house):
    train = place(house)
    advance_train(house, train.id, actor=SOMEBODY)
    world_moves_on(house)
    advance_train(house, train.id, actor=SOMEBODY)
    with house.store.write() as unit:
        user = next(m for m in unit.trains.get(train.id).members if m.service == "user")
        unit.releases.move(user.release_id, Phase.ROLLING_BACK, actor="ann", reason="slow", now=house.clock.now(), cause=Cause.PERSON)
        unit.traffic.restore("user", PRODUCTION, expected="2.0", version="1.0")
    ended = drive(house, train)
    assert "rolled back after its promotion" in ended.reason
    assert set(live(house).values()) == {"1.0"}


def test_the_same_idempotency_key_makes_one_train(house):
    first = place_train(house, wish(), actor=SOMEBODY, idempotency_key="k")
    again = place_train(house, wish(), actor=SOMEBODY, idempotency_key="k")
    assert (first.train.id, again.replayed) == (again.train.id, True)
    with pytest.raises(IdempotencyError):
        place_train(house, wish("mail=2.0", after=()), actor=SOMEBODY, idempotency_key="k")
    assert len(list_trains(house, actor=SOMEBODY)) == 1


def test_a_train_is_refused_as_a_whole_before_anything_moves(house):
    with pytest.raises(DependencyCycleError):
        place(house, after=("cart:user", "user:cart"))
    with pytest.raises(InvalidInputError, match="elsewhere, which is not in the train"):
        place(house, "mail=2.0", after=("mail:elsewhere",))
    with pytest.raises(NotFoundError, match="no service 'nothing'"):
        place(house, "nothing=1.0", after=())
    with pytest.raises(InvalidInputError, match="older than|0.9"):
        place(house, "mail=0.9", "user=2.0", after=())
    request_release(house, ReleaseWish(service="mail", version="1.5"), actor=SOMEBODY)
    with pytest.raises(ReleaseInFlightError):
        place(house)
    assert list_trains(house, actor=SOMEBODY) == []


def test_two_trains_cannot_take_the_same_service(house):
    first = place(house)
    with pytest.raises(ConflictError, match=f"train {first.id} takes mail already"):
        place(house, "mail=2.0", after=())
    with pytest.raises(ConflictError):
        plan_train(house, wish("user=2.0", after=()), actor=SOMEBODY)


def test_the_catalog_says_the_order_when_nobody_else_does(house):
    spec = service_spec().model_copy(update={"depends_on": ("user", "elsewhere")})
    add_service(house, "cart", spec, live=None)
    planned = plan_train(house, TrainWish(members=parse_members(["cart=2.0", "user=2.0"])), actor=SOMEBODY)
    assert [(m.service, m.depends_on) for m in planned.members] == [("user", ()), ("cart", ("user",))]
    assert list_trains(house, actor=SOMEBODY) == []


def test_a_train_is_followed_by_a_flow_and_goes_on_without_one(house):
    train = place(house)
    house.orchestrator.away = True
    assert start_train(house, train) is None
    house.orchestrator.away = False
    assert start_train(house, train) == f"run-train-{train.id}"
    assert read_train(house, train.id, actor=SOMEBODY).train.flow_run_id == f"run-train-{train.id}"
    drive(house, train)
    assert follow_train(house, train, actor=SOMEBODY).ended


def test_a_train_whose_flow_is_gone_gets_another_flow_once(house):
    train = place(house)
    followed = follow_train(house, train, actor=SOMEBODY)
    advance_trains(house, actor=SOMEBODY)
    assert house.orchestrator.trains == []
    late = replace(house, clock=LateClock())
    for _ in range(2):
        advance_trains(late, actor=SOMEBODY)
    assert len(set(house.orchestrator.trains)) == 1
    assert read_train(house, train.id, actor=SOMEBODY).train.flow_run_id == f"run-{house.orchestrator.trains[0]}"[:64]
    assert followed.phase is TrainPhase.RUNNING


class LateClock(Clock):
    """A minute later."""

    def now(self):
        return super().now() + timedelta(minutes=1)
