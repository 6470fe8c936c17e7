"""One Envoy after the other on the same port: the arguments by which a successor finds the one that runs, and takes over from it.

Both share a memory segment and a socket named by a number that the first one chose (Envoy's "base id"). The successor gets the
listening sockets themselves, so that no connection is refused in between; the other one answers what it has and ends.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from productops.errors import RouterError

DRAIN_S = 10
"""For so long the former router asks its connections to close after their next answer."""
END_S = 20
"""After so long it ends, whatever it is still doing."""
SUPPORTED = sys.platform == "linux"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux keeps named segments


class Succession:
    """The numbers of the routers in a folder. Not safe for two at a time: the supervisor alone starts routers."""

    def __init__(self, folder: Path) -> None:
        self._base_id = folder / "base-id"
        self._epoch = folder / "epoch"

    def first(self) -> list[str]:
        """Arguments of a router that follows nobody. Elsewhere than on Linux it cannot be followed either."""
        if not SUPPORTED:
            return ["--disable-hot-restart"]
        self._forget_segment()
        self._write_epoch(0)
        return ["--use-dynamic-base-id", "--base-id-path", str(self._base_id), "--restart-epoch", "0", *_times()]

    def next(self) -> list[str]:
        """Arguments of the successor of the one that runs. Raises: RouterError when that one cannot be followed."""
        try:
            base_id, epoch = int(self._base_id.read_text()), int(self._epoch.read_text()) + 1
        except (OSError, ValueError) as error:
            raise RouterError(f"the router that runs cannot be followed by another: {error}") from error
        self._write_epoch(epoch)
        return ["--base-id", str(base_id), "--restart-epoch", str(epoch), *_times()]

    def epoch(self) -> int:
        """Number of the router that was started last; -1 when none was."""
        try:
            return int(self._epoch.read_text())
        except (OSError, ValueError):
            return -1

    def _write_epoch(self, epoch: int) -> None:
        try:
            self._epoch.parent.mkdir(parents=True, exist_ok=True)
            self._epoch.write_text(str(epoch))
        except OSError as error:
            raise RouterError(f"cannot write {self._epoch}: {error}") from error

    def _forget_segment(self) -> None:
        """A killed router leaves its segment behind; each start would add another."""
        with contextlib.suppress(OSError, ValueError):
            (_SHARED_MEMORY / f"envoy_shared_memory_{int(self._base_id.read_text())}0").unlink()


def _times() -> list[str]:
    return ["--drain-time-s", str(DRAIN_S), "--parent-shutdown-time-s", str(END_S), "--drain-strategy", "immediate"]
