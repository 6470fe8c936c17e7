"""What is checked before anything is started, and what a start leaves behind."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from productops.adapters.token_file import token_path
from productops.cli.stack import detach
from productops.cli.stack.home import prepare_home
from productops.cli.stack.output import LARGEST_BYTES, bound_output, open_output
from productops.cli.stack.processes import HomeProcesses
from productops.cli.stack.specs import Backoff
from productops.cli.stack.start import Stack, begin_migration
from productops.cli.stack.stop import stop_stack
from productops.errors import AlreadyRunningError, PortTakenError, SettingsError
from productops.settings import Settings
from tests.integration.test_stack.conftest import StartStack
from tests.integration.test_stack.lab import ROOT, free_port_base, lives


def test_a_second_up_names_the_one_that_runs(start: StartStack, home: Path) -> None:
    first = start()
    with pytest.raises(AlreadyRunningError) as caught:
        Stack(Settings(home=home, port_base=free_port_base())).run()
    assert f"pid {first.process.pid}" in str(caught.value)
    assert f"http://127.0.0.1:{first.port_base}" in str(caught.value)
    assert lives(first.pid("worker"))


@pytest.mark.parametrize(("offset", "kind"), [(0, socket.SOCK_STREAM), (3, socket.SOCK_STREAM), (4, socket.SOCK_DGRAM)])
def test_a_taken_port_names_number_setting_and_holder_before_anything_starts(home: Path, offset: int, kind: socket.SocketKind) -> None:
    base = free_port_base()
    with closing(socket.socket(socket.AF_INET, kind)) as other:
        other.bind(("127.0.0.1", base + offset))
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(PortTakenError) as caught:
            Stack(Settings(home=home, port_base=base)).run()
    said = str(caught.value)
    assert f"port {base + offset}" in said
    assert f"PRODUCTOPS_PORT_BASE + {offset}" in said
    assert f"process {os.getpid()}" in said
    assert "is free" in said
    assert not (home / "run" / "stack.json").exists()


def test_connections_that_are_still_closing_do_not_block_a_port(home: Path) -> None:
    base = free_port_base()
    with closing(socket.create_server(("127.0.0.1", base))) as server:
        client = socket.create_connection(("127.0.0.1", base))
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first keeps the port in TIME_WAIT
        client.close()
    from productops.cli.stack.ports import check_ports

    check_ports(Settings(home=home, port_base=base))


def test_home_and_token_are_for_their_user_alone_and_the_token_is_never_shown(start: StartStack, home: Path) -> None:
    stack = start()
    token = token_path(home).read_text().strip()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(token_path(home).stat().st_mode) == 0o600
    assert len(token) >= 32
    assert token not in stack.text
    assert str(token_path(home)) in stack.text
    assert token not in (home / "run" / "stack.json").read_text()
    prepare_home(home)
    assert token_path(home).read_text().strip() == token


def test_a_home_that_cannot_be_made_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="--home"):
        prepare_home(tmp_path / "file" / "home")


def test_a_newer_schema_is_refused_and_nothing_is_left(home: Path) -> None:
    home.mkdir()
    database = home / "productops.db"
    begin_migration(f"sqlite:///{database}")()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    answer = run_cli("up", "--home", str(home), "--port-base", str(free_port_base()))
    assert answer.returncode == SettingsError.exit_code
    assert "newer productops" in answer.stderr
    assert not (home / "logs" / "api.log").exists()
    assert HomeProcesses(home).find() == []
    assert not (home / "run" / "stack.json").exists()


NO_ROUTER = """
import sys
from dataclasses import replace
from pathlib import Path
from productops.cli.stack.start import Stack
from productops.errors import DependencyError
from productops.settings import Settings
from tests.integration.test_stack.lab import Part, make_specs
def no_program():
    raise DependencyError("there is no Envoy for this platform")
settings = Settings(home=Path(sys.argv[1]), port_base=int(sys.argv[2]))
try:
    Stack(settings, make_specs=lambda s: [replace(make_specs([Part("router")], s)[0], command=no_program)]).run()
except DependencyError as error:
    sys.exit(f"said: {error}")
"""


def test_what_cannot_run_on_this_machine_is_an_error_at_once(home: Path) -> None:
    command = [sys.executable, "-c", NO_ROUTER, str(home), str(free_port_base())]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 1
    assert answer.stderr == "said: there is no Envoy for this platform\n"


def test_a_detached_stack_is_ready_when_the_command_returns_and_down_ends_it(home: Path) -> None:
    base = free_port_base()
    parts = '[{"name": "worker"}]'
    command = (sys.executable, "-m", "tests.integration.test_stack.lab", str(home), str(base), parts)
    said: list[str] = []
    record = detach.start_detached(Settings(home=home, port_base=base), say=said.append, command=command)
    try:
        assert os.getsid(record.pid) == record.pid
        assert [each.state for each in record.processes] == ["running"]
        assert str(home / "logs" / "supervisor.log") in said[0]
        with pytest.raises(AlreadyRunningError):
            detach.start_detached(Settings(home=home, port_base=base), say=said.append, command=command)
    finally:
        stop_stack(home, say=said.append)
    assert not lives(record.processes[0].pid)


def test_a_detached_start_that_fails_says_why(home: Path) -> None:
    base = free_port_base()
    with closing(socket.create_server(("127.0.0.1", base))), pytest.raises(Exception, match=f"port {base}") as caught:
        detach.start_detached(Settings(home=home, port_base=base), say=lambda _: None)
    assert getattr(caught.value, "exit_code", 0) == PortTakenError.exit_code


def test_output_files_stay_bounded_and_keep_their_predecessor(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "api.log"
    first = open_output(log)
    os.write(first, b"x" * (LARGEST_BYTES + 1))
    bound_output(log)
    os.write(first, b"after")
    os.close(first)
    assert log.read_bytes() == b"after"
    assert log.with_name("api.log.1").stat().st_size == LARGEST_BYTES + 1
    log.write_bytes(b"y" * (LARGEST_BYTES + 1))
    os.close(open_output(log))
    assert log.stat().st_size == 0


def test_waits_before_restarts_double_up_to_their_bound() -> None:
    assert [Backoff().delay_s(deaths) for deaths in (1, 2, 3, 6, 7, 99)] == [0.2, 0.4, 0.8, 6.4, 10.0, 10.0]
    assert [Backoff(first_s=0.02, longest_s=2.0, at_once=True).delay_s(deaths) for deaths in (1, 2, 3, 12)] == [0.0, 0.02, 0.04, 2.0]


def run_cli(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "productops.cli.main", *arguments],
        cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_mistakes_are_told_in_a_sentence_and_by_exit_code(tmp_path: Path) -> None:
    nothing = run_cli("status", "--home", str(tmp_path / "none"))
    assert nothing.returncode == 71
    assert nothing.stderr.startswith("error: no stack runs in")
    assert "productops up" in nothing.stderr
    wrong = run_cli("up", PRODUCTOPS_PORT_BASE="7", PRODUCTOPS_HOME=str(tmp_path / "none"))
    assert wrong.returncode == SettingsError.exit_code
    assert "PRODUCTOPS_PORT_BASE" in wrong.stderr
    both = run_cli("up", "--postgres", "--database-url", "sqlite:///x.db", PRODUCTOPS_HOME=str(tmp_path / "none"))
    assert both.returncode == 64
    assert "exclude each other" in both.stderr
    assert run_cli("up", "--unknown").returncode == 2
    assert not any("Traceback" in each.stderr for each in (nothing, wrong, both))


def test_what_nobody_foresaw_leaves_a_report_and_exit_70(tmp_path: Path) -> None:
    # A home that is a file makes reading the record fail in a way no check covers.
    home = tmp_path / "home"
    (home / "run" / "stack.json").mkdir(parents=True)
    answer = run_cli("down", "--home", str(home))
    assert answer.returncode in {70, 71}
    assert "Traceback" not in answer.stderr


def test_help_loads_no_heavy_library() -> None:
    code = "import sys, productops.cli.main; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout.split()
    assert not {"sqlalchemy", "httpx", "numpy", "scipy", "rich", "fastapi", "prefect", "matplotlib"} & set(loaded)
    answer = run_cli("--help")
    assert all(command in answer.stdout for command in ("up", "down", "status", "doctor", "release"))
