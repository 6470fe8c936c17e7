"""The embedded PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from productops.cli.stack.home import resolved
from productops.cli.stack.postgres import Cluster, cluster_of
from productops.errors import SettingsError
from productops.settings import Settings
from tests.integration.test_stack.lab import ROOT, Running, free_port_base, lives, until

PROGRAM = """
import sys
from pathlib import Path
from productops.cli.stack.start import Stack
from productops.settings import Settings
from tests.integration.test_stack.lab import Part, make_specs
settings = Settings(home=Path(sys.argv[1]), port_base=int(sys.argv[2]))
Stack(settings, make_specs=lambda s: make_specs([Part("worker")], s), begin_migration=lambda url: lambda: None).run(with_postgres=True)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return resolved(Settings(home=tmp_path / "home", port_base=free_port_base()))


@pytest.fixture
def cluster(settings: Settings) -> Iterator[Cluster]:
    found = cluster_of(settings)
    yield found
    for folder in (found.data, found.sockets):
        shutil.rmtree(folder, ignore_errors=True)


def up(settings: Settings) -> Running:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(settings.home), str(settings.port_base)],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    running = Running(process, settings.home, settings.port_base)
    running.until_said("^Ctrl-C or")
    return running


def test_its_data_outlive_the_stack_and_even_a_kill(settings: Settings, cluster: Cluster) -> None:
    stack = up(settings)
    worker = psutil.Process(stack.pid("worker")).environ()
    assert worker["PRODUCTOPS_DATABASE_URL"] == cluster.url("productops").replace("postgresql:", "postgresql+psycopg:", 1)
    prefect = worker["PRODUCTOPS_PREFECT_DATABASE_URL"]
    assert prefect == (cluster.url("prefect") if cluster.serves_prefect else "")
    assert stat.S_IMODE(cluster.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(cluster.sockets.stat().st_mode) == 0o700
    with psycopg.connect(cluster.url("productops"), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
        connection.execute("INSERT INTO kept VALUES (41)")
        # A client that stays connected must not hold up the end.
        stack.signal(signal.SIGTERM)
        assert stack.wait() == 0
    again = up(settings)
    postgres = again.pid("postgres")
    os.kill(again.process.pid, signal.SIGKILL)
    again.process.communicate()
    last = up(settings)
    assert not lives(postgres)
    with psycopg.connect(cluster.url("productops")) as connection:
        row = connection.execute("SELECT n FROM kept").fetchone()
        assert row == (41,)
    os.kill(last.pid("postgres"), signal.SIGKILL)
    until(lambda: [each.state for each in last.record().processes if each.name == "postgres" and each.restarts == 1] == ["running"])
    last.signal(signal.SIGINT)
    assert last.wait() == 0


def test_a_folder_of_somebody_else_is_refused(settings: Settings, cluster: Cluster, tmp_path: Path) -> None:
    from productops.cli.stack import postgres

    (tmp_path / "elsewhere").mkdir()
    cluster.sockets.symlink_to(tmp_path / "elsewhere")
    try:
        with pytest.raises(SettingsError, match="belongs to somebody else"):
            postgres.prepare(cluster)
    finally:
        cluster.sockets.unlink()
