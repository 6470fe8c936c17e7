"""The standards gate: licences that are allowed, no secrets, a parts list."""

from __future__ import annotations

from productops.domain.catalog_quality import StandardsGate
from productops.domain.quality import Component, FindingKind
from productops.domain.quality_gates_collected import PARTS_FORMATS, SECRET_FORMATS, Collected, fits, listed, several
from productops.domain.quality_gates_draft import Draft
from productops.domain.quality_gates_licences import Allowed, licence_problem
from productops.domain.quality_gates_security import ignored, text_of, where_of
from productops.domain.quality_verdict import GateResult

SBOM_HINT = "hand in a parts list, e.g. --sbom bom.json made with cyclonedx-py or syft"
SECRETS_HINT = "hand in the report of a scanner for secrets, e.g. gitleaks or trivy"


def judge_standards(gate: StandardsGate, collected: Collected) -> GateResult:
    """Each part with a wrong licence and each secret is an item."""
    draft = Draft(gate, collected)
    parts = collected.parsed.components
    draft.figures["components"] = len(parts)
    _parts_list(draft, gate, parts)
    if gate.licences_allowed:
        _licences(draft, gate, parts)
    if gate.secrets != "off":
        _secrets(draft, gate)
    return draft.result(_passed(draft, gate))


def _passed(draft: Draft, gate: StandardsGate) -> str:
    said = [several(int(draft.figures["components"]), "part")] if draft.figures["components"] else []
    said += ["all licences allowed"] if gate.licences_allowed else []
    said += ["no secrets"] if _scanned_for_secrets(draft.collected) else []
    return ", ".join(said) or "nothing is asked of what was handed in"


def _parts_list(draft: Draft, gate: StandardsGate, parts: tuple[Component, ...]) -> None:
    if gate.sbom == "required" and not parts:
        there = PARTS_FORMATS & set(draft.collected.parsed.formats)
        draft.lack("the parts list is empty" if there else "no parts list (SBOM) was handed in", SBOM_HINT)


def _licences(draft: Draft, gate: StandardsGate, parts: tuple[Component, ...]) -> None:
    if not parts:
        if gate.sbom == "off":
            draft.lack("licences are to be looked at, and no parts list was handed in", SBOM_HINT)
        return
    allowed, names, unknown = Allowed.of(gate.licences_allowed), [], 0
    for part in parts:
        problem = licence_problem(part.licences, allowed)
        if problem is None:
            continue
        no_licence = problem.startswith("unknown")
        unknown += no_licence
        if no_licence and gate.licences_unknown == "allow":
            continue
        title = f"{part.name} {part.version}".strip()
        if draft.object(part.purl or title, f"{title}: licence {problem}", excused=_excepted(gate, part, draft.collected)):
            names.append(f"{title} ({problem})")
    draft.figures |= {"licences_refused": len(names), "licences_unknown": unknown}
    if names:
        draft.fail(
            f"{several(len(names), 'part')} with a licence that is not allowed: {listed(names)}",
            "replace the part, add the licence to licences_allowed, or say in licences_except why this one is borne",
        )


def _excepted(gate: StandardsGate, part: Component, collected: Collected) -> str:
    for rule in gate.licences_except:
        current = rule.until is None or collected.now < rule.until
        if current and fits((rule.package,), part.name, part.purl):
            return f"excepted by the policy: {rule.reason}"
    return ""


def _scanned_for_secrets(collected: Collected) -> bool:
    """Gitleaks and trivy look for them by trade; of others one finding shows that they did."""
    return bool(SECRET_FORMATS & set(collected.parsed.formats)) or any(f.kind is FindingKind.SECRET for f in collected.parsed.findings)


def _secrets(draft: Draft, gate: StandardsGate) -> None:
    found = [finding for finding in draft.collected.parsed.findings if finding.kind is FindingKind.SECRET]
    counted = 0
    for finding in found:
        excused = ignored(gate.ignore, finding, draft.collected)
        counted += draft.object(finding.fingerprint, text_of(finding), where=where_of(finding), excused=excused)
    draft.figures["secrets"] = counted
    if counted:
        draft.fail(
            f"{several(counted, 'secret')} in the sources",
            "revoke each secret first, it is known to others by now; then take it out of the sources and the history",
        )
    elif gate.secrets == "none" and not _scanned_for_secrets(draft.collected):
        draft.lack("nobody looked for secrets", SECRETS_HINT)
