"""The state machine of a release."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.domain.release import EDGES, ENDED, EXPOSED, Phase, check_move
from productops.errors import IllegalTransitionError


def test_every_phase_has_its_edges_written_down():
    assert set(EDGES) == set(Phase)


def test_wherever_users_meet_the_candidate_there_is_a_way_back():
    assert all(Phase.ROLLING_BACK in EDGES[phase] for phase in EXPOSED)


def test_what_ended_stays_ended_but_a_promotion_can_be_rolled_back():
    assert {phase: EDGES[phase] for phase in ENDED} == {
        Phase.PROMOTED: {Phase.ROLLING_BACK}, Phase.PASSED: frozenset(), Phase.ROLLED_BACK: frozenset(), Phase.FAILED: frozenset(),
    }  # fmt: skip


def test_rolling_back_cannot_turn_into_a_promotion():
    assert EDGES[Phase.ROLLING_BACK] == {Phase.ROLLED_BACK}


def test_every_phase_can_reach_an_end():
    for start in Phase:
        seen, edge = {start}, {start}
        while edge:
            edge = {t for p in edge for t in EDGES[p]} - seen
            seen |= edge
        assert seen & ENDED


@given(st.sampled_from(Phase), st.sampled_from(Phase))
def test_an_illegal_move_says_from_where_to_where(source, target):
    if target in EDGES[source]:
        check_move("r1", source, target)
        return
    with pytest.raises(IllegalTransitionError, match=f"r1 is {source} and cannot become {target}"):
        check_move("r1", source, target)
