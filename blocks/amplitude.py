"""Amplitude as a source of usage events."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from productops.adapters.analytics_amplitude import ADDRESS, AmplitudeExport


class Amplitude(Block):
    """Where Amplitude's export is, and what opens it. The command reads PRODUCTOPS_SECRET_AMPLITUDE; this is for flows of one's own."""

    _block_type_name = "ProductOps Amplitude"
    _block_type_slug = "productops-amplitude"
    _description = "A source of usage events: Amplitude's export."

    url: str = Field(default=ADDRESS, description="Address of its API; analytics.eu.amplitude.com for the EU.")
    secret: SecretStr = Field(description="api-key:secret-key")

    def build(self) -> AmplitudeExport:
        """The reader. Raises: SettingsError for a secret or an address that cannot be used."""
        return AmplitudeExport(self.secret.get_secret_value(), where="the block", url=self.url)
