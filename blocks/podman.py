"""A container engine as the target."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field

from productops.adapters.podman import PodmanTarget


class Podman(Block):
    """Where Podman's or Docker's socket is, and how containers are started."""

    _block_type_name = "ProductOps Podman"
    _block_type_slug = "productops-podman"
    _description = "A target: instances are containers on this machine."

    home: str = Field(description="Home folder of the installation.")
    socket: str = Field(default="/run/podman/podman.sock", description="The engine's socket.")
    network: str = Field(default="host", description="'host', or a network of the engine.")
    pull: bool = Field(default=True, description="Fetch images that are not here.")

    def build(self) -> PodmanTarget:
        """The adapter."""
        return PodmanTarget(Path(self.home), socket=Path(self.socket), network=self.network, pull=self.pull)
