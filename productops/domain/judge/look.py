"""A look whose evidence is written out when somebody reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from productops.domain.analysis import Look, Verdict

Source = Callable[[], dict[str, Any]]


class LazyLook(Look):
    """A ``Look``; its ``evidence`` is made at the first reading, from values that no longer change, and is a plain dict."""

    __slots__ = ("_made", "_source")
    _made: dict[str, Any] | None
    _source: Source | dict[str, Any] | None

    def __init__(
        self,
        at_s: int,
        verdict: Verdict,
        reason: str,
        log_e: float,
        log_e_safe: float,
        certified: bool,  # noqa: FBT001 - the order of the fields of Look, which copies rely on
        evidence: Source | dict[str, Any],
    ) -> None:
        """As ``Look``; ``evidence`` may be what makes it."""
        put = object.__setattr__
        put(self, "at_s", at_s)
        put(self, "verdict", verdict)
        put(self, "reason", reason)
        put(self, "log_e", log_e)
        put(self, "log_e_safe", log_e_safe)
        put(self, "certified", certified)
        put(self, "_source", evidence)
        put(self, "_made", None)

    @property
    def evidence(self) -> dict[str, Any]:
        """The same dict at every reading."""
        made = self._made
        if made is None:
            source = self._source
            made = source() if callable(source) else source or {}
            object.__setattr__(self, "_made", made)
            object.__setattr__(self, "_source", None)
        return made

    def __reduce__(self) -> tuple[type[Look], tuple[object, ...]]:
        """Copies and pickles are plain looks."""
        return Look, (self.at_s, self.verdict, self.reason, self.log_e, self.log_e_safe, self.certified, self.evidence)

    def __eq__(self, other: object) -> bool:
        """Looks with the same content are equal."""
        return isinstance(other, Look) and self.__reduce__()[1] == tuple(getattr(other, name) for name in Look.__dataclass_fields__)

    __hash__ = None  # type: ignore[assignment]
