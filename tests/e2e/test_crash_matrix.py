"""A sample of the kill matrix; all of it is ``python -m tests.e2e.crash_matrix --moments 200``."""

import random

import pytest

from productops.domain.exposures import EXPOSURE_HEADER
from tests.e2e.crash_matrix import STRATEGIES, TOGGLED, VICTIMS, Matrix, make_toggled_live
from tests.e2e.real_stack import RealStack
from tests.e2e.users import Users

pytestmark = pytest.mark.slow
SAMPLE = 3


def test_whatever_is_killed_and_whenever_users_are_safe_and_the_records_are_whole(stack: RealStack, users: Users) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    make_toggled_live(stack)
    exposed = Users(stack.router_url, f"{TOGGLED}.localhost", rate=30.0, header=EXPOSURE_HEADER)
    exposed.start()
    matrix = Matrix(stack, users, chance, exposed)
    try:
        for _ in range(SAMPLE):
            matrix.trial(chance.choice(STRATEGIES), chance.choice(VICTIMS))
    finally:
        exposed.stop()
    assert not [t for t in matrix.trials if t.problems], f"seed {seed}\n{matrix.report()}"
