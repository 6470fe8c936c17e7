"""The ``Scraper`` port: one bounded fetch of a page in the Prometheus text format."""

from __future__ import annotations

import threading
from typing import Final
from urllib.parse import urlsplit

from productops.adapters.monitoring_prometheus_text import read_text
from productops.adapters.safe_http import SafeHttp
from productops.domain.monitoring_series_sample import Sample
from productops.errors import MetricSourceError

_ACCEPT: Final = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4"
_CLIENTS_MAX: Final = 500


class HttpScraper:
    """Keeps a connection to each place. Redirects, link-local addresses and answers beyond 16 MB are refused. Usable from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, float], SafeHttp] = {}

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients = {}

    def fetch(self, url: str, *, token: str, timeout_s: float, samples_max: int, at: float) -> list[Sample]:
        """Samples of the page. Raises: MetricSourceError, RateLimitedError."""
        parts = urlsplit(url)
        base, path = f"{parts.scheme}://{parts.netloc}", parts.path + (f"?{parts.query}" if parts.query else "")
        client = self._client(base, token, timeout_s)
        answer = client.call("GET", path)
        if not answer.ok:
            raise client.fail(f"answered {answer.status}: {answer.text()}")
        openmetrics = "openmetrics" in answer.headers.get("content-type", "")
        return read_text(answer.body.decode("utf-8", "replace"), openmetrics=openmetrics, at=at, samples_max=samples_max)

    def _client(self, base: str, token: str, timeout_s: float) -> SafeHttp:
        with self._lock:
            if len(self._clients) >= _CLIENTS_MAX:
                self._clients.pop(next(iter(self._clients))).close()
            if (base, token, timeout_s) not in self._clients:
                headers = {"accept": _ACCEPT} | ({"authorization": f"Bearer {token}"} if token else {})
                self._clients[base, token, timeout_s] = SafeHttp(
                    base, what="the scrape target", headers=headers, secrets=(token,), timeout_s=timeout_s, patience_s=timeout_s,
                    failure=MetricSourceError,
                )  # fmt: skip
            return self._clients[base, token, timeout_s]
