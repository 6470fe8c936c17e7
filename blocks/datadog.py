"""A Datadog account to ask for metrics."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from productops.adapters.datadog import DatadogSource
from productops.adapters.interval_source import CountQueries


class Datadog(Block):
    """Where Datadog's API is and both keys it wants."""

    _block_type_name = "ProductOps Datadog"
    _block_type_slug = "productops-datadog"
    _description = "A metric source: metrics of your own for the judge."

    url: str = Field(default="https://api.datadoghq.com", description="API of your site.")
    api_key: SecretStr = Field(description="API key.")
    application_key: SecretStr = Field(description="Application key.")
    interval_s: int = Field(default=10, description="Length of the intervals asked for, in seconds.")
    lag_s: int = Field(default=30, description="How long after its end an interval is complete, in seconds.")
    requests_query: str = Field(default="", description="Requests of a version; empty: it is not asked for traffic.")
    failures_query: str = Field(default="", description="Failures of a version.")

    def build(self, name: str = "datadog") -> DatadogSource:
        """The adapter. Raises: SettingsError for a URL that cannot be used."""
        traffic = CountQueries(self.requests_query, self.failures_query) if self.requests_query else None
        return DatadogSource(
            self.url, api_key=self.api_key.get_secret_value(), application_key=self.application_key.get_secret_value(), name=name,
            interval_s=self.interval_s, lag_s=self.lag_s, traffic=traffic,
        )  # fmt: skip
