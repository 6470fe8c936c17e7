"""The home folder: private to its user, with the API's token in it."""

from __future__ import annotations

import os
from pathlib import Path

from productops.adapters import token_file
from productops.adapters.prefect_auth import NAME as PREFECT_AUTH
from productops.errors import SettingsError
from productops.settings import Settings

FOLDERS = ("run", "logs")


def resolved(settings: Settings) -> Settings:
    """The same settings with absolute folders: the processes of the stack run elsewhere than where ``up`` was typed."""
    places = {"home": settings.home.expanduser().resolve(), "catalog": settings.catalog.expanduser().resolve()}
    return settings.model_copy(update=places)


def prepare_home(home: Path) -> None:
    """Make the folder (mode 0700) and the token (mode 0600) where they are missing.

    Raises: SettingsError when the folder cannot be made, belongs to somebody else, or cannot be written to.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_uid != os.geteuid():
            raise SettingsError(f"{home} belongs to another user; choose a folder of your own with --home or PRODUCTOPS_HOME")
        home.chmod(0o700)
        for name in FOLDERS:
            (home / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{home} cannot be used: {error.strerror}; choose another folder with --home or PRODUCTOPS_HOME") from error
    token_file.read_or_create(home)
    token_file.read_or_create(home, PREFECT_AUTH)
