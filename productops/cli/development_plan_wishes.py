"""What people write after ``productops plan what-if``, as scenarios; and comparing without a server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from productops.errors import InvalidInputError

_SHARE = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<percent>\s*%)?")
Words = Sequence[str] | None


def scenarios_of(
    *, add_person: Words, remove_person: Words, share: Words, drop_feature: Words, deadline: Words, together: bool
) -> list[dict[str, Any]]:  # fmt: skip
    """A case for each, or one of all. Raises: InvalidInputError that says how it is written."""
    changes = [_person(each) for each in add_person or ()]
    changes += [{"kind": "remove-person", "person": each} for each in remove_person or ()]
    for each in share or ():
        name, told = _pair(each, "--share", "NAME=50%")
        changes.append({"kind": "change-share", "person": name, "share": _share(told)})
    changes += [{"kind": "drop-feature", "feature": each} for each in drop_feature or ()]
    changes += [_deadline(each) for each in deadline or ()]
    if not changes:
        raise InvalidInputError("say what would be: --add-person, --remove-person, --share, --drop-feature or --deadline")
    return [{"changes": changes}] if together else [{"changes": [each]} for each in changes]


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    name, sign, told = text.partition("=")
    if not sign or not name or not told:
        raise InvalidInputError(f"{option} is written like {example}, not {text[:80]!r}")
    return name, told


def _person(text: str) -> dict[str, Any]:
    name, sign, told = text.partition("=")
    skills, at, part = told.partition("@")
    if not name or (sign and not skills):
        raise InvalidInputError(f"--add-person is written like NAME=backend,frontend or NAME=backend@50%, not {text[:80]!r}")
    person: dict[str, Any] = {"id": name, "skills": {each.strip(): 1.0 for each in skills.split(",") if each.strip()}}
    return {"kind": "add-person", "person": person | ({"share": _share(part)} if at else {})}


def _share(text: str) -> float:
    found = _SHARE.fullmatch(text.strip())
    value = float(found["number"]) / (100 if found["percent"] else 1) if found else 0.0
    if not 0 < value <= 1:
        raise InvalidInputError(f"a share is written like 50% or 0.5, above 0 and at most 100%, not {text[:40]!r}")
    return value


def _deadline(text: str) -> dict[str, Any]:
    feature, told = _pair(text, "--deadline", "FEATURE=2026-12-01")
    binding = told.endswith("!")
    try:
        at = datetime.fromisoformat(told.rstrip("!"))
    except ValueError as error:
        raise InvalidInputError(f"{told[:40]!r} is no date; write it like 2026-12-01 or 2026-12-01T17:00+01:00") from error
    if len(told.rstrip("!")) <= len("2026-12-01"):
        at = datetime.combine(at.date(), time(23, 59, 59))  # a day means its end
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return {"kind": "move-deadline", "feature": feature, "deadline": at.isoformat(), "binding": binding}


def compare_here(file: Path, scenarios: Sequence[dict[str, Any]], *, limit_s: float) -> dict[str, Any]:
    """The same comparison as the API's, of a file.

    Raises: CatalogError, NotFoundError, InvalidInputError, ImpossiblePlanError of the file as it is.
    """
    from productops.adapters.development_plan_file import read_work_file
    from productops.domain.development_plan_change import compare
    from productops.domain.development_plan_facts_changes import Scenario, as_case
    from productops.domain.development_plan_make import make_plan
    from productops.errors import ImpossiblePlanError

    request = read_work_file(file).request(now=datetime.now(UTC))
    base = make_plan(request, limit_s=limit_s)
    cases = [Scenario.model_validate(each) for each in scenarios]
    rows: list[dict[str, Any]] = []
    for case in cases:
        try:
            first, outcome = compare(request, {case.title(): as_case(case.changes)}, base=base, limit_s=limit_s)
        except ImpossiblePlanError as error:
            rows.append(_row(case.title(), None, impossible=str(error), conflict=list(error.extra.get("conflict", ()))))
        else:
            rows = rows or [_row(first.name, first)]
            rows.append(_row(case.title(), outcome))
    if all(row["name"] != "as it is" for row in rows):
        rows.insert(0, _row("as it is", compare(request, {}, base=base, limit_s=limit_s)[0]))
    return {"base_id": str(file), "cases": rows}


def _row(name: str, outcome: Any, *, impossible: str = "", conflict: Sequence[str] = ()) -> dict[str, Any]:
    if outcome is None:
        empty = dict.fromkeys(("plan_id", "ends_at", "length_h", "saved_h", "late_h"))
        return empty | {"name": name, "late_features": [], "proven": False, "impossible": impossible, "conflict": list(conflict)}
    return {
        "name": name, "plan_id": None, "ends_at": outcome.plan.ends_at.isoformat(), "length_h": outcome.plan.length_h,
        "saved_h": outcome.saved_h, "late_h": outcome.late_h, "late_features": list(outcome.late_features), "proven": outcome.plan.proven,
        "impossible": "", "conflict": [],
    }  # fmt: skip
