"""Versions that are folders or references of a git repository."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from productops.adapters.local_process import LocalProcessTarget, free_port
from productops.adapters.local_process.tools import run_tool
from productops.errors import DependencyError, InvalidInputError, NotFoundError

from .support import eventually, output, program, service, start


def test_a_folder_version_is_the_folder_itself(tmp_path: Path, target: LocalProcessTarget) -> None:
    program(tmp_path, "", "1.2.0")
    what = service(tmp_path)
    assert target.exists(what, "1.2.0")
    assert target.prepare(what, "1.2.0") == tmp_path / "v1.2.0"
    assert not target.exists(what, "1.3.0")
    with pytest.raises(NotFoundError, match=r"v1\.3\.0"):
        target.prepare(what, "1.3.0")
    absolute = service(tmp_path / "elsewhere", versions={"kind": "folder", "path": str(tmp_path / "v{version}")})
    assert target.prepare(absolute, "1.2.0") == tmp_path / "v1.2.0"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("version", ["", "..", "../1", "a/b", "--upload-pack=x", "1 2", "1\n", "v1..v2", "HEAD:app.py", "@{-1}", "~", "é"])
def test_a_hostile_version_is_refused_for_every_kind(tmp_path: Path, target: LocalProcessTarget, version: str) -> None:
    kinds = ({"kind": "folder", "path": "{version}"}, {"kind": "git", "repository": "."}, {"kind": "wheel", "path": "{version}"})
    for versions in kinds:
        what = service(tmp_path, versions=versions)
        with pytest.raises(InvalidInputError):
            target.exists(what, version)
        with pytest.raises(InvalidInputError):
            target.prepare(what, version)
        with pytest.raises(InvalidInputError):
            start(target, what, version)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Tag v1 (annotated) and, on the main branch, a later commit."""
    folder = tmp_path / "repository"
    (folder / "service").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for version in ("1", "2"):
        (folder / "service" / "app.py").write_text(f"print('this is {version}')\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", version)
        if version == "1":
            git(folder, "tag", "-a", "v1", "-m", "one")
    return folder


GIT = {"kind": "git", "repository": "repository", "subfolder": "service"}


def test_a_git_version_is_exported_once_and_the_repository_is_untouched(
    tmp_path: Path, target: LocalProcessTarget, repository: Path
) -> None:
    (repository / "service" / "app.py").write_text("print('not committed')\n")
    before = git(repository, "status", "--porcelain=v1", "--branch")
    what = service(tmp_path, versions=GIT)
    assert target.exists(what, "1")
    assert not (tmp_path / "home").exists()
    folder = target.prepare(what, "1")
    assert folder.is_relative_to(tmp_path / "home" / "artifacts" / "shop" / "1")
    assert folder.name == "service"
    process = start(target, what)
    eventually(lambda: not target.alive(process.pid, process.started))
    assert output(target) == "this is 1"
    assert git(repository, "status", "--porcelain=v1", "--branch") == before
    git(repository, "tag", "--force", "v1", "main")
    repository.rename(tmp_path / "gone")
    assert target.exists(what, "1")
    assert target.prepare(what, "1") == folder
    assert (folder / "app.py").read_text() == "print('this is 1')\n"


@pytest.mark.parametrize("reference", ["{version}", "refs/heads/{version}"])
def test_a_branch_and_a_commit_are_versions_too(tmp_path: Path, target: LocalProcessTarget, repository: Path, reference: str) -> None:
    what = service(tmp_path, versions=GIT | {"ref": reference})
    assert (target.prepare(what, "main") / "app.py").read_text() == "print('this is 2')\n"
    commit = git(repository, "rev-parse", "--short=10", "v1^{commit}")
    assert target.exists(what, commit) == (reference == "{version}")


def test_a_git_version_of_another_source_is_prepared_anew(tmp_path: Path, target: LocalProcessTarget, repository: Path) -> None:
    git(repository, "branch", "release-1", "main")
    first = target.prepare(service(tmp_path, versions=GIT), "1")
    second = target.prepare(service(tmp_path, versions=GIT | {"ref": "release-{version}"}), "1")
    assert (first / "app.py").read_text() != (second / "app.py").read_text()


def test_what_git_cannot_provide_is_said(tmp_path: Path, target: LocalProcessTarget, repository: Path) -> None:
    what = service(tmp_path, versions=GIT)
    assert not target.exists(what, "3")
    with pytest.raises(NotFoundError, match="v3"):
        target.prepare(what, "3")
    for wrong in ("missing", "repository/service", "ext::sh -c true"):
        with pytest.raises(DependencyError, match="git failed"):
            target.exists(service(tmp_path, versions=GIT | {"repository": wrong}), "1")
    for hostile in ("--output=x{version}", "{version}:service", "HEAD@{1}", "main..v{version}", "v{version}^{tree}", "v{version} --all"):
        with pytest.raises(InvalidInputError):
            target.exists(service(tmp_path, versions=GIT | {"ref": hostile}), "1")
    with pytest.raises(NotFoundError, match="no folder 'web'"):
        target.prepare(service(tmp_path, versions=GIT | {"subfolder": "web"}), "1")
    for outside in ("../..", "/etc", "service/../../x"):
        with pytest.raises(InvalidInputError, match="leaves"):
            target.prepare(service(tmp_path, versions=GIT | {"subfolder": outside}), "1")
    assert not list((tmp_path / "home").rglob(".new-*"))


def test_a_tree_with_a_link_to_the_outside_is_refused(tmp_path: Path, target: LocalProcessTarget, repository: Path) -> None:
    (repository / "service" / "inside").symlink_to("app.py")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "a link within")
    git(repository, "tag", "v3")
    (repository / "service" / "outside").symlink_to("/etc")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "a link to the outside")
    git(repository, "tag", "v4")
    what = service(tmp_path, versions=GIT)
    assert (target.prepare(what, "3") / "inside").read_text() == "print('this is 2')\n"
    with pytest.raises(InvalidInputError, match="leaves its folder"):
        target.prepare(what, "4")
    assert not list((tmp_path / "home" / "artifacts" / "shop" / "4").glob("[!.]*"))


def test_a_repository_url_is_asked_and_fetched(tmp_path: Path, target: LocalProcessTarget, repository: Path) -> None:
    git(repository, "branch", "x/v3")
    what = service(tmp_path, versions=GIT | {"repository": repository.as_uri()})
    assert target.exists(what, "1")
    assert not target.exists(what, "3")
    assert (target.prepare(what, "1") / "app.py").read_text() == "print('this is 1')\n"
    with pytest.raises(NotFoundError, match="v3"):
        target.prepare(what, "3")
    commit = git(repository, "rev-parse", "main")
    by_hash = service(tmp_path, versions=GIT | {"repository": repository.as_uri(), "ref": "{version}"})
    assert target.exists(by_hash, commit)
    assert (target.prepare(by_hash, commit) / "app.py").read_text() == "print('this is 2')\n"
    assert (target.prepare(by_hash, "main") / "app.py").read_text() == "print('this is 2')\n"


def test_credentials_of_a_repository_url_are_never_shown(tmp_path: Path, target: LocalProcessTarget) -> None:
    port = free_port(range(18_600, 18_700))
    what = service(tmp_path, versions=GIT | {"repository": f"http://robot:secret@127.0.0.1:{port}/x.git"})
    for call in (target.exists, target.prepare):
        with pytest.raises(DependencyError, match=rf"127\.0\.0\.1:{port}/x\.git") as caught:
            call(what, "1")
        assert "secret" not in str(caught.value)


def test_preparing_from_many_threads_and_after_a_crash_gives_one_complete_folder(tmp_path: Path, repository: Path) -> None:
    left_over = tmp_path / "home" / "artifacts" / "shop" / "1" / ".new-crashed"
    (left_over / "tree" / "service").mkdir(parents=True)
    what = service(tmp_path, versions=GIT)
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(LocalProcessTarget(tmp_path / "home").prepare(what, "1"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 6
    assert len(set(folders)) == 1
    assert (folders[0] / "app.py").is_file()
    assert not left_over.exists()


def test_a_tool_that_hangs_is_ended_with_all_it_started() -> None:
    begun = time.monotonic()
    with pytest.raises(DependencyError, match=r"sh -c .* took longer than 0\.2 s"):
        run_tool(["sh", "-c", "sleep 613 & sleep 613"], timeout_s=0.2)
    assert time.monotonic() - begun < 2
    eventually(lambda: not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "613"]])
