"""How each strategy turns a service's catalog entry into steps; one file per strategy.

Names are imported when they are asked for: a program that only names a strategy need not load the catalog's models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from productops.domain.strategies.names import Strategy
    from productops.domain.strategies.plan import Overrides, RolloutPlan, Scene
    from productops.domain.strategies.registry import plan_rollout
    from productops.domain.strategies.sections import StrategySections
    from productops.domain.strategies.step import Batch, Mirror, Segment, Step

_HOMES = {
    "Strategy": "names",
    "Overrides": "plan",
    "RolloutPlan": "plan",
    "Scene": "plan",
    "plan_rollout": "registry",
    "StrategySections": "sections",
    "Batch": "step",
    "Mirror": "step",
    "Segment": "step",
    "Step": "step",
}

__all__ = [
    "Batch", "Mirror", "Overrides", "RolloutPlan", "Scene", "Segment", "Step", "Strategy", "StrategySections", "plan_rollout",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Raises: AttributeError for a name that is not in ``__all__``."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
