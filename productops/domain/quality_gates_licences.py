"""Whether the licences of a part are among those that are allowed. Source: SPDX specification 2.3, annex D (licence expressions)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

EXPRESSION_CHARACTERS_MAX = 2_000
DEPTH_MAX = 30
_TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9][A-Za-z0-9.+:-]*|\S)")
_NOTHING = frozenset({"", "none", "noassertion", "unknown", "null", "n/a", "-"})
_WORDS = frozenset({"and", "or", "with", "(", ")"})


class LicenceError(ValueError):
    """What is written there is no licence expression."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Licences that are allowed. Make it with ``Allowed.of``."""

    names: frozenset[str]

    @classmethod
    def of(cls, written: Iterable[str]) -> Allowed:
        """From SPDX identifiers; ``X WITH Y`` allows X with that exception only."""
        return cls(frozenset(" ".join(name.lower().split()) for name in written))

    def one(self, name: str, exception: str = "") -> bool:
        """Whether a licence is. An exception only adds rights, so what is allowed bare is allowed with one, too."""
        name = name.lower()
        spellings = {name, f"{name[:-1]}-or-later"} if name.endswith("+") else {name}
        if exception and any(f"{each} with {exception.lower()}" in self.names for each in spellings):
            return True
        return bool(spellings & self.names)


def licence_problem(licences: Iterable[str], allowed: Allowed) -> str | None:
    """What is wrong with the licences of one part (all of them hold together); None when they are allowed.

    ``unknown`` is said of a part without a licence, or with a text that is no expression.
    """
    told = [each for each in licences if each.strip().lower() not in _NOTHING]
    if not told:
        return "unknown"
    for each in told:
        if " ".join(each.lower().split()) in allowed.names:  # a name that is no identifier, allowed as it stands
            continue
        try:
            fine = _Parser(each, allowed).whole()
        except LicenceError:
            return f"unknown ({each[:80]!r} is no SPDX expression)"
        if not fine:
            return each[:200]
    return None


class _Parser:
    """Reads and judges in one pass: OR needs one side, AND both."""

    def __init__(self, text: str, allowed: Allowed) -> None:
        if len(text) > EXPRESSION_CHARACTERS_MAX:
            raise LicenceError("too long")
        self._tokens = [found[1] for found in _TOKEN.finditer(text.strip())]
        self._at = 0
        self._allowed = allowed

    def whole(self) -> bool:
        """Raises: LicenceError."""
        fine = self._either(0)
        if self._at != len(self._tokens):
            raise LicenceError("more than an expression")
        return fine

    def _either(self, depth: int) -> bool:
        fine = self._both(depth)
        while self._next("or"):
            other = self._both(depth)
            fine = fine or other
        return fine

    def _both(self, depth: int) -> bool:
        fine = self._one(depth)
        while self._next("and"):
            other = self._one(depth)
            fine = fine and other
        return fine

    def _one(self, depth: int) -> bool:
        if depth > DEPTH_MAX:
            raise LicenceError("nested too deeply")
        if self._next("("):
            fine = self._either(depth + 1)
            if not self._next(")"):
                raise LicenceError("a parenthesis is open")
            return fine
        name = self._name()
        return self._allowed.one(name, self._name() if self._next("with") else "")

    def _next(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].lower() == word:
            self._at += 1
            return True
        return False

    def _name(self) -> str:
        token = self._tokens[self._at] if self._at < len(self._tokens) else ""
        if token.lower() in _WORDS or not token[:1].isalnum():
            raise LicenceError("a licence is missing")
        self._at += 1
        return token
