"""The home folder: private to its user, with the API's token in it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from productops.errors import SettingsError
from productops.settings import Settings

FOLDERS = ("run", "logs")


def resolved(settings: Settings) -> Settings:
    """The same settings with absolute folders: the processes of the stack run elsewhere than where ``up`` was typed."""
    places = {"home": settings.home.expanduser().resolve(), "catalog": settings.catalog.expanduser().resolve()}
    return settings.model_copy(update=places)


def token_path(home: Path) -> Path:
    """Where the generated bearer token of the API lies."""
    return home / "token"


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
        _make_token(token_path(home))
    except OSError as error:
        raise SettingsError(f"{home} cannot be used: {error.strerror}; choose another folder with --home or PRODUCTOPS_HOME") from error


def _make_token(path: Path) -> None:
    """A token that is there is kept; it appears whole or not at all."""
    if path.exists() and path.stat().st_size > 0:
        path.chmod(0o600)
        return
    fresh = path.with_name(f"token.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    fresh.replace(path)
