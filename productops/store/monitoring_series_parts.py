"""The repositories of measured series."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy.orm import Session

from productops.store.monitoring_series import Series
from productops.store.monitoring_series_points import SeriesPoints
from productops.store.monitoring_series_targets import ScrapeTargets


class SeriesParts:
    """Those of one transaction."""

    _session: Session

    @cached_property
    def series(self) -> Series:
        """Series with their thresholds, and infrastructure_metrics."""
        return Series(self._session)

    @cached_property
    def series_points(self) -> SeriesPoints:
        """Points of series."""
        return SeriesPoints(self._session)

    @cached_property
    def scrape_targets(self) -> ScrapeTargets:
        """Where metrics are fetched."""
        return ScrapeTargets(self._session)
