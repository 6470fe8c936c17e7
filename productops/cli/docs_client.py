"""Writes the client (`productops.client`) from the OpenAPI document: `make docs` does it, a test holds it to the document."""

from __future__ import annotations

import keyword
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "client"
HEAD = '''"""{title}. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations
'''
_LEFT_OUT = frozenset({"if-none-match", "last-event-id"})
_COMMON = "common"
_SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def files(document: Mapping[str, Any]) -> dict[str, str]:
    """File name → content, for every file of the client that follows from the document."""
    schemas: dict[str, Any] = {_name(name): schema for name, schema in document["components"]["schemas"].items()}
    by_tag = _operations(document)
    places = _places(by_tag, schemas)
    made = {}
    for place in sorted(set(places.values())):
        own = {name: schema for name, schema in schemas.items() if places.get(name) == place}
        made[f"{place}_models.py"] = _models(place, own, places)
    for tag, operations in by_tag.items():
        made[f"{_module(tag)}.py"] = _operation_file(tag, operations, places)
    made["api.py"] = _client_file(sorted(by_tag))
    return made


def write(document: Mapping[str, Any], folder: Path = FOLDER) -> None:
    """Write the files, and remove those of tags that are gone."""
    made = files(document)
    for old in generated(folder) - made.keys():
        (folder / old).unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


def generated(folder: Path = FOLDER) -> set[str]:
    """Names of the files there that this program wrote."""
    return {path.name for path in folder.glob("*.py") if "Written by `make docs`" in path.read_text(encoding="utf-8")[:300]}


def outdated(document: Mapping[str, Any], folder: Path = FOLDER) -> list[str]:
    """Names of files that are not as the document would have them."""
    made = files(document)
    old = {name for name, text in made.items() if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text}
    return sorted(old | (generated(folder) - made.keys()))


def _operations(document: Mapping[str, Any]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Tag → (method, path, operation)."""
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = defaultdict(list)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            found[operation.get("tags", ["other"])[0]].append((method, path, operation))
    return dict(found)


def _places(by_tag: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, str]:
    """Schema → the module that holds it: that of its tag, or the common one where several use it."""
    users: dict[str, set[str]] = defaultdict(set)
    for tag, operations in by_tag.items():
        reached: set[str] = set()
        for _, _, operation in operations:
            _reach(operation.get("requestBody"), schemas, reached)
            for parameter in operation.get("parameters", ()):
                _reach(parameter, schemas, reached)
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    _reach(answer, schemas, reached)
        for name in reached:
            users[name].add(_module(tag))
    return {name: next(iter(tags)) if len(tags) == 1 else _COMMON for name, tags in users.items()}


def _reach(node: Any, schemas: Mapping[str, Any], reached: set[str]) -> None:
    """Add every schema that a part of the document refers to, however indirectly."""
    if isinstance(node, list):
        for each in node:
            _reach(each, schemas, reached)
    elif isinstance(node, dict):
        name = _referred(node)
        if name is not None and name not in reached:
            reached.add(name)
            _reach(schemas[name], schemas, reached)
        for key, each in node.items():
            if key not in {"example", "examples", "discriminator"}:
                _reach(each, schemas, reached)


def _referred(schema: Mapping[str, Any]) -> str | None:
    reference = schema.get("$ref")
    return _name(reference.rsplit("/", 1)[-1]) if isinstance(reference, str) else None


def _models(place: str, own: Mapping[str, Any], places: Mapping[str, str]) -> str:
    lines = [HEAD.format(title=f"Documents of {place}"), "from typing import Any, Literal, NotRequired, TypeAlias, TypedDict"]
    if place != _COMMON:
        lines += _imports({name for schema in own.values() for name in _mentioned(schema) if places.get(name) == _COMMON})
    for name in sorted(own):
        lines += ["", "", *_model(name, own[name])]
    return "\n".join(lines) + "\n"


def _imports(names: set[str]) -> list[str]:
    return [f"from productops.client.{_COMMON}_models import ({', '.join(sorted(names))})"] if names else []


def _mentioned(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _mentioned(each)
    elif isinstance(node, dict):
        name = _referred(node)
        if name is not None:
            yield name
        for key, each in node.items():
            if key not in {"example", "examples", "discriminator"}:
                yield from _mentioned(each)


def _model(name: str, schema: Mapping[str, Any]) -> list[str]:
    if not schema.get("properties"):
        return [f"{name}: TypeAlias = {_type(schema)!r}" if "enum" not in schema else f"{name} = {_type(schema)}"]
    required = set(schema.get("required", ()))
    fields = {field: _type(value) for field, value in schema["properties"].items()}
    fields = {field: kind if field in required else f"NotRequired[{kind}]" for field, kind in fields.items()}
    said = _sentence(schema.get("description", ""))
    if any(keyword.iskeyword(field) or not field.isidentifier() for field in fields):
        members = ", ".join(f"{field!r}: {kind!r}" for field, kind in fields.items())
        return [f"{name} = TypedDict({name!r}, {{{members}}})"]
    return [f"class {name}(TypedDict):", *([f'    """{said}"""'] if said else []), *(f"    {f}: {kind}" for f, kind in fields.items())]


def _type(schema: Mapping[str, Any]) -> str:
    name = _referred(schema)
    if name is not None:
        return name
    if "const" in schema or "enum" in schema:
        return f"Literal[{', '.join(repr(v) for v in schema.get('enum', [schema.get('const')]))}]"
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " | ".join(dict.fromkeys(_type(each) for each in schema[union]))
    kind = schema.get("type")
    if kind == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if kind == "object":
        members = schema.get("additionalProperties")
        return f"dict[str, {_type(members) if isinstance(members, dict) and members else 'Any'}]"
    return _SIMPLE.get(str(kind), "Any")


def _operation_file(tag: str, operations: list[tuple[str, str, dict[str, Any]]], places: Mapping[str, str]) -> str:
    body = [line for method, path, operation in operations for line in _operation(method, path, operation)]
    used: dict[str, set[str]] = defaultdict(set)
    for _, _, operation in operations:
        shown = [operation.get("requestBody"), operation.get("parameters"), _answer(operation)]
        for name in _mentioned(shown):
            used[places[name]].add(name)
    lines = [HEAD.format(title=f"Operations of {tag}"), "from collections.abc import Iterator", "from typing import Any, Literal", ""]
    lines += [f"from productops.client.{place}_models import ({', '.join(sorted(names))})" for place, names in sorted(used.items())]
    lines += ["from productops.client.transport import ServerEvent, Transport, path_part", "", ""]
    lines += [f"class {_class(tag)}(Transport):", f'    """Operations of {tag}."""', *body]
    return "\n".join(lines) + "\n"


def _answer(operation: Mapping[str, Any]) -> Any:
    """The schema of the answer, None where it is no JSON document."""
    for status in sorted(operation["responses"]):
        content = operation["responses"][status].get("content", {})
        if status.startswith("2") and "application/json" in content:
            return content["application/json"].get("schema", {})
    return None


def _kinds(operation: Mapping[str, Any]) -> set[str]:
    return {k for status, answer in operation["responses"].items() if status.startswith("2") for k in answer.get("content", {})}


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> list[str]:
    parameters = [p for p in operation.get("parameters", ()) if p["name"].lower() not in _LEFT_OUT]
    in_path = [p for p in parameters if p["in"] == "path"]
    others = sorted((p for p in parameters if p["in"] != "path"), key=lambda p: not p.get("required"))
    body = operation.get("requestBody", {})
    schema = body.get("content", {}).get("application/json", {}).get("schema")
    arguments = ["self", *(f"{_variable(p['name'])}: {_type(p['schema'])}" for p in in_path)]
    if schema is not None:
        arguments.append(f"body: {_type(schema)}" if body.get("required") else f"body: {_optional(_type(schema))} = None")
    streams = "text/event-stream" in _kinds(operation)
    named = [_argument(p) for p in others] + (["last_event_id: str | None = None"] if streams else [])
    arguments += ["*", *named] if named else []
    where = "f" + repr(re.sub(r"\{(\w+)\}", lambda m: f"{{path_part({_variable(m[1])})}}", path)) if in_path else repr(path)
    answer = _answer(operation)
    returned = "Iterator[ServerEvent]" if streams else _type(answer) if answer is not None else "bytes"
    head = f"    def {_snake(operation['operationId'])}({', '.join(arguments)}) -> {returned}:"
    return ["", head, f'        """{_sentence(operation["summary"])}"""', *_call(method, where, others, schema, streams, answer)]


def _call(method: str, where: str, others: list[Any], schema: Any, streams: bool, answer: Any) -> list[str]:  # noqa: FBT001
    query = ", ".join(f"{p['name']!r}: {_variable(p['name'])}" for p in others if p["in"] == "query")
    headers = ", ".join(f"{p['name']!r}: {_variable(p['name'])}" for p in others if p["in"] == "header")
    given = [where] + ([f"query={{{query}}}"] if query else [])
    if streams:
        return [f"        return self._follow({', '.join([*given, 'last_event_id=last_event_id'])})"]
    given += (["body=body"] if schema is not None else []) + ([f"headers={{{headers}}}"] if headers else [])
    call = f"self._ask({method.upper()!r}, {', '.join(given)})"
    if answer is None:
        return [f"        return {call}.content"]
    return [f"        found: {_type(answer)} = {call}.json()", "        return found"]


def _argument(parameter: Mapping[str, Any]) -> str:
    kind = _type(parameter["schema"])
    name = _variable(parameter["name"])
    return f"{name}: {kind}" if parameter.get("required") else f"{name}: {_optional(kind)} = None"


def _optional(kind: str) -> str:
    return kind if kind == "Any" or kind.endswith("None") else f"{kind} | None"


def _client_file(tags: list[str]) -> str:
    lines = [HEAD.format(title="The client"), *(f"from productops.client.{_module(tag)} import {_class(tag)}" for tag in tags), "", ""]
    lines += [f"class Client({', '.join(_class(tag) for tag in tags)}):", '    """Every operation of the interface."""']
    return "\n".join(lines) + "\n"


def _name(schema: str) -> str:
    """Its class; a schema the API both takes and answers is told apart by ``-Input`` and ``-Output``."""
    return re.sub(r"\W", "_", re.sub(r"-(Input|Output)$", r"\1", schema))


def _module(tag: str) -> str:
    return re.sub(r"\W", "_", tag)


def _class(tag: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"\W", tag)) + "Operations"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _variable(name: str) -> str:
    made = re.sub(r"\W", "_", name).lower()
    return f"{made}_" if keyword.iskeyword(made) or made in {"self", "body"} else made


def _sentence(text: str) -> str:
    """The first line, fit for a docstring."""
    first = text.strip().splitlines()[0].strip() if text.strip() else ""
    first = first.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')
    return first if first.endswith((".", "?", "!")) or not first else f"{first}."
