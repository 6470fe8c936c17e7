"""``python -m productops.cli.docs_reference``: write the reference pages that follow from code. ``--check`` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from productops.api.app import create_app
from productops.api.problem_help import what_to_do
from productops.api.problems import HTTP_KINDS, INTERNAL, MEDIA_TYPE, kinds
from productops.cli import docs_client, docs_domain
from productops.cli.main import app as program
from productops.errors import ProductOpsError, error_classes
from productops.settings import Settings
from productops.store import Store
from productops.usecases.context import Context

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
NOTE = "<!-- Written by `make docs` from the code; do not edit. -->"
_HOME = "`$XDG_STATE_HOME/productops`, else `~/.local/state/productops`"


class _Silent:
    def ring(self) -> None:
        return None


def pages() -> dict[str, str]:
    """File name → content."""
    made = {"api.md": api_page, "cli.md": cli_page, "errors.md": errors_page, "settings.md": settings_page}
    return {name: "\n".join([NOTE, *make()]).rstrip() + "\n" for name, make in made.items()} | docs_domain.pages()


def outdated(folder: Path = FOLDER) -> list[str]:
    """Names of the pages that are not as the code would write them now."""
    return [name for name, text in pages().items() if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text]


def errors_page() -> Iterator[str]:
    """Every kind of error: HTTP status, slug, exit code."""
    yield from ("# Errors", "")
    yield "The API answers `application/problem+json`; `type` is `/docs/errors#<slug>`. Commands print `detail` and exit with the code."
    yield from ("", "| slug | status | exit code | repeat? | meaning |", "|---|---|---|---|---|")
    ours = [
        (
            c.slug,
            c.status,
            c.exit_code,
            c.retryable,
            INTERNAL.meaning if c is ProductOpsError else (c.__doc__ or "").strip().splitlines()[0],
        )
        for c in error_classes()
    ]
    known = {slug for slug, *_ in ours}
    wire = [(k.slug, k.status, 69 if k.status >= 500 else 64, k.status == 503, k.meaning) for k in HTTP_KINDS if k.slug not in known]
    for slug, status, code, retryable, meaning in sorted([*ours, *wire]):
        yield f"| [`{slug}`](#{slug}) | {status} | {code} | {'yes' if retryable else 'no'} | {_cell(meaning.replace('``', '`'))} |"
    yield from ("", "`productops release --wait` and `productops rollback --wait` exit by the outcome:", "")
    yield from ("| exit code | outcome |", "|---|---|")
    outcomes = {
        0: "promoted; for rollback: users have the earlier version", 2: "the command line is wrong", 3: "ended before any user saw it",
        4: "rolled back", 5: "not ended when `--timeout` was over; it goes on", 130: "Ctrl-C; the release goes on",
    }  # fmt: skip
    yield from (f"| {code} | {outcome} |" for code, outcome in outcomes.items())
    yield from ("", "# One by one")
    for kind in kinds():
        yield from ("", f"## {kind.slug}", "", f"{kind.title} (status {kind.status}).", "", kind.meaning.replace("``", "`"))
        yield from ("", f"What to do: {what_to_do(kind)}")


def settings_page() -> Iterator[str]:
    """Every setting with its variable, default and meaning."""
    yield from ("# Settings", "", "Environment variables, read once by each program.", "")
    yield from ("| variable | default | meaning |", "|---|---|---|")
    for name, field in sorted(Settings.model_fields.items()):
        yield f"| `PRODUCTOPS_{name.upper()}` | {_default(field)} | {_cell(field.description or '')} |"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return _HOME
    value = field.default
    return "not set" if value in (None, "") or isinstance(value, SecretStr) else f"`{value}`"


def cli_page() -> Iterator[str]:
    """Every command with its arguments and options."""
    yield from ("# Commands", "", "`productops COMMAND --help` says the same.")
    group: Any = typer.main.get_command(program)
    for name, command in sorted(group.commands.items()):
        yield from ("", f"## productops {name}", "", " ".join((command.help or "").split()), "")
        yield from ("| parameter | default | meaning |", "|---|---|---|")
        yield from (_parameter(p) for p in command.params if p.name != "help")


def _parameter(parameter: Any) -> str:
    option = parameter.param_type_name == "option"
    named = ", ".join(f"`{name}`" for name in parameter.opts) if option else f"`{(parameter.metavar or parameter.name).upper()}`"
    default = parameter.default
    if parameter.required:
        shown = "required"
    elif default in (None, "", False, ()) or callable(default):
        shown = ""
    else:
        shown = f"`{getattr(default, 'value', default)}`"
    return f"| {_cell(named)} | {shown} | {_cell(parameter.help or '')} |"


def openapi() -> dict[str, Any]:
    """The interface's OpenAPI document."""
    settings = Settings(api_token=SecretStr("only-for-the-document"))
    context = Context(store=Store("sqlite://"), doorbell=_Silent(), lease_ttl_s=1.0)
    return create_app(context, settings).openapi()


def api_page() -> Iterator[str]:
    """Every operation with its parameters, bodies and answers."""
    document = openapi()
    yield from ("# REST interface", "", document["info"]["description"], "")
    yield "Every operation may answer a [Problem](#problem); [errors](errors.md) lists them. `/openapi.json` is this page for programs."
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _operation(f"{method.upper()} {path}", operation)
    yield from ("", "# Documents")
    for name, schema in sorted(schemas.items()):
        yield from _schema(name, schema)


def _operation(title: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"## {title}", "", f"`{operation['operationId']}`: {operation['summary']}.")
    if operation.get("description"):
        yield operation["description"].replace("``", "`")
    rows = [
        (f"`{p['name']}` ({p['in']})", _type(p["schema"]), "required" if p.get("required") else "", p.get("description", ""))
        for p in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        rows.append(("body", _type(body), "required", ""))
    if rows:
        yield from _table(("parameter", "type", "", "meaning"), rows)
    answers = []
    for status, answer in operation["responses"].items():
        contents: dict[str, dict[str, Any]] = answer.get("content", {})
        kind = next(iter(contents), "")
        headers = ", ".join(f"`{name}`" for name in answer.get("headers", {}))
        said = "" if answer["description"] == "Successful Response" else answer["description"]
        if kind != MEDIA_TYPE:
            answers.append((f"`{status}`", _type(contents[kind].get("schema", {})) if kind else "nothing", kind, headers, said))
    yield from _table(("answer", "document", "content", "headers", "meaning"), answers)


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"## {name}", "", " ".join(str(schema.get("description", "")).replace("``", "`").split()))
    if "enum" in schema:
        yield "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
    required = schema.get("required", [])
    rows = [
        (f"`{field}`", _type(value), "required" if field in required else "", value.get("description", ""))
        for field, value in schema.get("properties", {}).items()
    ]
    if rows:
        yield from _table(("field", "type", "", "meaning"), rows)


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    return str(schema.get("format") or schema.get("type") or "any")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from ("", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns))
    yield from ("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """The exit code: with ``--check`` 1 when a page is out of date."""
    if "--check" in sys.argv[1:]:
        old = [*outdated(), *docs_client.outdated(openapi())]
        if old:
            sys.stderr.write(f"out of date: {', '.join(old)}; run: make docs\n")
        return 1 if old else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    docs_client.write(openapi())
    return 0


if __name__ == "__main__":
    sys.exit(main())
