"""What Prefect's server asks of everybody: one secret of the installation, which only our own processes get to know."""

from __future__ import annotations

import os

from productops.adapters import token_file
from productops.errors import ForbiddenError, NotRunningError
from productops.settings import Settings

NAME = "prefect-auth"
USER = "productops"


def prefect_auth(settings: Settings) -> str:
    """``user:password`` for Prefect's Basic authentication: the set one, else that of the home folder, made when there is none.

    Raises: SettingsError when the file cannot be made or trusted.
    """
    given = settings.prefect_auth.get_secret_value().strip() if settings.prefect_auth else ""
    return given or f"{USER}:{token_file.read_or_create(settings.home, NAME)}"


def owned_auth(settings: Settings) -> str:
    """The same for a person who asks: only the owner of the home's secret is told, and nothing is made.

    Raises: ForbiddenError, NotRunningError when nothing ever ran in that home, SettingsError.
    """
    path = token_file.token_path(settings.home, NAME)
    try:
        owner = path.stat().st_uid
    except OSError as error:
        raise NotRunningError(f"there is no {path} that you could read: start the stack with `productops up`, or name its home") from error
    if owner != os.geteuid():
        raise ForbiddenError(f"{path} belongs to another user; ask for a token of your own, and for Prefect through the API's door")
    return prefect_auth(settings)
