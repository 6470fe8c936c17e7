"""The lines that a change added or altered, from a unified diff as git and others write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from productops.domain.quality_paths import normal_path
from productops.errors import QualityInputError

DIFF_CHARACTERS_MAX = 64 * 1024 * 1024
LINES_MAX = 2_000_000

_HUNK = re.compile(r"^@@ -(?:\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")


@dataclass(frozen=True, slots=True)
class ChangedLines:
    """Line numbers of the new version by normal path, rising. Files that were only deleted, renamed or are binary have none."""

    files: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def total(self) -> int:
        """Lines of all files."""
        return sum(len(lines) for lines in self.files.values())


def read_diff(text: str) -> ChangedLines:
    """Raises: QualityInputError for what is no unified diff (nothing changed is an empty text), or is too large."""
    if len(text) > DIFF_CHARACTERS_MAX:
        raise _refusal(f"has more than {DIFF_CHARACTERS_MAX // 2**20} Mi characters", 0)
    reader = _Reader()
    # Not splitlines: a form feed within a source line is no end of it.
    for number, line in enumerate(text.split("\n"), start=1):
        reader.take(line.removesuffix("\r"), number)
    return reader.done(text)


class _Reader:
    """``take`` each line in order, then ``done``."""

    def __init__(self) -> None:
        self._files: dict[str, list[int]] = {}
        self._path: str | None = None
        self._seen = False
        self._left_old = self._left_new = 0
        self._line = 0
        self._total = 0

    def take(self, line: str, number: int) -> None:
        """Raises: QualityInputError."""
        if self._left_old > 0 or self._left_new > 0:
            self._within(line, number)
        elif line.startswith("+++ "):
            self._path, self._seen = _path_of(line[4:]), True
        elif line.startswith("@@@"):
            raise _refusal("is the combined diff of a merge; write the diff against one parent: git diff main...HEAD", number)
        elif line.startswith("@@"):
            self._hunk(line, number)
        elif line.startswith(("diff --git ", "Index: ", "--- ")):
            self._seen = True

    def done(self, text: str) -> ChangedLines:
        """What was found."""
        if self._left_old > 0 or self._left_new > 0:
            raise _refusal("ends within a hunk: it was cut off", text.count("\n") + 1)
        if text.strip() and not self._seen:
            raise _refusal("is no unified diff; write one with: git diff main...HEAD", 1)
        return ChangedLines(MappingProxyType({path: tuple(lines) for path, lines in self._files.items() if lines}))

    def _hunk(self, line: str, number: int) -> None:
        found = _HUNK.match(line)
        if found is None or not self._seen:
            raise _refusal("has a hunk without its numbers or its file", number)
        self._left_old = 1 if found[1] is None else int(found[1])
        self._left_new = 1 if found[3] is None else int(found[3])
        self._line = int(found[2])

    def _within(self, line: str, number: int) -> None:
        """A line of a hunk. Mail programs eat the blank at the beginning of an empty line."""
        mark = line[:1] or " "
        if mark == "\\":
            return
        if mark not in " +-":
            raise _refusal("has a line within a hunk that begins with none of '+', '-' and a blank", number)
        self._left_old -= mark in " -"
        self._left_new -= mark in " +"
        if mark == "+" and self._path is not None:
            self._add(number)
        self._line += mark in " +"

    def _add(self, number: int) -> None:
        self._total += 1
        if self._total > LINES_MAX:
            raise _refusal(f"adds more than {LINES_MAX:,} lines", number)
        self._files.setdefault(self._path or "", []).append(self._line)


def _path_of(written: str) -> str | None:
    """The path behind ``+++``; None for a deleted file. git puts ``b/`` before it (w/, i/ by setting), others a tab and a time behind."""
    path = _unquoted(written) if written.startswith('"') else written.split("\t", 1)[0]
    if path.strip() == "/dev/null":
        return None
    return normal_path(re.sub(r"^[bwi]/", "", path))


def _unquoted(written: str) -> str:
    """A path as git quotes it: octal escapes are bytes of UTF-8."""
    end = written.rfind('"')
    inner = written[1:end] if end > 0 else written[1:]
    raw = _ESCAPE.sub(lambda m: chr(int(m[1], 8)) if len(m[1]) == 3 else _ESCAPES.get(m[1], m[1]), inner)
    try:
        return raw.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:  # was not quoted byte by byte
        return raw


def _refusal(reason: str, line: int) -> QualityInputError:
    return QualityInputError(f"the diff {reason}" + (f" (line {line})" if line else ""), where=f"diff:{line}")
