"""What a version consists of, by digest: of a wheel, a folder, a commit, or an image that is named by its digest."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from pathlib import Path

from productops.domain.catalog import GitVersions, ImageVersions, Service, WheelVersions

FILES_MAX = 5_000
BYTES_MAX = 200_000_000
_GIT_S = 5.0
_PINNED = re.compile(r".*@sha256:([0-9a-f]{64})")


def artifact_digest(service: Service, version: str) -> dict[str, str] | None:
    """``uri`` and one digest (``sha256``, ``dirHash`` or ``gitCommit``); None where it is not known or too large to be hashed in passing.

    ``dirHash`` is SHA-256 over a line ``<sha256>  <path>`` for each file, sorted by path.
    """
    versions = service.spec.run.versions
    if isinstance(versions, ImageVersions):
        image = versions.image.replace("{version}", version)
        pinned = _PINNED.fullmatch(image)
        return {"uri": image, "sha256": pinned[1]} if pinned else None
    if isinstance(versions, GitVersions):
        return _commit(service, versions, version)
    path = Path(service.base, versions.path.replace("{version}", version))
    try:
        if isinstance(versions, WheelVersions):
            return {"uri": path.name, "sha256": _file_digest(path)} if path.stat().st_size <= BYTES_MAX else None
        return _folder(path)
    except OSError:
        return None


def _commit(service: Service, versions: GitVersions, version: str) -> dict[str, str] | None:
    """Of a repository on this machine; asking another one would hold up the release."""
    place, reference = Path(service.base, versions.repository), versions.ref.replace("{version}", version)
    if not place.is_dir() or reference.startswith("-"):
        return None
    command = ["git", "-C", str(place), "rev-parse", "--verify", "--end-of-options", f"{reference}^{{commit}}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_S, check=False, text=True)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = done.stdout.strip()
    return {"uri": f"{place.name}@{reference}", "gitCommit": found} if re.fullmatch(r"[0-9a-f]{40,64}", found) else None


def _folder(path: Path) -> dict[str, str] | None:
    files: list[Path] = []
    size = 0
    for parent, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name != "__pycache__")  # made by running it
        for name in sorted(names):
            info = Path(parent, name).lstat()
            if not stat.S_ISREG(info.st_mode):
                continue
            files.append(Path(parent, name))
            size += info.st_size
            if len(files) > FILES_MAX or size > BYTES_MAX:
                return None
    if not files:
        return None
    lines = sorted((file.relative_to(path).as_posix(), _file_digest(file)) for file in files)
    text = "".join(f"{digest}  {name}\n" for name, digest in lines)
    return {"uri": path.name, "dirHash": hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()}


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
