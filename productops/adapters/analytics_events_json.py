"""JSON of usage events: orjson, loaded with the first event."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from productops.errors import DependencyError

HINT = "usage events need the extra 'analytics': pip install 'productops[analytics]'"


@cache
def _orjson() -> ModuleType:
    """Raises: DependencyError when it is not installed."""
    try:
        import orjson
    except ImportError as error:
        raise DependencyError(HINT) from error
    return orjson


def loads(text: bytes | str) -> Any:
    """Raises: ValueError for what is no JSON, DependencyError."""
    return _orjson().loads(text)


def dumps(value: Any) -> bytes:
    """Compact. Raises: TypeError for what has no JSON form, DependencyError."""
    made: bytes = _orjson().dumps(value)
    return made


def is_installed() -> bool:
    """Whether usage events can be taken in here; loads nothing."""
    return all(find_spec(name) is not None for name in ("orjson", "pyarrow"))
