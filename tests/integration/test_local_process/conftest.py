"""A target in a home of its own; whatever a test leaves running is ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from productops.adapters.local_process import LocalProcessTarget

from .support import end


@pytest.fixture
def target(tmp_path: Path) -> Iterator[LocalProcessTarget]:
    home = tmp_path / "home"
    target = LocalProcessTarget(home)
    yield target
    for process in target.find().values():
        end(target, process)
