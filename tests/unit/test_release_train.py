"""The order and the moves of a train, as data."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.domain.release import Environment, Phase, Release, Strategy
from productops.domain.release_train import (
    MEMBER_EDGES,
    MOVING,
    TRAIN_EDGES,
    Begin,
    GiveBack,
    Member,
    MemberPhase,
    Settle,
    Train,
    TrainMode,
    TrainPhase,
    Turn,
    check_member_move,
    check_train_move,
    in_order,
    next_moves,
    parse_members,
)
from productops.errors import DependencyCycleError, IllegalTransitionError, InvalidInputError

NOW = datetime(2026, 6, 1, tzinfo=UTC)
M = MemberPhase


def member(service, *depends_on, phase=M.WAITING, release_id=None):
    return Member(service, "2.0", depends_on, phase=phase, release_id=release_id)


def train(*members, mode=TrainMode.ALL_OR_NOTHING, phase=TrainPhase.RUNNING, side_by_side=4, reason=""):
    return Train(
        "t", "apollo", Environment.PRODUCTION, mode, side_by_side, phase, in_order(members), "", reason, "ann", "cli", None, NOW, NOW, None
    )


def release(service, phase):
    return Release(
        service, "apollo", service, Environment.PRODUCTION, "2.0", "1.0", Strategy.CANARY, phase, (), {}, "a", "cli", "why", None, -1, 0,
        None, NOW, NOW, None,
    )  # fmt: skip


def moves(found, **phases):
    return next_moves(found, {name: release(name, phase) for name, phase in phases.items()})


def test_members_come_after_what_they_depend_on_and_otherwise_as_given():
    found = in_order([member("web", "cart", "user"), member("user"), member("cart", "user", "elsewhere")])
    assert [m.service for m in found] == ["user", "cart", "web"]
    assert found[1].depends_on == ("user",)


def test_a_circle_is_refused_and_named():
    with pytest.raises(DependencyCycleError, match="a → c → b → a|b → a → c → b|c → b → a → c|a → b → c → a|b → c → a → b|c → a → b → c"):
        in_order([member("a", "b"), member("b", "c"), member("c", "a"), member("d")])
    with pytest.raises(DependencyCycleError, match="a → a"):
        in_order([member("a", "a")])


def test_a_service_is_in_a_train_once():
    with pytest.raises(InvalidInputError, match="a is named twice"):
        in_order([member("a"), member("a")])


def test_members_and_their_order_are_read_from_text():
    cart, web = parse_members(["cart=2.0", "web = 1.1"], ["web:cart"])
    assert (cart.service, cart.version, cart.depends_on) == ("cart", "2.0", ())
    assert (web.version, web.depends_on) == ("1.1", ("cart",))
    assert parse_members(["cart=2.0"])[0].depends_on is None
    for wrong, after in ((["cart"], []), (["=1"], []), (["cart=1"], ["cart"]), (["cart=1"], ["web:cart"])):
        with pytest.raises(InvalidInputError):
            parse_members(wrong, after)


def test_independent_members_begin_side_by_side_up_to_the_limit():
    found = train(member("a"), member("b"), member("c"), member("d", "a"), side_by_side=2)
    assert moves(found) == [Begin("a"), Begin("b")]
    busy = train(member("a", phase=M.RELEASING, release_id="a"), member("b"), member("c"), side_by_side=2)
    assert moves(busy, a=Phase.ROLLING_OUT) == [Begin("b")]


def test_a_member_begins_when_all_it_depends_on_is_promoted():
    found = train(member("a", phase=M.PROMOTED, release_id="a"), member("b", phase=M.RELEASING, release_id="b"), member("c", "a", "b"))
    assert moves(found, a=Phase.PROMOTED, b=Phase.VALIDATING) == []
    assert moves(found, a=Phase.PROMOTED, b=Phase.PROMOTED) == [Settle("b", M.PROMOTED, "")]


def test_a_failed_member_turns_an_all_or_nothing_train_around():
    found = train(member("a", phase=M.PROMOTED, release_id="a"), member("b", phase=M.FAILED), member("c"))
    (turn,) = moves(found, a=Phase.PROMOTED)
    assert (turn.phase, "b 2.0 failed" in turn.reason) == (TrainPhase.ROLLING_BACK, True)


def test_promoted_members_go_back_only_when_nobody_needs_them_any_more():
    back = {"phase": TrainPhase.ROLLING_BACK, "reason": "c failed"}
    chain = [("a", ()), ("b", ("a",)), ("c", ("b",))]
    stands = {"a": M.PROMOTED, "b": M.PROMOTED, "c": M.PROMOTED}

    def now():
        return train(*(member(s, *d, phase=stands[s], release_id=s) for s, d in chain), **back)

    assert moves(now(), a=Phase.PROMOTED, b=Phase.PROMOTED, c=Phase.PROMOTED) == [Settle("c", M.ROLLING_BACK, "c failed")]
    stands["c"] = M.ROLLING_BACK
    assert moves(now(), a=Phase.PROMOTED, b=Phase.PROMOTED, c=Phase.PROMOTED) == [GiveBack("c")]
    assert moves(now(), a=Phase.PROMOTED, b=Phase.PROMOTED, c=Phase.ROLLING_BACK) == []
    assert moves(now(), a=Phase.PROMOTED, b=Phase.PROMOTED, c=Phase.ROLLED_BACK) == [Settle("c", M.ROLLED_BACK, "why")]
    stands["c"] = M.ROLLED_BACK
    assert moves(now(), a=Phase.PROMOTED, b=Phase.PROMOTED, c=Phase.ROLLED_BACK) == [Settle("b", M.ROLLING_BACK, "c failed")]


def test_what_a_stuck_member_needs_stays():
    found = train(
        member("a", phase=M.PROMOTED, release_id="a"), member("b", "a", phase=M.STUCK, release_id="b"), phase=TrainPhase.ROLLING_BACK
    )
    (turn,) = moves(found, a=Phase.PROMOTED, b=Phase.PROMOTED)
    assert turn.phase is TrainPhase.STUCK


def test_a_member_on_its_way_goes_back_at_once():
    found = train(member("a", phase=M.RELEASING, release_id="a"), member("b"), phase=TrainPhase.ROLLING_BACK, reason="x")
    assert moves(found, a=Phase.ROLLING_OUT) == [Settle("b", M.SKIPPED, "x")]
    found = train(member("a", phase=M.RELEASING, release_id="a"), member("b", phase=M.SKIPPED), phase=TrainPhase.ROLLING_BACK, reason="x")
    assert moves(found, a=Phase.ROLLING_OUT) == [GiveBack("a")]
    assert moves(found, a=Phase.ROLLED_BACK) == [Settle("a", M.ROLLED_BACK, "why")]


def test_best_effort_goes_on_without_what_needs_the_failed_one():
    found = train(member("a", phase=M.FAILED), member("b", "a"), member("c", "b"), member("d"), mode=TrainMode.BEST_EFFORT)
    assert moves(found) == [Settle("b", M.SKIPPED, "a, which it depends on, failed")]
    found = train(
        member("a", phase=M.FAILED),
        member("b", "a", phase=M.SKIPPED),
        member("d", phase=M.PROMOTED, release_id="d"),
        mode=TrainMode.BEST_EFFORT,
    )
    (turn,) = moves(found, d=Phase.PROMOTED)
    assert turn == Turn(TrainPhase.PARTIAL, "not promoted: a failed, b skipped")


def test_a_member_that_somebody_rolls_back_after_its_promotion_counts_as_failed():
    found = train(member("a", phase=M.PROMOTED, release_id="a"), member("b"))
    (settle,) = moves(found, a=Phase.ROLLING_BACK)
    assert settle.phase is M.FAILED


def test_a_train_that_ended_moves_no_more():
    assert moves(train(member("a"), phase=TrainPhase.PARTIAL)) == []


def test_moves_that_are_no_edge_are_illegal():
    with pytest.raises(IllegalTransitionError):
        check_train_move("t", TrainPhase.PROMOTED, TrainPhase.ROLLING_BACK)
    with pytest.raises(IllegalTransitionError):
        check_member_move("a", M.FAILED, M.RELEASING)
    assert set(TRAIN_EDGES) == set(TrainPhase)
    assert set(MEMBER_EDGES) == set(MemberPhase)


ENDINGS = st.sampled_from([Phase.PROMOTED, Phase.PASSED, Phase.FAILED, Phase.ROLLED_BACK])


@st.composite
def worlds(draw):
    count = draw(st.integers(1, 7))
    names = [f"s{n}" for n in range(count)]
    members = [member(name, *draw(st.sets(st.sampled_from(names[:n]), max_size=3)) if n else ()) for n, name in enumerate(names)]
    ends = {name: draw(ENDINGS) for name in names}
    return (
        members,
        ends,
        draw(st.sampled_from(TrainMode)),
        draw(st.integers(1, 3)),
        draw(st.none() | st.integers(0, 30)),
        draw(st.sets(st.sampled_from(names))),
    )


def play(world):
    """Carry a train out on paper: each look, every release that is under way comes one step nearer to its end."""
    members, ends, mode, side_by_side, abort_at, cold = world
    now = train(*members, mode=mode, side_by_side=side_by_side)
    releases: dict[str, Release] = {}
    story = []
    from dataclasses import replace

    def change(service, **values):
        nonlocal now
        now = replace(now, members=tuple(replace(m, **values) if m.service == service else m for m in now.members))

    for look in range(300):
        if abort_at == look and now.phase is TrainPhase.RUNNING:
            now = replace(now, phase=TrainPhase.ROLLING_BACK, reason="aborted")
        found = next_moves(now, releases)
        for move in found:
            story.append(move)
            match move:
                case Turn(phase, reason):
                    check_train_move("t", now.phase, phase)
                    now = replace(now, phase=phase, reason=reason)
                case Settle(service, phase, reason):
                    check_member_move(service, next(m for m in now.members if m.service == service).phase, phase)
                    change(service, phase=phase, reason=reason)
                case Begin(service):
                    releases[service] = release(service, Phase.ROLLING_OUT)
                    change(service, phase=M.RELEASING, release_id=service)
                case GiveBack(service):
                    if next(m for m in now.members if m.service == service).phase is M.ROLLING_BACK and service in cold:
                        change(service, phase=M.STUCK)
                    else:
                        releases[service] = release(service, Phase.ROLLING_BACK)
        running = sum(m.phase is M.RELEASING for m in now.members)
        assert running <= side_by_side
        if now.ended:
            return now, releases, story
        if not found:
            for name, each in releases.items():
                if each.phase is Phase.ROLLING_OUT:
                    releases[name] = release(name, ends[name])
                elif each.phase is Phase.ROLLING_BACK:
                    releases[name] = release(name, Phase.ROLLED_BACK)
    raise AssertionError(now)


@given(worlds())
def test_every_train_comes_to_an_end_that_its_mode_promises(world):
    now, releases, story = play(world)
    phases = {m.service: m.phase for m in now.members}
    assert not set(phases.values()) & MOVING
    if now.mode is TrainMode.ALL_OR_NOTHING and now.phase is not TrainPhase.STUCK:
        on_users = [name for name, each in releases.items() if each.phase is Phase.PROMOTED]
        assert now.phase in {TrainPhase.PROMOTED, TrainPhase.PARTIAL} or not on_users
        if now.phase is TrainPhase.PROMOTED:
            assert len(releases) == len(phases)
    begun = [move.service for move in story if isinstance(move, Begin)]
    promoted = {
        move.service: place for place, move in enumerate(story) if isinstance(move, Settle) and move.phase in {M.PROMOTED, M.PASSED}
    }
    back = {move.service: place for place, move in enumerate(story) if isinstance(move, Settle) and move.phase is M.ROLLED_BACK}
    going = {move.service: place for place, move in enumerate(story) if isinstance(move, Settle) and move.phase is M.ROLLING_BACK}
    assert len(set(begun)) == len(begun)
    for each in now.members:
        for needed in each.depends_on:
            if each.service in begun:
                assert promoted[needed] < story.index(Begin(each.service))
            if needed in going and each.service in back:
                assert back[each.service] < going[needed]
