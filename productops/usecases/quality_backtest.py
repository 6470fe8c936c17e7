"""Judge stored runs by another policy: which would it have stopped, and which let pass?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from productops.domain.catalog_quality import QualityPolicy
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.quality_runs import AppliedPolicy, QualityRun
from productops.domain.quality_verdict import GateState, QualityVerdict
from productops.errors import InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.quality_policies import POLICY
from productops.store.quality_runs import QualityRunFilter
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand
from productops.usecases.quality_policies_store import policy_of
from productops.usecases.quality_read import judge_again

LAST_MAX = 500
PAGE = 100


class Difference(StrEnum):
    """What another policy changes for a run."""

    STOPPED = "stopped"
    LET_PASS = "let-pass"  # noqa: S105 - what became of a run
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Rejudged:
    """One run: what was said of it, what the other policy says, and the releases of that version."""

    run: QualityRun
    then: QualityVerdict
    releases: tuple[str, ...] = ()

    @property
    def difference(self) -> Difference:
        """Only a pass lets a version out."""
        if self.run.verdict.may_go_out == self.then.may_go_out:
            return Difference.SAME
        return Difference.LET_PASS if self.then.may_go_out else Difference.STOPPED

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the other policy's required gates that do not pass."""
        return tuple(gate.gate for gate in self.then.gates if gate.required and gate.state is not GateState.PASSED)


@dataclass(frozen=True, slots=True)
class QualityBacktest:
    """All runs that were judged again, newest first."""

    policy: str
    runs: tuple[Rejudged, ...]

    def count(self, difference: Difference) -> int:
        """How many."""
        return sum(1 for each in self.runs if each.difference is difference)

    @property
    def releases_stopped(self) -> tuple[str, ...]:
        """Releases of versions it would have stopped."""
        return tuple(dict.fromkeys(r for each in self.runs if each.difference is Difference.STOPPED for r in each.releases))

    @property
    def sentence(self) -> str:
        """For a person."""
        if not self.runs:
            return f"There is no stored run of a service that {self.policy} is for; nothing was judged again."
        stopped, passed = self.count(Difference.STOPPED), self.count(Difference.LET_PASS)
        released = f", {len(self.releases_stopped)} of them as releases" if self.releases_stopped else ""
        told = f"Of {len(self.runs)} runs {self.policy} would have stopped {stopped} that passed{released}"
        return f"{told}, and let {passed} pass that did not."


def backtest_policy(
    context: Context, policy: QualityPolicy, *, actor: Actor, last: int = 50, service: str | None = None
) -> QualityBacktest:  # fmt: skip
    """Judge the newest ``last`` runs of the services a policy is for again, by it: each with what was stored before it, and with the
    waivers and signatures of now. Nothing is written.

    Raises: InvalidInputError for a ``last`` outside 1 … ``LAST_MAX``, ForbiddenError for who may read none.
    """
    if not 1 <= last <= LAST_MAX:
        raise InvalidInputError(f"last is 1 to {LAST_MAX}, not {last}")
    ventures = visible_ventures(actor.principal, Operation.QUALITY_READ)
    if ventures is not None and not ventures:
        actor.check(Operation.QUALITY_READ)
    applied = AppliedPolicy(policy, "", 0)
    wanted = QualityRunFilter(service=service, venture=policy.metadata.venture, ventures=ventures)
    found: list[Rejudged] = []
    with context.store.read() as unit:
        now = context.clock.now()
        for run in _covered(unit, policy, wanted, last):
            verdict = judge_again(unit, run, applied, now=now)
            found.append(Rejudged(run, verdict, unit.quality_runs.releases(run.service, run.version)))
    return QualityBacktest(policy.metadata.name, tuple(found))


def _covered(unit: Unit, policy: QualityPolicy, wanted: QualityRunFilter, last: int) -> list[QualityRun]:
    """Of services that still exist."""
    exist = {service.name for service in unit.catalog.services()}
    found: list[QualityRun] = []
    before: str | None = None
    while len(found) < last:
        page = unit.quality_runs.page(wanted, before=before, limit=PAGE)
        found += [run for run in page if run.service in exist and policy.covers(venture=run.venture, service=run.service)]
        if len(page) < PAGE:
            break
        before = page[-1].id
    return found[:last]


def proposed_policy(context: Context, approval_id: str, *, actor: Actor) -> QualityPolicy:
    """The policy that waits for signatures in an approval. Raises: NotFoundError, InvalidInputError for another approval."""
    missing = f"there is no approval {approval_id[:80]!r}"
    with context.store.read() as unit:
        request = unit.approvals.get(approval_id)
    if request is None:
        raise NotFoundError(missing)
    demand(actor, Operation.APPROVAL_READ, seen_by=Operation.APPROVAL_READ, venture=request.venture, missing=missing)
    content = request.content
    if content.get("kind") != POLICY or content.get("after") is None:
        raise InvalidInputError(f"approval {approval_id} ({request.title}) is not about a quality policy that would hold")
    return policy_of(content["name"], content["after"])
