"""What pydantic found, in words that say where and what to write instead."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from productops.adapters.catalog_files.yaml_documents import Place
from productops.domain.catalog import AnyEntry, Entry
from productops.domain.catalog_slo import AnyOpenSlo, OpenSloEntry

ENTRY: TypeAdapter[AnyEntry] = TypeAdapter(Entry)
OPEN_SLO: TypeAdapter[OpenSloEntry] = TypeAdapter(AnyOpenSlo)
_SUBJECT = re.compile(r"^[A-Z]\w+ should")
_QUOTED = re.compile(r"'([^']*)'")
_BRANCH = re.compile(r"(tuple|literal|function-\w+)\[")
_SHOWN_CHARACTERS = 80
_COLLECTIONS: dict[type, str] = {dict: "a mapping", list: "a list"}
_TYPES = {
    "string_type": "text",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; ``line`` counts from 1 and ``path`` may be empty."""

    file: str
    line: int
    path: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (f"{self.file}:{self.line}", self.path, self.reason)))


@dataclass(frozen=True, slots=True)
class _Spot:
    """A position of the document: its path as a person writes it, its line and the schema that holds there."""

    path: str
    line: int
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Finding:
    """One of pydantic's errors; ``loc`` leads to ``value``."""

    type: str
    loc: tuple[int | str, ...]
    message: str
    value: Any
    context: dict[str, Any]


@cache
def _schema(*, open_slo: bool) -> dict[str, Any]:
    """Made with the first mistake: it takes longer than reading a catalog without one."""
    return OPEN_SLO.json_schema() if open_slo else ENTRY.json_schema()


def explain(error: ValidationError, place: Place, file: str, *, open_slo: bool = False) -> list[Problem]:
    """What is wrong with the entry at ``place``; ``open_slo``: of OpenSLO, not of ours."""
    found = error.errors(include_url=False)
    root = _schema(open_slo=open_slo)
    return [_explain(_Finding(e["type"], e["loc"], e["msg"], e["input"], e.get("ctx", {})), place, file, root) for e in _one_branch(found)]


def _one_branch(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of a field that takes a word or a list pydantic complains about both: keep what is said of the kind that was written."""
    kept = []
    for error in found:
        branches = [part for part in error["loc"] if isinstance(part, str) and _BRANCH.match(part)]
        if any(part.startswith("literal") for part in branches) and isinstance(error["input"], list):
            continue
        if any(not part.startswith("literal") for part in branches) and isinstance(error["input"], str) and error["type"] == "tuple_type":
            continue
        kept.append({**error, "loc": tuple(part for part in error["loc"] if part not in branches)})
    return kept


def _explain(finding: _Finding, place: Place, file: str, root: dict[str, Any]) -> Problem:
    spot, parent = _locate(finding.loc, place, root)
    if finding.type.startswith("union_tag"):
        spot = _Spot(_join(spot.path, "kind"), _line_of(finding.loc, place, "kind", spot.line), spot.schema)
    return Problem(file, spot.line, spot.path, _reason(finding, spot, parent))


def did_you_mean(word: str, known: Collection[str]) -> str:
    """``"; did you mean 'x'?"`` when a known word is near, else an empty text."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _locate(loc: tuple[int | str, ...], place: Place, root: dict[str, Any]) -> tuple[_Spot, _Spot]:
    """The spot of an error and the one around it.

    pydantic names the member of a union within the path (``versions, folder, path``). The schema tells such a name from a key.
    """
    parent = spot = _Spot("", place.line, _resolve(root, root))
    known: Place | None = place
    for part in loc:
        member = spot.schema.get("discriminator", {}).get("mapping", {}).get(part)
        if member is not None:
            spot = _Spot(spot.path, spot.line, _resolve({"$ref": member}, root))
            continue
        if part == "[key]":
            continue
        known = known.children.get(part) if known else None
        parent, spot = spot, _Spot(_join(spot.path, part), known.line if known else spot.line, _step(spot.schema, part, root))
    return spot, parent


def _line_of(loc: tuple[int | str, ...], place: Place, key: str, default: int) -> int:
    """Line of ``key`` in the mapping at ``loc``."""
    for part in loc:
        place = place.children.get(part, place)
    return place.children[key].line if key in place.children else default


def _join(path: str, part: int | str) -> str:
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else part


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    members = [member for member in schema.get("anyOf", ()) if member.get("type") != "null"]
    if len(members) == 1 and "$ref" in members[0]:  # it may be left out
        schema = members[0] | {key: value for key, value in schema.items() if key != "anyOf"}
    reference = schema.get("$ref")
    return root["$defs"][reference.rpartition("/")[2]] | schema if reference else schema


def _step(schema: dict[str, Any], part: int | str, root: dict[str, Any]) -> dict[str, Any]:
    """Schema of what ``part`` leads to, empty when it leads nowhere."""
    inner = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part) or schema.get("additionalProperties")
    return _resolve(inner, root) if isinstance(inner, dict) else {}


def _reason(finding: _Finding, spot: _Spot, parent: _Spot) -> str:
    match finding.type:
        case "missing":
            reason = f"is missing{_described(spot.schema)}"
        case "extra_forbidden":
            known = list(parent.schema.get("properties", {}))
            reason = "unknown field" + (did_you_mean(str(finding.loc[-1]), known) or f"; known are {', '.join(known)}")
        case "union_tag_not_found":
            reason = f"is missing: write one of {', '.join(spot.schema['discriminator']['mapping'])}"
        case "union_tag_invalid" | "enum" | "literal_error":
            reason = _not_among(finding)
        case "value_error":
            reason = finding.message.removeprefix("Value error, ")
        case "string_pattern_mismatch":
            reason = f"{_shown(finding.value)} does not match {finding.context['pattern']}{_described(spot.schema)}"
        case kind if kind in _TYPES:
            reason = _wrong_type(_TYPES[kind], finding.value)
        case _:
            reason = f"{_SUBJECT.sub('must', finding.message)}, got {_shown(finding.value)}"
    return reason


def _not_among(finding: _Finding) -> str:
    expected = _QUOTED.findall(str(finding.context.get("expected_tags", finding.context.get("expected", ""))))
    wrong = str(finding.context.get("tag", finding.value))
    hint = did_you_mean(wrong, expected) if len(expected) > 1 else ""
    return f"must be {' or '.join(expected)}, not {_shown(wrong)}{hint}"


def _wrong_type(wanted: str, value: Any) -> str:
    got = _COLLECTIONS.get(type(value)) or ("nothing" if value is None else _shown(value))
    hint = ""
    if wanted == "text" and isinstance(value, bool | int | float):
        hint = ": put it in quotes"
    if wanted in ("a number", "a whole number") and isinstance(value, str) and re.fullmatch(r"[0-9.]+", value):
        hint = ": remove the quotes"
    return f"must be {wanted}, got {got}{hint}"


def _described(schema: dict[str, Any]) -> str:
    return f" ({schema['description'].rstrip('.')})" if "description" in schema else ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
