"""Mixpanel as a source of usage events."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from productops.adapters.analytics_mixpanel import ADDRESS, MixpanelExport


class Mixpanel(Block):
    """Where Mixpanel's export is, and what opens it. The command reads PRODUCTOPS_SECRET_MIXPANEL; this is for flows of one's own."""

    _block_type_name = "ProductOps Mixpanel"
    _block_type_slug = "productops-mixpanel"
    _description = "A source of usage events: Mixpanel's raw export."

    url: str = Field(default=ADDRESS, description="Address of its export; data-eu.mixpanel.com for the EU.")
    project: str = Field(default="", description="Number of the project.")
    secret: SecretStr = Field(description="service-account:secret")

    def build(self) -> MixpanelExport:
        """The reader. Raises: SettingsError for a secret or an address that cannot be used."""
        return MixpanelExport(self.secret.get_secret_value(), where="the block", project=self.project, url=self.url)
