"""Envoys on other machines as the router."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from productops.adapters.envoy_remote import RemoteEnvoyRouter, RemoteNode


class RemoteEnvoys(Block):
    """The Envoys that fetch their configuration from our API, and the token of their listeners for counters."""

    _block_type_name = "ProductOps remote Envoys"
    _block_type_slug = "productops-envoy-remote"
    _description = "A router of several machines, configured by REST xDS and confirmed by each of them."

    folder: str = Field(description="The folder xds in the home folder of the installation.")
    nodes: list[str] = Field(description="One per Envoy: node-id=host:stats-port")
    stats_token: SecretStr = Field(description="Token of their listeners for counters.")
    port: int = Field(default=8080, description="Port on which they take users' requests.")
    advertise: str = Field(default="", description="This machine's address as they reach it.")

    def build(self) -> RemoteEnvoyRouter:
        """The adapter; only the agent writes with it. Raises: SettingsError, InvalidInputError for a node that cannot be read."""
        return RemoteEnvoyRouter(
            Path(self.folder), nodes=[_node(text) for text in self.nodes], stats_token=self.stats_token.get_secret_value(),
            port=self.port, advertise=self.advertise,
        )  # fmt: skip


def _node(text: str) -> RemoteNode:
    node, _, place = text.partition("=")
    host, _, port = place.rpartition(":")
    return RemoteNode(node.strip(), host.strip(), int(port) if port.strip().isdigit() else 0)
