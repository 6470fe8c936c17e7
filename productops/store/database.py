"""Engines and transactions: SQLite and PostgreSQL behave alike from here up."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from productops.errors import SettingsError, StoreUnavailableError

SQLITE_BUSY_MS = 5_000


def make_engine(url: str) -> Engine:
    """Open a database. SQLite: WAL, foreign keys, 5 s busy time-out, writers take the lock at once.

    Raises: SettingsError for a URL that is no SQLite or PostgreSQL one.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingsError("PRODUCTOPS_DATABASE_URL is no database URL; use sqlite:///… or postgresql+psycopg://…") from error
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise SettingsError(f"database {parsed.drivername!r} is not supported; use sqlite:///… or postgresql+psycopg://…")
    try:
        if parsed.drivername == "sqlite":
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(
                parsed, connect_args={"timeout": SQLITE_BUSY_MS / 1000, "check_same_thread": False}, json_serializer=to_json
            )
            _tune_sqlite(engine)
            return engine
        return create_engine(
            parsed, pool_pre_ping=True, pool_size=5, max_overflow=15, connect_args={"connect_timeout": 3}, json_serializer=to_json
        )
    except NoSuchModuleError as error:
        raise SettingsError(f"no driver for {parsed.drivername!r} is installed") from error


def to_json(value: Any) -> str:
    """JSON as the standard has it: infinities and not-a-number, which Python writes and PostgreSQL refuses, become null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: the driver's implicit one takes no write lock
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={SQLITE_BUSY_MS}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("productops_read", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def session_scope(engine: Engine, *, read_only: bool) -> Iterator[Session]:
    """One transaction: commit at the end, roll back on any error.

    Raises: StoreUnavailableError when the database does not answer, is locked for 5 s, or is full.
    """
    bind = engine.execution_options(productops_read=True) if read_only else engine
    try:
        with Session(bind, expire_on_commit=False) as session, session.begin():
            yield session
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise StoreUnavailableError(f"the database did not take the transaction: {_short(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailableError(f"the database connection broke: {_short(error)}") from error
        raise


def _short(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    return str(original).splitlines()[0] if str(original) else type(original).__name__
