"""The secrets of a local installation, the bearer token first: one secret in a file that only its owner reads."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from productops.errors import SettingsError

NAME = "token"
_BYTES = 32


def token_path(home: Path, name: str = NAME) -> Path:
    """Where the token of an installation, or another secret of it, lies."""
    return home.expanduser() / name


def read_or_create(home: Path, name: str = NAME) -> str:
    """The token of this installation; made with 256 random bits when there is none. The folder is made, too.

    Several programs may call this at the same moment (the API and ``productops up`` both do): the file is linked into place
    whole, by one of them, and all return what is in it. Raises: SettingsError when the file cannot be made or trusted.
    """
    path = token_path(home, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _create(path)
    except OSError as error:
        raise SettingsError(f"the token file {path} cannot be made: {error.strerror}") from error
    token = read(home, name)
    if token is None:
        raise SettingsError(f"the token file {path} is gone again; does another program remove it?")
    return token


def read(home: Path, name: str = NAME) -> str | None:
    """The token; None when there is no file. Raises: SettingsError when it is empty, or others can read it."""
    path = token_path(home, name)
    try:
        with path.open(encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            token = file.read(4096).strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the token file {path} cannot be read: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(f"the token file {path} can be read by others; run: chmod 600 {path}")
    if not token:
        raise SettingsError(f"the token file {path} is empty; remove it and start again")
    return token


def _create(path: Path) -> None:
    """Write a temporary file (O_EXCL, 0600) and link it into place, so that nobody ever reads half a token."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(_BYTES) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
