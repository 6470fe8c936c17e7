"""Who had a flag's feature when: what a service says in its answers, and what that is called in the counters."""

from __future__ import annotations

import re

EXPOSURE_HEADER = "x-productops-exposure"
"""On an answer: ``<flag>=<variant>`` for each flag that was evaluated for it, separated by commas."""
ARM_CHARACTERS_MAX = 100
FLAGS_MAX = 20
_EXPOSURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}=[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def flag_arm(flag: str, variant: str) -> str:
    """What the counters call the answers to users who had ``variant``; at most 100 characters are stored."""
    return f"flag:{flag}={variant}"


def exposed_arms(header: str) -> tuple[str, ...]:
    """Arms an answer belongs to, by its header. What is no exposure is left out, and so is what comes after twenty of them."""
    found = dict.fromkeys(part for raw in header.split(",")[:FLAGS_MAX] if _EXPOSURE.fullmatch(part := raw.strip()))
    return tuple(arm for part in found if len(arm := f"flag:{part}") <= ARM_CHARACTERS_MAX)


def upper_bound_ms(duration_ms: int) -> float:
    """Upper bound of the bucket of a latency in whole milliseconds (its fraction dropped): two digits are kept, 1 ms at least."""
    width = 10 ** max(0, len(str(duration_ms)) - 2)
    return float((duration_ms // width + 1) * width)
