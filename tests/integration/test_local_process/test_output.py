"""Logs: their last lines, their size, their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from productops.adapters.local_process import LocalProcessTarget
from productops.errors import DependencyError, InvalidInputError

from .support import PRODUCTION, SLEEP, eventually, output, program, service, start, timed


def test_the_last_output_is_plain_bounded_text(tmp_path: Path, target: LocalProcessTarget) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(
        b"first\nsecond\n\x1b[31mred\x1b[0m \x1b]0;title\x07text\x00\x08\n10 %\r50 %\r100 %\r\nbad \xff\xfe bytes\n"
        + b"w" * 9000
        + "\nleft \u202eright\u2028\n".encode()
        + b"no newline yet"
    )
    assert target.last_output(log, 6) == "\n".join(
        ["red text", "100 %", "bad \ufffd\ufffd bytes", "w" * 500, "left right", "no newline yet"]
    )
    assert target.last_output(log, 0) == ""
    assert target.last_output(tmp_path / "missing.log") == ""
    assert target.last_output(tmp_path) == ""
    os.mkfifo(tmp_path / "pipe.log")
    assert target.last_output(tmp_path / "pipe.log") == ""


def test_the_last_lines_of_a_huge_log_are_read_from_its_end(tmp_path: Path, target: LocalProcessTarget) -> None:
    log = tmp_path / "x.log"
    with log.open("wb") as stream:
        stream.truncate(20 * 2**30)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\n" + b"".join(b"line %d\n" % n for n in range(100)))
    assert timed(lambda: target.last_output(log)) < 0.2
    assert target.last_output(log, 2) == "line 98\nline 99"
    log.write_bytes(b"x" * 10_000_000)
    assert target.last_output(log) == "x" * 500


def test_a_log_is_cut_while_its_instance_writes_and_its_end_stays_readable(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(
        tmp_path,
        """
import time
for n in range(3000):
    print(f"line {n:05}")
print("half")
while True:
    try: open("go")
    except OSError: time.sleep(0.01)
    else: break
print("after the cut", flush=True)
time.sleep(600)
""",
    )
    start(target, service(tmp_path))
    log = target.log_path("shop", PRODUCTION, "1", "i1")
    eventually(lambda: output(target, lines=1) == "half")
    assert target.trim_logs(100_000) == 0
    assert target.trim_logs(1000) == 1
    assert log.stat().st_size == 0
    assert log.with_name("i1.log.1").stat().st_size == 1000
    assert output(target, lines=2) == "line 02999\nhalf"
    (tmp_path / "v1" / "go").touch()
    eventually(lambda: "after" in output(target))
    assert log.read_bytes() == b"after the cut\n"
    assert output(target, lines=3) == "line 02999\nhalf\nafter the cut"


def test_a_log_whose_end_cannot_be_kept_is_cut_all_the_same(tmp_path: Path, target: LocalProcessTarget) -> None:
    log = target.log_path("shop", PRODUCTION, "1", "i1")
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * 2000)
    log.with_name("i1.log.1").mkdir()
    assert target.trim_logs(1000) == 1
    assert log.stat().st_size == 0
    assert sorted(path.name for path in log.parent.iterdir()) == ["i1.log", "i1.log.1"]


def test_a_log_or_folder_that_cannot_be_made_is_named(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, SLEEP)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "logs").write_text("in the way")
    (tmp_path / "home" / "artifacts").write_text("in the way")
    with pytest.raises(DependencyError, match=r"i1\.log cannot be written"):
        start(target, service(tmp_path))
    with pytest.raises(DependencyError, match="cannot be prepared"):
        target.prepare(service(tmp_path, versions={"kind": "git", "repository": "."}), "1")


def test_logs_are_private_and_lie_by_service_environment_and_version(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, SLEEP)
    start(target, service(tmp_path))
    log = target.log_path("shop", PRODUCTION, "1", "i1")
    assert log == tmp_path / "home" / "logs" / "shop" / "production" / "1" / "i1.log"
    assert log.stat().st_mode & 0o077 == 0
    for hostile in (("..", "1", "i"), ("shop", "../1", "i"), ("shop", "1", "../i"), ("shop", "1", "a/b"), ("", "1", "i")):
        with pytest.raises(InvalidInputError):
            target.log_path(hostile[0], PRODUCTION, hostile[1], hostile[2])
