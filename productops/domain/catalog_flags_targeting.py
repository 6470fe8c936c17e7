"""Whether flagd JSON targeting can be evaluated, asked before it is stored rather than when a user waits.

Source: flagd documentation, "Flag definitions" (targeting rules, custom operations); jsonlogic.com, "Supported operations".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

DEPTH_MAX = 20
NODES_MAX = 5_000
WEIGHT_MAX = 2_147_483_647
# Operator → least and most arguments; what evaluators differ in (`log`, `method`) is left out.
OPERATORS: dict[str, tuple[int, int]] = {
    "var": (0, 2), "missing": (0, 100), "missing_some": (2, 2), "if": (1, 1000), "?:": (3, 3), "==": (2, 2), "===": (2, 2), "!=": (2, 2),
    "!==": (2, 2), "!": (1, 1), "!!": (1, 1), "or": (1, 1000), "and": (1, 1000), ">": (2, 2), ">=": (2, 2), "<": (2, 3), "<=": (2, 3),
    "max": (1, 1000), "min": (1, 1000), "+": (1, 1000), "-": (1, 2), "*": (1, 1000), "/": (2, 2), "%": (2, 2), "map": (2, 2),
    "reduce": (3, 3), "filter": (2, 2), "all": (2, 2), "none": (2, 2), "some": (2, 2), "merge": (0, 1000), "in": (2, 2), "cat": (1, 1000),
    "substr": (2, 3), "fractional": (1, 1000), "starts_with": (2, 2), "ends_with": (2, 2), "sem_ver": (3, 3),
}  # fmt: skip
_VERSION_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">=", "^", "~"})


def targeting_problem(rules: Any) -> str | None:
    """What is wrong with the rules, in words; None when the evaluator understands them."""
    try:
        nodes = sum(1 for _ in _walk(rules, 0))
    except _RuleError as error:
        return str(error)
    return f"targeting has more than {NODES_MAX:,} parts" if nodes > NODES_MAX else None


def needs_targeting_key(rules: Any) -> bool:
    """Whether some part of the rules may look at who the user is."""
    if isinstance(rules, dict):
        return any(_asks_for_key(name, value) or needs_targeting_key(value) for name, value in rules.items())
    return isinstance(rules, list) and any(needs_targeting_key(each) for each in rules)


def splits(rules: Any) -> bool:
    """Whether some part of the rules shares users out by a hash."""
    if isinstance(rules, dict):
        return "fractional" in rules or any(splits(value) for value in rules.values())
    return isinstance(rules, list) and any(splits(each) for each in rules)


class _RuleError(Exception):
    """A part of the rules that no evaluator understands."""


def _walk(node: Any, depth: int) -> Iterator[None]:
    if depth > DEPTH_MAX:
        raise _RuleError(f"targeting is nested deeper than {DEPTH_MAX} levels")
    yield
    if isinstance(node, dict):
        arguments = _check_operation(node)
        for each in arguments:
            yield from _walk(each, depth + 1)
    elif isinstance(node, list):
        for each in node:
            yield from _walk(each, depth + 1)


def _check_operation(node: dict[str, Any]) -> list[Any]:
    """The arguments of an operation. Raises: _RuleError."""
    if len(node) != 1:
        raise _RuleError(f"an operation of the targeting has exactly one name, got {', '.join(map(repr, node)) or 'none'}")
    name, value = next(iter(node.items()))
    if name == "$ref":
        raise _RuleError("targeting cannot use '$ref': there are no shared evaluators here; write the rule out")
    if name not in OPERATORS:
        raise _RuleError(f"targeting operator {name!r} is not known; known: {', '.join(OPERATORS)}")
    arguments = value if isinstance(value, list) else [value]
    least, most = OPERATORS[name]
    if not least <= len(arguments) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise _RuleError(f"targeting operator {name!r} takes {wanted} arguments, got {len(arguments)}")
    if name == "fractional":
        _check_shares(arguments)
    if name == "sem_ver" and isinstance(arguments[1], str) and arguments[1] not in _VERSION_COMPARISONS:
        raise _RuleError(f"'sem_ver' compares with one of {' '.join(sorted(_VERSION_COMPARISONS))}, got {arguments[1]!r}")
    return arguments


def _check_shares(arguments: list[Any]) -> None:
    """Shares are ``[variant]`` or ``[variant, whole number]``; the first argument may be what is hashed instead."""
    shares = arguments if isinstance(arguments[0], list) else arguments[1:]
    if not shares:
        raise _RuleError("'fractional' needs at least one share such as ['on', 10]")
    total = 0
    for share in shares:
        if not isinstance(share, list) or not 1 <= len(share) <= 2 or not (len(share) == 1 or _is_weight(share[1])):
            raise _RuleError(f"a share of 'fractional' is ['variant', whole number from 0], got {share!r}")
        total += share[1] if len(share) == 2 else 1
    if not 0 < total <= WEIGHT_MAX:
        raise _RuleError(f"the shares of 'fractional' add up to {total}; allowed: 1 to {WEIGHT_MAX:,}")


def _is_weight(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _asks_for_key(operator: str, value: Any) -> bool:
    if operator == "fractional":
        return isinstance(value, list) and bool(value) and isinstance(value[0], list)
    return operator == "var" and (value == "targetingKey" or (isinstance(value, list) and value[:1] == ["targetingKey"]))
