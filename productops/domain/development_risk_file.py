"""A model of risk as JSON: numbers only, so that reading one runs nothing, and what is hostile is refused."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from productops.errors import RiskModelError
from productops.stats.risk_calibration import Calibration
from productops.stats.risk_features import NAMES
from productops.stats.risk_linear import Linear
from productops.stats.risk_model import RiskParts
from productops.stats.risk_trees import Trees

FORMAT = "productops/risk-model/1"
BYTES_MAX = 8_000_000
NODES_MAX = 200_000
TREES_MAX = 5_000
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
Count = Annotated[int, Field(ge=0, le=10**9)]
_Numbers = Annotated[list[Number], Field(max_length=NODES_MAX)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Trees(_Part):
    roots: Annotated[list[Count], Field(max_length=TREES_MAX)]
    feature: Annotated[list[Annotated[int, Field(ge=-1, lt=len(NAMES))]], Field(max_length=NODES_MAX)]
    threshold: _Numbers
    right: Annotated[list[Annotated[int, Field(ge=0, le=NODES_MAX)]], Field(max_length=NODES_MAX)]
    value: _Numbers


class _Linear(_Part):
    intercept: Number
    weight: Annotated[list[Number], Field(min_length=len(NAMES), max_length=len(NAMES))]
    mean: Annotated[list[Number], Field(min_length=len(NAMES), max_length=len(NAMES))]
    spread: Annotated[list[Number], Field(min_length=len(NAMES), max_length=len(NAMES))]


class _Calibration(_Part):
    slope: Number
    offset: Number


class _Model(_Part):
    format: Literal["productops/risk-model/1"]
    provenance: dict[str, str] = Field(default_factory=dict, max_length=50)
    features: tuple[str, ...]
    intercept: Number
    trees: _Trees
    linear: _Linear | None
    linear_share: Annotated[float, Field(ge=0, le=1)]
    calibration: _Calibration
    threshold: Annotated[float, Field(ge=0, le=1)]
    changes: Count
    broke: Count


def write_model(model: RiskParts, *, provenance: dict[str, str]) -> str:
    """One JSON object; reading it gives the very same numbers. ``provenance``: who learned it from what, when, under which licence."""
    trees, linear = model.trees, model.linear
    document = _Model(
        format="productops/risk-model/1", provenance=provenance, features=NAMES, intercept=model.intercept,
        trees=_Trees(roots=trees.roots.tolist(), feature=trees.feature.tolist(), threshold=trees.threshold.tolist(),
                     right=trees.right.tolist(), value=trees.value.tolist()),
        linear=None if linear is None else _line(linear),
        linear_share=model.linear_share, calibration=_Calibration(slope=model.calibration.slope, offset=model.calibration.offset),
        threshold=model.threshold, changes=model.changes, broke=model.broke,
    )  # fmt: skip
    return document.model_dump_json()


def _line(linear: Linear) -> _Linear:
    return _Linear(intercept=linear.intercept, weight=linear.weight.tolist(), mean=linear.mean.tolist(), spread=linear.spread.tolist())


def read_model(text: str | bytes, *, source: str) -> tuple[RiskParts, dict[str, str]]:
    """The model and its provenance. ``source``: what to call the file in an error. Raises: RiskModelError when it is no such model."""
    if len(text) > BYTES_MAX:
        raise RiskModelError(f"{source}: a model of risk has at most {BYTES_MAX} bytes, this has {len(text)}")
    try:
        document = _Model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(each) for each in first["loc"]) or "the whole"
        raise RiskModelError(f"{source}: {where}: {first['msg']}; learn the model again or restore the file") from error
    if document.features != NAMES:
        raise RiskModelError(f"{source}: features: it was learned from other features than this version uses; learn it again")
    if document.broke > document.changes:
        raise RiskModelError(f"{source}: broke: more changes broke something than there were")
    try:
        return _parts(document), document.provenance
    except ValueError as error:
        raise RiskModelError(f"{source}: {error}; learn the model again or restore the file") from error


def _parts(document: _Model) -> RiskParts:
    told, line = document.trees, document.linear
    numbers = (np.array(told.roots, np.int64), np.array(told.feature, np.int64), np.array(told.threshold, np.float64))
    linear = None
    if line is not None:
        linear = Linear(line.intercept, np.array(line.weight), np.array(line.mean), np.array(line.spread))
    return RiskParts(
        document.intercept,
        Trees(*numbers, np.array(told.right, np.int64), np.array(told.value, np.float64)),
        linear,
        document.linear_share,
        Calibration(document.calibration.slope, document.calibration.offset),
        document.threshold,
        document.changes,
        document.broke,
    )
