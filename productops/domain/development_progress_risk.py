"""What this product itself knows of the risk of a release, beside the rule and what was learned from changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from productops.domain.catalog_approvals import RiskLevel
from productops.domain.governance_approvals_risk import Risk

_ORDER = (RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH)
ROLLBACKS_MANY = 2


@dataclass(frozen=True, slots=True)
class Signals:
    """``gates``: state of the newest judgement of the version, None: nobody judged it. ``rolled_back`` of the last ``released``."""

    gates: str | None
    rolled_back: int
    released: int
    incidents: tuple[str, ...]


def raised(risk: Risk, signals: Signals) -> Risk:
    """One level higher for each of: gates that are not passed, many roll backs of late, users of the service are harmed now."""
    found = [
        words
        for words, holds in (
            (f"its quality gates are {signals.gates}", signals.gates is not None and signals.gates != "passed"),
            (f"{signals.rolled_back} of the last {signals.released} releases of the service were rolled back",
             signals.rolled_back >= ROLLBACKS_MANY),
            (f"{len(signals.incidents)} incidents of the service are open", bool(signals.incidents)),
        )
        if holds
    ]  # fmt: skip
    level = _ORDER[min(_ORDER.index(risk.level) + len(found), len(_ORDER) - 1)]
    return Risk(level, (*risk.reasons, *found))
