"""SPDX 2.2 and 2.3 as JSON: packages with their licences."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.limits import COMPONENTS_MAX
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Component, Parsed

FORMAT = "spdx"

_NOTHING = frozenset({"", "NOASSERTION", "NONE"})


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("spdxVersion")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The packages of one list. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The packages of one list. Raises: QualityInputError."""
    if not document.get("spdxVersion").text().startswith("SPDX-2"):
        raise document.refusal(f"is {document.get('spdxVersion').text(40)!r}; SPDX 2.2 and 2.3 are read")
    # What is described is the product itself, not a part of it.
    described = {each.text() for each in document.get("documentDescribes")}
    parts: list[Component] = []
    for package in document.get("packages"):
        name = package.get("name").text()
        if not name:
            notes.add(package.path, "has no name")
        elif package.get("SPDXID").text() not in described:
            if len(parts) >= COMPONENTS_MAX:
                raise package.refusal(f"has more than {COMPONENTS_MAX:,} packages")
            parts.append(Component(name, package.get("versionInfo").text(), _purl(package), _licences(package)))
    return Parsed(formats=(FORMAT,), components=tuple(parts))


def _licences(package: Node) -> tuple[str, ...]:
    """What somebody concluded, else what the package declares."""
    found = [package.get("licenseConcluded").text(), package.get("licenseDeclared").text()]
    return tuple(licence for licence in found if licence not in _NOTHING)[:1]


def _purl(package: Node) -> str:
    references = (each for each in package.get("externalRefs") if each.get("referenceType").text() == "purl")
    return next((each.get("referenceLocator").text() for each in references), "")
