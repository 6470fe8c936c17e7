"""The ``MetricSource`` port on New Relic: NRQL by NerdGraph."""

from __future__ import annotations

from typing import Any

from productops.adapters.interval_source import CountQueries, IntervalSource
from productops.adapters.safe_http import SafeHttp, check_url
from productops.domain.monitoring_sources import Window
from productops.errors import InvalidInputError, MetricSourceError, RateLimitedError

_GRAPH = "query($account: Int!, $nrql: Nrql!) { actor { account(id: $account) { nrql(query: $nrql, timeout: 5) { results } } } }"
_TIMES = frozenset({"beginTimeSeconds", "endTimeSeconds", "timestamp"})
_PEACE_S = 60.0


class NewRelicSource(IntervalSource):
    """Queries are NRQL without SINCE, UNTIL and TIMESERIES, which are added here; they select one value.

    ``url`` is NerdGraph's, https://api.newrelic.com/graphql or https://api.eu.newrelic.com/graphql.
    """

    def __init__(
        self, url: str, *, account: int, api_key: str, name: str = "newrelic", interval_s: int = 10, lag_s: int = 60,
        timeout_s: float = 8.0, traffic: CountQueries | None = None,
    ) -> None:  # fmt: skip
        """Raises: SettingsError for a URL that cannot be used."""
        http = SafeHttp(
            check_url(url, secret=True), what=f"New Relic {name!r}", headers={"api-key": api_key}, secrets=(api_key,),
            timeout_s=timeout_s, patience_s=timeout_s, failure=MetricSourceError,
        )  # fmt: skip
        super().__init__(http, name=name, interval_s=interval_s, lag_s=lag_s, traffic=traffic)
        self._account = account

    def _intervals(self, query: str, window: Window) -> dict[int, float]:
        nrql = f"{query} SINCE {window.after_s * 1000} UNTIL {window.until_s * 1000} TIMESERIES {window.step_s} seconds"
        answer = self._http.call("POST", "", body={"query": _GRAPH, "variables": {"account": self._account, "nrql": nrql}})
        document = answer.document()
        if not answer.ok or not isinstance(document, dict):
            raise self._http.fail(f"answered {answer.status} to {query!r}: {answer.text()}")
        if document.get("errors"):
            raise self._refusal(query, document["errors"][0])
        try:
            rows = document["data"]["actor"]["account"]["nrql"]["results"]
            return {int(row["endTimeSeconds"]): value for row in rows if (value := _value(row)) is not None}
        except (KeyError, TypeError, ValueError) as error:
            raise self._http.fail(f"answered {query!r} with something else than values over time") from error

    def _refusal(self, query: str, error: dict[str, Any]) -> Exception:
        kind = str((error.get("extensions") or {}).get("errorClass", ""))
        if "TOO_MANY" in kind or "RATE" in kind:
            return RateLimitedError(f"New Relic {self.name!r} asks for fewer questions: {error.get('message')}", retry_after_s=_PEACE_S)
        if "NRQL" in kind or "INVALID" in kind or "BAD_USER_INPUT" in kind:
            return InvalidInputError(f"New Relic {self.name!r} refuses the query {query!r}: {error.get('message')}")
        return self._http.fail(f"could not answer {query!r}: {kind} {error.get('message')}")


def _value(row: dict[str, Any]) -> float | None:
    """The one value a row has besides its times; ``None`` when it is null. Raises: ValueError for more than one."""
    values = [value for name, value in row.items() if name not in _TIMES]
    if len(values) != 1 or not isinstance(values[0], int | float | None):
        raise ValueError("one value is needed")
    return None if values[0] is None else float(values[0])
