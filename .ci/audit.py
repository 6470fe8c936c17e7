"""Ask for known vulnerabilities of the versions in the lock file; pip-audit does the asking.

The advisories are at the host of the package index. Where that gives none (a mirror, no network), nothing can be said: this is said
aloud, and passes unless AUDIT_REQUIRED=1. pip-audit alone would take a mirror's 404 for "nothing known" and be content.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
# A release that had advisories for years: whoever knows none for it knows none for anything.
KNOWN = "requests==2.19.0\n"
TIMEOUT_S = 60
VULNERABLE = 1


def audit(requirements: Path, *, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run pip-audit over pinned requirements; exit code 1 says that something is known."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(requirements),
        "--no-deps",
        "--disable-pip",
        "--progress-spinner",
        "off",
    ]
    return subprocess.run(command, check=False, text=True, capture_output=quiet, timeout=None if not quiet else TIMEOUT_S)


def unreachable() -> str | None:
    """Why no advisories can be had; None when they can."""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "requirements.txt"
        probe.write_text(KNOWN, encoding="utf-8")
        try:
            found = audit(probe, quiet=True)
        except subprocess.TimeoutExpired:
            return f"no answer within {TIMEOUT_S} s"
    if found.returncode == VULNERABLE and "requests" in found.stdout:
        return None
    return "the index gives none, also not for a release that has some"


def main() -> int:
    """The exit code: 0 nothing known (or nothing could be asked), 1 something is, 69 it had to be asked and could not."""
    if why := unreachable():
        sys.stderr.write(f"NOTE: dependencies were NOT audited, no advisories can be had: {why}\n")
        return 69 if os.environ.get("AUDIT_REQUIRED") == "1" else 0
    return audit(LOCK).returncode


if __name__ == "__main__":
    sys.exit(main())
