"""Jira as a source of the work."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from productops.adapters.development_http import refuse_to_wait
from productops.adapters.development_jira import JiraReader
from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.development import System
from productops.domain.development_map import Mapper


class Jira(Block):
    """Where Jira's API is, and the token to read it. Flows read the catalog's DevelopmentSource; this is for scripts of one's own."""

    _block_type_name = "ProductOps Jira"
    _block_type_slug = "productops-jira"
    _description = "A development source: the work as Jira tells it."

    url: str = Field(description="Address, e.g. https://acme.atlassian.net.")
    user: str = Field(default="", description="Jira Cloud: the address that the token belongs to.")
    token: SecretStr = Field(description="Token that may read.")

    def build(self, projects: tuple[str, ...] = ("SHOP",)) -> JiraReader:
        """The reader. Raises: SettingsError for an address that cannot be used."""
        spec = DevelopmentSourceSpec(system=System.JIRA, address=self.url, projects=projects, user=self.user)
        return JiraReader(lambda: Mapper(spec, datetime.now(UTC)), token=self.token.get_secret_value(), wait=refuse_to_wait)
