"""Errors in log lines: what was raised and where, told in a way that a moved line, a number or an address does not change.

Understood are traces of Python, Node.js, the JVM and Go. What says that it is an error and carries none of them is known by its template.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from productops.stats.log_templates import mask

FRAMES_MAX = 12
MESSAGE_MAX = 500
_PYTHON = "Traceback (most recent call last):"
_PYTHON_FRAME = re.compile(r'^\s+File "([^"\n]+)", line \d+, in (.+)$', re.MULTILINE)
_PYTHON_TYPE = re.compile(r"^(?:\s*\|\s*)?([A-Za-z_][\w.]*(?:Error|Exception|Warning|Exit|Interrupt|Group|[A-Z]\w*))(?::\s?(.*))?$")
_AT = re.compile(r"^\s+at (?!.*more$)(.+)$", re.MULTILINE)
_NODE_PLACE = re.compile(
    r"^(?:(?:async )?(.+?) \()?((?:file://|node:|/|[A-Za-z]:\\|\.{0,2}/|webpack:|[\w@.-]+/)?[^()\s]*?):\d+(?::\d+)?\)?$"
)
_JAVA_PLACE = re.compile(r"^(?:[\w.@-]+/+)*([\w.$<>]+)\((?:[\w.$-]+\.(?:java|kt|scala|groovy):\d+|Native Method|Unknown Source|[\w.$-]+)\)")
_JAVA_HEAD = re.compile(r"(?:^|\s)((?:[a-z_][\w$]*\.)+[A-Z][\w$]*)(?::\s?(.*))?$")
_NODE_HEAD = re.compile(r"(?:^|\s)(?:Uncaught )?([A-Z][A-Za-z]*(?:Error|Exception|Rejection))(?: \[[^\]]*\])?(?::\s?(.*))?$")
_CAUSED = re.compile(r"^Caused by: ([\w.$]+)(?::\s?(.*))?$", re.MULTILINE)
_GO_FRAME = re.compile(r"^([\w./*()\-·%]+?)\((?:0x|\.\.\.|\{|\)|[^)]*0x)", re.MULTILINE)
_GO_HEAD = re.compile(r"(?:^|\s)(panic|fatal error): (.*)$", re.MULTILINE)
_DIGITS = re.compile(r"\d+|0x[0-9a-f]+")
_FOREIGN = ("java.", "javax.", "jdk.", "sun.", "com.sun.", "kotlin.", "scala.", "node:", "internal/", "runtime.", "runtime/")


@dataclass(frozen=True, slots=True)
class ErrorSeen:
    """One error. ``frames`` lead to where it was raised: the last one raised it."""

    language: str
    type: str
    message: str
    frames: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """16 bytes in hex: the same for what is raised in the same place, whatever its message says; without frames the message counts."""
        parts = (self.language, self.type, *self.frames) if self.frames else (self.language, self.type, mask(self.message))
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read_error(text: str) -> ErrorSeen | None:
    """The error in a line, or in several that belong together; None where there is no trace of one."""
    if "\n" not in text:
        return None
    for reader in (_read_python, _read_go, _read_at):
        found = reader(text)
        if found is not None:
            return found
    return None


def plain_error(text: str, template: str) -> ErrorSeen:
    """A line that says it is an error and has no trace: known by its template."""
    return ErrorSeen("text", "", _short(template or text), ())


def _read_python(text: str) -> ErrorSeen | None:
    at = text.rfind(_PYTHON)
    if at < 0:
        return None
    frames = [f"{_python_module(file)}:{function}" for file, function in _PYTHON_FRAME.findall(text[at:])]
    kind, message = "", ""
    for line in text[at:].split("\n")[1:]:
        if line and not line[0].isspace() and (found := _PYTHON_TYPE.match(line)):
            kind, message = found[1], found[2] or ""
            break
    return _made("python", kind or "Exception", message, frames)


def _python_module(file: str) -> str:
    """The path below the folder of installed packages, or the last two parts: what does not depend on where a version lies."""
    for folder in ("site-packages/", "dist-packages/", "/lib/python"):
        before, found, rest = file.rpartition(folder)
        if found and before:
            return rest.partition("/")[2] if folder.startswith("/lib") else rest
    return file.rpartition("/")[2]


def _read_at(text: str) -> ErrorSeen | None:
    """Node.js and the JVM write ``at …`` lines, each in its own way; the first one is where it was raised."""
    places = [place.strip() for place in _AT.findall(text)]
    if not places:
        return None
    if any(_JAVA_PLACE.match(place) for place in places[:3]):
        return _read_java(text, places)
    frames = [_node_frame(place) for place in places]
    kind, message = _head(text, _NODE_HEAD)
    known = [frame for frame in frames if frame]
    return _made("node", kind or "Error", message, reversed(known)) if known or kind else None


def _node_frame(place: str) -> str:
    found = _NODE_PLACE.match(place)
    if found is None:
        return ""
    function, file = found[1] or "", found[2]
    name = file if file.startswith("node:") else file.rpartition("node_modules/")[2] if "node_modules/" in file else file.rpartition("/")[2]
    return f"{name}:{function.removeprefix('new ')}" if function else name


def _read_java(text: str, places: list[str]) -> ErrorSeen:
    kind, message = _head(text, _JAVA_HEAD)
    causes = _CAUSED.findall(text)
    if causes:  # the cause at the bottom is what went wrong, and its trace the one that counts
        kind, message = causes[-1]
        tail = text[text.rfind("Caused by: ") :]
        places = [place.strip() for place in _AT.findall(tail)] or places
    frames = [_steady(found[1]) for place in places if (found := _JAVA_PLACE.match(place))]
    return _made("java", kind or "Exception", message, reversed(frames))


def _read_go(text: str) -> ErrorSeen | None:
    head = _GO_HEAD.search(text)
    if head is None or "goroutine " not in text:
        return None
    message = head[2].partition(" [recovered]")[0]
    first = text[text.find("goroutine ") :].partition("\n\n")[0]
    frames = [_steady(name) for name in _GO_FRAME.findall(first) if not name.startswith("panic")]
    kind = "runtime error" if message.startswith("runtime error") else head[1]
    return _made("go", kind, message, reversed(frames))


def _head(text: str, pattern: re.Pattern[str]) -> tuple[str, str]:
    """Type and message in the lines before the first ``at``; the last that fits."""
    before = re.split(r"\n\s+at ", text, maxsplit=1)[0]
    for line in reversed(before.split("\n")):
        if found := pattern.search(line):
            return found[1], found[2] or ""
    return "", ""


def _steady(name: str) -> str:
    """A name without what compilers number."""
    return _DIGITS.sub("#", name)


def _made(language: str, kind: str, message: str, frames: Iterable[str]) -> ErrorSeen:
    every = list(frames)
    ours = [frame for frame in every if not frame.startswith(_FOREIGN)]
    return ErrorSeen(language, kind[:255], _short(message), tuple((ours or every)[-FRAMES_MAX:]))


def _short(text: str) -> str:
    return text.strip()[:MESSAGE_MAX]


# ---- lines that belong together

_STARTS_PYTHON = (_PYTHON, "  + Exception Group Traceback", "Exception Group Traceback")
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_GO_INSIDE = re.compile(r"^(?:goroutine \d+|\t|created by |exit status |\[signal |main\.|[\w./\-]+\.[\w./*()\-]+\(.*\)$|$)")
_HEADLINE = re.compile(r"^(?:[\w$]+\.)*[A-Z][\w$]*(?:Exception|Error)(?::\s|$)")
LINES_MAX = 200
CHARACTERS_MAX = 16_384


class LineJoiner:
    """Puts the lines of a trace together. Feed it lines in order; what it gives back is whole, the rest waits for the next line.

    A record has at most 200 lines and 16 KiB: what follows is a record of its own.
    """

    def __init__(self, *, heads: Callable[[str], bool] | None = None) -> None:
        """``heads`` tells whether a trace may belong to the line before it; default: lines that name an error."""
        self._open: list[str] = []
        self._characters = 0
        self._inside = ""
        self._heads = heads or _names_error

    def feed(self, line: str) -> str | None:
        """The record that this line ends by beginning another one."""
        if self._open and self._belongs(line):
            self._open.append(line)
            self._characters += len(line)
            return None
        done = self.flush()
        self._open, self._characters, self._inside = [line], len(line), _inside(line)
        return done

    def flush(self) -> str | None:
        """What waits; nothing waits afterwards."""
        if not self._open:
            return None
        done = "\n".join(self._open).rstrip("\n")
        self._open, self._characters, self._inside = [], 0, ""
        return done

    @property
    def waiting(self) -> bool:
        """Whether a record may go on."""
        return bool(self._open)

    def _belongs(self, line: str) -> bool:
        if len(self._open) >= LINES_MAX or self._characters + len(line) > CHARACTERS_MAX:
            return False
        if self._inside == "go":
            return bool(_GO_INSIDE.match(line))
        if line.startswith((" ", "\t")):
            return True
        if self._inside == "python":
            return self._belongs_to_python(line)
        return self._begins_trace(line)

    def _belongs_to_python(self, line: str) -> bool:
        """The frames are indented, the line with the type is not; a chain of errors goes on after an empty line."""
        last = self._open[-1]
        if line == "" or line.startswith((_PYTHON, *_CHAINED)):
            return line == "" or last == "" or line.startswith(_CHAINED)
        if last.startswith((" ", "\t")):  # the line with the type
            return bool(_PYTHON_TYPE.match(line))
        return False

    def _begins_trace(self, line: str) -> bool:
        if line.startswith(_STARTS_PYTHON):
            if self._heads(self._open[0]):
                self._inside = "python"
                return True
            return False
        if line.startswith("Caused by: ") or (len(self._open) == 1 and self._names_what_was_logged(line)):
            return True
        if line.startswith("goroutine ") or (line == "" and self._inside == "panic"):
            self._inside = "go"
            return True
        return False

    def _names_what_was_logged(self, line: str) -> bool:
        """``RuntimeException: …`` below the line that logged it; two errors one after the other stay two."""
        return bool(_HEADLINE.match(line)) and not _HEADLINE.match(self._open[0]) and self._heads(self._open[0])


def _inside(line: str) -> str:
    if line.startswith(_STARTS_PYTHON):
        return "python"
    return "go" if line.startswith(("panic: ", "fatal error: ")) else ""


_ERROR_WORDS = re.compile(r"\b(?:ERROR|CRITICAL|FATAL|SEVERE|Exception|error|exception|failed|failure)\b")


def _names_error(line: str) -> bool:
    return _ERROR_WORDS.search(line) is not None
