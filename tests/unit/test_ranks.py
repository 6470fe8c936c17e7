"""Ranks of values, as scipy counts them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from productops.stats.ranks import ranks


@given(st.lists(st.integers(-5, 5), max_size=40))
def test_equal_values_share_the_mean_of_their_places(values: list[int]) -> None:
    found = np.array(values, dtype=float)
    assert ranks(found).tolist() == pytest.approx(stats.rankdata(found).tolist())
