"""Feature flags: who gets which variant, how that may change, and which flags have outlived their use."""

from productops.domain.release_flags.changes import Change, ChangeState, Operation, changed, describe
from productops.domain.release_flags.flag import Exposure, Flag, FlagCount, FlagUse, Revision, everybodys_variant
from productops.domain.release_flags.stale import StaleFlag, StaleReason, stale_flags

__all__ = [
    "Change", "ChangeState", "Exposure", "Flag", "FlagCount", "FlagUse", "Operation", "Revision", "StaleFlag", "StaleReason", "changed",
    "describe", "everybodys_variant", "stale_flags",
]  # fmt: skip
