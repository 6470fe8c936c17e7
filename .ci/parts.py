"""Write the parts list (CycloneDX 1.6) of requirements.lock with the licences that the installed packages state.

Usage: python .ci/parts.py FILE. Parts that other platforms need are left out: what is not installed here has no licence to read.
"""

import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
# What packages write that state no SPDX expression: the classifier, or the text of the field.
_CLASSIFIERS = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "Zope Public License": "ZPL-2.1",
}
_TEXTS = {
    "mit": "MIT", "mit license": "MIT", "bsd": "BSD-3-Clause", "bsd license": "BSD-3-Clause", "new bsd": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause", "3-clause bsd license": "BSD-3-Clause", "bsd 3-clause license": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause", "apache": "Apache-2.0", "apache 2": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache-2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0", "apache license, version 2.0": "Apache-2.0", "apache software license": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0", "psf": "PSF-2.0", "psfl": "PSF-2.0", "python-2.0": "PSF-2.0",
    "mpl-2.0": "MPL-2.0", "isc": "ISC", "dual license": "Apache-2.0 OR BSD-3-Clause",
}  # fmt: skip
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+()-]+)*")


def licence_of(found: Distribution) -> str:
    """An SPDX expression, or what the package says itself; empty when it says nothing."""
    stated = found.metadata.get("License-Expression")
    if stated:
        return stated
    classified = [c.rsplit(" :: ", 1)[-1] for c in found.metadata.get_all("Classifier") or () if c.startswith("License ::")]
    known = sorted({_CLASSIFIERS[c] for c in classified if c in _CLASSIFIERS})
    if known:
        return " OR ".join(known)
    text = (found.metadata.get("License") or "").strip()
    if text.lower() in _TEXTS:
        return _TEXTS[text.lower()]
    first = text.splitlines()[0].strip() if text else ""
    return first if _EXPRESSION.fullmatch(first) and first not in {"UNKNOWN", "Dual"} else _TEXTS.get(first.lower(), first[:100])


def component(requirement: Requirement) -> dict[str, object]:
    """One part."""
    version = next(iter(requirement.specifier)).version
    part = {"type": "library", "name": requirement.name, "version": version, "purl": f"pkg:pypi/{requirement.name}@{version}"}
    try:
        stated = licence_of(distribution(requirement.name))
    except PackageNotFoundError:
        stated = ""
    if not stated:
        return part
    return part | {"licenses": [{"expression": stated} if _EXPRESSION.fullmatch(stated) else {"license": {"name": stated}}]}


def parts(lock: str) -> list[dict[str, object]]:
    """All parts of a lock file that this platform needs."""
    lines = (line.split(" --hash")[0].rstrip(" \\") for line in lock.splitlines())
    wanted = [Requirement(line) for line in lines if line and not line.startswith(("#", " ", "-"))]
    return [component(each) for each in wanted if each.marker is None or each.marker.evaluate()]


def main() -> int:
    """The exit code."""
    file = Path(sys.argv[1])
    found = parts(LOCK.read_text(encoding="utf-8"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": found}, indent=1), encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
