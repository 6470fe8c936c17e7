"""Small parts of the walks, put into the loops that call them: half the time of calling them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """``function`` as a part of each compiled function that calls it; it never loops over itself."""
    return cast("Callable[P, R]", numba.njit(inline="always", nogil=True)(function))
