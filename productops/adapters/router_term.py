"""Which agent may write a router: a term in a folder, for routers whose own configuration does not carry one."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from productops.errors import RouterError

_PATIENCE_S = 2.0


class RouterTerm:
    """The newest term that claimed ``folder``. An agent of an earlier term, frozen and revived, is refused every write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._term: int | None = None

    def claim(self, term: int) -> None:
        """Write as the agent of ``term`` from now on. Raises: RouterError when a later one has the folder."""
        self._term = term
        with self.held():
            fresh = self._folder / "term.new"
            fresh.write_text(str(term), encoding="ascii")
            fresh.replace(self._folder / "term")

    def latest(self) -> int:
        """The last term that claimed the folder; 0 when none has."""
        try:
            return int((self._folder / "term").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else writes meanwhile, and nobody later has claimed. Raises: RouterError otherwise."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self._folder / "term.lock").open("a")
        except OSError as error:
            raise RouterError(f"the router's folder {self._folder} cannot be written: {error.strerror}") from error
        with lock:
            self._wait(lock.fileno())
            if self._term is not None and (latest := self.latest()) > self._term:
                raise RouterError(f"the router in {self._folder} belongs to the agent of term {latest}; this one had term {self._term}")
            yield

    def _wait(self, descriptor: int) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the file is closed
            except BlockingIOError:
                if time.monotonic() > deadline:
                    reason = f"another process has been writing in {self._folder} for {_PATIENCE_S:g} s; is an agent frozen?"
                    raise RouterError(reason) from None
                time.sleep(0.005)
            else:
                return
