"""Numbers as tools write them: with commas of some country, with units, or not numbers at all."""

from __future__ import annotations

import math
import re

DURATION_S_MAX = 10 * 365 * 86_400.0

_THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+")


def number_of(written: str) -> float | None:
    """A finite number; ``1,234.5``, ``1.234,5``, ``1,234`` (a thousand and more) and ``0,005`` are read. None for anything else."""
    text = written.strip()
    if "," in text:
        text = _without_commas(text)
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) and "_" not in text else None


def _without_commas(text: str) -> str:
    """The comma is a decimal mark when it comes last and is alone, unless three digits follow a number that does not begin with 0."""
    comma, point = text.rfind(","), text.rfind(".")
    if point > comma or _THOUSANDS.fullmatch(text):
        return text.replace(",", "")
    return text.replace(".", "").replace(",", ".") if text.count(",") == 1 else "no number"


def seconds_of(written: str) -> float | None:
    """A duration in seconds, 0 … ten years; None for anything else."""
    found = number_of(written)
    return abs(found) if found is not None and 0 <= found <= DURATION_S_MAX else None  # of -0.000, too


def whole_of(written: str, *, otherwise: int = 0) -> int:
    """A whole number that is not negative, at most 2**31; ``otherwise`` for anything else."""
    found = number_of(written)
    return int(found) if found is not None and 0 <= found <= 2**31 else otherwise
