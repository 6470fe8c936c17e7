"""A Prometheus to ask for metrics."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from productops.adapters.prometheus import PrometheusSource, TrafficQueries


class Prometheus(Block):
    """Where a Prometheus (or Thanos, Mimir, VictoriaMetrics) is, and how it is asked for the traffic of a version."""

    _block_type_name = "ProductOps Prometheus"
    _block_type_slug = "productops-prometheus"
    _description = "A metric source: metrics of your own for the judge, and traffic for routers that count nothing."

    url: str = Field(description="Base URL, without /api/v1.")
    token: SecretStr | None = Field(default=None, description="Bearer token.")
    interval_s: int = Field(default=5, description="Length of the intervals asked for, in seconds.")
    lag_s: int = Field(default=5, description="How long after its end an interval is complete, in seconds.")
    requests_query: str = Field(default="", description="Requests of a version; empty: it is not asked for traffic.")
    failures_query: str = Field(default="", description="Failures of a version.")
    latency_buckets_query: str = Field(default="", description="Histogram of a version, one series per le.")

    def build(self, name: str = "prometheus") -> PrometheusSource:
        """The adapter. Raises: SettingsError for a URL that cannot be used."""
        traffic = TrafficQueries(self.requests_query, self.failures_query, self.latency_buckets_query) if self.requests_query else None
        token = self.token.get_secret_value() if self.token else ""
        return PrometheusSource(self.url, name=name, token=token, interval_s=self.interval_s, lag_s=self.lag_s, traffic=traffic)
