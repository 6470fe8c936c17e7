"""What an operator of this shop would run: ``calm FILE`` ends the batch jobs named there, ``make-room FILE`` begins the journal anew."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path


def calm(pids: Path) -> str:
    """End each batch job whose pid is in the file and that is one of ours."""
    ended = 0
    for pid in map(int, pids.read_text().split() if pids.exists() else ()):
        with suppress(OSError):
            if b"incident_faults" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                ended += 1
    return f"{ended} batch jobs were ended"


def make_room(journal: Path) -> str:
    """The journal goes on in a new file, where there is room."""
    if journal.is_symlink():
        journal.unlink()
    journal.touch()
    return f"{journal} has room again"


if __name__ == "__main__":
    sys.stdout.write({"calm": calm, "make-room": make_room}[sys.argv[1]](Path(sys.argv[2])) + "\n")
