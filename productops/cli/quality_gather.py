"""What `productops quality validate` judges: the files that patterns name, and the change as a diff."""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from productops.errors import InvalidInputError, NotFoundError

FILES_MAX = 1_000
DIFF_BYTES_MAX = 32 * 1024 * 1024
GIT_TIMEOUT_S = 60
# What continuous integration says of the commit and the branch, in the order it is believed.
_COMMIT = ("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT", "BUILDKITE_COMMIT", "CIRCLE_SHA1", "BUILD_SOURCEVERSION")
_BRANCH = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "GIT_BRANCH", "BUILDKITE_BRANCH", "CIRCLE_BRANCH")

_SPAN = re.compile(r"([1-9][0-9]{0,3})([hd])")
# What of a folder can be a report; a file that is named itself may be called anything.
_REPORTS = frozenset({".xml", ".json", ".sarif", ".info", ".lcov", ".csv", ".jtl", ".ndjson", ".jsonl", ".cdx", ".spdx", ".zip", ".gz"})


@dataclass(frozen=True, slots=True)
class Report:
    """One file to judge: where it is, and what it is called elsewhere."""

    path: Path
    name: str


def gather(patterns: Mapping[str, Sequence[str]]) -> list[Report]:
    """The files that the options name, each once: files, folders, or patterns like ``reports/**/*.xml``.

    Raises: NotFoundError for an option whose pattern fits nothing: a report that is not there has not passed. InvalidInputError past 1,000.
    """
    found: dict[Path, Report] = {}
    for option, given in patterns.items():
        for pattern in given:
            files = list(_fitting(pattern))
            if not files:
                raise NotFoundError(f"--{option} {pattern!r} fits no file; did the tool that should have written it run?")
            for path in files:
                found.setdefault(path.resolve(), Report(path, _name(path)))
    if len(found) > FILES_MAX:
        raise InvalidInputError(f"{len(found):,} files are too many; at most {FILES_MAX:,} are judged together, an archive counts as one")
    return list(found.values())


def _fitting(pattern: str) -> Iterable[Path]:
    path = Path(pattern)
    if path.is_file():
        return [path]
    if path.is_dir():
        return sorted(
            each for each in path.rglob("*") if each.suffix in _REPORTS and each.is_file() and not _hidden(each.relative_to(path))
        )
    return [Path(each) for each in sorted(glob.glob(pattern, recursive=True)) if Path(each).is_file()]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part in {"node_modules", "__pycache__"} for part in path.parts)


def _name(path: Path) -> str:
    """Relative to where we are where that is possible, so that two files of one name stay two."""
    here = Path.cwd()
    whole = path.resolve()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else path.name


def read_diff(given: str) -> str:
    """A unified diff: the content of a file, or what git says of a range like ``origin/main...HEAD``.

    Raises: InvalidInputError, NotFoundError with git's own words.
    """
    path = Path(given)
    if path.is_file():
        content = path.read_bytes()
    elif given.startswith("-"):
        raise InvalidInputError(f"--diff {given!r} is neither a file nor a range of commits")
    else:
        content = _git("diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-renames", "--end-of-options", given, "--")
    if len(content) > DIFF_BYTES_MAX:
        raise InvalidInputError(
            f"--diff {given!r} has {len(content):,} bytes, and at most {DIFF_BYTES_MAX:,} are read; name a smaller range"
        )
    return content.decode("utf-8", "replace")


def commit_here() -> str:
    """The commit under test: what the build says, else git; empty when nobody knows."""
    return _said(_COMMIT) or _ask_git("rev-parse", "HEAD")


def branch_here() -> str:
    """The branch under test, as ``commit_here``."""
    said = _said(_BRANCH) or _ask_git("rev-parse", "--abbrev-ref", "HEAD")
    return "" if said == "HEAD" else said.removeprefix("origin/")


def _said(names: Iterable[str]) -> str:
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")


def _ask_git(*arguments: str) -> str:
    try:
        return _git(*arguments).decode("utf-8", "replace").strip()
    except NotFoundError:
        return ""


def _git(*arguments: str) -> bytes:
    """Raises: NotFoundError."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, timeout=GIT_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotFoundError(f"git cannot be asked: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        shallow = "; a shallow clone lacks earlier commits: fetch them (fetch-depth: 0)" if arguments[0] == "diff" else ""
        raise NotFoundError(f"git {' '.join(arguments)} says: {said[0] if said else 'nothing'}{shallow}")
    return done.stdout


def until(span: str) -> datetime:
    """The end of a span like ``30d`` or ``12h`` from now. Raises: InvalidInputError."""
    found = _SPAN.fullmatch(span)
    if found is None:
        raise InvalidInputError(f"{span!r} is no span of time: write it like 30d or 12h")
    number = int(found[1])
    return datetime.now(UTC).replace(microsecond=0) + (timedelta(days=number) if found[2] == "d" else timedelta(hours=number))
