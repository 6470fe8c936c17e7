"""The lock names everything that pyproject.toml asks for, in a version it allows."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def _asked() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    lines = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"], *(line for key in extras for line in extras[key])]
    return [asked for asked in map(Requirement, lines) if asked.name != project["project"]["name"]]


def _locked() -> dict[str, Version]:
    pins = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): Version(next(iter(pin.specifier)).version) for pin in pins}


def test_the_lock_holds_every_requirement_in_a_version_it_allows() -> None:
    """A requirement that only this machine has installed passes here and fails on a new one."""
    locked = _locked()
    missing = [str(asked) for asked in _asked() if canonicalize_name(asked.name) not in locked]
    wrong = [
        str(asked)
        for asked in _asked()
        if asked.name not in missing and (pin := locked.get(canonicalize_name(asked.name))) and pin not in asked.specifier
    ]
    assert not missing, f"not in requirements.lock: {missing}; run `make lock`"
    assert not wrong, f"requirements.lock holds versions that pyproject.toml does not allow: {wrong}; run `make lock`"
