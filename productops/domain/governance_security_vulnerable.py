"""Which parts of a version are vulnerable: parts lists against advisories in the format of OSV.

Source: OSV schema 1.6 (https://ossf.github.io/osv-schema/), sections "affected[].ranges" and "Evaluation"; package URLs as
https://github.com/package-url/purl-spec; Semantic Versioning 2.0.0, section 11; CVSS v3.1 specification, section 7.1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any, Final
from urllib.parse import unquote

from packaging.version import InvalidVersion, Version

from productops.domain.quality import Component

ECOSYSTEMS: Final = {
    "pypi": "PyPI", "npm": "npm", "golang": "Go", "cargo": "crates.io", "maven": "Maven", "gem": "RubyGems", "nuget": "NuGet",
    "composer": "Packagist", "deb": "Debian", "apk": "Alpine", "hex": "Hex", "pub": "Pub",
}  # fmt: skip
SEVERITIES: Final = ("low", "medium", "high", "critical")
_SEMANTIC: Final = frozenset({"npm", "Go", "crates.io", "Hex", "Pub", "SwiftURL"})
_SEMVER = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")
_CVSS: Final[dict[str, dict[str, float]]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}, "AC": {"L": 0.77, "H": 0.44}, "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0}, "I": {"H": 0.56, "L": 0.22, "N": 0.0}, "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}  # fmt: skip
_PR: Final[dict[str, dict[str, float]]] = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}
_CUTS: Final = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"))


@dataclass(frozen=True, slots=True)
class Package:
    """A package by ecosystem (as OSV writes it) and normalised name."""

    ecosystem: str
    name: str


@dataclass(frozen=True, slots=True)
class Span:
    """A range of versions. ``events``: (introduced | fixed | last_affected | limit, version) as they stand."""

    kind: str
    events: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Advisory:
    """One advisory about one package. ``severity`` is low, medium, high or critical; medium where nobody says."""

    id: str
    package: Package
    spans: tuple[Span, ...]
    versions: frozenset[str]
    severity: str
    summary: str
    aliases: tuple[str, ...] = ()

    @property
    def fixed_in(self) -> tuple[str, ...]:
        """Versions that are said to be good again."""
        return tuple(dict.fromkeys(version for span in self.spans for kind, version in span.events if kind == "fixed"))


@dataclass(frozen=True, slots=True)
class Vulnerable:
    """A part with the advisories that say it is vulnerable, the worst first."""

    package: Package
    version: str
    advisories: tuple[Advisory, ...]

    @property
    def severity(self) -> str:
        """Of the worst."""
        return max((each.severity for each in self.advisories), key=SEVERITIES.index)


def package_of(component: Component) -> tuple[Package, str] | None:
    """Package and version of a part with a purl that says both."""
    if not component.purl.startswith("pkg:"):
        return None
    rest = component.purl[4:].split("#", 1)[0].split("?", 1)[0]
    kind, _, path = rest.partition("/")
    name, at, version = path.rpartition("@")
    if not at or not name:
        name, version = path, component.version
    ecosystem = ECOSYSTEMS.get(kind.lower())
    if ecosystem is None or not name or not version:
        return None
    return Package(ecosystem, normal_name(ecosystem, unquote(name))), unquote(version)


def normal_name(ecosystem: str, name: str) -> str:
    """As two writers of one name agree: PyPI by PEP 503, Maven with a colon."""
    if ecosystem == "PyPI":
        return re.sub(r"[-_.]+", "-", name).lower()
    if ecosystem == "Maven":
        return name.replace("/", ":")
    return name.rsplit("/", 1)[-1] if ecosystem in {"Debian", "Alpine"} else name


def advisories_of(document: Mapping[str, Any]) -> list[Advisory]:
    """An OSV document, one advisory for each package; none of a withdrawn one. Raises: ValueError for what is none."""
    if not isinstance(document, Mapping) or not isinstance(document.get("id"), str) or not isinstance(document.get("affected", []), list):
        raise ValueError("it is no OSV advisory: it has no id, or affected is no list")  # noqa: TRY004 - it is what a file holds
    if document.get("withdrawn"):
        return []
    found = []
    for each in document.get("affected") or []:
        package = each.get("package") or {}
        ecosystem, name = str(package.get("ecosystem", "")).split(":", 1)[0], str(package.get("name", ""))
        if not ecosystem or not name:
            continue
        spans = tuple(_span(span) for span in each.get("ranges") or [] if span.get("type") in {"SEMVER", "ECOSYSTEM"})
        found.append(
            Advisory(
                document["id"][:100], Package(ecosystem, normal_name(ecosystem, name)), spans,
                frozenset(str(version) for version in each.get("versions") or []), severity_of(document, each),
                str(document.get("summary") or document.get("details") or "")[:300],
                tuple(str(alias)[:100] for alias in document.get("aliases") or [])[:20],
            )
        )  # fmt: skip
    return found


def _span(span: Mapping[str, Any]) -> Span:
    events = tuple((kind, str(version)) for event in span.get("events") or [] for kind, version in event.items())
    return Span(str(span["type"]), events)


def severity_of(document: Mapping[str, Any], affected: Mapping[str, Any]) -> str:
    """The word the advisory uses, else by its CVSS v3 vector, else medium."""
    for holder in (affected.get("ecosystem_specific"), affected.get("database_specific"), document.get("database_specific")):
        word = str((holder or {}).get("severity", "")).lower() if isinstance(holder, Mapping) else ""
        word = {"moderate": "medium", "important": "high"}.get(word, word)
        if word in SEVERITIES:
            return word
    vectors = [str(each.get("score", "")) for each in (*(affected.get("severity") or ()), *(document.get("severity") or ()))]
    scores = [score for score in map(cvss3, vectors) if score is not None]
    if not scores:
        return "medium"
    return next((word for cut, word in _CUTS if max(scores) >= cut), "low")


def cvss3(vector: str) -> float | None:
    """Base score, 0 to 10, of a CVSS 3.0 or 3.1 vector; None for what is none. Source: CVSS v3.1, section 7.1."""
    parts = dict(part.split(":", 1) for part in vector.split("/") if ":" in part)
    if not parts.get("CVSS", "").startswith("3"):
        return None
    try:
        changed = parts["S"] == "C"
        missing = math.prod(1 - _CVSS[name][parts[name]] for name in ("C", "I", "A"))
        impact = 1 - missing
        weight = 7.52 * (impact - 0.029) - 3.25 * (impact - 0.02) ** 15 if changed else 6.42 * impact
        ease = 8.22 * _CVSS["AV"][parts["AV"]] * _CVSS["AC"][parts["AC"]] * _PR[parts["S"]][parts["PR"]] * _CVSS["UI"][parts["UI"]]
    except KeyError:
        return None
    if weight <= 0:
        return 0.0
    raw = min((weight + ease) * (1.08 if changed else 1.0), 10.0)
    return math.ceil(round(raw * 100_000) / 10_000) / 10


def affects(advisory: Advisory, version: str) -> bool:
    """Whether a version is vulnerable: it is listed, or lies in a range. Source: OSV schema, section "Evaluation"."""
    return version in advisory.versions or any(_within(span, advisory.package.ecosystem, version) for span in advisory.spans)


def _within(span: Span, ecosystem: str, version: str) -> bool:
    compare = _semver if span.kind == "SEMVER" or ecosystem in _SEMANTIC else _pep440 if ecosystem == "PyPI" else _plain
    limits = [limit for kind, limit in span.events if kind == "limit" and limit != "*"]
    if limits and not any(compare(version, limit) < 0 for limit in limits):
        return False
    moves = [(kind, at) for kind, at in span.events if kind != "limit"]
    # "0" stands for before every version; of equal versions a beginning comes before an end

    def order(one: tuple[str, str], other: tuple[str, str]) -> int:
        return _from(compare, one[1], other[1]) or (one[0] != "introduced") - (other[0] != "introduced")

    moves.sort(key=cmp_to_key(order))
    inside = False
    for kind, at in moves:
        if kind == "introduced" and (at == "0" or compare(version, at) >= 0):
            inside = True
        elif (kind == "fixed" and compare(version, at) >= 0) or (kind == "last_affected" and compare(version, at) > 0):
            inside = False
    return inside


def _from(compare: Any, one: str, other: str) -> int:
    if "0" in {one, other}:
        return int(one != "0") - int(other != "0")
    return int(compare(one, other))


def _pep440(one: str, other: str) -> int:
    try:
        a, b = Version(one), Version(other)
    except InvalidVersion:
        return _plain(one, other)
    return int(a > b) - int(a < b)


def _semver(one: str, other: str) -> int:
    a, b = _SEMVER.fullmatch(one.strip()), _SEMVER.fullmatch(other.strip())
    if a is None or b is None:
        return _plain(one, other)
    first = [int(n or 0) for n in a.groups()[:3]]
    second = [int(n or 0) for n in b.groups()[:3]]
    if first != second:
        return 1 if first > second else -1
    early, later = _before_release(a[4]), _before_release(b[4])
    return int(early > later) - int(early < later)


def _before_release(text: str | None) -> tuple[int, tuple[tuple[int, int, str], ...]]:
    """Sorts as section 11 says: a version before its release is smaller, numbers are smaller than words."""
    if text is None:
        return (1, ())
    return (0, tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in text.split(".")))


def _plain(one: str, other: str) -> int:
    """For ecosystems with rules of their own: by numbers and words in turn, which fits where versions are numbers."""
    a, b = (tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|[A-Za-z]+", v)) for v in (one, other))
    return int(a > b) - int(a < b)


def find_vulnerable(components: Iterable[Component], advisories: Mapping[Package, Sequence[Advisory]]) -> list[Vulnerable]:
    """Parts that some advisory names, by package and version; each once."""
    found: dict[tuple[Package, str], Vulnerable] = {}
    for component in components:
        known = package_of(component)
        if known is None or known in found:
            continue
        package, version = known
        hits = [each for each in advisories.get(package, ()) if affects(each, version)]
        if hits:
            hits.sort(key=lambda each: (-SEVERITIES.index(each.severity), each.id))
            found[known] = Vulnerable(package, version, tuple(hits))
    return sorted(found.values(), key=lambda each: (-SEVERITIES.index(each.severity), each.package.name))
