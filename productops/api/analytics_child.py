"""A process of our own that works beside the API: started when there is work, started again when it died, ended with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)
END_S = 10.0


@dataclass(slots=True)
class Child:
    """``python -m module <our pid>`` with the settings in ``given``. After trouble it waits for ``again_s`` seconds."""

    module: str
    given: Mapping[str, str]
    again_s: float
    _process: subprocess.Popen[bytes] | None = None
    _not_before: float = 0.0

    def look(self, is_needed: Callable[[], bool]) -> None:
        """Start it if it is needed and does not run. Raises: OSError when it cannot be started, and what ``is_needed`` does."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._process = None
            if code != 0:
                log.warning("a process ended early", module=self.module, exit_code=code)
                self.rest()
        if time.monotonic() >= self._not_before and is_needed():
            command = [sys.executable, "-m", self.module, str(os.getpid())]
            self._process = subprocess.Popen(command, env=os.environ | dict(self.given), stdin=subprocess.DEVNULL)

    def rest(self) -> None:
        """Start none for a while."""
        self._not_before = time.monotonic() + self.again_s

    def end(self) -> None:
        """End it; what it was doing is done again by whoever comes next."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
