"""Folders to run in: one for each version of each service, made once and never changed again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from productops.adapters.local_process.git_export import export, has_reference, is_url
from productops.adapters.local_process.tools import run_tool
from productops.domain.catalog import FolderVersions, GitVersions, ImageVersions, Service, WheelVersions
from productops.domain.versions import check_version
from productops.errors import DependencyError, InvalidInputError, NotFoundError, UnsupportedError

INSTALL_TIMEOUT_S = 600.0


class Artifacts:
    """The prepared versions below ``root``, as ``<service>/<version>/<digest of their source>``.

    Git and wheel versions stay as they were when they were first prepared: a tag that moves or a wheel that is built again does not
    change what a restarted instance runs, and a version once prepared needs its source no more.
    """

    def __init__(self, root: Path, python: str) -> None:
        self._root = root
        self._python = python

    def exists(self, service: Service, version: str) -> bool:
        """Whether the version can be had; changes nothing.

        Raises: InvalidInputError for an unusable version, DependencyError when git does not answer.
        """
        check_version(version)
        versions = _files_of(service)
        if isinstance(versions, FolderVersions):
            return _source(service, versions.path, version).is_dir()
        if self._folder(service, version).is_dir():
            return True
        if isinstance(versions, GitVersions):
            return has_reference(_repository(service, versions), _fill(versions.ref, version))
        return _source(service, versions.path, version).is_file()

    def prepare(self, service: Service, version: str) -> Path:
        """The folder to run in. Safe to call from several threads and processes at once.

        Raises: InvalidInputError for an unusable version, NotFoundError when it does not exist, DependencyError when git or pip fails.
        """
        check_version(version)
        versions = _files_of(service)
        if isinstance(versions, FolderVersions):
            folder = _source(service, versions.path, version)
            if not folder.is_dir():
                raise NotFoundError(f"{service.name} {version} does not exist: there is no folder {folder}")
            return folder
        if isinstance(versions, GitVersions):
            fill = partial(export, _repository(service, versions), _fill(versions.ref, version))
            tree = _made_once(self._folder(service, version), fill)
            return _within(tree, versions.subfolder, f"{service.name} {version}")
        wheel = _source(service, versions.path, version)
        return _made_once(self._folder(service, version), partial(_install, self._python, wheel, f"{service.name} {version}"))

    def _folder(self, service: Service, version: str) -> Path:
        return self._root / check_version(service.name) / version / _digest(service, self._python)


def _files_of(service: Service) -> FolderVersions | GitVersions | WheelVersions:
    """Raises: UnsupportedError for container images, which are no files to run here."""
    versions = service.spec.run.versions
    if isinstance(versions, ImageVersions):
        raise UnsupportedError(f"the versions of {service.name} are container images: name the target podman in PRODUCTOPS_CONNECTIONS")
    return versions


def _fill(template: str, version: str) -> str:
    return template.replace("{version}", version)


def _source(service: Service, template: str, version: str) -> Path:
    """A path of the catalog; relative ones start at the folder of the service's catalog file."""
    return Path(service.base, _fill(template, version)).resolve()


def _repository(service: Service, versions: GitVersions) -> str:
    return versions.repository if is_url(versions.repository) else str(Path(service.base, versions.repository).resolve())


def _digest(service: Service, python: str) -> str:
    """Tells sources apart, so that a version is prepared anew when the catalog points elsewhere."""
    versions = _files_of(service)
    if isinstance(versions, GitVersions):
        source = [_repository(service, versions), versions.ref]
    else:
        source = [str(_source(service, versions.path, "{version}")), python]
    return hashlib.sha256(json.dumps([versions.kind, *source]).encode()).hexdigest()[:12]


def _made_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """``folder``, filled by ``fill`` unless it is there; it appears complete or not at all."""
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / ".lock"):
            if not folder.is_dir():
                _make(folder, fill)
    except OSError as error:
        raise DependencyError(f"{folder} cannot be prepared: {error.strerror}") from error
    return folder


def _make(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside ``folder`` and move it there; whatever a crash left beside it goes. The caller holds the lock."""
    for left_over in folder.parent.glob(".new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    try:
        (scratch / "tree").mkdir()
        fill(scratch / "tree")
        (scratch / "tree").rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One preparation of a version at a time, across processes; the lock of a dead holder is free."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _within(tree: Path, subfolder: str, what: str) -> Path:
    if PurePosixPath(subfolder).is_absolute() or ".." in PurePosixPath(subfolder).parts:
        raise InvalidInputError(f"subfolder {subfolder!r} of {what} leaves the repository")
    folder = tree / subfolder
    if not folder.is_dir():
        raise NotFoundError(f"{what} has no folder {subfolder!r}")
    return folder


def _install(python: str, wheel: Path, what: str, into: Path) -> None:
    """Install a wheel and what it depends on; the network is needed only for dependencies."""
    if not wheel.is_file():
        raise NotFoundError(f"{what} does not exist: there is no wheel {wheel}")
    command = [python, "-m", "pip", "install", "--quiet", "--no-warn-script-location", "--prefer-binary", "--target", str(into)]
    result = run_tool([*command, "--", str(wheel)], timeout_s=INSTALL_TIMEOUT_S)
    if result.code != 0:
        raise DependencyError(f"pip could not install {wheel.name}: {result.complaint}")
