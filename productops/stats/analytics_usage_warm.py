"""Compiles the walks once, at installation, so that the first question does not wait for it."""

from __future__ import annotations

import numpy as np

from productops.stats import analytics_usage_funnel as funnel
from productops.stats import analytics_usage_order as order
from productops.stats import analytics_usage_paths as paths
from productops.stats import analytics_usage_return as returns


def warm_up() -> None:
    """Call each of them with the types that questions have."""
    person, at = np.array([1, 1, 2], np.uint64), np.array([1, 2, 3], np.int64)
    bits, codes, flags = np.array([1, 2, 1], np.uint32), np.zeros(3, np.int32), np.array([1, 2, 3], np.uint8)
    rules, ints = funnel.walking(10, 10), np.zeros(1, np.int64)
    order.order_by_person(person, at, 0)
    read = person.copy()
    read.setflags(write=False)  # as columns come from files
    order.reduce_runs(person, codes, flags)
    order.reduce_runs(read, codes, flags)
    order.among_sorted(read, person[:1])
    order.distinct_sorted(person)
    order.among_sorted(person, person[:1])
    funnel.walk_ordered(person, at, bits, codes, 2, rules)
    funnel.walk_unordered(person, at, bits, codes, 2, rules)
    returns.count_returns(person, codes, flags, 1, ints, ints, 0, 0)
    returns.count_elapsed(person, at, flags, np.array([0, 9]), 5, ints, ints, 0)
    returns.count_lifecycle(person, codes, 1)
    returns.count_trailing(person, codes, 1, 7)
    returns.count_matches(person, bits, 1)
    returns.first_uses(person, at, flags, 0)
    paths.walk_paths(person, at, codes, np.ones(3, np.bool_), 3, 9, 1, 1)
