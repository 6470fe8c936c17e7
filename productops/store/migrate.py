"""The schema's version: bring it up to date, or say how it differs."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from productops.errors import SettingsError
from productops.store.database import make_engine, session_scope

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def head() -> str:
    """The revision this code needs."""
    found = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    if found is None:
        raise SettingsError(f"no migrations were found in {MIGRATIONS}; the installation is incomplete")
    return found


def current(url: str) -> str | None:
    """The revision a database has; None for an empty one. Raises: StoreUnavailableError."""
    engine = make_engine(url)
    try:
        with session_scope(engine, read_only=True) as session:
            return MigrationContext.configure(session.connection()).get_current_revision()
    finally:
        engine.dispose()


def upgrade(url: str) -> None:
    """Bring a database to ``head``. Raises: SettingsError when it was made by a newer version of this product."""
    have = current(url)
    if have == head():
        return
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        command.upgrade(_config(url), "head")
    except CommandError as error:
        raise SettingsError(
            f"the database has schema {have}, which this version does not know (it needs {head()}): "
            "it was written by a newer productops; upgrade productops or use another database"
        ) from error
