"""A small language for conditions over figures: numbers, names, comparisons, arithmetic, ``and``, ``or``, ``not`` and five functions.

Python's parser reads it, a closed list of nodes is let through: no attributes, no subscripts, no calls but the five, no powers, so that
nothing can be reached and nothing grows. A name without a figure makes the whole unknown, never true.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

CHARACTERS_MAX: Final = 2_000
NODES_MAX: Final = 200
DEPTH_MAX: Final = 20
ARGUMENTS_MAX: Final = 20

_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[[list[float]], float]] = {
    "min": min, "max": max, "abs": lambda given: abs(given[0]), "round": lambda given: float(round(given[0])),
}  # fmt: skip
_ONE_ARGUMENT = frozenset({"abs", "round"})
QUANTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
FUNCTIONS: Final = (*_FUNCTIONS, *QUANTILES)


class ExpressionError(ValueError):
    """What is wrong with an expression, in words."""


class UnknownFigureError(Exception):
    """A name that has no figure in this run."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition that is fine. Make it with ``parse_expression``."""

    text: str
    tree: ast.expr

    @property
    def names(self) -> tuple[str, ...]:
        """The figures it names, each once, in order."""
        found = (node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name) and node.id not in FUNCTIONS)
        return tuple(dict.fromkeys(found))

    def holds(self, figures: Mapping[str, float], series: Mapping[str, Sequence[float]] | None = None) -> bool:
        """Whether it is true. ``series``: values by name, for ``p50("name")`` and its like.

        Raises: UnknownFigureError for a name without a finite figure, ExpressionError for a division by zero.
        """
        value = _value(self.tree, figures, series or {})
        if isinstance(value, bool):
            return value
        raise ExpressionError(f"{self.text!r} gives the number {value:g}; compare it with something, e.g. `… <= 10`")


def parse_expression(text: str) -> Expression:
    """Raises: ExpressionError (a ValueError) with what is wrong and where."""
    if len(text) > CHARACTERS_MAX:
        raise ExpressionError(f"the expression has more than {CHARACTERS_MAX:,} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" at character {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
        reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply or holds a NUL"
        raise ExpressionError(f"the expression cannot be read{where}: {reason}") from error
    if sum(1 for _ in ast.walk(tree)) > NODES_MAX:
        raise ExpressionError(f"the expression has more than {NODES_MAX} parts")
    _check(tree, 0)
    if not _is_condition(tree):
        raise ExpressionError("the expression is a number, not a condition; compare it with something, e.g. `… <= 10`")
    return Expression(text.strip(), tree)


def _is_condition(node: ast.expr) -> bool:
    if isinstance(node, ast.BoolOp):
        return all(_is_condition(each) for each in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _is_condition(node.operand)
    return isinstance(node, ast.Compare) or (isinstance(node, ast.Constant) and isinstance(node.value, bool))


def _check(node: ast.expr, depth: int) -> None:
    """Raises: ExpressionError for a node that is not in the list."""
    if depth > DEPTH_MAX:
        raise ExpressionError(f"the expression is nested deeper than {DEPTH_MAX} levels")
    for part in _parts(node):
        _check(part, depth + 1)


def _parts(node: ast.expr) -> Sequence[ast.expr]:
    """The expressions within one that is allowed. Raises: ExpressionError."""
    if isinstance(node, ast.BoolOp):
        return [_condition(each) for each in node.values]
    if isinstance(node, ast.UnaryOp):
        return _of_unary(node)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return [_number(node.left), _number(node.right)]
    if isinstance(node, ast.Compare) and all(type(each) in _COMPARISONS for each in node.ops):
        return [_number(node.left), *(_number(each) for each in node.comparators)]
    if isinstance(node, ast.Call):
        return _of_call(node)
    return _of_leaf(node)


def _of_unary(node: ast.UnaryOp) -> Sequence[ast.expr]:
    if isinstance(node.op, ast.Not):
        return [_condition(node.operand)]
    if isinstance(node.op, ast.USub | ast.UAdd):
        return [_number(node.operand)]
    raise _refused(node)


def _of_leaf(node: ast.expr) -> Sequence[ast.expr]:
    if isinstance(node, ast.Name) and node.id not in FUNCTIONS:
        return []
    finite = isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float) and abs(node.value) <= 1e15
    if finite:
        return []
    raise _refused(node)


def _of_call(node: ast.Call) -> Sequence[ast.expr]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if node.keywords or not node.args or len(node.args) > ARGUMENTS_MAX:
        raise _refused(node)
    if name in QUANTILES:
        only = node.args[0]
        if len(node.args) != 1 or not isinstance(only, ast.Constant) or not isinstance(only.value, str):
            raise ExpressionError(f'{name} takes the name of one series in quotes, e.g. {name}("checkout")')
        return []
    if name not in _FUNCTIONS or (name in _ONE_ARGUMENT and len(node.args) != 1):
        raise ExpressionError(f"{ast.unparse(node)[:80]!r}: the functions are {', '.join(FUNCTIONS)}; abs and round take one value")
    return [_number(each) for each in node.args]


def _condition(node: ast.expr) -> ast.expr:
    if not _is_condition(node):
        raise ExpressionError(f"{ast.unparse(node)[:80]!r} is a number where a condition is needed; compare it with something")
    return node


def _number(node: ast.expr) -> ast.expr:
    if _is_condition(node):
        raise ExpressionError(f"{ast.unparse(node)[:80]!r} is a condition where a number is needed")
    return node


def _refused(node: ast.expr) -> ExpressionError:
    return ExpressionError(
        f"{ast.unparse(node)[:80]!r} is not allowed; there are numbers, names, + - * /, comparisons, and, or, not, and the functions "
        f"{', '.join(FUNCTIONS)}"
    )


def _value(node: ast.expr, figures: Mapping[str, float], series: Mapping[str, Sequence[float]]) -> float | bool:
    """Raises: UnknownFigureError, ExpressionError."""
    match node:
        case ast.BoolOp():
            found: float | bool = _junction(node, figures, series)
        case ast.UnaryOp():
            inner = _value(node.operand, figures, series)
            found = not inner if isinstance(node.op, ast.Not) else -inner if isinstance(node.op, ast.USub) else inner
        case ast.BinOp():
            found = _arithmetic(node, figures, series)
        case ast.Compare():
            values = [_value(each, figures, series) for each in (node.left, *node.comparators)]
            found = all(_COMPARISONS[type(op)](values[i], values[i + 1]) for i, op in enumerate(node.ops))
        case ast.Call():
            found = _called(node, figures, series)
        case _:
            found = _leaf(node, figures)
    return found


def _leaf(node: ast.expr, figures: Mapping[str, float]) -> float | bool:
    if isinstance(node, ast.Name):
        found = figures.get(node.id)
        if found is None or not math.isfinite(found):
            raise UnknownFigureError(node.id)
        return float(found)
    constant = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(constant, bool | int | float):
        raise _refused(node)
    return constant


def _junction(node: ast.BoolOp, figures: Mapping[str, float], series: Mapping[str, Sequence[float]]) -> bool:
    """What is known decides where it can: ``false and unknown`` is false, ``true or unknown`` is true."""
    decides = isinstance(node.op, ast.Or)
    unknown: UnknownFigureError | None = None
    for each in node.values:
        try:
            if bool(_value(each, figures, series)) is decides:
                return decides
        except UnknownFigureError as error:
            unknown = unknown or error
    if unknown is not None:
        raise unknown
    return not decides


def _arithmetic(node: ast.BinOp, figures: Mapping[str, float], series: Mapping[str, Sequence[float]]) -> float:
    left, right = _value(node.left, figures, series), _value(node.right, figures, series)
    try:
        found = float(_ARITHMETIC[type(node.op)](left, right))
    except (ZeroDivisionError, OverflowError) as error:
        raise ExpressionError(f"{ast.unparse(node)[:80]!r} cannot be computed: {error}") from error
    if not math.isfinite(found):  # not-a-number would make `not (… <= 5)` true
        raise ExpressionError(f"{ast.unparse(node)[:80]!r} cannot be computed: it is past all numbers")
    return found


def _called(node: ast.Call, figures: Mapping[str, float], series: Mapping[str, Sequence[float]]) -> float:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name in QUANTILES:
        only = node.args[0]
        wanted = str(only.value) if isinstance(only, ast.Constant) else ""
        values = sorted(series.get(wanted, ()))
        if not values:
            raise UnknownFigureError(f'{name}("{wanted}")')
        return quantile_of(values, QUANTILES[name])
    return float(_FUNCTIONS[name]([float(_value(each, figures, series)) for each in node.args]))


def quantile_of(ordered: Sequence[float], share: float) -> float:
    """The quantile of rising values, linear between the two nearest (type 7). Raises: ValueError without a value."""
    if not ordered:
        raise ValueError("no values")
    place = (len(ordered) - 1) * share
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
