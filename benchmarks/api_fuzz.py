"""Schemathesis against the whole API: what the document allows and what it does not, with and without a token, single and in sequences.

``python -m benchmarks.api_fuzz [--minutes 20]``. A failure is an answer of 500 or one that the document does not describe.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.api_stack import furnish, make_context, served
from benchmarks.figures import Figure, show, write
from benchmarks.flags import LOOPBACK, TOKEN

# Streams have no end; they have tests of their own.
STREAMS = ("streamReleaseEvents", "streamEvents", "streamFlagEvents")
HOOKS = "benchmarks.api_fuzz_checks"
# Beyond those of the tool: a request may fit the document and still be refused for what it is about.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "304", "4xx", "502", "503"]
missing_required_header.expected-statuses = ["4xx"]
negative_data_rejection.expected-statuses = ["4xx", "2xx"]
"""
PARTS = (("with a token", 0.8, True), ("without a token", 0.2, False))


@dataclass(frozen=True)
class Fuzzed:
    """What one run found. ``output`` is the tool's own report."""

    name: str
    cases: int
    failures: int
    output: str


def free_port() -> int:
    """The first of ten ports in a row that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return min(int(probe.getsockname()[1]), 65_000)


def fuzz(
    port: int, folder: Path, *, name: str, authorised: bool, seconds: float | None, seed: int, examples: int, phases: str,
    more: Sequence[str] = (),
) -> Fuzzed:  # fmt: skip
    """One run. Without ``seconds`` it ends when each phase is through."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG, encoding="utf-8")
    url = f"http://{LOOPBACK}:{port}"
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json", "--checks", "all",
        "--phases", phases, "--max-examples", str(examples), "--seed", str(seed), "--workers", "1", "--request-timeout", "20",
        "--suppress-health-check", "all", "--continue-on-failure", "--no-color", "--warnings", "off",
        *(part for stream in STREAMS for part in ("--exclude-operation-id", stream)), *more,
    ]  # fmt: skip
    command += ["-H", f"Authorization: Bearer {TOKEN}"] if authorised else []
    command += ["--max-time", str(int(seconds)), "--generation-database", "none"] if seconds else ["--generation-deterministic"]
    env = os.environ | {"SCHEMATHESIS_HOOKS": HOOKS, "COLUMNS": "150"}
    limit = (seconds or 300) * 2 + 120
    done = subprocess.run(command, env=env, cwd=Path.cwd(), capture_output=True, text=True, timeout=limit, check=False)
    return read(name, done.stdout + done.stderr, code=done.returncode)


def read(name: str, output: str, *, code: int) -> Fuzzed:
    """What the tool's report says; a run that broke off counts as a failure."""
    cases = sum(int(n.replace(",", "")) for n in re.findall(r"([\d,]+) generated", output))
    failures = sum(int(n) for n in re.findall(r"([\d]+) unique failure", output))
    return Fuzzed(name, cases, max(failures, 1 if code else 0), output)


def run(*, quick: bool = False, minutes: float | None = None) -> list[Figure]:
    """Fuzz for so long in total: 20 minutes, or 1 when it is to be quick."""
    total_s = 60 * (minutes or (1 if quick else 20))
    figures, reports = [], []
    with tempfile.TemporaryDirectory(prefix="po-fuzz-") as folder:
        home, port = Path(folder), free_port()
        url = f"sqlite:///{home / 'productops.db'}"
        context = make_context(url, home)
        furnish(context, home)
        with served(url, home, port):
            for number, (name, share, authorised) in enumerate(PARTS):
                found = fuzz(
                    port, home, name=name, authorised=authorised, seconds=total_s * share, seed=20261121 + number, examples=10_000,
                    phases="examples,coverage,fuzzing,stateful",
                )  # fmt: skip
                figures.append(Figure(f"failures of all checks, {name}", found.failures, "", 0, detail=f"{found.cases:,} requests"))
                reports.append({"name": name, "cases": found.cases, "failures": found.failures})
                if found.failures:
                    print(found.output, flush=True)
        context.store.close()
    write("api-fuzz", "api-fuzz", figures, reports)
    show("api-fuzz", figures)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api_fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="in total")
    run(minutes=parser.parse_args().minutes)
