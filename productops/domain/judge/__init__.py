"""The candidate judge: seconds of traffic in, a verdict with its evidence out."""

from productops.domain.judge.backtest import Backtest, backtest
from productops.domain.judge.intervals import Intervals
from productops.domain.judge.judge import StratifiedJudge
from productops.domain.judge.kayenta import KayentaPolicy, MannWhitneyJudge
from productops.domain.judge.planning import Forecast, Step, auto_steps, forecast
from productops.domain.judge.policy import AnalysisPolicy, Direction, MetricKind, MetricRule
from productops.domain.judge.segments import SegmentedJudge
from productops.domain.judge.threshold import Limit, ThresholdJudge, ThresholdPolicy, policy_from_argo

__all__ = [
    "AnalysisPolicy",
    "Backtest",
    "Direction",
    "Forecast",
    "Intervals",
    "KayentaPolicy",
    "Limit",
    "MannWhitneyJudge",
    "MetricKind",
    "MetricRule",
    "SegmentedJudge",
    "Step",
    "StratifiedJudge",
    "ThresholdJudge",
    "ThresholdPolicy",
    "auto_steps",
    "backtest",
    "forecast",
    "policy_from_argo",
]
