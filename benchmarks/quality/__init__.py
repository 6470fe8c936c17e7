"""Flaky tests in histories whose truth is known, and steps in benchmark noise: ``python -m benchmarks.quality [flaky] [performance]``."""
