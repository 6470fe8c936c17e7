"""Advisories from files: OSV JSON, one or many to a file, or a folder of such files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from productops.domain.governance_security_vulnerable import Advisory, Package, advisories_of
from productops.errors import InvalidInputError

FILES_MAX: Final = 400_000
FILE_BYTES_MAX: Final = 256 * 1024 * 1024
PROBLEMS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class AdvisoriesRead:
    """What files hold about the packages that were asked for. ``problems``: what could not be read, by file."""

    by_package: dict[Package, list[Advisory]]
    documents: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AdvisoryFiles:
    """A file, or a folder whose ``*.json`` files are read, those in folders within it too."""

    path: Path

    def state(self) -> str:
        """Changes whenever a file does: names, sizes and times, hashed. Raises: InvalidInputError when it is not there."""
        found = hashlib.sha256()
        for file in self._files():
            try:
                status = file.stat()
            except OSError:
                continue  # it went while we looked, which the next look sees
            found.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        return found.hexdigest()

    def read(self, wanted: Collection[Package]) -> AdvisoriesRead:
        """All advisories about some packages. Raises: InvalidInputError when the path is not there."""
        packages, by_package, problems, documents = set(wanted), dict[Package, list[Advisory]](), list[str](), 0
        for file in self._files():
            try:
                for document in _documents(file):
                    documents += 1
                    for advisory in advisories_of(document):
                        if advisory.package in packages:
                            by_package.setdefault(advisory.package, []).append(advisory)
            except (OSError, ValueError, RecursionError, AttributeError, TypeError) as error:
                problems.append(f"{file.name}: {error}"[:300])
        return AdvisoriesRead(by_package, documents, tuple(problems[:PROBLEMS_SHOWN]))

    def _files(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        if not self.path.is_dir():
            raise InvalidInputError(f"advisories are to be read from {self.path}, which is not there; see PRODUCTOPS_ADVISORIES")
        files = sorted(self.path.rglob("*.json"))
        if len(files) > FILES_MAX:
            raise InvalidInputError(f"{self.path} holds {len(files):,} files of advisories, more than {FILES_MAX:,}")
        return files


def _documents(file: Path) -> Iterator[Any]:
    """Raises: ValueError for what is no JSON, or too large."""
    size = file.stat().st_size
    if size > FILE_BYTES_MAX:
        raise ValueError(f"it has {size:,} bytes, more than {FILE_BYTES_MAX:,}")
    found = json.loads(file.read_bytes())
    if isinstance(found, dict) and isinstance(found.get("vulns"), list):
        found = found["vulns"]
    yield from found if isinstance(found, list) else [found]
