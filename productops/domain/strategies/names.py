"""The strategies by name."""

from __future__ import annotations

from enum import StrEnum


class Strategy(StrEnum):
    """How a rollout gives users the candidate."""

    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    ROLLING = "rolling"
    DARK_LAUNCH = "dark-launch"
    FEATURE_TOGGLE = "feature-toggle"
