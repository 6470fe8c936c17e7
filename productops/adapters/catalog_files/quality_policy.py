"""One quality policy from a file of its own, for judging without a catalog and for trying a policy out."""

from __future__ import annotations

import json

from pydantic import ValidationError

from productops.adapters.catalog_files.problems import ENTRY, Problem, explain
from productops.adapters.catalog_files.yaml_documents import YamlProblem, read_documents
from productops.domain.catalog_quality import QualityPolicy
from productops.errors import CatalogError

KIND = "QualityPolicy"
TEXT_MAX = 1_048_576


def read_policy(text: str, file: str) -> QualityPolicy:
    """The only entry of kind QualityPolicy in ``text``; entries of other kinds are checked, too. ``file`` is for messages.

    Raises: CatalogError with one line ``file:line: path.to.field: reason`` for each problem.
    """
    problems: list[Problem] = []
    found: list[tuple[QualityPolicy, int]] = []
    try:
        if len(text) > TEXT_MAX:
            raise YamlProblem(1, f"is larger than {TEXT_MAX // 1024:,} KiB")
        for document in read_documents(text.removeprefix("\ufeff")):
            try:
                entry = ENTRY.validate_json(json.dumps(document.data), strict=True)
            except ValidationError as error:
                problems += explain(error, document.place, file)
                continue
            if isinstance(entry, QualityPolicy):
                found.append((entry, document.place.line))
    except YamlProblem as problem:
        problems.append(Problem(file, problem.line, "", problem.reason))
    if not problems and len(found) != 1:
        line = found[1][1] if found else 1
        reason = f"has {len(found)} entries of kind {KIND}; one is needed" if found else f"has no entry of kind {KIND}"
        problems.append(Problem(file, line, "", reason))
    if problems:
        lines = [str(problem) for problem in problems]
        raise CatalogError("\n".join(lines), problems=lines, file=problems[0].file, line=problems[0].line)
    return found[0][0]
