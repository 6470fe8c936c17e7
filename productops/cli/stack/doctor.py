"""``productops doctor``: what is wrong on this machine, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from productops.cli.stack.home import resolved
from productops.cli.stack.state import is_locked, read_state
from productops.settings import Settings

Judgement = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one check. A ``note`` is worth knowing and stops nothing; ``mend`` says what to do, empty when nothing."""

    check: str
    judgement: Judgement
    detail: str
    mend: str = ""


Check = Callable[[Settings], Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings."""

    findings: list[Finding]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return all(finding.judgement != "wrong" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"healthy": self.healthy, "findings": [asdict(finding) for finding in self.findings]}


def examine(settings: Settings, checks: Sequence[tuple[str, Check]] | None = None) -> Diagnosis:
    """Carry out every check; one that breaks is itself a finding. Changes nothing."""
    if checks is None:
        from productops.cli.stack.doctor_checks import CHECKS  # here: they import this module

        checks = CHECKS
    settings = resolved(of_running_stack(settings))
    return Diagnosis([finding for name, check in checks for finding in _carry_out(name, check, settings)])


def of_running_stack(settings: Settings) -> Settings:
    """``settings`` with what the stack in that home runs with, wherever nothing was given: that stack is the patient."""
    home = resolved(settings).home
    record = read_state(home)
    if record is None or not is_locked(home):
        return settings
    seen = {"port_base": int, "catalog": Path, "database_url": str, "prefect_database_url": str}
    running = {
        name: kind(record.settings[name])
        for name, kind in seen.items()
        if name not in settings.model_fields_set and "***" not in record.settings[name]
    }
    return settings.model_copy(update=running)


def _carry_out(name: str, check: Check, settings: Settings) -> Sequence[Finding]:
    try:
        return check(settings)
    except Exception as error:  # noqa: BLE001 - a doctor who faints helps nobody: the other checks still count
        return [Finding(name, "wrong", f"the check itself failed: {type(error).__name__}: {error}", "report this with the text above")]
