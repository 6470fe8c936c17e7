"""Reference pages that follow from the domain: the catalog's fields and the events of a release.

``python -m productops.cli.docs_domain`` writes them.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, NaiveDatetime
from pydantic.fields import FieldInfo

from productops.domain.catalog import ServiceEntry, VentureEntry
from productops.domain.catalog_access import AccessEntry
from productops.domain.catalog_analytics import CohortEntry, FunnelEntry
from productops.domain.catalog_analytics_events import TrackingPlanEntry
from productops.domain.catalog_approvals import ApprovalPolicyEntry
from productops.domain.catalog_compliance import ControlEntry
from productops.domain.catalog_development import DevelopmentSourceEntry
from productops.domain.catalog_experiment import ExperimentEntry
from productops.domain.catalog_feature import FeatureEntry
from productops.domain.catalog_monitoring import ScrapeTargetEntry
from productops.domain.catalog_quality import QualityPolicy
from productops.domain.catalog_webhooks import WebhookSourceEntry, WebhookTargetEntry
from productops.domain.catalog_windows import CalendarEntry, ChangeWindowEntry
from productops.domain.governance_access import ALLOWED, Operation, Role

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
NOTE = "<!-- Written by `make docs` from the code; do not edit. -->"

# Type → fields of its payload and meaning. The order is the one in which a release meets them.
EVENTS: dict[str, tuple[str, str]] = {
    "requested": ("title, by, origin", "The release was written down."),
    "waiting": ("starts_at", "It was asked for in a freeze and waits for the next opening; null when that moved out of sight."),
    "bypassed": ("bypass_id, reason, asked_by, approved_by", "It starts in spite of a freeze, by the word of two people."),
    "approval_requested": ("id, waits_for, page", "It waits for signatures; `page` is where they are given."),
    "approved": ("approval, state, by, reason", "All signatures are there; it starts."),
    "approval_overridden": ("approval, state, by, reason", "A director let it start without the signatures; somebody else reviews that."),
    "phase": ("from, to, actor, reason; cause when it left its way", "A move of the state machine."),
    "shift": ("step, title, weight_pct, hold_s, generation", "A step's share was asked for; the hold begins when the router confirms."),
    "look": (
        "step, weight_pct, at_s, verdict, reason, log_e, log_e_safe, certified, baseline, candidate",
        "One second was judged. `at_s` is Unix seconds; `baseline` and `candidate` hold that second's traffic, null when not measured.",
    ),
    "step_ended": ("step, title, verdict, reason, baseline, candidate", "A step was decided; totals of both versions within it."),
    "unmeasured": ("step, silent_s, at_most_s", "No measurement has arrived lately: the step is held until one does."),
    "extended": ("step, times, reason", "Too little evidence: the step is held again, at most three times."),
    "incident": ("incident_id, reason", "A lease lapsed and an incident was opened."),
    "difference": ("method, target, path, baseline, candidate", "An answer of the candidate's shadow that differed; secrets are left out."),
    "flag_taken_back": ("flag, percent, revision", "The flag is ramped as it was before the release: to `percent` of users."),
    "flag_left": ("flag, percent, revision", "Somebody changed the flag's ramp while the release was under way; that was not undone."),
    "resumed": ("phase, step, before, now", "Its flow run died; another one goes on from here. `before` and `now` are flow run ids."),
    "rollback_prepared": ("version, reason, by, cause", "The earlier version does not run and is being started for a roll back."),
}


def pages() -> dict[str, str]:
    """File name → content."""
    made = {"catalog.md": catalog_page, "events.md": events_page, "roles.md": roles_page}
    return {name: "\n".join([NOTE, *make()]).rstrip() + "\n" for name, make in made.items()}


def events_page() -> Iterator[str]:
    """Every type of event with its payload."""
    yield from ("# Events of a release", "")
    yield "`GET /api/v1/product-ops/releases/{release_id}/events` sends them as Server-Sent Events: `id` is the sequence number, `event`"
    yield "the type, `data` a JSON object whose `payload` has the fields below. Sequence numbers rise; `Last-Event-ID` goes on after a cut."
    yield "They are stored in the table `release_events`."
    yield from ("", "| type | payload | meaning |", "|---|---|---|")
    yield from (f"| `{name}` | {_code(fields)} | {_cell(meaning)} |" for name, (fields, meaning) in EVENTS.items())


def _code(fields: str) -> str:
    plain, _, rest = fields.partition("; ")
    listed = ", ".join(f"`{name}`" for name in plain.split(", "))
    if not rest:
        return listed
    name, _, words = rest.partition(" ")
    return f"{listed}; `{name}` {words}"


def roles_page() -> Iterator[str]:
    """Which role may do which operation."""
    yield from ("# Roles and operations", "")
    yield "Each route, command and flow stands for one operation. A grant is a role in a venture and an environment; what no grant allows"
    yield "is denied. [How to give and take roles](../how-to/access.md)."
    yield from ("", f"| operation | {' | '.join(Role)} |", "|---|" + "---|" * len(Role))
    for operation in Operation:
        yield f"| `{operation}` | {' | '.join('yes' if operation in ALLOWED[role] else '' for role in Role)} |"


def catalog_page() -> Iterator[str]:
    """Every field of the catalog with type, default and meaning."""
    yield from ("# Catalog", "")
    yield "Files ending in `.yaml` or `.yml` below the catalog folder, one or more documents each. Unknown fields are errors."
    yield "Times are seconds. [How to write an entry for a service of your own](../how-to/own-service.md)."
    kinds = (
        ("Venture", VentureEntry), ("Service", ServiceEntry), ("Calendar", CalendarEntry), ("ChangeWindow", ChangeWindowEntry),
        ("Access", AccessEntry), ("ApprovalPolicy", ApprovalPolicyEntry), ("Control", ControlEntry),
        ("WebhookSource", WebhookSourceEntry), ("WebhookTarget", WebhookTargetEntry), ("QualityPolicy", QualityPolicy),
        ("DevelopmentSource", DevelopmentSourceEntry),
        ("ScrapeTarget", ScrapeTargetEntry),
        ("Feature", FeatureEntry), ("Experiment", ExperimentEntry), ("TrackingPlan", TrackingPlanEntry),
        ("Funnel", FunnelEntry), ("Cohort", CohortEntry),
    )  # fmt: skip
    for kind, model in kinds:
        yield from ("", f"## kind: {kind}", "", "| field | type | default | meaning |", "|---|---|---|---|")
        yield from (f"| {' | '.join(_cell(cell) for cell in row)} |" for row in _rows(model, ""))


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """A row for each field, depth first; of a union of models, the fields of each member."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        members = _models(field.annotation)
        listed = _is_list(field.annotation)
        if listed or not members:
            yield f"`{path}`", _type(field), _default(field), field.description or ""
        for member in members:
            note = f" ({_kind(member)})" if len(members) > 1 else ""
            yield from ((*row[:3], row[3] + note) for row in _rows(member, f"{path}[]." if listed else f"{path}."))


def _kind(member: type[BaseModel]) -> str:
    return f"kind {get_args(member.model_fields['kind'].annotation)[0]}"


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Models within an annotation, through lists and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in {tuple, list, Union, types.UnionType, Annotated}:
        return [model for each in get_args(annotation) for model in _models(each)]
    return []


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in {tuple, list}


def _type(field: FieldInfo) -> str:
    bounds = [f"{sign} {value:,}" for note in field.metadata for key, sign in _BOUNDS if (value := getattr(note, key, None)) is not None]
    return ", ".join([_name(field.annotation), *bounds])


_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


_PLAIN = {
    str: "text", int: "whole number", float: "number", bool: "true or false",
    NaiveDatetime: "local date and time", AwareDatetime: "date and time with zone",
}  # fmt: skip


def _name(annotation: Any) -> str:
    """How a person calls a type."""
    parts = get_args(annotation)
    match get_origin(annotation):
        case None:
            return _simple_name(annotation)
        case origin if origin is Literal:
            return " or ".join(f"`{value}`" for value in parts)
        case origin if origin in {Union, types.UnionType}:
            return " or ".join(_name(each) for each in parts if each is not type(None))
        case origin if origin is dict:
            return f"{_name(parts[0])} → {_name(parts[1])}"
        case origin if origin in {tuple, list}:
            return "list" if _models(parts[0]) else f"list of {_name(parts[0])}"
    return _name(parts[0])


def _simple_name(kind: type[Any]) -> str:
    if issubclass(kind, Enum):
        return " or ".join(f"`{member.value}`" for member in kind)
    return _PLAIN.get(kind, kind.__name__)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value in (None, "", (), {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return f"`{json.dumps(value)}`"
    if isinstance(value, tuple):
        return f"`{json.dumps([each.model_dump(mode='json') if isinstance(each, BaseModel) else each for each in value])}`"
    return f"`{value.value}`" if isinstance(value, Enum) else f"`{value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
