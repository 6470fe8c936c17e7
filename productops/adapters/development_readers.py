"""Which reader a source has."""

from __future__ import annotations

from collections.abc import Callable

from productops.adapters.development_github import GitHubReader
from productops.adapters.development_gitlab import GitLabReader
from productops.adapters.development_http import Wait
from productops.adapters.development_jira import JiraReader
from productops.domain.development import System
from productops.domain.development_map import Mapper
from productops.ports import DevelopmentReader

_READERS: dict[System, type[GitHubReader | GitLabReader | JiraReader]] = {
    System.GITHUB: GitHubReader, System.GITLAB: GitLabReader, System.JIRA: JiraReader,
}  # fmt: skip


def build_reader(mapper: Callable[[], Mapper], *, token: str, wait: Wait, timeout_s: float = 30.0) -> DevelopmentReader:
    """The reader of a source's tool. Raises: SettingsError for an address that would send the token in plain text."""
    return _READERS[mapper().spec.system](mapper, token=token, wait=wait, timeout_s=timeout_s)
