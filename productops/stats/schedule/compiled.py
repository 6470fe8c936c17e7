"""Compilation of the inner loops, kept on disk between programs where a folder can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """``function`` as machine code that lets other threads run meanwhile."""
    options: dict[str, Any] = {"nogil": True, "boundscheck": False}
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache, neither beside the file nor in the home: compile anew in each program
        made = numba.njit(**options)(function)
    return cast("Callable[P, R]", made)
