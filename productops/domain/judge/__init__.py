"""The candidate judge: seconds of traffic in, a verdict with its evidence out.

Names are imported when they are asked for: planning a release needs no numerics, and programs that only plan start faster.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from productops.domain.analysis import Criticality, Direction, MetricKind
    from productops.domain.judge.backtesting import Backtest, backtest
    from productops.domain.judge.choice import make_judge, policy_of
    from productops.domain.judge.intervals import Intervals
    from productops.domain.judge.judge import StratifiedJudge
    from productops.domain.judge.kayenta import KayentaPolicy, MannWhitneyJudge
    from productops.domain.judge.planning import Forecast, Step, auto_steps, forecast
    from productops.domain.judge.policy import AnalysisPolicy, MetricRule
    from productops.domain.judge.segments import SegmentedJudge
    from productops.domain.judge.threshold import Limit, ThresholdJudge, ThresholdPolicy, policy_from_argo

_HOMES = {
    "Criticality": "productops.domain.analysis",
    "Direction": "productops.domain.analysis",
    "MetricKind": "productops.domain.analysis",
    "Backtest": "productops.domain.judge.backtesting",
    "Intervals": "productops.domain.judge.intervals",
    "StratifiedJudge": "productops.domain.judge.judge",
    "KayentaPolicy": "productops.domain.judge.kayenta",
    "MannWhitneyJudge": "productops.domain.judge.kayenta",
    "Forecast": "productops.domain.judge.planning",
    "Step": "productops.domain.judge.planning",
    "auto_steps": "productops.domain.judge.planning",
    "forecast": "productops.domain.judge.planning",
    "AnalysisPolicy": "productops.domain.judge.policy",
    "MetricRule": "productops.domain.judge.policy",
    "SegmentedJudge": "productops.domain.judge.segments",
    "Limit": "productops.domain.judge.threshold",
    "ThresholdJudge": "productops.domain.judge.threshold",
    "ThresholdPolicy": "productops.domain.judge.threshold",
    "policy_from_argo": "productops.domain.judge.threshold",
    "make_judge": "productops.domain.judge.choice",
    "policy_of": "productops.domain.judge.choice",
    "backtest": "productops.domain.judge.backtesting",
}

__all__ = [
    "AnalysisPolicy", "Backtest", "Criticality", "Direction", "Forecast", "Intervals", "KayentaPolicy", "Limit", "MannWhitneyJudge",
    "MetricKind", "MetricRule", "SegmentedJudge", "Step", "StratifiedJudge", "ThresholdJudge", "ThresholdPolicy", "auto_steps",
    "backtest", "forecast", "make_judge", "policy_from_argo", "policy_of",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Raises: AttributeError for a name that is not in ``__all__``."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
