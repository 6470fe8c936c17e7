"""What an instance is given: command, environment, files, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from productops.adapters.local_process import LocalProcessTarget
from productops.domain.catalog import Service
from productops.errors import DependencyError, InvalidInputError, NotFoundError

from .support import PRODUCTION, eventually, output, program, service, start

TELL = """
import json, os, signal, sys
print(json.dumps({
    "env": dict(os.environ), "args": sys.argv[1:], "cwd": os.getcwd(), "umask": os.umask(0), "session": os.getsid(0) == os.getpid(),
    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "stdin": sys.stdin.read(),
    "files": sorted(int(n) for n in os.listdir("/dev/fd") if os.path.exists(f"/dev/fd/{n}")),
}))
"""


def told(target: LocalProcessTarget, what: Service, port: int = 0) -> dict[str, Any]:
    process = start(target, what, port=port)
    eventually(lambda: not target.alive(process.pid, process.started))
    answer: dict[str, Any] = json.loads(target.log_path("shop", PRODUCTION, "1", "i1").read_text())
    return answer


def test_an_instance_gets_its_placeholders_and_no_shell(tmp_path: Path, target: LocalProcessTarget) -> None:
    folder = program(tmp_path, TELL)
    arguments = ["--port={port}", "{version}", "$HOME; true", '{"a": {b}}', "{port", "{{port}}"]
    answer = told(target, service(tmp_path, "{python}", "app.py", *arguments, env={"BIND": "127.0.0.1:{port}"}), port=4711)
    assert answer["args"] == ["--port=4711", "1", "$HOME; true", '{"a": {b}}', "{port", "{4711}"]
    assert answer["env"]["BIND"] == "127.0.0.1:4711"
    assert Path(answer["cwd"]) == folder


def test_an_instance_gets_a_minimal_environment_without_our_secrets(
    tmp_path: Path, target: LocalProcessTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, TELL)
    monkeypatch.setenv("PRODUCTOPS_API_TOKEN", "secret")
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    mine = {"PORT": "1", "PRODUCTOPS_INSTANCE_ID": "forged", "COLOUR": "blue"}
    answer = told(target, service(tmp_path, env=mine), port=4711)
    given = answer["env"]
    assert "secret" not in json.dumps(answer)
    assert given["PATH"] == os.environ["PATH"]
    assert given["LANG"] == "C.UTF-8"
    assert given["COLOUR"] == "blue"
    assert given["PORT"] == "4711"
    assert given["PRODUCTOPS_INSTANCE_ID"] == "i1"
    assert given["PRODUCTOPS_INSTANCE_HOME"] == str(tmp_path / "home")
    names = (given["PRODUCTOPS_SERVICE"], given["PRODUCTOPS_ENVIRONMENT"], given["PRODUCTOPS_VERSION"])
    assert names == ("shop", "production", "1")


def test_an_instance_inherits_no_files_no_signal_mask_and_no_terminal(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, TELL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    umask = os.umask(0o077)
    try:
        with tempfile.TemporaryFile() as leak:
            os.set_inheritable(leak.fileno(), True)
            answer = told(target, service(tmp_path))
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= {signal.SIGTERM, signal.SIGINT}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.umask(umask)
    assert (answer["blocked"], answer["umask"], answer["stdin"], answer["session"]) == (0, 0o022, "", True)
    assert answer["files"] == [0, 1, 2]


@pytest.mark.parametrize("missing", ["no-such-program-here", "./run.sh", "bin/run"])
def test_a_missing_program_is_named(tmp_path: Path, target: LocalProcessTarget, missing: str) -> None:
    program(tmp_path, "")
    with pytest.raises(NotFoundError, match=re.escape(missing)):
        start(target, service(tmp_path, missing))
    assert target.find() == {}


def test_a_program_of_the_version_itself_runs(tmp_path: Path, target: LocalProcessTarget) -> None:
    script = program(tmp_path, "") / "run.sh"
    script.write_text("#!/bin/sh\necho from $PWD on $PORT\n")
    with pytest.raises(NotFoundError, match=r"run\.sh"):
        start(target, service(tmp_path, "./run.sh"))
    script.chmod(0o755)
    process = start(target, service(tmp_path, "./run.sh"), port=7)
    eventually(lambda: not target.alive(process.pid, process.started))
    assert output(target) == f"from {tmp_path / 'v1'} on 7"


def test_a_command_no_process_can_have_is_refused(tmp_path: Path, target: LocalProcessTarget) -> None:
    (program(tmp_path, "") / "broken").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "v1" / "broken").chmod(0o755)
    with pytest.raises(DependencyError, match="broken"):
        start(target, service(tmp_path, "./broken"))
    with pytest.raises(InvalidInputError, match="null byte"):
        start(target, service(tmp_path, "true", "a\0b"))
    with pytest.raises(InvalidInputError, match="environment"):
        start(target, service(tmp_path, "true", env={"A=B": "c"}))
