"""Routes of trying a quality policy out on what was judged before."""

from __future__ import annotations

from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from productops.adapters.catalog_files.quality_policy import read_policy
from productops.api.access import allowed
from productops.api.quality_schemas import QualityRunOut
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.quality_verdict import GateState
from productops.usecases.quality_backtest import LAST_MAX, Difference, QualityBacktest, Rejudged, backtest_policy, proposed_policy

router = APIRouter(tags=["quality"])
POLICY_CHARACTERS_MAX = 100_000
EXAMPLE = (
    "apiVersion: productops/v1\nkind: QualityPolicy\nmetadata: {name: stricter}\n"
    "spec:\n  gates:\n    - {name: unit-tests, kind: unit, tests_min: 100}\n"
)


class QualityBacktestBody(BaseModel):
    """Which policy is tried: a text, or the one that waits in an approval."""

    model_config = ConfigDict(extra="forbid")

    policy: str | None = Field(
        default=None, max_length=POLICY_CHARACTERS_MAX, examples=[EXAMPLE], description="A catalog entry of kind QualityPolicy, as YAML."
    )
    approval_id: str | None = Field(default=None, max_length=64, examples=[None], description="Id of an approval that a policy waits in.")
    service: str | None = Field(default=None, max_length=63, examples=[None], description="Runs of this service only.")
    last: int = Field(default=50, ge=1, le=LAST_MAX, description="How many runs are judged again, newest first.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.policy is None) == (self.approval_id is None):
            raise ValueError("give either policy or approval_id")
        return self


class RejudgedOut(BaseModel):
    """One run by the other policy."""

    run: QualityRunOut
    state: GateState = Field(description="What the other policy says.")
    sentence: str
    difference: Difference
    gates: list[str] = Field(description="Required gates of the other policy that do not pass.")
    releases: list[str] = Field(description="Ids of releases of that version.")

    @classmethod
    def of(cls, each: Rejudged) -> RejudgedOut:
        """The run as callers see it."""
        return cls(
            run=QualityRunOut.of(each.run), state=each.then.state, sentence=each.then.sentence, difference=each.difference,
            gates=list(each.gates), releases=list(each.releases),
        )  # fmt: skip


class QualityBacktestOut(BaseModel):
    """What another policy would have changed."""

    policy: str = Field(examples=["stricter"])
    sentence: str
    stopped: int = Field(description="Runs that passed and would not have.")
    let_pass: int = Field(description="Runs that did not pass and would have.")
    releases_stopped: list[str]
    runs: list[RejudgedOut]

    @classmethod
    def of(cls, found: QualityBacktest) -> QualityBacktestOut:
        """All of it."""
        return cls(
            policy=found.policy, sentence=found.sentence, stopped=found.count(Difference.STOPPED),
            let_pass=found.count(Difference.LET_PASS),
            releases_stopped=list(found.releases_stopped), runs=[RejudgedOut.of(each) for each in found.runs],
        )  # fmt: skip


@router.post(
    f"{BASE}/quality/backtest", operation_id="backtestQualityPolicy", dependencies=[allowed(Operation.QUALITY_READ)],
    summary="Judge stored runs by another policy",
)  # fmt: skip
def backtest(body: QualityBacktestBody, context: ContextDep, actor: ActorDep) -> QualityBacktestOut:
    """Which runs, and releases, would it have stopped, which let pass? Nothing is written."""
    if body.policy is not None:
        policy = read_policy(body.policy, "policy")
    else:
        policy = proposed_policy(context, body.approval_id or "", actor=actor)
    return QualityBacktestOut.of(backtest_policy(context, policy, last=body.last, service=body.service, actor=actor))
