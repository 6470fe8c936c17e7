"""A look as it is stored and shown, and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from productops.domain.analytics_experiment import LookResult

_LOOK: TypeAdapter[LookResult] = TypeAdapter(LookResult)


def look_document(result: LookResult) -> dict[str, Any]:
    """Plain values only."""
    document: dict[str, Any] = _LOOK.dump_python(result, mode="json")
    return document


def look_from(document: Mapping[str, Any]) -> LookResult:
    """What was stored. Raises: pydantic.ValidationError for what is no look."""
    return _LOOK.validate_python(dict(document))
