"""Apache Otava in an environment of its own: it pins other versions of what we use, so it is asked as a process."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import RESULTS

HOME = RESULTS / "otava-venv"
INSTALL_S = 600.0
ASK_S = 1800.0
PROGRAM = """
import importlib.metadata, json, sys, time
from otava.analysis import compute_change_points
answers, taken = [], []
for series in json.load(sys.stdin):
    began = time.process_time()
    found, _ = compute_change_points(series, window_len=50, max_pvalue=0.001, min_magnitude=0.05)
    taken.append((time.process_time() - began) * 1000)
    answers.append([int(point.index) for point in found])
print(json.dumps({"version": importlib.metadata.version("apache-otava"), "answers": answers, "taken_ms": taken}))
"""


class OtavaError(Exception):
    """It could not be installed or asked."""


def ask(series: Sequence[Any]) -> tuple[str, list[list[int]], list[float]]:
    """Its version, and for each series the places it finds and the milliseconds it took. Raises: OtavaError."""
    python = _environment()
    text = json.dumps([[float(value) for value in each] for each in series])
    done = _run([str(python), "-c", PROGRAM], ASK_S, text)
    answer = json.loads(done)
    return str(answer["version"]), answer["answers"], answer["taken_ms"]


def _environment() -> Path:
    """Its Python, made when it is not there yet."""
    python = HOME / "bin" / "python"
    if not (HOME / "bin" / "otava").exists():
        venv.create(HOME, with_pip=True, clear=True)
        _run([str(python), "-m", "pip", "install", "--quiet", "apache-otava"], INSTALL_S)
    return python


def _run(command: list[str], limit_s: float, text: str = "") -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=limit_s, check=True)
    except subprocess.TimeoutExpired as error:
        raise OtavaError(f"{Path(command[0]).name} {command[1]} did not end within {limit_s:.0f} s") from error
    except (subprocess.CalledProcessError, OSError) as error:
        told = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise OtavaError(told[-1] if told else f"{sys.executable} could not run it") from error
    return done.stdout
