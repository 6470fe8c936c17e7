"""One spelling for the path of a source file, whatever machine and tool wrote it."""

from __future__ import annotations

import re
from urllib.parse import unquote

PATH_CHARACTERS_MAX = 1_000

_DRIVE = re.compile(r"^/?[A-Za-z]:(?=/)")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
# Where the hosted builders check sources out; what follows is the path inside the repository.
_CHECKOUTS = re.compile(
    r"^/(?:"
    r"(?:home|Users)/runner/(?:work)/[^/]+/[^/]+|a/[^/]+/[^/]+|github/workspace|__w/[^/]+/[^/]+"  # GitHub
    r"|builds/[^/]+/[^/]+"  # GitLab
    r"|(?:home/vsts|Users/runner|agent/_?work|vsts/work)(?:/work)?/\d+/s|a/\d+/s|azp/_?work/\d+/s"  # Azure
    r"|var/lib/jenkins/workspace/[^/]+|var/jenkins_home/workspace/[^/]+|home/jenkins/(?:agent/)?workspace/[^/]+"  # Jenkins
    r"|home/circleci/[^/]+|opt/atlassian/pipelines/agent/build|var/lib/buildkite-agent/builds/[^/]+/[^/]+/[^/]+"
    r"|codebuild/output/src\d*/(?:src/)?[^/]+|workspace|drone/src|usr/src/app"
    r")/"
)


def normal_path(written: str) -> str:
    """The path with ``/``, without ``.`` and ``..``, drive, ``file:`` and the checkout folder of the hosted builders.

    An absolute path that is no checkout of a known builder stays absolute. At most ``PATH_CHARACTERS_MAX`` characters, the last ones.
    """
    path = written.strip()
    if path[:5].lower() == "file:":
        path = unquote(path[5:])
        path = re.sub(r"^//[^/]*(?=/)", "", path)
    elif _SCHEME.match(path) and not _DRIVE.match(path.replace("\\", "/")):
        return path[:PATH_CHARACTERS_MAX]
    path = _DRIVE.sub("", path.replace("\\", "/"))
    absolute = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in {"", "."} and not (part == ".." and absolute):
            parts.append(part)
    joined = ("/" if absolute else "") + "/".join(parts)
    return _CHECKOUTS.sub("", joined)[-PATH_CHARACTERS_MAX:]


def same_end(first: str, second: str) -> bool:
    """Whether the shorter of two paths is the end of the longer one, folder by folder."""
    short, long = sorted((first.lstrip("/"), second.lstrip("/")), key=len)
    return long == short or long.endswith("/" + short)
