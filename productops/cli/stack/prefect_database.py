"""Prefect's SQLite file, copied from one made at installation: its hundred migrations are most of a first start (7 s of a core).

``python -m productops.cli.stack.prefect_database`` lets the installed Prefect make the template beside the Python environment.
Without a template, or with one of another Prefect, Prefect migrates its new file as usual.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from productops.cli.stack.prefect_environment import foreign_variables, prefect_database_url, prefect_home
from productops.settings import Settings

_MIGRATIONS = Path("server/database/_migrations/versions/sqlite")
_REVISION = re.compile(r"^revision\b[^=\n]*=\s*['\"]([0-9a-f]+)", re.MULTILINE)
_PARENT = re.compile(r"^down_revision\b[^=\n]*=\s*['\"]([0-9a-f]+)", re.MULTILINE)
_MAKE_TIMEOUT_S = 300


def prepare(settings: Settings, *, templates: Path | None = None) -> bool:
    """Make the folder and, for a new SQLite database and a fitting template, the file. Returns whether a file was made."""
    folder = prefect_home(settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    scheme, _, name = prefect_database_url(settings).partition(":///")
    database, template = Path(name), template_path(templates)
    if scheme != "sqlite+aiosqlite" or database.exists() or not database.parent.is_dir() or template is None or not template.is_file():
        return False
    fresh = database.with_name(f"{database.name}.new")
    shutil.copyfile(template, fresh)
    fresh.replace(database)
    return True


def template_path(templates: Path | None = None) -> Path | None:
    """Where the template of the installed Prefect lies, or would; ``None`` when its newest migration is unclear."""
    newest = newest_migration()
    if newest is None:
        return None
    return (templates or Path(sys.prefix) / "share" / "productops") / f"prefect-{newest}.db"


def newest_migration() -> str | None:
    """The newest SQLite migration of the installed Prefect, read from its files: importing it costs seconds. ``None`` when unclear."""
    package = importlib.util.find_spec("prefect")
    if package is None or package.origin is None:
        return None
    revisions: set[str] = set()
    parents: set[str] = set()
    for file in (Path(package.origin).parent / _MIGRATIONS).glob("*.py"):
        source = file.read_text(encoding="utf-8")
        revisions.update(_REVISION.findall(source))
        parents.update(_PARENT.findall(source))
    newest = revisions - parents
    return newest.pop() if len(newest) == 1 else None


def make_template(templates: Path | None = None) -> Path | None:
    """Let Prefect migrate an empty file and keep it; returns where, or ``None`` where that is not possible.

    Raises: subprocess.CalledProcessError when Prefect fails, subprocess.TimeoutExpired after five minutes.
    """
    template = template_path(templates)
    if template is None or template.is_file():
        return template
    template.parent.mkdir(parents=True, exist_ok=True)
    foreign = set(foreign_variables(os.environ))
    with tempfile.TemporaryDirectory(prefix="productops-") as folder:
        made = Path(folder) / "prefect.db"
        environment = {k: v for k, v in os.environ.items() if k not in foreign}
        url = f"sqlite+aiosqlite:///{made}"
        environment |= {"PREFECT_HOME": folder, "PREFECT_SERVER_DATABASE_CONNECTION_URL": url, "DO_NOT_TRACK": "1"}
        command = (sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes")
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=_MAKE_TIMEOUT_S)
        if made.with_name("prefect.db-wal").exists():  # somebody still has it open: a copy would lack what is in there
            return None
        fresh = template.with_suffix(f".{os.getpid()}")
        shutil.copyfile(made, fresh)
        fresh.replace(template)
    return template


if __name__ == "__main__":
    try:
        make_template()
    except (subprocess.SubprocessError, OSError) as error:
        sys.stderr.write(f"note: no template of Prefect's database ({error}); the first start takes a little longer\n")
