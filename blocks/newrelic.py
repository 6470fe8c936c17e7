"""A New Relic account to ask for metrics."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from productops.adapters.interval_source import CountQueries
from productops.adapters.newrelic import NewRelicSource


class NewRelic(Block):
    """Where NerdGraph is, which account is asked, and the key."""

    _block_type_name = "ProductOps New Relic"
    _block_type_slug = "productops-newrelic"
    _description = "A metric source: metrics of your own for the judge."

    url: str = Field(default="https://api.newrelic.com/graphql", description="NerdGraph of your region.")
    account: int = Field(description="Account whose data is asked for.")
    api_key: SecretStr = Field(description="User key.")
    interval_s: int = Field(default=10, description="Length of the intervals asked for, in seconds.")
    lag_s: int = Field(default=60, description="How long after its end an interval is complete, in seconds.")
    requests_query: str = Field(default="", description="Requests of a version; empty: it is not asked for traffic.")
    failures_query: str = Field(default="", description="Failures of a version.")

    def build(self, name: str = "newrelic") -> NewRelicSource:
        """The adapter. Raises: SettingsError for a URL that cannot be used."""
        traffic = CountQueries(self.requests_query, self.failures_query) if self.requests_query else None
        return NewRelicSource(
            self.url, account=self.account, api_key=self.api_key.get_secret_value(), name=name, interval_s=self.interval_s,
            lag_s=self.lag_s, traffic=traffic,
        )  # fmt: skip
