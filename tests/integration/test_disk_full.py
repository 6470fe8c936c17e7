"""A full disk: users get the baseline back all the same."""

import os
import subprocess
import sys

import pytest

from productops.adapters.envoy.files import BALLAST, Files
from productops.errors import RouterError


@pytest.fixture
def small_disk(tmp_path):
    """Two megabytes that can be filled; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("filling a disk of its own needs the right to mount one (root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


def fill(folder):
    with (folder / "junk").open("wb", buffering=0) as junk:
        try:
            while True:
                junk.write(b"x" * 4096)
        except OSError:
            return


def test_the_router_is_still_told_on_a_full_disk(small_disk):
    files = Files(small_disk)
    files.put("rds.json", "20 % candidate")
    assert (small_disk / BALLAST).exists()
    fill(small_disk)
    files.put("rds.json", "baseline" * 1000)
    assert (small_disk / "rds.json").read_text() == "baseline" * 1000


def test_a_disk_without_any_room_is_said_and_the_old_file_stays(small_disk):
    files = Files(small_disk)
    files.put("rds.json", "old")
    (small_disk / BALLAST).unlink()
    fill(small_disk)
    with pytest.raises(RouterError, match="No space"):
        files.put("rds.json", "new" * 10_000)
    assert (small_disk / "rds.json").read_text() == "old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_log_that_cannot_be_written_ends_no_program():
    code = (
        "import structlog; from productops.settings import load_settings; from productops.logs import set_up_logs\n"
        "set_up_logs(load_settings(), program='x'); structlog.get_logger().warning('w'); print('alive')"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stderr=full, stdout=subprocess.PIPE, text=True, check=False)
    assert done.stdout == "alive\n"
