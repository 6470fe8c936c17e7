"""What each process of the stack gets to know: settings for ours, hardly anything for the others'."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

import productops
from productops.cli.stack.prefect_environment import client_environment, server_environment
from productops.settings import Settings

# Not PRODUCTOPS_HOME: people export that in their shells, and whatever carries this mark is ended with the stack.
STACK_HOME = "PRODUCTOPS_STACK_HOME"
# Our packages import each other from here, installed or not; a folder named `flows` where somebody typed `up` cannot get in between.
PROGRAM_FOLDER = Path(productops.__file__).resolve().parents[1]
# Named in the catalog, kept in the environment: secrets of webhooks.
SECRET_PREFIX = "PRODUCTOPS_SECRET_"  # noqa: S105 - the beginning of a name
_PLAIN = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")


def settings_environment(settings: Settings) -> dict[str, str]:
    """The settings in effect as ``PRODUCTOPS_…`` variables; a token only when it was set from outside."""
    variables = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is None:
            continue
        text = value.get_secret_value() if isinstance(value, SecretStr) else _as_text(value)
        variables[f"PRODUCTOPS_{name.upper()}"] = text
    variables["PRODUCTOPS_DATABASE_URL"] = settings.sqlalchemy_url
    return variables


def _as_text(value: object) -> str:
    """As the settings read it again: a list as JSON."""
    return json.dumps([str(each) for each in value]) if isinstance(value, tuple) else str(value)


def our_environment(settings: Settings, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For the API, the agent and the dispatcher: inherited without foreign Prefect settings, plus the settings in effect."""
    secrets = {name: value for name, value in inherited.items() if name.startswith(SECRET_PREFIX)}
    own = {**secrets, **settings_environment(settings), **client_environment(settings), STACK_HOME: str(settings.home)}
    return _without(inherited, "PREFECT_", "PRODUCTOPS_") | own | {"PYTHONUNBUFFERED": "1"}


def prefect_server_environment(settings: Settings, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For the Prefect server: neither foreign Prefect settings nor our own, which may hold the API's token."""
    own = {**server_environment(settings), STACK_HOME: str(settings.home)}
    return _without(inherited, "PREFECT_", "PRODUCTOPS_") | own | {"PYTHONUNBUFFERED": "1"}


def bare_environment(settings: Settings, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For the router and PostgreSQL, which need nothing from us."""
    return {name: inherited[name] for name in _PLAIN if name in inherited} | {STACK_HOME: str(settings.home)}


def _without(variables: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not name.startswith(prefixes)}
