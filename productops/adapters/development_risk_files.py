"""Models of risk in files, and the one that comes with the product."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from pathlib import Path

from productops.domain.development_risk_file import BYTES_MAX, read_model, write_model
from productops.errors import RiskModelError
from productops.stats.risk_model import RiskParts

PUBLIC = "development_risk_prior.json"


@cache
def public_prior() -> RiskParts:
    """What changes of six public projects have in common; the file holds trees and where they come from, no data."""
    text = files("productops.adapters").joinpath(PUBLIC).read_text(encoding="utf-8")
    return read_model(text, source=PUBLIC)[0]


def load_model(path: Path) -> tuple[RiskParts, dict[str, str]]:
    """The model in a file with its provenance. Raises: RiskModelError when it cannot be read or is no such model."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise RiskModelError(f"{path}: {error.strerror or error}; learn the model again or restore the file") from error
    return read_model(content, source=str(path))


def save_model(path: Path, model: RiskParts, *, provenance: dict[str, str]) -> None:
    """Write a file whole or not at all. Raises: OSError."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_text(write_model(model, provenance=provenance), encoding="utf-8")
    fresh.replace(path)
