"""Saved questions about use, as the catalog's YAML names them: ``kind: Funnel`` and ``kind: Cohort``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from productops.domain.analytics_usage_query import CohortSpec, FunnelSpec, Strict
from productops.domain.catalog_webhooks import EntryName


class UsageMetadata(Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class FunnelEntry(Strict):
    """``kind: Funnel``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Funnel"]
    metadata: UsageMetadata
    spec: FunnelSpec


class CohortEntry(Strict):
    """``kind: Cohort``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815
    kind: Literal["Cohort"]
    metadata: UsageMetadata
    spec: CohortSpec
