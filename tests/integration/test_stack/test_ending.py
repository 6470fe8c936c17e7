"""Whatever way a stack ends, nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from productops.adapters.local_process.processes import INSTANCE_HOME, INSTANCE_ID
from productops.cli.stack.processes import HomeProcesses
from productops.cli.stack.specs import StopStage
from productops.cli.stack.stop import stop_stack
from tests.integration.test_stack.conftest import StartStack
from tests.integration.test_stack.lab import READY, SLEEPER, STUBBORN, Part, lives, until

# Each part notes when it was asked to end, so that the order can be read afterwards.
NOTES = (
    "import signal, sys, time\n"
    "def end(*_):\n  open(sys.argv[3] + '/order', 'a').write(NAME + '\\n'); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n" + SLEEPER
)
# A dispatcher with a flow run in a session of its own, which it leaves behind.
FORKS = READY.replace("import", "import os,", 1) + (
    "\nif os.fork() == 0:\n  os.setsid(); open(sys.argv[3] + '/run.pid', 'w').write(str(os.getpid())); time.sleep(600)\ntime.sleep(600)"
)
# An agent with an instance that knows nothing of the stack, and a helper whose environment was cleaned.
INSTANCES = (
    "import os, subprocess, sys\n"
    f"marks = {{{INSTANCE_ID!r}: 'i-1', {INSTANCE_HOME!r}: sys.argv[3]}}\n"
    "command = [sys.executable, '-S', '-c', 'import time; time.sleep(600)']\n"
    "one = subprocess.Popen(command, env=marks, start_new_session=True)\n"
    "two = subprocess.Popen(command, env={}, start_new_session=True)\n"
    "open(sys.argv[3] + '/instances', 'w').write(f'{one.pid} {two.pid}')\n"
) + SLEEPER


def named(name: str) -> str:
    return f"NAME = {name!r}\n{NOTES}"


def test_ctrl_c_ends_all_in_order_and_leaves_nothing(start: StartStack, home: Path) -> None:
    stack = start(
        Part("prefect", named("prefect"), stage=int(StopStage.SERVERS)),
        Part("postgres", named("postgres"), stage=int(StopStage.DATABASE)),
        Part("dispatcher", FORKS, stage=int(StopStage.FLOWS)),
        Part("agent", INSTANCES),
        Part("api", named("api")),
        Part("stubborn", STUBBORN, stage=int(StopStage.FLOWS), grace_s=0.5),
    )
    pids = [each.pid for each in stack.record().processes]
    pids += [int(pid) for name in ("run.pid", "instances") for pid in until((home / name).read_text).split()]
    assert all(lives(pid) for pid in pids)
    began = time.monotonic()
    stack.signal(signal.SIGINT)
    assert stack.wait() == 0
    assert time.monotonic() - began < 10
    assert [pid for pid in pids if lives(pid)] == []
    assert HomeProcesses(home).find() == []
    assert (home / "order").read_text().split() == ["api", "prefect", "postgres"]
    assert "nothing is left running" in stack.text
    assert not (home / "run" / "stack.json").exists()


def test_a_second_ctrl_c_kills_at_once(start: StartStack) -> None:
    stack = start(*(Part(f"stubborn-{stage}", STUBBORN, stage=stage, grace_s=8.0) for stage in (0, 1, 2, 4)))
    pids = [each.pid for each in stack.record().processes]
    stack.signal(signal.SIGINT)
    stack.until_said("SIGINT: ending the stack")
    time.sleep(0.3)
    began = time.monotonic()
    stack.signal(signal.SIGINT)
    assert stack.wait() == 0
    assert time.monotonic() - began < 2
    assert [pid for pid in pids if lives(pid)] == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_ends_the_stack_like_any_other_request(start: StartStack, number: signal.Signals) -> None:
    stack = start()
    worker = stack.pid("worker")
    assert stack.process.stdout is not None
    stack.process.stdout.close()  # nobody reads what it says any more
    stack.process.stdout = None
    stack.signal(number)
    assert stack.process.wait(timeout=10) == 0
    assert not lives(worker)


def test_down_ends_a_stack_and_says_what(start: StartStack, home: Path) -> None:
    stack = start(Part("api"), Part("agent"))
    pids = [each.pid for each in stack.record().processes]
    said: list[str] = []
    stop_stack(home, say=said.append)
    assert stack.process.wait(timeout=1) == 0
    assert [pid for pid in pids if lives(pid)] == []
    assert all(name in said[0] for name in ("api", "agent", "supervisor"))


def test_down_ends_what_a_killed_supervisor_left_instances_included(start: StartStack, home: Path) -> None:
    stack = start(Part("agent", INSTANCES), Part("dispatcher", FORKS, stage=0))
    pids = [each.pid for each in stack.record().processes]
    pids += [int(pid) for name in ("run.pid", "instances") for pid in until((home / name).read_text).split()][:2]
    os.kill(stack.process.pid, signal.SIGKILL)
    stack.process.wait()
    said: list[str] = []
    stop_stack(home, say=said.append)
    assert [pid for pid in pids if lives(pid)] == []
    assert "ending what no supervisor looks after" in said[0]
    assert str(pids[0]) in said[0]


def test_down_is_no_error_when_nothing_runs(home: Path) -> None:
    said: list[str] = []
    stop_stack(home, say=said.append)
    assert said == [f"nothing runs in {home}"]
    assert not home.exists()


def test_up_after_a_kill_ends_what_was_left_but_leaves_instances_to_the_new_agent(start: StartStack, home: Path) -> None:
    first = start(Part("agent", INSTANCES), Part("dispatcher", FORKS, stage=0))
    old = [each.pid for each in first.record().processes]
    instance, stranger = (int(pid) for pid in until((home / "instances").read_text).split())
    flow_run = int(until((home / "run.pid").read_text))
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    (home / "run" / "stack.json").write_text("{ cut short")  # the mark in the environment is enough
    second = start(Part("agent"), port_base=first.port_base)
    assert "an earlier stack" in second.text
    assert [pid for pid in [*old, flow_run] if lives(pid)] == []
    assert lives(instance)
    os.kill(stranger, signal.SIGKILL)
    second.signal(signal.SIGTERM)
    assert second.wait() == 0
    assert not lives(instance)


def test_a_shell_that_exports_the_home_is_never_ended(start: StartStack, home: Path) -> None:
    shell = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], env={"PRODUCTOPS_HOME": str(home)})
    stack = start()
    stack.signal(signal.SIGTERM)
    assert stack.wait() == 0
    assert shell.poll() is None
    shell.kill()
    shell.wait()
