"""What drills break is really broken, and mended by what was written down before."""

import errno
import subprocess
import sys
import time

import psutil
import pytest

from productops.adapters.incident_faults import FAULTS, fault
from productops.errors import InvalidInputError, NotFoundError

WRITER = "import sys, time\nwhile True:\n    print(1, flush=True)\n    time.sleep(0.01)\n"


class Doors:
    """An installation with one instance."""

    def __init__(self, process=None, service="shop", incident="open"):
        self.process, self.service, self.incident, self.asked = process, service, incident, []

    def instances(self, service):
        if self.process is None or service != self.service:
            return []
        found = psutil.Process(self.process.pid)
        return [{"id": "one", "service": service, "pid": found.pid, "started": found.create_time(), "version": "1.0"}]

    def post(self, path, body):
        self.asked.append((path, body))
        return {"id": "r1", "incident": {"incident_id": "i1"}}

    def get(self, path):
        if "/incidents/" in path:
            return {"status": self.incident}
        return {"revision": 7, "phase": "promoted"} if len(self.asked) == 0 or "flags" not in path else {"revision": 8}


@pytest.fixture
def instance():
    process = subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def eventually(condition, within_s=5.0):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lives(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def stopped(process):
    return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


def test_a_frozen_instance_stands_still_until_it_is_mended(instance):
    frozen, doors = fault("frozen-instance"), Doors(instance)
    planned = frozen.plan(doors, {"service": "shop"})
    frozen.inject(doors, planned)
    eventually(lambda: stopped(instance))
    frozen.undo(doors, planned)
    frozen.undo(doors, planned)
    eventually(lambda: not stopped(instance))


def test_a_killed_instance_is_killed_three_times_in_a_row_and_then_left_to_live(instance):
    killed, doors = fault("killed-instance"), Doors(instance)
    planned = killed.plan(doors, {"service": "shop"})
    killed.inject(doors, planned)
    assert instance.wait(timeout=5) == -9
    lives_of = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(3)]
    try:
        for each in lives_of:
            doors.process = each
            killed.hold(doors, planned)
        assert [each.wait(timeout=5) for each in lives_of[:2]] == [-9, -9]
        assert lives_of[2].poll() is None
    finally:
        for each in lives_of:
            each.kill()
            each.wait()
    killed.undo(doors, planned)


def test_a_recycled_pid_is_left_alone(instance):
    frozen, doors = fault("frozen-instance"), Doors(instance)
    planned = frozen.plan(doors, {"service": "shop"})
    planned["processes"][0]["started"] -= 3600
    frozen.inject(doors, planned)
    time.sleep(0.1)
    assert not stopped(instance)


def test_a_slow_dependency_stands_most_of_the_time_and_goes_on_once_it_is_mended(instance):
    slow, doors = fault("slow-dependency"), Doors(instance, service="payments")
    planned = slow.plan(doors, {"service": "shop", "dependency": "payments"})
    planned |= slow.inject(doors, planned)
    eventually(lambda: stopped(instance))
    seen = []
    for _ in range(40):
        seen.append(stopped(instance))
        time.sleep(0.02)
    assert sum(seen) > 20
    slow.undo(doors, planned)
    assert not psutil.pid_exists(planned["helper"]["pid"])
    eventually(lambda: not stopped(instance))
    time.sleep(0.4)
    assert not stopped(instance)


def test_a_full_disk_gives_the_kernels_own_answer_and_the_file_comes_back(tmp_path):
    full, doors, path = fault("full-disk"), Doors(), tmp_path / "journal"
    path.write_text("before\n")
    planned = full.plan(doors, {"path": str(path)})
    full.inject(doors, planned)
    with pytest.raises(OSError, match="No space left") as caught, path.open("a") as file:
        file.write("order\n")
    assert caught.value.errno == errno.ENOSPC
    full.undo(doors, planned)
    full.undo(doors, planned)
    assert path.read_text() == "before\n"


def test_room_that_somebody_made_is_not_taken_away_again(tmp_path):
    full, doors, path = fault("full-disk"), Doors(), tmp_path / "journal"
    path.write_text("before\n")
    planned = full.plan(doors, {"path": str(path)})
    full.inject(doors, planned)
    path.unlink()
    path.write_text("after\n")
    full.undo(doors, planned)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("after\n", [path])


BREAKS = """
import json, sys, time
from productops.adapters.incident_faults import fault
hog = fault("cpu-hog")
planned = hog.plan(None, {"pid_file": sys.argv[1]}) | {"processors": 2}
print(json.dumps(hog.inject(None, planned)["hogs"]), flush=True)
time.sleep(60)
"""


def test_what_a_killed_drill_started_ends_with_it(tmp_path):
    import json

    process = subprocess.Popen([sys.executable, "-c", BREAKS, str(tmp_path / "pids")], stdout=subprocess.PIPE)
    hogs = json.loads(process.stdout.readline())
    assert (tmp_path / "pids").read_text().split() == [str(each["pid"]) for each in hogs]
    eventually(lambda: sum(psutil.Process(each["pid"]).cpu_times().user for each in hogs) > 0.1, within_s=20)
    process.kill()
    process.wait()
    process.stdout.close()
    eventually(lambda: not any(lives(each["pid"]) for each in hogs), within_s=20)


def test_a_flag_goes_back_to_the_revision_it_had():
    flag, doors = fault("bad-flag"), Doors()
    planned = flag.plan(doors, {"flag": "new-checkout", "environment": "production"})
    flag.inject(doors, planned)
    flag.undo(doors, planned)
    assert [path for path, _ in doors.asked] == ["/flags/new-checkout/ramp", "/flags/new-checkout/restore"]
    assert doors.asked[1][1]["revision"] == 7


@pytest.mark.parametrize(("status", "asked"), [("investigating", 1), ("resolved", 0), ("closed", 0)])
def test_a_reported_harm_is_resolved_unless_somebody_did(status, asked):
    doors = Doors(incident=status)
    fault("report").undo(doors, {"incident_id": "i1"})
    assert len(doors.asked) == asked


def test_a_fault_says_what_it_lacks_before_anything_is_broken():
    with pytest.raises(NotFoundError, match="bad-flag"):
        fault("nothing")
    for name, made in FAULTS.items():
        if name != "report":
            with pytest.raises((InvalidInputError, NotFoundError)):
                made.plan(Doors(), {"service": "shop", "environment": "production"})
