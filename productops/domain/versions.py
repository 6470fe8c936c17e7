"""Order of versions: semantic versions as PEP 440 and SemVer read them, anything else has no order."""

from __future__ import annotations

import re

from packaging.version import InvalidVersion, Version

from productops.errors import InvalidInputError

# What may become a folder name, a git reference and a part of a metric name.
_ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def check_version(version: str) -> str:
    """Return ``version`` unchanged.

    Raises: InvalidInputError when it is empty, longer than 100 characters, or holds anything but letters, digits and ``._+-``.
    """
    if not _ALLOWED.fullmatch(version) or ".." in version:
        raise InvalidInputError(
            f"version {version[:120]!r} is not usable: 1 to 100 letters, digits, '.', '_', '+' or '-', starting with a letter or digit"
        )
    return version


def is_older(version: str, than: str) -> bool:
    """Whether ``version`` precedes ``than``; versions without an order (git hashes) are never older."""
    try:
        return Version(version) < Version(than)
    except InvalidVersion:
        return False
