"""A better place in the queue for the processor, for programs that are needed most when everything else wants it, too."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

NICE: Final = -5
_GROUP: Final = Path("/proc/self/autogroup")


def ask_for_priority() -> bool:
    """Whether the system gave it: to others than root it does only where an administrator has allowed it. Nothing depends on it."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except (OSError, AttributeError):
        return False
    with suppress(OSError):  # where the kernel shares by session, that session counts and not the program in it
        _GROUP.write_text(str(NICE), encoding="ascii")
    return True
