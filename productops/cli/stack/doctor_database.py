"""Doctor's look at the store: reachable, writable, of the right schema."""

from __future__ import annotations

import re
from pathlib import Path

from productops.cli.stack.doctor import Finding
from productops.cli.stack.prefect_environment import shown_url
from productops.errors import SettingsError, StoreUnavailableError
from productops.settings import Settings


def check_database(settings: Settings) -> list[Finding]:
    """The store answers, takes a write, and has a schema this version knows."""
    url = settings.sqlalchemy_url
    shown = shown_url(url)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return [Finding("database", "ok", f"made at the first start: {shown}")]
    from productops.store import migrate  # here: a second of imports

    try:
        have = migrate.current(url)
        _write_lock(url)
    except StoreUnavailableError as error:
        return [Finding("database", "wrong", f"{shown}: {error}", _mend_unavailable(url))]
    except SettingsError as error:
        return [Finding("database", "wrong", str(error), "set PRODUCTOPS_DATABASE_URL or --database-url")]
    return [Finding("database", "ok", f"answers: {shown}"), _schema(have)]


def _write_lock(url: str) -> None:
    """Take the write lock and give it back. Raises: StoreUnavailableError when somebody keeps it for five seconds."""
    from productops.store.database import make_engine, session_scope

    engine = make_engine(url)
    try:
        with session_scope(engine, read_only=False) as session:
            session.connection()
    finally:
        engine.dispose()


def _schema(have: str | None) -> Finding:
    from productops.store import migrate

    need = migrate.head()
    if have == need:
        return Finding("schema", "ok", need)
    if have is None:
        return Finding("schema", "ok", "none yet; the next start makes it")
    if _is_known(have):
        return Finding("schema", "note", f"{have} is older than {need}; the next start migrates it", "back it up first if you may go back")
    detail = f"{have} was made by a newer productops; this one needs {need}"
    return Finding("schema", "wrong", detail, "upgrade productops, or use another database")


def _is_known(revision: str) -> bool:
    from productops.store.migrate import MIGRATIONS

    line = re.compile(rf"^revision\b.*['\"]{re.escape(revision)}['\"]", re.MULTILINE)
    return any(line.search(file.read_text(encoding="utf-8")) for file in (MIGRATIONS / "versions").glob("*.py"))


def _mend_unavailable(url: str) -> str:
    if url.startswith("sqlite"):
        return "end the program that keeps the file locked (lsof or fuser tells which); keep it on a local disk, not on a network share"
    return "start that PostgreSQL server, or correct PRODUCTOPS_DATABASE_URL"
