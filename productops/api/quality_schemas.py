"""Documents of the quality routes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field

from productops.domain.quality import Outcome
from productops.domain.quality_findings import FindingKind, Severity
from productops.domain.quality_report import gate_document
from productops.domain.quality_runs import AppliedPolicy, QualityRun, QualitySource, SignOff, Upload, UploadState, Waiver
from productops.domain.quality_verdict import GateKind, GateState


class GateItemOut(BaseModel):
    """One thing a gate objects to, or would without a waiver or a quarantine."""

    key: str = Field(description="What a waiver names: the test's key, the finding's fingerprint, the path, the series.")
    text: str
    where: str
    link: str
    excused: str = Field(description="By whom and until when it does not count; empty: it counts.")


class GateOut(BaseModel):
    """One gate of a run."""

    gate: str = Field(examples=["unit-tests"])
    kind: GateKind
    required: bool
    state: GateState
    sentence: str
    reasons: list[str]
    items: list[GateItemOut] = Field(description="The first 50 at most.")
    items_total: int
    to_pass: str = Field(description="What would make it pass; empty where it does.")
    figures: dict[str, float]
    links: list[str]


class QualityRunOut(BaseModel):
    """One judgement of one version."""

    id: str
    venture: str
    service: str
    version: str
    commit: str = Field(examples=["4f1c9e7"])
    branch: str = Field(examples=["main"])
    source: QualitySource
    by: str
    origin: str
    at: datetime
    state: GateState = Field(description="Only `passed` may go out.")
    sentence: str
    policy: str = Field(examples=["storefront"])
    policy_revision: int = Field(description="0: the built-in policy.")
    mainline: bool = Field(description="Whether it is of the branch that others are compared with.")
    baseline_id: str | None = Field(description="The run that it was compared with.")
    links: list[str]

    @classmethod
    def of(cls, run: QualityRun) -> QualityRunOut:
        """The run as lists show it."""
        return cls.model_validate(_plain(run))


class QualityRunDetail(QualityRunOut):
    """A run with its gates."""

    gates: list[GateOut]
    figures: dict[str, float] = Field(description="What expressions of a policy can name.")
    inputs: dict[str, Any] = Field(description="Which reports were handed in, their formats, and what of them could not be read.")

    @classmethod
    def of(cls, run: QualityRun) -> QualityRunDetail:
        """All of it."""
        more = {"gates": [gate_document(gate) for gate in run.gates], "figures": dict(run.figures), "inputs": dict(run.inputs)}
        return cls.model_validate(_plain(run) | more)


def _plain(run: QualityRun) -> dict[str, Any]:
    own = {"state": run.state, "sentence": run.verdict.sentence, "links": list(run.links)}
    return {name: getattr(run, name) for name in QualityRunOut.model_fields if name not in own} | own


class QualityRunPage(BaseModel):
    """Runs, newest first; pass `next` as `after` for the following page."""

    items: list[QualityRunOut]
    next: str | None


class UploadOut(BaseModel):
    """Reports that are judged later."""

    id: str
    service: str
    state: UploadState = Field(description="`failed`: they could not be read, so there is no verdict.")
    files: int
    size_bytes: int
    by: str
    at: datetime
    ended_at: datetime | None
    run_id: str | None = Field(description="The run with the verdict, once it is judged.")
    reason: str

    @classmethod
    def of(cls, upload: Upload) -> UploadOut:
        """The upload as callers see it."""
        return cls.model_validate({name: getattr(upload, name) for name in cls.model_fields})


class QualityTestOut(BaseModel):
    """One test of a run."""

    key: str
    suite: str
    classname: str
    name: str
    outcome: Outcome
    duration_s: float | None
    message: str
    file: str
    line: int | None
    attempts: int = Field(description="More than 1: it was retried.")
    flaky: bool = Field(description="It failed and then passed, with nothing changed.")


class QualityTestPage(BaseModel):
    """Tests of a run: those that failed first."""

    items: list[QualityTestOut]
    next: str | None


class QualityFindingOut(BaseModel):
    """One finding of a run."""

    fingerprint: str
    kind: FindingKind
    tool: str
    rule: str
    severity: Severity
    message: str
    path: str
    line: int | None
    package: str
    identifiers: list[str]
    cvss: float | None


class QualityFindingPage(BaseModel):
    """Findings of a run, the worst first."""

    items: list[QualityFindingOut]
    next: str | None


class QualityWaiverBody(BaseModel):
    """What is borne, by whom, why and until when."""

    service: str = Field(min_length=1, max_length=63)
    gate: str = Field(default="*", min_length=1, max_length=63, description="Name of a gate; `*`: all.")
    key: str = Field(min_length=1, max_length=255, description="The key of the item in the gate's result.")
    owner: str = Field(min_length=1, max_length=255, description="Who bears the risk.")
    reason: str = Field(min_length=1, max_length=4000, description="Why; at least 10 characters.")
    expires_at: AwareDatetime = Field(description="When it counts again; at most 366 days from now.")


class QualityWaiverOut(BaseModel):
    """Somebody's word that an objection is borne for a time."""

    id: str
    venture: str
    service: str
    gate: str
    key: str
    owner: str
    reason: str
    given_by: str
    given_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_by: str | None

    @classmethod
    def of(cls, waiver: Waiver) -> QualityWaiverOut:
        """The waiver as callers see it."""
        return cls.model_validate({name: getattr(waiver, name) for name in cls.model_fields})


class WaiverEndBody(BaseModel):
    """Why a waiver is taken back."""

    reason: str = Field(default="", max_length=2000)


class QualityWaiverPage(BaseModel):
    """Waivers, newest first."""

    items: list[QualityWaiverOut]
    next: str | None


class SignOffBody(BaseModel):
    """Which item of which checklist is vouched for, for which version."""

    service: str = Field(min_length=1, max_length=63)
    version: str = Field(min_length=1, max_length=128)
    commit: str = Field(default="", max_length=64, description="Left out: any of the version.")
    gate: str = Field(min_length=1, max_length=63, examples=["checklist"], description="Name of the sign-off gate.")
    item: str = Field(min_length=1, max_length=200, examples=["release notes read"], description="The item, as the policy words it.")
    note: str = Field(default="", max_length=2000)


class SignOffOut(BaseModel):
    """A signed item."""

    id: str
    venture: str
    service: str
    version: str
    commit: str
    gate: str
    item: str
    by: str
    roles: list[str]
    note: str
    at: datetime

    @classmethod
    def of(cls, signed: SignOff) -> SignOffOut:
        """The signature as callers see it."""
        own = {"roles": sorted(signed.roles)}
        return cls.model_validate({name: getattr(signed, name) for name in cls.model_fields if name not in own} | own)


class GatePolicyOut(BaseModel):
    """One gate of a policy."""

    name: str
    kind: GateKind
    required: bool
    settings: dict[str, Any] = Field(description="As the catalog has them, with what is left out filled in.")


class QualityPolicyOut(BaseModel):
    """What has to hold before a version goes out."""

    name: str
    venture: str | None
    revision: int = Field(description="0: the built-in policy.")
    description: str
    gates: list[GatePolicyOut]
    commands: list[str] = Field(description="Names of the commands that feed the gates.")

    @classmethod
    def of(cls, applied: AppliedPolicy) -> QualityPolicyOut:
        """The policy as callers see it."""
        spec = applied.policy.spec
        gates = [
            GatePolicyOut(
                name=gate.name, kind=GateKind(gate.kind), required=gate.required,
                settings=gate.model_dump(mode="json", exclude={"name", "kind", "required"}),
            )
            for gate in spec.gates
        ]  # fmt: skip
        return cls(
            name=applied.name, venture=applied.policy.metadata.venture, revision=applied.revision, description=spec.description,
            gates=gates, commands=[command.name for command in spec.commands],
        )  # fmt: skip
