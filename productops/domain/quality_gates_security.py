"""The security gate: not too many findings, none too bad, none too old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from productops.domain.catalog_quality import Ignore, SecurityGate
from productops.domain.quality_findings import Finding, Severity
from productops.domain.quality_gates_collected import Collected, fits, listed, several
from productops.domain.quality_gates_draft import Draft
from productops.domain.quality_verdict import GateResult

HINT = "hand in the report of a scanner, e.g. --sarif results.sarif"


def text_of(finding: Finding) -> str:
    """What a person reads of a finding."""
    package = f"{finding.package} {finding.version}".strip()
    message = finding.message.strip().splitlines()
    mended = f", mended in {finding.fixed_in}" if finding.fixed_in else ""
    told = ": ".join(part for part in (f"{finding.severity} {finding.rule}".strip(), package, message[0] if message else "") if part)
    return told[:400] + mended


def where_of(finding: Finding) -> str:
    """``file:line``."""
    return f"{finding.path}:{finding.line}" if finding.path and finding.line else finding.path


def ignored(rules: Iterable[Ignore], finding: Finding, collected: Collected) -> str:
    """Why it does not count; empty when it does."""
    for rule in rules:
        if rule.until is not None and collected.now >= rule.until:
            continue
        fitting = fits((rule.rule,), finding.rule, *finding.identifiers) and fits((rule.path,), finding.path)
        if fitting and fits((rule.package,), finding.package):
            return f"ignored by the policy: {rule.reason}"
    return ""


def judge_security(gate: SecurityGate, collected: Collected) -> GateResult:
    """Every finding is an item; known, ignored and waived ones do not count."""
    draft = Draft(gate, collected)
    findings = _of_gate(gate, collected)
    counted: Counter[Severity] = Counter()
    fresh, places = 0, Counter[str]()
    for finding in findings:
        places[finding.fingerprint] += 1
        old = _known(finding.fingerprint, places[finding.fingerprint], collected)
        known = gate.count == "new" and old and not _too_old(gate, finding, collected)
        excused = ignored(gate.ignore, finding, collected) or ("known: the baseline has it, too" if known else "")
        counts = draft.object(finding.fingerprint, text_of(finding), where=where_of(finding), link=_link(finding), excused=excused)
        fresh += not old
        if counts:
            counted[finding.severity] += 1
            _each(draft, gate, finding, collected)
    draft.figures |= {"findings": len(findings), "new": fresh, "counted": sum(counted.values())}
    draft.figures |= {severity.value: counted[severity] for severity in Severity}
    _limits(draft, gate, counted)
    _reported(draft, gate)
    quiet = sum(1 for finding in collected.parsed.suppressed if _fits_gate(gate, finding))
    if quiet and gate.suppressed == "show":
        draft.notes.append(f"{several(quiet, 'finding')} suppressed in the sources or by the tool")
    bare = "nothing was found" if not findings else f"{several(len(findings), 'finding')}, {draft.figures['counted']:g} count"
    return draft.result(bare if collected.scanned else "no scanner's report was handed in, and none is asked for")


def _known(fingerprint: str, place: int, collected: Collected) -> bool:
    """Whether the baseline had it in so many places; one more place of a known problem is new."""
    return fingerprint in collected.known and place <= collected.known_places.get(fingerprint, place)


def _of_gate(gate: SecurityGate, collected: Collected) -> list[Finding]:
    listed_ = [*collected.parsed.findings, *(collected.parsed.suppressed if gate.suppressed == "count" else ())]
    return sorted((f for f in listed_ if _fits_gate(gate, f)), key=lambda finding: -finding.severity.rank)


def _fits_gate(gate: SecurityGate, finding: Finding) -> bool:
    return finding.kind in gate.kinds and (not gate.tools or fits(gate.tools, finding.tool))


def _too_old(gate: SecurityGate, finding: Finding, collected: Collected) -> bool:
    days, since = gate.days_max.get(finding.severity), collected.first_seen.get(finding.fingerprint)
    return days is not None and since is not None and collected.now - since > timedelta(days=days)


def _each(draft: Draft, gate: SecurityGate, finding: Finding, collected: Collected) -> None:
    """What one finding breaks by itself."""
    name = finding.rule or finding.message[:60]
    if gate.cvss_below is not None and finding.cvss is not None and finding.cvss >= gate.cvss_below:
        draft.fail(f"{name} has CVSS {finding.cvss:g}, below {gate.cvss_below:g} is borne", _mend(finding))
    if _too_old(gate, finding, collected):
        since = collected.first_seen[finding.fingerprint]
        draft.fail(
            f"{name} ({finding.severity}) is known since {since:%Y-%m-%d}, {gate.days_max[finding.severity]:g} days are borne",
            _mend(finding),
        )


def _mend(finding: Finding) -> str:
    if finding.fixed_in and finding.package:
        return f"take {finding.package} {finding.fixed_in} or newer"
    return "mend what was found, or have it waived: productops quality waive"


def _limits(draft: Draft, gate: SecurityGate, counted: Counter[Severity]) -> None:
    over = [severity for severity in Severity if severity in gate.at_most and counted[severity] > gate.at_most[severity]]
    if not over:
        return
    what = "new finding" if gate.count == "new" else "finding"
    told = ", ".join(f"{counted[severity]} {severity} ({gate.at_most[severity]} borne)" for severity in over)
    words = tuple(f"{severity} " for severity in over)
    rules = listed(dict.fromkeys(item.text.split(":")[0] for item in draft.items if not item.excused and item.text.startswith(words)))
    draft.fail(f"too many {what}s: {told}; {rules}", "mend what was found, or have it waived: productops quality waive")
    if gate.count == "new" and not draft.collected.has_baseline:
        draft.notes.append("there is no passed run of the main branch yet, so that every finding is new")


def _reported(draft: Draft, gate: SecurityGate) -> None:
    if gate.report == "required" and not draft.collected.scanned:
        draft.lack("no scanner's report was handed in: nothing was looked for, so nothing was shown", HINT)


def _link(finding: Finding) -> str:
    """Where people read about it."""
    for identifier in (finding.rule, *finding.identifiers):
        if identifier.startswith("CVE-"):
            return f"https://nvd.nist.gov/vuln/detail/{identifier}"
        if identifier.startswith("GHSA-"):
            return f"https://github.com/advisories/{identifier}"
    return ""
