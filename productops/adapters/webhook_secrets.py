"""Secrets by name: from the environment, else from a folder with one file for each, read anew when it changes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import structlog

from productops.errors import SettingsError
from productops.redaction import know_secrets

log = structlog.get_logger(__name__)
BYTES_MAX = 10_000


class SecretFolder:
    """``values`` gives what the names stand for. A file can be changed while the program runs; a variable cannot."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = os.environ if environment is None else environment

    def values(self, names: Iterable[str]) -> tuple[str, ...]:
        """The secrets that are set here, in the order of ``names``. Raises: SettingsError for a file that others may read."""
        found = tuple(value for name in names if (value := self._value(name)))
        know_secrets(found)
        return found

    def _value(self, name: str) -> str:
        return self._environment.get(name, "").strip() or self._from_file(self._folder / name)

    @staticmethod
    def _from_file(path: Path) -> str:
        try:
            if path.stat().st_mode & 0o007:
                raise SettingsError(f"everybody on this machine may read the secret {path}; run: chmod 600 {path}")
            with path.open("rb") as file:
                return file.read(BYTES_MAX).decode("utf-8", "strict").strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"the secret {path} cannot be read: {error}") from error
