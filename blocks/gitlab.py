"""GitLab as a source of the work."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from productops.adapters.development_gitlab import GitLabReader
from productops.adapters.development_http import refuse_to_wait
from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.development import System
from productops.domain.development_map import Mapper


class GitLab(Block):
    """Where GitLab's API is, and the token to read it. Flows read the catalog's DevelopmentSource; this is for scripts of one's own."""

    _block_type_name = "ProductOps GitLab"
    _block_type_slug = "productops-gitlab"
    _description = "A development source: the work as GitLab tells it."

    url: str = Field(default="https://gitlab.com", description="Address of its API.")
    token: SecretStr = Field(description="Token that may read.")

    def build(self, projects: tuple[str, ...] = ("acme/shop",)) -> GitLabReader:
        """The reader. Raises: SettingsError for an address that cannot be used."""
        spec = DevelopmentSourceSpec(system=System.GITLAB, address=self.url, projects=projects)
        return GitLabReader(lambda: Mapper(spec, datetime.now(UTC)), token=self.token.get_secret_value(), wait=refuse_to_wait)
