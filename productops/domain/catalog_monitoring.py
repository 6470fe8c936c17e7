"""Where metrics are fetched, as the catalog's YAML names it: ``kind: ScrapeTarget``."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from productops.domain.catalog_webhooks import EntryName, SecretName
from productops.domain.release import Environment
from productops.settings import is_loopback

MetricName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00\n]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeriesQuery(_Strict):
    """One number to ask a metric source for."""

    name: MetricName = Field(description="Name of the series that its answers become.")
    query: str = Field(
        min_length=1, max_length=4000, description="In the source's language; {service}, {environment}, {version} are replaced."
    )


class ScrapeTargetSpec(_Strict):
    """Either an address that answers in the Prometheus text format, or questions to a metric source of the connections file."""

    url: str = Field(default="", max_length=500, description="Address to fetch, e.g. http://127.0.0.1:9100/metrics.")
    source: str = Field(default="", max_length=63, description="Name of a metric source in the connections file (Datadog, New Relic …).")
    queries: tuple[SeriesQuery, ...] = Field(default=(), max_length=50, description="What to ask the source.")
    service: EntryName | None = Field(default=None, description="Whose metrics these are. Left out: the target's name stands for it.")
    environment: Environment | None = Field(default=None, description="Environment that the metrics are of.")
    category: Literal["infrastructure", "application", "business"] = "application"
    interval_s: int = Field(default=15, ge=1, le=3600, description="Time between two fetches.")
    timeout_s: float = Field(default=5.0, gt=0, le=30, description="Longest wait for a whole answer.")
    keep: tuple[str, ...] = Field(default=(), max_length=100, description="Regular expressions of whole metric names; empty: all of them.")
    drop: tuple[str, ...] = Field(default=(), max_length=100, description="Regular expressions of metric names that are left out.")
    drop_labels: tuple[str, ...] = Field(default=(), max_length=50, description="Labels taken off; series that become one are added up.")
    samples_max: int = Field(default=5000, ge=1, le=100_000, description="An answer with more samples is refused as a whole.")
    token: SecretName | None = Field(default=None, description="Name of the secret that is sent as bearer token.")

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or re.search(r"\s", url)):
            raise ValueError("write it like http://127.0.0.1:9100/metrics, without user and password")
        return url

    @field_validator("keep", "drop")
    @classmethod
    def _expressions(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for each in given:
            try:
                re.compile(each)
            except re.error as error:
                raise ValueError(f"{each!r} is no regular expression: {error}") from error
        return given

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.url) == bool(self.source):
            raise ValueError("name either a url or a source")
        if bool(self.source) != bool(self.queries):
            raise ValueError("source and queries go together")
        if self.source and (self.service is None or self.environment is None):
            raise ValueError("questions to a source need service and environment")
        parts = urlsplit(self.url)
        if self.token is not None and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("a token would cross the network in clear: use https://")
        return self


class ScrapeTargetMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class ScrapeTargetEntry(_Strict):
    """``kind: ScrapeTarget``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["ScrapeTarget"]
    metadata: ScrapeTargetMetadata
    spec: ScrapeTargetSpec
