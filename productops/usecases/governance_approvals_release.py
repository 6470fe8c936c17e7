"""Signatures for releases and trains: what is shown, who has to sign, and whether one may start."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from productops.domain.catalog_approvals import Action, Attribute, RiskLevel
from productops.domain.governance_access import MACHINE
from productops.domain.governance_approvals import ApprovalRequest, hash_of, still_missing
from productops.domain.governance_approvals_policy import Facts, needs_of
from productops.domain.governance_approvals_risk import Risk, RiskFacts
from productops.domain.release import Phase, Release
from productops.domain.release_train import Train
from productops.domain.versions import is_older
from productops.errors import ConflictError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_approvals_ask import ask, needed, plain, renewed

WATCH = Actor(name="productops", origin="agent", principal=MACHINE)
# Noted while it waits, or only told: no part of what is signed.
_NOT_SHOWN = frozenset({"approval", "outlook", "note", "start", "starts_at"})


def release_subject(release_id: str) -> str:
    """What a release is called in approvals, changes and the audit."""
    return f"release/{release_id}"


def risk_of(context: Context, release: Release) -> Risk:
    """How risky a release is, by what was known when it was asked for; by the rule where nothing was noted then."""
    noted = release.plan.get("risk")
    if noted:
        return Risk(RiskLevel(noted["level"]), tuple(noted["reasons"]))
    downgrade = release.baseline_version is not None and is_older(release.version, release.baseline_version)
    return context.risk.rate(
        RiskFacts(
            "release", release.environment, release.created_at, has_baseline=release.baseline_version is not None, downgrade=downgrade
        )
    )


def release_content(unit: Unit, release: Release) -> dict[str, Any]:
    """What is shown and signed: another version, plan, or entry of its service is another thing."""
    service = unit.catalog.service(release.service)
    return plain(
        {
            "service": release.service, "version": release.version, "baseline": release.baseline_version,
            "environment": release.environment.value, "strategy": release.strategy.value,
            "steps": [step.title for step in release.steps],
            "plan": {name: value for name, value in release.plan.items() if name not in _NOT_SHOWN},
            "service_revision": service.revision,
            "service_entry": hash_of(service.spec.model_dump(mode="json")),
        }
    )  # fmt: skip


def _facts(context: Context, release: Release, action: Action) -> Facts:
    attributes = frozenset(Attribute(name) for name in release.plan.get("attributes", ()))
    return Facts(
        action=action, venture=release.venture, environment=release.environment, service=release.service, strategy=release.strategy,
        risk=risk_of(context, release).level, attributes=attributes,
    )  # fmt: skip


def with_approval(unit: Unit, release: Release, context: Context, *, actor: Actor, now: datetime) -> Release:
    """The drafted release, its request for signatures written down and noted in its plan where policies want any.

    A member of a train needs none of its own: the train was asked for, with all its members.
    """
    if release.plan.get("train"):
        return release
    request = _ask(unit, release, context, actor=actor, now=now)
    return release if request is None else replace(release, plan=release.plan | {"approval": noted(request, now=now)})


def noted(request: ApprovalRequest, *, now: datetime) -> dict[str, str]:
    """What a plan says of it."""
    return {"id": request.id, "waits_for": still_missing(request, now=now), "page": f"/approvals/{request.id}"}


def tell_waiting(unit: Unit, release: Release, *, now: datetime) -> None:
    """Within the transaction that writes a release: a line of its story, when it waits for signatures."""
    if release.plan.get("approval"):
        unit.releases.tell(release.id, "approval_requested", dict(release.plan["approval"]), now=now)


def _ask(unit: Unit, release: Release, context: Context, *, actor: Actor, now: datetime) -> ApprovalRequest | None:
    return ask(
        unit, subject=release_subject(release.id), action=Action.RELEASE, title=f"release {release.title}", venture=release.venture,
        environment=release.environment, content=release_content(unit, release), facts=[_facts(context, release, Action.RELEASE)],
        reason=str(release.plan.get("note", "")), actor=actor, now=now,
    )  # fmt: skip


def cleared(context: Context, release: Release) -> bool:
    """Whether its signatures are there, for what it is now. Asks for them where policies, or the thing itself, changed meanwhile.

    Raises: StoreUnavailableError.
    """
    with context.store.read() as unit:
        problem = _problem(unit, release, context)
    if problem is None:
        return True
    if problem != "renew":
        return False
    try:
        with context.store.write() as unit:
            _ask_again(unit, release.id, context, now=context.clock.now())
    except ConflictError:
        return False  # somebody else did at this moment
    return False


def check_cleared(unit: Unit, release: Release, context: Context) -> None:
    """Within the transaction that claims a release: nothing that is not signed begins. Raises: ApprovalNeededError."""
    if release.phase is not Phase.REQUESTED or _problem(unit, release, context) is None:
        return
    request = unit.approvals.of_subject(_subject_of(release))
    if request is None or request.granted:  # `cleared` asks for it, before the next try
        raise ConflictError(f"{release.title} needs signatures that nobody was asked for yet; it starts when it has them")
    raise needed(request, now=context.clock.now())


def _subject_of(release: Release) -> str:
    train = release.plan.get("train")
    return f"train/{train}" if train else release_subject(release.id)


def _problem(unit: Unit, release: Release, context: Context) -> str | None:
    """None: it may start. ``wait``: signatures are missing. ``renew``: they have to be asked for (anew)."""
    request = unit.approvals.of_subject(_subject_of(release))
    if release.plan.get("train"):
        return None if request is None or request.granted else "wait"
    if request is None:
        needs, _ = needs_of(unit.approval_policies.all(), [_facts(context, release, Action.RELEASE)], now=context.clock.now())
        return "renew" if needs else None
    if (request.granted or request.waiting) and hash_of(release_content(unit, release)) != request.content_hash:
        return "renew"
    return None if request.granted else "wait"


def _ask_again(unit: Unit, release_id: str, context: Context, *, now: datetime) -> None:
    release = unit.releases.get(release_id)
    if release.phase is not Phase.REQUESTED or _problem(unit, release, context) != "renew":
        return
    request = unit.approvals.of_subject(release_subject(release.id))
    requester = Actor(name=release.requested_by, origin=release.origin, principal=MACHINE)
    if request is None:
        request = _ask(unit, release, context, actor=requester, now=now)
    else:
        request = renewed(unit, request, release_content(unit, release), actor=WATCH, now=now)
    if request is not None:
        unit.releases.note(release.id, plan=release.plan | {"approval": noted(request, now=now)})
        unit.releases.tell(release.id, "approval_requested", dict(noted(request, now=now)), now=now)


def refresh(context: Context, request: ApprovalRequest) -> None:
    """Before somebody signs a release: where it changed since it was asked for, its earlier signatures lapse."""
    if request.action is not Action.RELEASE:
        return
    with context.store.read() as unit:
        release = unit.releases.get(request.subject.partition("/")[2])
    if release.phase is Phase.REQUESTED:
        cleared(context, release)


def ask_for_train(unit: Unit, train: Train, context: Context, *, actor: Actor, now: datetime) -> ApprovalRequest | None:
    """The union of what its members would need and what policies for trains want."""
    baselines = {m.service: unit.traffic.get(m.service, train.environment).baseline_version for m in train.members}
    services = {m.service: unit.catalog.service(m.service) for m in train.members}
    facts = []
    for member in train.members:
        baseline = baselines[member.service]
        risk = context.risk.rate(RiskFacts("train", train.environment, now, has_baseline=baseline is not None))
        strategy = member.strategy or services[member.service].spec.rollout.strategy
        facts += [
            Facts(action, train.venture, train.environment, member.service, strategy=strategy, risk=risk.level)
            for action in (Action.TRAIN, Action.RELEASE)
        ]
    content = {
        "mode": train.mode.value, "environment": train.environment.value,
        "members": [
            {
                "service": m.service, "version": m.version, "baseline": baselines[m.service], "after": list(m.depends_on),
                "strategy": m.strategy and m.strategy.value, "service_revision": services[m.service].revision,
            }
            for m in train.members
        ],
    }  # fmt: skip
    return ask(
        unit, subject=f"train/{train.id}", action=Action.TRAIN, title=f"train {train.title}", venture=train.venture,
        environment=train.environment, content=content, facts=facts, reason=train.note, actor=actor, now=now,
    )  # fmt: skip


def train_waits(context: Context, train_id: str) -> bool:
    """Whether a train may not move yet, because somebody has to sign it."""
    with context.store.read() as unit:
        request = unit.approvals.of_subject(f"train/{train_id}")
    return request is not None and request.waiting


def check_train(context: Context, train_id: str) -> None:
    """What a flow asks before it follows a train. Raises: ApprovalNeededError while somebody has to sign it."""
    with context.store.read() as unit:
        request = unit.approvals.of_subject(f"train/{train_id}")
    if request is not None and request.waiting:
        raise needed(request, now=context.clock.now())


ASKED_AGAIN = 100
"""The run after so many others would be; each request for signatures may have had a run that ended waiting for them."""


def first_attempt(context: Context, release: Release) -> int:
    """Which run of a release is the first that may carry it out: a run that ended waiting for signatures is not started anew."""
    if not release.plan.get("approval"):
        return 0
    with context.store.read() as unit:
        return ASKED_AGAIN * len(unit.releases.events(release.id, after=0, kind="approval_requested"))
