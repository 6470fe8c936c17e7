"""The ``MetricSource`` port on Datadog's query API."""

from __future__ import annotations

from productops.adapters.interval_source import CountQueries, IntervalSource
from productops.adapters.safe_http import SafeHttp, check_url
from productops.domain.monitoring_sources import Window
from productops.errors import InvalidInputError, MetricSourceError

_QUERY = "/api/v1/query"


class DatadogSource(IntervalSource):
    """Queries end in ``.rollup(sum, {interval_s})``, or Datadog chooses intervals of its own, which is an error here.

    ``url`` is that of the site's API, e.g. https://api.datadoghq.eu. Both keys are needed. ``interval_s``: 10 is what agents send.
    """

    def __init__(
        self, url: str, *, api_key: str, application_key: str, name: str = "datadog", interval_s: int = 10, lag_s: int = 30,
        timeout_s: float = 5.0, traffic: CountQueries | None = None,
    ) -> None:  # fmt: skip
        """Raises: SettingsError for a URL that cannot be used."""
        http = SafeHttp(
            check_url(url, secret=True), what=f"Datadog {name!r}", headers={"dd-api-key": api_key, "dd-application-key": application_key},
            secrets=(api_key, application_key), timeout_s=timeout_s, patience_s=timeout_s, failure=MetricSourceError,
        )  # fmt: skip
        super().__init__(http, name=name, interval_s=interval_s, lag_s=lag_s, traffic=traffic)

    def _intervals(self, query: str, window: Window) -> dict[int, float]:
        params = {"from": str(window.after_s), "to": str(window.until_s), "query": query}
        answer = self._http.call("GET", _QUERY, params=params)
        document = answer.document()
        said = document if isinstance(document, dict) else {}
        problem = said.get("error") or "; ".join(map(str, said.get("errors") or ()))
        if answer.status == 400 or (answer.ok and said.get("status") == "error"):
            raise InvalidInputError(f"Datadog {self.name!r} refuses the query {query!r}: {problem or answer.text()}")
        if not answer.ok or said.get("status") != "ok" or not isinstance(said.get("series"), list):
            raise self._http.fail(f"answered {answer.status} to {query!r}: {problem or answer.text()}")
        if len(said["series"]) > 1:
            raise MetricSourceError(f"{query!r} answers {len(said['series'])} series in {self.name!r}, one is needed: leave out 'by {{…}}'")
        values: dict[int, float] = {}
        for series in said["series"]:
            if series.get("interval") != window.step_s:
                had = series.get("interval")
                raise MetricSourceError(f"{query!r} answers intervals of {had} s in {self.name!r}: end it in .rollup(sum, {{interval_s}})")
            for at_ms, value in series.get("pointlist") or ():
                if value is not None:  # a point is named by the beginning of its interval
                    values[int(at_ms) // 1000 + window.step_s] = float(value)
        return values
