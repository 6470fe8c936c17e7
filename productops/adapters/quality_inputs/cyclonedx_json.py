"""CycloneDX as JSON."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.cyclonedx import Bill, Hole, Part
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import MESSAGE_CHARACTERS_MAX, Parsed


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.get("bomFormat").text() == "CycloneDX" or (document.has("specVersion", "components"))


def read(given: Path | bytes, name: str = "") -> Parsed:
    """Components and vulnerabilities. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """Components and vulnerabilities. Raises: QualityInputError."""
    bill = Bill(notes, document.refusal)
    # Level by level: components lie inside components.
    level = list(document.get("components"))
    main = document.get("metadata", "component")
    if main.value is not None:
        level += list(main.get("components"))
    while level:
        below: list[Node] = []
        for component in level:
            bill.part(_part(component))
            below += component.get("components")
        level = below
    for hole in document.get("vulnerabilities"):
        bill.hole(_hole(hole))
    return bill.parsed()


def _part(component: Node) -> Part:
    licences = [
        choice.get("license", "id").text() or choice.get("license", "name").text() or choice.get("expression").text()
        for choice in component.get("licenses")
    ]
    return Part(
        component.get("bom-ref").text(), component.get("group").text(), component.get("name").text(), component.get("version").text(),
        component.get("purl").text(), [licence for licence in licences if licence],
    )  # fmt: skip


def _hole(hole: Node) -> Hole:
    return Hole(
        where=hole.path,
        id=hole.get("id").text(),
        description=hole.get("description").text(2 * MESSAGE_CHARACTERS_MAX) or hole.get("detail").text(2 * MESSAGE_CHARACTERS_MAX),
        recommendation=hole.get("recommendation").text(),
        state=hole.get("analysis", "state").text(),
        ratings=[(each.get("score").number(), each.get("severity").text(), each.get("method").text()) for each in hole.get("ratings")],
        weaknesses=[each.text(9) for each in hole.get("cwes")],
        affects=[each.get("ref").text() for each in hole.get("affects")],
    )
