"""Versions that are references of a git repository."""

from __future__ import annotations

import posixpath
import re
import tarfile
import tempfile
from pathlib import Path

from productops.adapters.local_process.tools import ToolResult, redact, run_tool
from productops.errors import DependencyError, InvalidInputError, NotFoundError

ASK_TIMEOUT_S = 10.0
FETCH_TIMEOUT_S = 300.0

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*://|[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][\w.-]*:)", re.ASCII)
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/@-]{0,250}")
_FULL_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def is_url(repository: str) -> bool:
    """Whether ``repository`` is not a path of this machine (``https://…``, ``ssh://…``, ``user@host:path``)."""
    return _URL.match(repository) is not None


def has_reference(repository: str, reference: str) -> bool:
    """Whether ``reference`` names a commit; asks only, within ASK_TIMEOUT_S seconds.

    A full commit hash of a URL cannot be looked up without fetching it: it is taken to exist.
    Raises: InvalidInputError for a malformed reference, DependencyError when git cannot read the repository.
    """
    _check(reference)
    if not is_url(repository):
        return _local_commit(repository, reference) is not None
    return _FULL_HASH.fullmatch(reference) is not None or _remote_name(repository, reference) is not None


def export(repository: str, reference: str, into: Path) -> None:
    """Write the files of ``reference`` into the existing folder ``into``; the repository itself is not changed.

    Raises: InvalidInputError for a malformed reference or a tree with links that leave it, NotFoundError when the reference does not
    exist, DependencyError when git fails.
    """
    _check(reference)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".git-") as scratch:
        place = _fetched(repository, reference, Path(scratch)) if is_url(repository) else repository
        commit = _local_commit(place, "FETCH_HEAD" if is_url(repository) else reference)
        if commit is None:
            raise NotFoundError(f"git repository {redact(repository)} has no commit {reference}")
        archive = Path(scratch) / "tree.tar"
        _succeed(
            run_tool(
                ["git", "-C", place, "archive", "--format=tar", f"--output={archive}", "--end-of-options", commit],
                timeout_s=FETCH_TIMEOUT_S,
                **_only(place),
            ),
            repository,
        )
        _unpack(archive, into, f"{reference} of {redact(repository)}")


def _check(reference: str) -> None:
    """Only plain names: no options, ranges, ``name:path``, ``@{…}`` or other expressions reach git."""
    if not _REFERENCE.fullmatch(reference) or ".." in reference or "//" in reference:
        raise InvalidInputError(f"git reference {reference[:120]!r} is not usable: letters, digits and '_.+/@-' only, without '..'")


def _only(place: str) -> dict[str, str]:
    """Environment that stops git from taking a repository further up for ``place``."""
    return {"GIT_CEILING_DIRECTORIES": str(Path(place).parent)}


def _local_commit(place: str, reference: str) -> str | None:
    result = run_tool(
        ["git", "-C", place, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}"],
        timeout_s=ASK_TIMEOUT_S,
        **_only(place),
    )
    if result.code == 1:
        return None
    return _succeed(result, place).out.strip()


def _remote_name(repository: str, reference: str) -> str | None:
    """Full name of a tag or branch; git's own order of preference."""
    names = [reference] if reference.startswith("refs/") else [f"refs/tags/{reference}", f"refs/heads/{reference}"]
    result = _succeed(run_tool(["git", "ls-remote", "--quiet", "--", repository, *names], timeout_s=ASK_TIMEOUT_S), repository)
    # Patterns match at the end of a name as well (refs/heads/x/refs/tags/v1), hence the exact comparison.
    offered = {line.partition("\t")[2] for line in result.out.splitlines()}
    return next((name for name in names if name in offered), None)


def _fetched(repository: str, reference: str, scratch: Path) -> str:
    """A bare repository in ``scratch`` whose FETCH_HEAD is ``reference``."""
    name = reference if _FULL_HASH.fullmatch(reference) else _remote_name(repository, reference)
    if name is None:
        raise NotFoundError(f"git repository {redact(repository)} has no tag or branch {reference}")
    bare = str(scratch / "fetched.git")
    _succeed(run_tool(["git", "init", "--quiet", "--bare", "--", bare], timeout_s=ASK_TIMEOUT_S), repository)
    fetch = ["git", "-C", bare, "fetch", "--quiet", "--depth=1", "--no-tags", "--", repository, name]
    _succeed(run_tool(fetch, timeout_s=FETCH_TIMEOUT_S, **_only(bare)), repository)
    return bare


def _succeed(result: ToolResult, repository: str) -> ToolResult:
    if result.code != 0:
        raise DependencyError(f"git failed on {redact(repository)}: {result.complaint}")
    return result


class _LeavesError(Exception):
    """A member of an archive that would be written, or lead, outside of its folder."""


def _unpack(archive: Path, into: Path, what: str) -> None:
    try:
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                _check_member(member)
            tar.extractall(into)  # noqa: S202 - every member was checked; Python 3.11.0 to 3.11.3 know no filter
    except _LeavesError as error:
        raise InvalidInputError(f"{what} holds a file that leaves its folder: {error}") from error
    except (tarfile.TarError, OSError) as error:
        raise DependencyError(f"{what} cannot be unpacked: {error}") from error


def _check_member(member: tarfile.TarInfo) -> None:
    """Raises: _LeavesError for anything but files, folders and links that stay within the tree."""
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise _LeavesError(f"{member.name} is a device")
    _stays(member.name, member.name)
    if member.issym():
        _stays(member.name, posixpath.join(posixpath.dirname(member.name), member.linkname))
    if member.islnk():
        _stays(member.name, member.linkname)


def _stays(name: str, target: str) -> None:
    normal = posixpath.normpath(target)
    if posixpath.isabs(target) or normal == ".." or normal.startswith("../"):
        raise _LeavesError(f"{name} leads to {target}")
