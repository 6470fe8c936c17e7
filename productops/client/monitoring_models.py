"""Documents of monitoring. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class HealthOut(TypedDict):
    """The process runs and its database answers."""
    status: NotRequired[Literal['ok']]
