"""Commands that test a version, as real processes."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from productops.adapters.quality_command import CommandEnd, CommandResult, run_command
from productops.adapters.quality_inputs import read_all
from productops.errors import InvalidInputError, NotFoundError


@dataclass(frozen=True)
class Wanted:
    """A command as a policy declares it."""

    argv: tuple[str, ...]
    name: str = "suite"
    folder: str = "."
    timeout_s: float = 20.0
    memory_mb: int = 0
    cpu_s: float = 0.0
    artifacts: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


def python(code: str, **more: object) -> Wanted:
    return replace(Wanted((sys.executable, "-c", code)), **more)  # type: ignore[arg-type]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    return folder


def run(command: Wanted, sources: Path) -> CommandResult:
    return run_command(command, sources, sources.parent / f"out-{time.monotonic_ns()}")


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_output_and_exit_code_are_kept_and_its_files_are_copied(sources: Path) -> None:
    code = "import pathlib, sys; pathlib.Path('r').mkdir(); pathlib.Path('r/a.xml').write_text('<testsuite/>'); print('hello'); sys.exit(3)"
    done = run(python(code, artifacts=("r/*.xml",)), sources)
    assert (done.end, done.exit_code, done.output.strip(), done.succeeded) == (CommandEnd.EXITED, 3, "hello", False)
    assert [path.name for path in done.artifacts] == ["a.xml"]
    assert done.artifacts[0].read_text() == "<testsuite/>"
    assert "exit code 3" in done.sentence


def test_a_timeout_ends_the_whole_group_with_what_left_the_session(sources: Path) -> None:
    code = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "sleeper = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "one = subprocess.Popen(sleeper)\n"
        "two = subprocess.Popen(sleeper, start_new_session=True)\n"
        "open('pids', 'w').write(f'{os.getpid()} {one.pid} {two.pid}')\n"
        "time.sleep(60)\n"
    )
    started = time.monotonic()
    done = run(python(code, timeout_s=1.0), sources)
    assert done.end is CommandEnd.TIMED_OUT
    assert "1 s, its timeout" in done.sentence
    assert time.monotonic() - started < 6
    pids = [int(pid) for pid in (sources / "pids").read_text().split()]
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids)


def test_what_a_command_leaves_behind_in_the_background_is_ended(sources: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "print(left.pid)\n"
    )
    started = time.monotonic()
    done = run(python(code), sources)
    assert done.succeeded
    assert not alive(int(done.output))
    assert time.monotonic() - started < 5  # although the other held the pipe open


def test_memory_of_all_its_processes_together_is_bounded(sources: Path) -> None:
    child = "x = bytearray(90 * 1024 * 1024); import time; time.sleep(30)"
    code = f"import subprocess, sys, time\nfor _ in range(4): subprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(30)\n"
    done = run(python(code, memory_mb=200), sources)
    assert done.end is CommandEnd.OUT_OF_MEMORY
    assert done.memory_mb_max > 200
    assert "200 are allowed" in done.sentence


def test_one_process_cannot_have_more_memory_than_allowed(sources: Path) -> None:
    done = run(python("x = bytearray(400 * 1024 * 1024); print('had it')", memory_mb=100), sources)
    assert not done.succeeded
    assert "had it" not in done.output


def test_processor_time_is_bounded(sources: Path) -> None:
    done = run(python("while True: pass", cpu_s=1.0), sources)
    assert done.end is CommandEnd.OUT_OF_CPU
    assert done.duration_s < 10


def test_processor_time_of_many_short_children_counts(sources: Path) -> None:
    code = "import subprocess, sys\nwhile True: subprocess.run([sys.executable, '-S', '-c', 'for i in range(10**6): pass'])"
    assert run(python(code, cpu_s=1.0), sources).end is CommandEnd.OUT_OF_CPU


def test_a_flood_of_output_is_cut_in_the_middle_and_does_not_stop_the_command(sources: Path) -> None:
    code = "import sys\nprint('FIRST')\nfor _ in range(3000): sys.stdout.write('x' * 9999 + '\\n')\nprint('LAST')"
    done = run(python(code), sources)
    assert done.succeeded
    assert done.output.startswith("FIRST")
    assert done.output.endswith("LAST\n")
    assert done.output_cut_bytes > 29_000_000
    assert len(done.output) < 400_000
    assert f"{done.output_cut_bytes:,} bytes are left out" in done.output


def test_our_secrets_are_not_in_its_environment(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PRODUCTOPS_API_TOKEN", "PREFECT_API_AUTH_STRING", "AWS_SECRET_ACCESS_KEY", "SHOP_URL"):
        monkeypatch.setenv(name, "geheim-geheim")
    done = run(python("import os; print(sorted(os.environ)); print(os.environ['HOME'])", environment=("SHOP_URL",)), sources)
    names, home = done.output.splitlines()
    assert "SHOP_URL" in names
    assert not any(secret in names for secret in ("API_TOKEN", "PREFECT", "AWS"))
    assert home != os.environ.get("HOME")
    assert not Path(home).exists()


def test_no_policy_can_hand_on_our_own_token(sources: Path) -> None:
    with pytest.raises(InvalidInputError, match="PRODUCTOPS_API_TOKEN open this installation"):
        run(python("", environment=("PRODUCTOPS_API_TOKEN",)), sources)


def test_a_report_of_an_earlier_run_is_not_taken_for_one_of_this(sources: Path) -> None:
    old = sources / "old.xml"
    old.write_text('<testsuite><testcase name="t"/></testsuite>')
    os.utime(old, (time.time() - 60, time.time() - 60))
    done = run(python("open('new.xml', 'w').write('<testsuite/>')", artifacts=("*.xml",)), sources)
    assert [path.name for path in done.artifacts] == ["new.xml"]
    assert done.stale == ("old.xml",)


def test_links_out_of_its_folder_are_no_artifacts(sources: Path) -> None:
    outside = sources.parent / "secret.xml"
    outside.write_text("<testsuite/>")
    done = run(python(f"import os; os.symlink({str(outside)!r}, 'a.xml'); os.symlink('..', 'up')", artifacts=("**/*.xml",)), sources)
    assert done.artifacts == ()


@pytest.mark.parametrize("pattern", ["/etc/*", "../*.xml"])
def test_a_pattern_that_leaves_its_folder_is_refused(sources: Path, pattern: str) -> None:
    with pytest.raises(InvalidInputError, match="below its folder"):
        run(python("", artifacts=(pattern,)), sources)


def test_a_folder_outside_of_the_sources_is_refused(sources: Path) -> None:
    with pytest.raises(InvalidInputError, match="leads out of the sources"):
        run(python("", folder="../.."), sources)


def test_a_missing_program_or_folder_is_named(sources: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no program 'no-such-tool'"):
        run(Wanted(("no-such-tool",)), sources)
    with pytest.raises(NotFoundError, match="there is no folder"):
        run(python("", folder="web"), sources)


def test_real_pytest_writes_a_report_that_is_read(sources: Path) -> None:
    (sources / "test_shop.py").write_text("def test_good():\n    pass\n\n\ndef test_bad():\n    assert 1 == 2\n")
    argv = ("{python}", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=out/junit.xml", "test_shop.py")
    done = run(Wanted(argv, artifacts=("out/*.xml",), memory_mb=1000, cpu_s=60), sources)
    parsed = read_all(done.artifacts[0])
    assert done.exit_code == 1
    assert sorted((case.name, case.outcome.bad) for case in parsed.tests) == [("test_bad", True), ("test_good", False)]
