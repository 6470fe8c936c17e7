"""An instance starts, is found again, and ends with all its children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from productops.adapters.local_process import LocalProcessTarget, free_port
from productops.domain.routing import Endpoint
from productops.ports import InstanceTarget

from .support import SLEEP, end, eventually, output, program, runs, service, start, timed

SERVER = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404); self.end_headers(); self.wfile.write(b"ok")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


def test_an_instance_starts_becomes_healthy_and_ends_when_asked(tmp_path: Path, target: LocalProcessTarget) -> None:
    as_port: InstanceTarget = target
    program(tmp_path, SERVER)
    port = free_port(range(18_400, 18_500))
    what = service(tmp_path, "{python}", "app.py", "{port}")
    process = start(target, what, port=port)
    eventually(lambda: as_port.healthy(what, Endpoint("127.0.0.1", port)))
    assert target.alive(process.pid, process.started)
    assert target.find() == {"i1": process}
    assert abs(process.started - time.time()) < 10
    target.stop(process.pid, process.started)
    eventually(lambda: not target.alive(process.pid, process.started))
    assert not target.healthy(what, Endpoint("127.0.0.1", port))
    assert target.find() == {}
    target.stop(process.pid, process.started)
    target.stop(process.pid, process.started, kill=True)


def test_an_instance_outlives_its_starter_and_the_next_one_finds_it(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, SLEEP)
    starter = f"""
import os, signal, sys
from pathlib import Path
from productops.adapters.local_process import LocalProcessTarget
from productops.domain.catalog import Service
from productops.domain.release import Environment
target = LocalProcessTarget(Path({str(tmp_path / "home")!r}))
what = Service.model_validate_json(sys.stdin.read())
target.start(what, Environment.PRODUCTION, "1", instance_id="survivor", port=1)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", starter], input=service(tmp_path).model_dump_json(), text=True, timeout=20, check=False)
    assert done.returncode == -signal.SIGKILL
    found = target.find()
    assert list(found) == ["survivor"]
    assert target.alive(found["survivor"].pid, found["survivor"].started)
    end(target, found["survivor"])
    assert target.find() == {}


def test_a_step_of_the_wall_clock_does_not_make_an_instance_a_stranger(tmp_path: Path, target: LocalProcessTarget) -> None:
    if not psutil.LINUX:
        pytest.skip("elsewhere creation times do not depend on the date of the boot")
    program(tmp_path, SLEEP)
    process = start(target, service(tmp_path))
    # What the next agent reads when the clock was set an hour back in between: the system's own date of the boot has moved.
    record = tmp_path / "home" / "boot.json"
    known = json.loads(record.read_text())
    assert known["booted"] == psutil.boot_time()
    record.write_text(json.dumps(known | {"booted": known["booted"] + 3600}))
    later = LocalProcessTarget(tmp_path / "home")
    assert later.alive(process.pid, process.started + 3600)
    assert later.find()["i1"].started == pytest.approx(process.started + 3600, abs=0.001)
    record.write_text(json.dumps({"boot_id": "another boot", "booted": 1.0}))
    assert LocalProcessTarget(tmp_path / "home").alive(process.pid, process.started)
    record.write_text("torn")
    assert LocalProcessTarget(tmp_path / "home").alive(process.pid, process.started)


def test_a_reused_pid_is_neither_alive_nor_stopped(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, SLEEP)
    process = start(target, service(tmp_path))
    earlier = process.started - 60
    assert not target.alive(process.pid, earlier)
    target.stop(process.pid, earlier)
    target.stop(process.pid, earlier, kill=True)
    time.sleep(0.1)
    assert target.alive(process.pid, process.started)


def test_our_own_process_and_session_cannot_be_stopped_by_a_wrong_record(target: LocalProcessTarget) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.DEVNULL)
    try:
        target.stop(stranger.pid, psutil.Process(stranger.pid).create_time(), kill=True)
        time.sleep(0.1)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_dead_instance_is_reaped_and_not_alive(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, SLEEP)
    process = start(target, service(tmp_path))
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert target.find() == {}
    assert not target.alive(process.pid, process.started)
    assert not psutil.pid_exists(process.pid)
    assert not target.alive(process.pid, process.started)


def test_an_instance_that_crashes_at_once_leaves_its_last_words(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, "print('reading settings'); raise SystemExit('no database')")
    process = start(target, service(tmp_path))
    eventually(lambda: not target.alive(process.pid, process.started))
    assert output(target) == "reading settings\nno database"


def test_children_end_with_their_instance_and_are_not_instances(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(
        tmp_path,
        """
import os, subprocess, sys, time
child = [sys.executable, "-c", "import time; time.sleep(600)"]
pids = [subprocess.Popen(child).pid, subprocess.Popen(child, process_group=0).pid]
print(*pids)
time.sleep(600)
""",
    )
    process = start(target, service(tmp_path))
    eventually(lambda: output(target))
    children = [int(pid) for pid in output(target).split()]
    eventually(lambda: all("-c" in psutil.Process(pid).cmdline() for pid in children))
    assert target.find() == {"i1": process}
    target.stop(process.pid, process.started)
    eventually(lambda: not target.alive(process.pid, process.started))
    eventually(lambda: not any(runs(pid) for pid in children))


def test_children_that_outlive_their_instance_can_still_be_found_and_ended(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(
        tmp_path,
        """
import subprocess, sys
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
print(subprocess.Popen([sys.executable, "-c", code]).pid)
""",
    )
    process = start(target, service(tmp_path))
    eventually(lambda: len(output(target).split()) == 2)
    [child] = [int(word) for word in output(target).split() if word != "deaf"]  # either may be the first to write
    eventually(lambda: not target.alive(process.pid, process.started))
    assert target.find()["i1"].pid == child
    target.stop(process.pid, process.started)
    assert runs(child)
    target.stop(process.pid, process.started, kill=True)
    eventually(lambda: not runs(child))


def test_a_child_that_was_found_ends_although_its_dead_instance_was_not_reaped(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, "import subprocess; subprocess.Popen(['sleep', '600'])")
    process = start(target, service(tmp_path))
    eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    child = target.find()["i1"]
    assert child.pid != process.pid
    target.stop(child.pid, child.started)
    eventually(lambda: not target.alive(child.pid, child.started))
    assert not target.alive(process.pid, process.started)


def test_an_instance_that_ignores_the_request_is_ended_by_kill(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)")
    process = start(target, service(tmp_path))
    eventually(lambda: output(target) == "deaf")
    target.stop(process.pid, process.started)
    time.sleep(0.1)
    assert target.alive(process.pid, process.started)
    end(target, process)


def test_instances_of_another_home_are_left_alone(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, SLEEP)
    start(target, service(tmp_path))
    assert LocalProcessTarget(tmp_path / "other").find() == {}


def test_a_home_reached_by_a_link_is_the_same_home(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, SLEEP)
    process = start(target, service(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path / "home")
    assert LocalProcessTarget(tmp_path / "link").find() == {"i1": process}


def test_many_instances_are_found_quickly(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, "")
    what = service(tmp_path, "sleep", "600")
    started = {f"i{n}": start(target, what, instance_id=f"i{n}") for n in range(40)}
    best = min(timed(target.find) for _ in range(3))
    assert target.find() == started
    # 100 ms for 300 processes, with room for a busy machine.
    assert best < 0.1 * max(len(psutil.pids()), 100) / 300 * 3
