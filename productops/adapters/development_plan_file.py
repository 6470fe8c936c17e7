"""Work to plan from a file: YAML or JSON, with errors that name file and line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from productops.adapters.catalog_files.problems import Problem
from productops.adapters.catalog_files.yaml_documents import Place, YamlProblem, read_documents
from productops.domain.development_plan_facts_file import WorkFile
from productops.errors import CatalogError, NotFoundError

TEXT_MAX = 4_194_304
_SAMPLE = "people: [{id: ann}], items: [{id: first, hours: 8}]"


def read_work_file(file: Path) -> WorkFile:
    """Raises: NotFoundError when it cannot be read, CatalogError with one line ``file:line: path.to.field: reason`` for each problem."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError(f"the work file {file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return read_work(text, str(file))


def read_work(text: str, name: str) -> WorkFile:
    """The same of a text; ``name`` is for messages. Raises: CatalogError."""
    problems: list[Problem] = []
    try:
        if len(text) > TEXT_MAX:
            raise YamlProblem(1, f"is larger than {TEXT_MAX // 1_048_576} MiB")
        documents = list(read_documents(text))
        if len(documents) != 1 or not isinstance(documents[0].data, dict):
            raise YamlProblem(1, f"holds no work to plan; it looks like {_SAMPLE}")
        place = documents[0].place
        return WorkFile.model_validate_json(json.dumps(documents[0].data), strict=True)
    except YamlProblem as problem:
        problems.append(Problem(name, problem.line, "", problem.reason))
    except ValidationError as error:
        problems += [_problem(each["loc"], each["msg"], place, name) for each in error.errors(include_url=False)]
    lines = [str(problem) for problem in problems]
    raise CatalogError("\n".join(lines), problems=lines, file=problems[0].file, line=problems[0].line)


def _problem(location: Sequence[int | str], message: str, place: Place, name: str) -> Problem:
    """Where it stands: as far as the file has what is meant."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
        place = place.children.get(part, place)
    return Problem(name, place.line, path, message.removeprefix("Value error, "))
