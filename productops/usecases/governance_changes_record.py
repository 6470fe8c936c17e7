"""Write a change down, within the transaction that makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from productops.domain.governance_approvals_risk import Risk, RiskFacts, RiskRule
from productops.domain.governance_changes import ChangeKind, ChangeRecord
from productops.domain.release import Environment, Release
from productops.domain.release_train import Train, TrainMode
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_approvals_ask import plain
from productops.usecases.governance_approvals_release import release_subject, risk_of

NO_WINDOWS = "change windows do not apply"


def record_change(
    unit: Unit, *, kind: ChangeKind, subject: str, title: str, venture: str | None, environment: Environment | None, actor: Actor,
    reason: str, risk: Risk, windows: str, rollback_plan: str, detail: Mapping[str, Any], now: datetime,
) -> ChangeRecord:  # fmt: skip
    """One row. It is written once; how the change ended is read from the thing itself."""
    change = ChangeRecord(
        id=str(new_id()), kind=kind, subject=subject, title=title, venture=venture, environment=environment, requested_by=actor.name,
        origin=actor.origin, reason=reason, risk=risk, windows=windows, rollback_plan=rollback_plan, at=now, detail=plain(detail),
    )  # fmt: skip
    unit.changes.add(change)
    return change


def record_release(unit: Unit, release: Release, context: Context, *, actor: Actor, now: datetime) -> None:
    """A release that was asked for."""
    detail = {
        "service": release.service, "version": release.version, "baseline": release.baseline_version, "strategy": release.strategy.value,
        "attributes": release.plan.get("attributes", []), "train": release.plan.get("train"), "bypass": release.plan.get("bypass"),
    }  # fmt: skip
    record_change(
        unit, kind=ChangeKind.RELEASE, subject=release_subject(release.id), title=release.title, venture=release.venture,
        environment=release.environment, actor=actor, reason=str(release.plan.get("note", "")), risk=risk_of(context, release),
        windows=_windows_of(release), rollback_plan=release_rollback_plan(release), detail=detail, now=now,
    )  # fmt: skip


def _windows_of(release: Release) -> str:
    """What the calendars said when it was asked for."""
    if release.plan.get("train"):
        return f"as a member of train {release.plan['train']}"
    if release.plan.get("bypass"):
        return f"closed, gone past by bypass {release.plan['bypass']}"
    if release.plan.get("starts_at"):
        return f"closed, it waits for the opening at {release.plan['starts_at'][:16].replace('T', ' ')} UTC"
    return "open"


def release_rollback_plan(release: Release) -> str:
    """How it is undone, and what users get then."""
    if release.ends_in_report:
        return "nothing to undo: users keep the baseline whatever comes of it"
    if release.baseline_version is None:
        return "it is the first version: there is none to go back to; a failed start reaches no user"
    warm_s = float(release.plan.get("keep_warm_s", 0.0))
    warm = f"; its instances stay warm for {warm_s:g} s after the promotion" if warm_s else ""
    return (
        f"users get {release.baseline_version} again by itself on a failed verdict, a lost lease or an incident, and on demand with "
        f"`productops rollback {release.id} --reason …`{warm}"
    )


def record_train(unit: Unit, train: Train, context: Context, *, actor: Actor, now: datetime) -> None:
    """A train that was asked for; its members' releases are changes of their own."""
    risk = context.risk.rate(RiskFacts("train", train.environment, now))
    together = "all its members" if train.mode is TrainMode.ALL_OR_NOTHING else "the members on their way"
    record_change(
        unit, kind=ChangeKind.TRAIN, subject=f"train/{train.id}", title=f"train {train.title}", venture=train.venture,
        environment=train.environment, actor=actor, reason=train.note, risk=risk, windows="every member could start when it was asked for",
        rollback_plan=f"`productops train abort {train.id} --reason …` gives {together} back, the last first",
        detail={"members": {m.service: m.version for m in train.members}, "mode": train.mode.value}, now=now,
    )  # fmt: skip


def record_catalog(unit: Unit, outcomes: Mapping[str, str], *, actor: Actor, now: datetime) -> None:
    """An application of the catalog that changed something; ``outcomes`` by kind and name."""
    changed = {name: outcome for name, outcome in outcomes.items() if outcome != "unchanged"}
    if not changed:
        return
    listed = ", ".join(sorted(changed)[:5]) + (" and more" if len(changed) > 5 else "")
    record_change(
        unit, kind=ChangeKind.CATALOG, subject="catalog", title=f"catalog: {listed}", venture=None, environment=None, actor=actor,
        reason="",
        risk=RiskRule().rate(RiskFacts("catalog", None, now, size_lines=0)), windows=NO_WINDOWS,
        rollback_plan="`productops apply` of the catalog as it was before; every revision of an entry is kept",
        detail={"entries": changed}, now=now,
    )  # fmt: skip


def record_flag(
    unit: Unit, *, key: str, venture: str, revision: int, summary: str, change_id: str, environments: Sequence[Environment], actor: Actor,
    reason: str, now: datetime,
) -> None:  # fmt: skip
    """A change of a flag that took effect; those that a release makes belong to the release."""
    place = Environment.PRODUCTION if Environment.PRODUCTION in environments else next(iter(environments), None)
    before = f"`productops flag restore {key} --revision {revision - 1}` brings revision {revision - 1} back"
    record_change(
        unit, kind=ChangeKind.FLAG, subject=f"flag/{key}", title=f"flag {key}: {summary}", venture=venture, environment=place,
        actor=actor, reason=reason, risk=RiskRule().rate(RiskFacts("flag", place, now, size_lines=0)), windows=NO_WINDOWS,
        rollback_plan=f"{before}; `productops flag kill {key} --reason …` works at once",
        detail={"revision": revision, "change": change_id}, now=now,
    )  # fmt: skip
