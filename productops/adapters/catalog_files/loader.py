"""Reads a folder of catalog files, all or nothing."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from productops.adapters.catalog_files.problems import ENTRY, OPEN_SLO, Problem, did_you_mean, explain
from productops.adapters.catalog_files.yaml_documents import Document, YamlProblem, read_documents
from productops.domain.catalog import AnyEntry, Service, ServiceEntry
from productops.domain.catalog_access import AccessEntry
from productops.domain.catalog_slo import API_VERSION as OPEN_SLO_VERSION
from productops.domain.catalog_slo import OpenSloEntry
from productops.domain.governance_access import ANY
from productops.domain.release import Environment
from productops.errors import CatalogError

MAX_FILES = 5_000
MAX_FILE_BYTES = 1_048_576
_SAMPLE = "apiVersion: productops/v1, kind: Venture, metadata: {name: acme}"


@dataclass(frozen=True, slots=True)
class LoadedEntry:
    """A valid entry and where it stands; ``base`` is the folder that its relative paths start from."""

    entry: AnyEntry | OpenSloEntry
    file: Path
    line: int
    base: Path


@dataclass(frozen=True, slots=True)
class _Found:
    """A document of a file, valid or not."""

    loaded: LoadedEntry | None
    document: Document
    file: Path

    def problem(self, reason: str, *path: str) -> Problem:
        """A problem with the value at ``path``."""
        place = self.document.place
        for part in path:
            place = place.children.get(part, place)
        return Problem(str(self.file), place.line, ".".join(path), reason)


def load_catalog(folder: Path) -> list[LoadedEntry]:
    """Every entry of the ``*.yaml`` and ``*.yml`` files below ``folder``, by file name and line. Hidden files are left out.

    Raises: CatalogError with one line ``file:line: path.to.field: reason`` for each problem; ``extra`` has them as ``problems`` and
    the first one's ``file`` and ``line``.
    """
    if not folder.is_dir():
        raise CatalogError(f"there is no catalog folder {folder}; make it and put a file in it that says {_SAMPLE}")
    problems: list[Problem] = []
    found: list[_Found] = []
    for file in _files(folder, problems):
        found += _read(file, problems)
    problems += _across(found)
    if problems:
        problems.sort(key=lambda problem: (problem.file, problem.line))
        lines = [str(problem) for problem in problems]
        raise CatalogError("\n".join(lines), problems=lines, file=problems[0].file, line=problems[0].line)
    loaded = [each.loaded for each in found if each.loaded]
    if not loaded:
        raise CatalogError(f"the catalog folder {folder} has no entries; put a file ending in .yaml in it that says {_SAMPLE}")
    return loaded


def _files(folder: Path, problems: list[Problem]) -> list[Path]:
    """Catalog files in order. A link that leaves the folder is a problem: to skip it would look as if its services were gone."""
    root = folder.resolve()
    seen: set[object] = set()
    files: list[Path] = []
    for path in _candidates(folder):
        link = path.is_symlink()
        if link and not path.resolve().is_relative_to(root):
            problems.append(Problem(str(path), 1, "", "is a link that leaves the catalog folder; put the file itself there"))
            continue
        identity = _identity_of(path)
        if identity in seen or (link and path.is_dir()):
            continue
        seen.add(identity)
        files.append(path)
        if len(files) > MAX_FILES:
            raise CatalogError(f"the catalog folder {folder} has more than {MAX_FILES:,} files; is it the right folder?")
    return files


def _identity_of(path: Path) -> object:
    """Equal for two names of one file: an entry that is reached twice is not declared twice."""
    try:
        info = path.stat()
    except OSError:  # a link to nothing: reading it says so
        return path
    return (info.st_dev, info.st_ino)


def _candidates(folder: Path) -> Iterator[Path]:
    """YAML files and linked folders below ``folder``, in order, hidden ones left out; no link is followed."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in folders if Path(parent, name).is_symlink())
        for name in sorted(names):
            if name.endswith((".yaml", ".yml")) and not name.startswith("."):
                yield Path(parent, name)


def _read(file: Path, problems: list[Problem]) -> list[_Found]:
    """Documents of one file; what is wrong with them goes to ``problems``."""
    found: list[_Found] = []
    try:
        found.extend(_Found(_validated(document, file, problems), document, file) for document in read_documents(_text(file)))
    except YamlProblem as problem:
        problems.append(Problem(str(file), problem.line, "", problem.reason))
    return found


def _text(file: Path) -> str:
    try:
        # Without O_NONBLOCK, a named pipe would be waited for.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise YamlProblem(1, "is not a regular file")
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise YamlProblem(1, f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise YamlProblem(1, f"is larger than {MAX_FILE_BYTES // 1024:,} KiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlProblem(content.count(b"\n", 0, error.start) + 1, "is not UTF-8 text") from error


def _validated(document: Document, file: Path, problems: list[Problem]) -> LoadedEntry | None:
    # As JSON, because pydantic's strict mode then means what a person who writes YAML means: no yes for 1, but a list for a tuple.
    open_slo = _is_open_slo(document.data)
    try:
        entry = (OPEN_SLO if open_slo else ENTRY).validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        problems += explain(error, document.place, str(file), open_slo=open_slo)
        return None
    return LoadedEntry(entry, file, document.place.line, file.resolve().parent)


def _is_open_slo(data: Any) -> bool:
    """Whether a document says that it is OpenSLO's; of a version that is not known, too, so that the version is what is wrong with it."""
    return isinstance(data, dict) and str(data.get("apiVersion", "")).startswith(OPEN_SLO_VERSION.partition("/")[0] + "/")


def _across(found: list[_Found]) -> Iterator[Problem]:
    """What is wrong between entries. Names and owners count even where the rest of their entry is invalid."""
    named = [(each, *identity) for each in found if (identity := _identity(each.document.data))]
    ventures = {name for _, kind, name in named if kind == "Venture"}
    first: dict[tuple[str, str], _Found] = {}
    hosts: dict[str, str] = {}
    for each, kind, name in named:
        earlier = first.setdefault((kind, name), each)
        if earlier is not each:
            where = f"{earlier.file}:{earlier.document.place.line}"
            yield each.problem(f"{kind} {name!r} is declared twice, first in {where}", "metadata", "name")
        if kind in {
            "Service", "Flag", "Calendar", "ChangeWindow", "Control", "WebhookSource", "WebhookTarget", "QualityPolicy",
            "DevelopmentSource", "Team", "Feature",
            "Heartbeat", "OnCall", "Escalation", "Channel", "Telling", "StatusPage", "SeverityPolicy", "MaintenanceWindow",
            "SecurityPolicy",
        }:  # fmt: skip
            yield from _owner(each, ventures)
        if each.loaded and isinstance(each.loaded.entry, AccessEntry):
            yield from _granted(each, each.loaded.entry, ventures)
        if each.loaded and isinstance(each.loaded.entry, ServiceEntry) and earlier is each:
            yield from _hosts(each, each.loaded.entry, hosts)


def _identity(data: Any) -> tuple[str, str] | None:
    """Kind and name of a document, when it has both."""
    if not isinstance(data, dict) or not isinstance(data.get("metadata"), dict):
        return None
    kind, name = data.get("kind"), data["metadata"].get("name")
    if _is_open_slo(data) and isinstance(kind, str):
        kind = f"OpenSLO {kind}"  # a Service of OpenSLO is not one of ours
    return (kind, name) if isinstance(kind, str) and isinstance(name, str) else None


def _owner(each: _Found, ventures: set[str]) -> Iterator[Problem]:
    venture = each.document.data["metadata"].get("venture")
    if isinstance(venture, str) and venture not in ventures:
        hint = did_you_mean(venture, ventures) or "; add an entry of kind Venture with that name"
        yield each.problem(f"venture {venture!r} is not declared{hint}", "metadata", "venture")


def _granted(each: _Found, entry: AccessEntry, ventures: set[str]) -> Iterator[Problem]:
    for part, grants in entry.spec.by_part():
        for name in sorted({grant.venture for grant in grants} - ventures - {ANY}):
            hint = did_you_mean(name, ventures) or "; add an entry of kind Venture with that name, or write '*' for all"
            yield each.problem(f"venture {name!r} is not declared{hint}", "spec", part)


def _hosts(each: _Found, entry: ServiceEntry, taken: dict[str, str]) -> Iterator[Problem]:
    """One host name leads to one service in one environment; the router refuses anything else, and all routes with it."""
    service = Service(name=entry.metadata.name, venture="", spec=entry.spec, base="", revision=0)
    for environment in Environment:
        for host in service.hosts(environment):
            owner = f"service {service.name} in {environment}"
            earlier = taken.setdefault(host.lower(), owner)
            if earlier != owner:
                yield each.problem(f"host {host!r} leads to {earlier} already", "spec", "route", "hosts", environment)
