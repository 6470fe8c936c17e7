"""Boosted trees as plain numbers: learned by LightGBM, kept as arrays, answered by numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees one after the other, each written root first: the left child of a node is the next node, ``right`` is the other one.

    ``roots`` (T,): where each tree begins. ``feature``, ``threshold``, ``right``, ``value`` (N,): a node with ``feature`` -1 is a leaf;
    at any other one goes left what is at most ``threshold``. ``value``: log-odds of a leaf, mean of the leaves below of an inner node.
    Raises: ValueError when the arrays are no such trees; following them always ends, because it only goes forward.
    """

    roots: Ints
    feature: Ints
    threshold: Floats
    right: Ints
    value: Floats

    def __post_init__(self) -> None:
        n = len(self.feature)
        if any(len(each) != n for each in (self.threshold, self.right, self.value)):
            raise ValueError("nodes of trees have one feature, threshold, right child and value each")
        if not (np.isfinite(self.threshold).all() and np.isfinite(self.value).all()):
            raise ValueError("thresholds and values of trees are finite")
        bounds = np.array([*self.roots.tolist(), n])
        if bounds[0] != 0 or (len(self.roots) and (np.diff(bounds) <= 0).any()):
            raise ValueError("trees begin one after the other, the first at 0")
        ends = np.repeat(bounds[1:], np.diff(bounds))
        inner, place = self.feature >= 0, np.arange(n)
        if (inner & ((self.right <= place + 1) | (self.right >= ends))).any() or (self.feature < -1).any():
            raise ValueError("children come after their parent, within the same tree")

    def __len__(self) -> int:
        return len(self.roots)


_NONE, _NO_NUMBERS = np.empty(0, np.int64), np.empty(0, np.float64)
NO_TREES = Trees(_NONE, _NONE, _NO_NUMBERS, _NONE, _NO_NUMBERS)


def answer(trees: Trees, features: Floats) -> Floats:
    """(n,) sum of the leaves that each row of ``features`` (n, columns) falls into."""
    total = np.zeros(len(features))
    if not len(trees):
        return total
    leaf, other = trees.feature < 0, np.maximum(trees.feature, 0)
    left = np.arange(len(leaf)) + 1
    step = max(1, 1_000_000 // len(trees))
    for begin in range(0, len(features), step):
        rows = features[begin : begin + step]
        node = np.broadcast_to(trees.roots, (len(rows), len(trees))).copy()
        line = np.arange(len(rows))[:, None]
        while not (done := leaf[node]).all():
            smaller = rows[line, other[node]] <= trees.threshold[node]
            node = np.where(done, node, np.where(smaller, left[np.minimum(node, len(leaf) - 1)], trees.right[node]))
        total[begin : begin + step] = trees.value[node].sum(axis=1)
    return total


def shares(trees: Trees, row: Floats) -> Floats:
    """(columns,) how much each feature of one ``row`` moved its answer away from the mean of the roots; the sum is the whole move.

    Source: Saabas 2014, "Interpreting random forests": the change of the mean at each node belongs to the feature asked there.
    """
    moved = np.zeros(len(row))
    for root in trees.roots.tolist():
        node = root
        while (feature := int(trees.feature[node])) >= 0:
            child = node + 1 if row[feature] <= trees.threshold[node] else int(trees.right[node])
            moved[feature] += trees.value[child] - trees.value[node]
            node = child
    return moved


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees are grown; the defaults were chosen on public histories of changes, see ``docs/explanation/risk.md``."""

    trees: int = 120
    leaves: int = 10
    rate: float = 0.06
    leaf_changes_min: int = 40
    feature_share: float = 0.3
    row_share: float = 0.7
    shrink: float = 5.0
    random_splits: bool = False


def grow(features: Floats, label: Ints, *, offset: Floats, weight: Floats, growth: Growth, seed: int) -> Trees:
    """Learn trees that are added to ``offset`` (n,) log-odds; the same input gives the same trees.

    Raises: ImportError without LightGBM, or without the system's OpenMP library that its wheels need.
    """
    try:
        import lightgbm
    except OSError as error:
        raise ImportError(f"LightGBM is installed but cannot be loaded: {error}; on Debian: apt-get install libgomp1") from error

    settings = {
        "objective": "binary", "learning_rate": growth.rate, "num_leaves": growth.leaves, "min_data_in_leaf": growth.leaf_changes_min,
        "feature_fraction": growth.feature_share, "bagging_fraction": growth.row_share, "bagging_freq": 1, "lambda_l2": growth.shrink,
        "extra_trees": growth.random_splits, "seed": seed, "deterministic": True, "force_row_wise": True, "verbose": -1, "num_threads": 1,
        "feature_pre_filter": False, "use_missing": False,
    }  # fmt: skip
    data = lightgbm.Dataset(features, label.astype(np.float64), init_score=offset, weight=weight)
    learned = lightgbm.train(settings, data, num_boost_round=growth.trees)
    return _flat([each["tree_structure"] for each in learned.dump_model()["tree_info"]])


def _flat(structures: list[Mapping[str, Any]]) -> Trees:
    roots: list[int] = []
    nodes: list[tuple[int, float, int, float]] = []
    for structure in structures:
        roots.append(len(nodes))
        _append(structure, nodes)
    feature, threshold, right, value = zip(*nodes, strict=True)
    return Trees(np.array(roots), np.array(feature), np.array(threshold, float), np.array(right), np.array(value, float))


def _append(node: Mapping[str, Any], nodes: list[tuple[int, float, int, float]]) -> tuple[float, float]:
    """Write a node and all below it; gives its mean and how many changes it stands for."""
    place = len(nodes)
    if "leaf_value" in node:
        nodes.append((-1, 0.0, 0, float(node["leaf_value"])))
        return float(node["leaf_value"]), float(node.get("leaf_count", 1))
    nodes.append((0, 0.0, 0, 0.0))
    left, left_count = _append(node["left_child"], nodes)
    right_place = len(nodes)
    right, right_count = _append(node["right_child"], nodes)
    count = left_count + right_count
    mean = (left * left_count + right * right_count) / count
    nodes[place] = (int(node["split_feature"]), float(node["threshold"]), right_place, mean)
    return mean, count


def joined(parts: list[tuple[float, Trees]]) -> Trees:
    """One set of trees whose answer is the weighted sum of the answers of the parts."""
    found = [(weight, each) for weight, each in parts if len(each)]
    if not found:
        return NO_TREES
    starts = np.cumsum([0, *(len(each.feature) for _, each in found)])
    inner = [each.feature >= 0 for _, each in found]
    return Trees(
        np.concatenate([each.roots + start for (_, each), start in zip(found, starts, strict=False)]),
        np.concatenate([each.feature for _, each in found]),
        np.concatenate([each.threshold for _, each in found]),
        np.concatenate([np.where(own, each.right + start, 0) for (_, each), start, own in zip(found, starts, inner, strict=False)]),
        np.concatenate([weight * each.value for weight, each in found]),
    )


def rounded(trees: Trees, digits: int) -> Trees:
    """The same trees with numbers of so many significant digits, so that they take less room in a file."""
    return Trees(trees.roots, trees.feature, _round(trees.threshold, digits), trees.right, _round(trees.value, digits))


def _round(values: Floats, digits: int) -> Floats:
    return np.array([float(f"{value:.{digits}g}") for value in values.tolist()])
