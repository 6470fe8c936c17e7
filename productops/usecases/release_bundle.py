"""The evidence of one release in one archive that can be checked without this installation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from productops.adapters.release_bundle import pack
from productops.domain.governance_access import Operation
from productops.domain.governance_audit import Anchor
from productops.domain.release import ENDED, Phase, Release
from productops.domain.release_bundle import (
    BUNDLE_PREDICATE,
    DECISION_PREDICATE,
    DEPLOYMENT_PREDICATE,
    MANIFEST,
    RELEASE,
    SIGNED_MANIFEST,
    SUMMARY_PREDICATE,
    canonical_json,
    lines,
    manifest,
    pretty,
    seal,
    sha256,
    statement,
    subject_of,
)
from productops.ports import EvidenceSigner
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import release_for
from productops.usecases.release_bundle_chain import chain_files
from productops.usecases.release_report import make_report
from productops.usecases.release_summary import release_summary

_PAGE = 1_000
NOT_STORED = {
    "test results": "this installation stores none yet",
    "SBOM (CycloneDX)": "this installation stores none yet",
    "findings of scanners (SARIF)": "this installation stores none yet",
}
README = """The evidence of one release.

Check it, without network and without the installation that made it:

    productops bundle verify THIS-FILE.zip --key PUBLIC-KEY

PUBLIC-KEY is the installation's: 64 hexadecimal digits, in the file audit-key.pub of its home. Have it from there, not from this archive.

manifest.json              every file with its SHA-256; what is absent, and why
manifest.dsse.json         the signature of the manifest (DSSE, Ed25519)
attestations/*.dsse.json   in-toto statements: the decision, where the candidate came from, the summary of the verification
release.json steps.json moves.json events.ndjson
                           the release with its frozen plan, its steps, its moves, its story
looks.ndjson               every look of the judge with its evidence
traffic.json               requests, failures and latency of both versions
approvals.json             who was asked, who signed, what was overridden and reviewed
notes.md                   the story for people
audit/chain.ndjson         the audit entries about the release; links lead from them to the next anchor
audit/anchors.ndjson       signed anchors of the audit log
"""


def make_bundle(context: Context, release_id: str, signer: EvidenceSigner, anchors: Sequence[Anchor], *, actor: Actor) -> bytes:
    """The archive. The same release gives the same bytes, but for the times of signing.

    ``anchors`` of the audit log: those of this installation; where none is near, one is signed for the bundle.
    Raises: NotFoundError, ForbiddenError, AuditBrokenError when the audit log around the release does not fit.
    """
    with context.store.read() as unit:
        release = release_for(unit, release_id, actor, Operation.BUNDLE_READ)
        files = _facts(unit, release)
        artifact = _artifact(unit, release)
        subjects = [f"release/{release.id}", *([f"train/{release.plan['train']}"] if release.plan.get("train") else [])]
        now = context.clock.now()
        files |= chain_files(unit, subjects, signer, anchors, now=now)
    files["notes.md"] = make_report(context, release_id).markdown.encode() + b"\n"
    files["README.txt"] = README.encode()
    return pack(_signed(files, release, artifact, signer, now=now))


def _signed(
    files: dict[str, bytes], release: Release, artifact: dict[str, str] | None, signer: EvidenceSigner, *, now: datetime
) -> dict[str, bytes]:
    """The files with the statements about them, the manifest, and its signature."""
    about = [subject_of(RELEASE, files[RELEASE])]
    if artifact:
        digest = {name: value for name, value in artifact.items() if name != "uri"}
        about.append({"name": f"{release.service}@{release.version}", "uri": artifact["uri"], "digest": digest})
    predicates = {
        "decision": (DECISION_PREDICATE, _decision(release)),
        "provenance": (DEPLOYMENT_PREDICATE, _provenance(release, artifact, signer)),
    }
    for name, (kind, predicate) in predicates.items():
        files[f"attestations/{name}.dsse.json"] = seal(statement(kind, predicate, about), key=signer.public, sign=signer.sign_bytes)
    if release.phase in ENDED:
        summary = statement(SUMMARY_PREDICATE, _summary(release, files, signer), about)
        files["attestations/summary.dsse.json"] = seal(summary, key=signer.public, sign=signer.sign_bytes)
    absent = dict(NOT_STORED)
    if artifact is None:
        deployed = release.phase is not Phase.REQUESTED
        absent["digest of the artifact"] = "it was not known when the candidate was deployed" if deployed else "nothing was deployed yet"
    if release.phase not in ENDED:
        absent["verification summary"] = f"the release has not ended: it is {release.phase}"
    if files["approvals.json"] == pretty({"approvals": [], "bypass": None, "reviews": []}):
        absent["approvals"] = "nobody had to sign"
    head = {"id": release.id, "title": release.title, "phase": release.phase.value, "venture": release.venture}
    files[MANIFEST] = manifest(head, files, absent)
    predicate = {"signedAt": now.isoformat(), "release": release.id}
    told = statement(BUNDLE_PREDICATE, predicate, [subject_of(MANIFEST, files[MANIFEST])])
    files[SIGNED_MANIFEST] = seal(told, key=signer.public, sign=signer.sign_bytes)
    return files


def _facts(unit: Unit, release: Release) -> dict[str, bytes]:
    """What is stored about the release."""
    row = unit.deployments.find(release.id) or {}
    traffic = row.get("performance_impact") or release_summary(unit, release)
    return {
        RELEASE: pretty(asdict(release)),
        "steps.json": pretty([asdict(step) for step in unit.releases.steps(release.id)]),
        "moves.json": pretty(unit.releases.transitions(release.id)),
        "events.ndjson": lines(_events(unit, release.id)),
        "looks.ndjson": lines(_looks(unit, release.id)),
        "traffic.json": pretty(traffic),
        "approvals.json": pretty(_approvals(unit, release)),
    }


def _events(unit: Unit, release_id: str) -> Iterator[dict[str, Any]]:
    after = 0
    while found := unit.releases.events(release_id, after=after, limit=_PAGE):
        yield from (asdict(event) for event in found)
        after = found[-1].seq


def _looks(unit: Unit, release_id: str) -> Iterator[dict[str, Any]]:
    after_s = -1
    while found := unit.releases.looks(release_id, after_s=after_s, limit=_PAGE):
        yield from found
        after_s = found[-1]["at_s"]


def _approvals(unit: Unit, release: Release) -> dict[str, Any]:
    """Requests for signatures about the release and its train, reviews of overrides, and the bypass of a freeze it used."""
    subjects = [f"release/{release.id}", *([f"train/{release.plan['train']}"] if release.plan.get("train") else [])]
    found = [request for subject in subjects if (request := unit.approvals.of_subject(subject)) is not None]
    bypass = unit.bypasses.get(release.plan["bypass"]) if release.plan.get("bypass") else None
    return {
        "approvals": [asdict(request) for request in found],
        "reviews": [asdict(review) for request in found for review in unit.approval_reviews.of_approval(request.id)],
        "bypass": asdict(bypass) if bypass else None,
    }


def _artifact(unit: Unit, release: Release) -> dict[str, str] | None:
    """As it was written down when the candidate was deployed."""
    for entry in unit.audit.entries(subject=f"release/{release.id}"):
        if entry["action"] == "release.deploying" and entry["detail"].get("artifact"):
            return dict(entry["detail"]["artifact"])
    return None


def _decision(release: Release) -> dict[str, Any]:
    return {
        "service": release.service, "venture": release.venture, "environment": release.environment.value, "version": release.version,
        "baseline": release.baseline_version, "strategy": release.strategy.value, "phase": release.phase.value,
        "cause": release.cause.value if release.cause else None, "reason": release.reason, "requestedBy": release.requested_by,
        "requestedAt": release.created_at.isoformat(), "endedAt": release.ended_at.isoformat() if release.ended_at else None,
        "policy": {"sha256": sha256(canonical_json(release.plan))},
    }  # fmt: skip


def _provenance(release: Release, artifact: dict[str, str] | None, signer: EvidenceSigner) -> dict[str, Any]:
    """In the terms of SLSA provenance v1, of the deployment: this product did not build the version, and says so."""
    parameters = {
        "service": release.service, "version": release.version, "environment": release.environment.value,
        "strategy": release.strategy.value,
    }  # fmt: skip
    digest = {name: value for name, value in (artifact or {}).items() if name != "uri"}
    return {
        "buildDefinition": {
            "buildType": "urn:productops:release:v1", "externalParameters": parameters,
            "resolvedDependencies": [{"uri": artifact["uri"], "digest": digest}] if artifact else [],
        },
        "runDetails": {
            "builder": {"id": f"urn:productops:installation:{signer.public}"},
            "metadata": {"invocationId": release.flow_run_id, "startedOn": release.created_at.isoformat()},
        },
        "note": "this tells how the version was deployed; who built it is not known here",
    }  # fmt: skip


def _summary(release: Release, files: dict[str, bytes], signer: EvidenceSigner) -> dict[str, Any]:
    """Source: SLSA verification summary v1."""
    inputs = sorted(name for name in files if name.startswith("attestations/"))
    passed = release.phase in {Phase.PROMOTED, Phase.PASSED}
    return {
        "verifier": {"id": f"urn:productops:installation:{signer.public}"},
        "timeVerified": (release.ended_at or release.updated_at).isoformat(),
        "resourceUri": f"urn:productops:service:{release.service}:{release.version}",
        "policy": {"uri": f"urn:productops:plan:{release.id}", "digest": {"sha256": sha256(canonical_json(release.plan))}},
        "inputAttestations": [{"uri": name, "digest": {"sha256": sha256(files[name])}} for name in inputs],
        "verificationResult": "PASSED" if passed else "FAILED",
        "verifiedLevels": [],
    }
