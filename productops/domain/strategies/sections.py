"""All strategies together: their sections of the catalog, and who plans a rollout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from productops.domain.strategies.blue_green import BlueGreen
from productops.domain.strategies.blue_green import plan as plan_blue_green
from productops.domain.strategies.canary import Canary
from productops.domain.strategies.canary import plan as plan_canary
from productops.domain.strategies.dark_launch import DarkLaunch
from productops.domain.strategies.dark_launch import plan as plan_dark_launch
from productops.domain.strategies.feature_toggle import FeatureToggle
from productops.domain.strategies.feature_toggle import plan as plan_feature_toggle
from productops.domain.strategies.names import Strategy
from productops.domain.strategies.plan import Overrides, RolloutPlan, Scene
from productops.domain.strategies.rolling import Rolling
from productops.domain.strategies.rolling import plan as plan_rolling
from productops.domain.strategies.section import Section

if TYPE_CHECKING:
    from productops.domain.catalog import Rollout

Planner = Callable[["Rollout", Overrides, Scene], RolloutPlan]
PLANNERS: Mapping[Strategy, Planner] = {
    Strategy.CANARY: plan_canary,
    Strategy.BLUE_GREEN: plan_blue_green,
    Strategy.ROLLING: plan_rolling,
    Strategy.DARK_LAUNCH: plan_dark_launch,
    Strategy.FEATURE_TOGGLE: plan_feature_toggle,
}


class StrategySections(Section):
    """What each strategy has to know; ``strategy`` is the one that is used unless a release asks for another."""

    strategy: Strategy = Strategy.CANARY
    canary: Canary = Canary()
    blue_green: BlueGreen = BlueGreen()
    rolling: Rolling = Rolling()
    dark_launch: DarkLaunch = DarkLaunch()
    feature_toggle: FeatureToggle = FeatureToggle()
