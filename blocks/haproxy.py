"""A HAProxy as the router."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field

from productops.adapters.haproxy import HAProxyRouter


class HAProxy(Block):
    """Where a HAProxy in master-worker mode has its files and takes users' requests."""

    _block_type_name = "ProductOps HAProxy"
    _block_type_slug = "productops-haproxy"
    _description = "A router: weights by its runtime API. It reports no latency histograms."

    folder: str = Field(description="Configuration, maps and sockets.")
    host: str = Field(default="127.0.0.1", description="Address that takes users' requests.")
    port: int = Field(default=8702, description="Port that takes users' requests.")
    threads: int = Field(default=1, description="Threads of each worker.")

    def build(self) -> HAProxyRouter:
        """The adapter; only the agent writes with it. Raises: SettingsError for a folder whose path is too long for sockets."""
        return HAProxyRouter(Path(self.folder), port=self.port, host=self.host, threads=self.threads)
