"""Versions that are wheels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from productops.adapters.local_process import LocalProcessTarget
from productops.errors import DependencyError, NotFoundError

from .support import eventually, output, service, start


def wheel(folder: Path, name: str, version: str, code: str, *requires: str) -> Path:
    """A wheel of one module ``name`` that is also a console script."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-serve = {name}:main\n",
    }
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in files) + f"{info}/RECORD,,\n")
    return path


@pytest.fixture
def no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from instead of the network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


WHEEL = {"kind": "wheel", "path": "wheels/po_app-{version}-py3-none-any.whl"}


def test_a_wheel_runs_with_its_dependencies_and_is_installed_once(tmp_path: Path, target: LocalProcessTarget, no_index: Path) -> None:
    wheel(no_index, "po_needed", "1.0", "WORD = 'needed'\n")
    code = "import po_needed\ndef main(): print('app with', po_needed.WORD)\nif __name__ == '__main__': main()\n"
    file = wheel(tmp_path / "wheels", "po_app", "1.0", code, "po_needed>=1")
    what = service(tmp_path, "{python}", "-m", "po_app", versions=WHEEL)
    assert target.exists(what, "1.0")
    assert not target.exists(what, "2.0")
    process = start(target, what, "1.0")
    eventually(lambda: not target.alive(process.pid, process.started))
    assert output(target, "1.0") == "app with needed"
    file.unlink()
    assert target.exists(what, "1.0")
    script = service(tmp_path, "po_app-serve", versions=WHEEL)
    process = start(target, script, "1.0", "i2")
    eventually(lambda: not target.alive(process.pid, process.started))
    assert output(target, "1.0", "i2") == "app with needed"


def test_a_wheel_that_cannot_be_installed_says_why_and_leaves_nothing(tmp_path: Path, target: LocalProcessTarget, no_index: Path) -> None:
    wheel(tmp_path / "wheels", "po_app", "1.0", "", "po_missing")
    what = service(tmp_path, versions=WHEEL)
    with pytest.raises(DependencyError, match="po_missing|po-missing"):
        target.prepare(what, "1.0")
    with pytest.raises(NotFoundError, match=r"po_app-2\.0"):
        target.prepare(what, "2.0")
    assert not no_index.exists()
    assert [path.name for path in (tmp_path / "home" / "artifacts").rglob("*") if path.is_file()] == [".lock", ".lock"]
    with pytest.raises(DependencyError, match="cannot run /no/python"):
        LocalProcessTarget(tmp_path / "home", "/no/python").prepare(what, "1.0")
