"""Segments: what was answered is on the disk, whatever becomes of writers and disks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from productops.adapters.analytics_events_segments import SegmentWriter, frame_of, read_frames, sealed_segments, segments
from productops.errors import EventsBusyError, EventsDiskFullError


def test_a_torn_tail_is_left_out_and_a_dead_writers_segment_is_adopted(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        writer = SegmentWriter(tmp_path, segment_age_s=100)
        writer.submit(frame_of("apollo", [["a"]])).result(5)
        os._exit(0)
    os.waitpid(child, 0)
    mine = SegmentWriter(tmp_path, segment_age_s=100)
    mine.submit(frame_of("apollo", [["b"]])).result(5)
    with next(path for path in segments(tmp_path) if next(read_frames(path)).rows == [["a"]]).open("ab") as file:
        file.write(frame_of("apollo", [["torn"]])[:-3])
    adopted = sealed_segments(tmp_path)
    assert [frame.rows for path in adopted for frame in read_frames(path)] == [[["a"]]]
    mine.close()
    assert len(sealed_segments(tmp_path)) == 2


def test_what_is_written_after_a_segment_was_taken_away_is_written_again(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, segment_age_s=100)
    writer.submit(frame_of("apollo", [["a"]])).result(5)
    path = segments(tmp_path)[0]
    path.rename(path.with_suffix(".seg"))
    path.with_suffix(".seg").unlink()
    writer.submit(frame_of("apollo", [["b"]])).result(5)
    writer.close()
    assert [frame.rows for each in segments(tmp_path) for frame in read_frames(each)] == [[["b"]]]


FULL = """
import pathlib, resource, signal, sys
from productops.adapters.analytics_events_segments import SegmentWriter, frame_of
from productops.errors import EventsDiskFullError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = SegmentWriter(pathlib.Path(sys.argv[1]), segment_age_s=100)
writer.submit(frame_of("apollo", [["a"]])).result(30)
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (60, before[1]))
try:
    writer.submit(frame_of("apollo", [["too much for sixty bytes"]])).result(30)
except EventsDiskFullError:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    writer.submit(frame_of("apollo", [["c"]])).result(30)
    writer.close()
    sys.exit(7)
"""


def test_a_full_disk_is_told_to_the_client_and_the_next_event_is_kept(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, timeout=120, check=False)
    assert done.returncode == 7, done.stderr
    assert [frame.rows for each in segments(tmp_path) for frame in read_frames(each)] == [[["a"]], [["c"]]]


def test_with_little_space_or_a_long_backlog_clients_are_asked_to_come_back(tmp_path: Path) -> None:
    full = SegmentWriter(tmp_path, free_bytes_min=2**60)
    with pytest.raises(EventsDiskFullError, match="little space"):
        full.submit(frame_of("apollo", [["a"]])).result(30)
    slow = SegmentWriter(tmp_path / "slow", backlog_bytes_max=10)
    slow.submit(frame_of("apollo", [["a"]])).result(30)
    time.sleep(1.1)
    with pytest.raises(EventsBusyError, match="sorted in"):
        slow.submit(frame_of("apollo", [["b"]])).result(30)
    with pytest.raises(EventsBusyError, match="wait for the disk"):
        SegmentWriter(tmp_path, waiting_bytes_max=10).submit(frame_of("apollo", [["b"]]))
    slow.close()
    full.close()
