"""Is a feature ready for its release, was it a success: answered from the store, and kept as facts for the next plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.catalog_feature import AdoptionGoal, FeatureSpec, SloGoal, UsageGoal
from productops.domain.development import ChangeState, Feature
from productops.domain.development_readiness import Answer, GateFact, ReadinessFacts, SuccessFacts, Traffic, Used, readiness, success
from productops.domain.governance_access import Operation
from productops.domain.governance_approvals import still_missing
from productops.domain.quality_runs import QualityRun
from productops.domain.release import Environment, Phase
from productops.domain.routing import merge_histograms
from productops.domain.traffic_summary import summarise
from productops.store import Unit
from productops.store.development_risk import KnownAnswer
from productops.usecases.context import Actor, Context
from productops.usecases.development_progress_facts import FeatureFacts, find_feature, gather


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """The answer now, the goal it was measured by, and what was stored last."""

    feature: Feature
    at: datetime
    answer: Answer
    goal: FeatureSpec | None
    stored: KnownAnswer | None


def readiness_of(unit: Unit, facts: FeatureFacts) -> Answer:
    """Within a view of the store."""
    flag = facts.goal.flag if facts.goal is not None else None
    return readiness(
        ReadinessFacts(
            items=facts.items,
            open_changes=tuple(change.key for change in facts.changes if change.state is ChangeState.OPEN),
            services=facts.services, gates=_gates(unit, facts), approvals_waiting=_waiting(unit, facts), incidents=facts.incidents,
            goal=facts.goal, flag_known=None if flag is None else _flag_known(unit, flag, facts.feature.venture), docs_found=_docs(facts),
        )
    )  # fmt: skip


def _gates(unit: Unit, facts: FeatureFacts) -> tuple[GateFact, ...]:
    """The newest run of each service that judged a commit of it, or a version that contains one."""
    newest: dict[str, QualityRun] = {}
    for run in facts.runs:
        newest.setdefault(run.service, run)
    for moves in reversed(facts.releases):
        name = moves.release.service
        judged = unit.quality_runs.newest_of_version(name, moves.release.version)
        if name not in newest and judged is not None:
            newest[name] = judged
    return tuple(GateFact(run.id, name, run.version, run.state.value, run.verdict.sentence) for name, run in sorted(newest.items()))


def _waiting(unit: Unit, facts: FeatureFacts) -> tuple[str, ...]:
    found = []
    for moves in facts.releases:
        if moves.release.phase is Phase.REQUESTED:
            request = unit.approvals.of_subject(f"release/{moves.release.id}")
            if request is not None and request.waiting:
                found.append(f"{moves.release.title}: {still_missing(request, now=facts.now)}")
    return tuple(found)


def _flag_known(unit: Unit, key: str, venture: str) -> bool:
    flag = unit.flags.find(key)
    return flag is not None and flag.venture == venture and not flag.state.archived


def _docs(facts: FeatureFacts) -> dict[str, bool]:
    """Whether changes of it touch what is declared; addresses are not fetched, and a change whose files are not known says nothing."""
    paths = {file.path for change in facts.changes for file in change.files}
    declared = facts.goal.docs if facts.goal is not None else ()
    known = bool(paths)
    return {
        each: any(path == each or path.startswith(each.rstrip("/") + "/") for path in paths)
        for each in declared
        if known and not each.startswith(("https://", "http://"))
    }


def success_of(unit: Unit, facts: FeatureFacts) -> Answer:
    """Within a view of the store."""
    live = [moves.reached[Phase.PROMOTED] for moves in facts.live]
    live_at = min(live, default=None)
    goals = facts.goal.success if facts.goal is not None else ()
    mine = {f"release/{moves.release.id}" for moves in facts.releases}
    blamed = unit.attributions.standing(facts.feature.venture)
    words = {each.incident_id: each for each in blamed if each.by_person}
    harmed = {each.incident_id for each in blamed if each.deployment in mine and (each.by_person or each.confidence >= 0.5)}
    incidents = tuple(sorted(i for i in harmed if i not in words or words[i].deployment in mine))
    return success(
        SuccessFacts(
            goal=facts.goal, live_at=live_at, releases=tuple(moves.release.id for moves in facts.releases),
            traffic={g.service: _traffic(unit, g.service, live_at) for g in goals if isinstance(g, SloGoal) and live_at is not None},
            variants={
                g.flag: unit.flag_counts.by_variant(g.flag, Environment.PRODUCTION, since=live_at)
                for g in goals if isinstance(g, AdoptionGoal) and live_at is not None
            },
            used=_used(unit, facts, live_at) if live_at is not None else {},
            incidents=incidents, now=facts.now,
            rollbacks=tuple(m.release.id for m in facts.releases if m.release.phase is Phase.ROLLED_BACK),
        )
    )  # fmt: skip


def _used(unit: Unit, facts: FeatureFacts, live_at: datetime) -> dict[str, Used]:
    """Before the moment success is asked for, or until now."""
    if facts.goal is None:
        return {}
    until = min(facts.now, live_at + timedelta(days=facts.goal.after_days))
    asked = [(g.feature, usage_of(unit, facts.feature.venture, g, until=until)) for g in facts.goal.success if isinstance(g, UsageGoal)]
    return {feature: used for feature, used in asked if used is not None}


def usage_of(unit: Unit, venture: str, goal: UsageGoal, *, until: datetime) -> Used | None:
    """Over the window of whole days before ``until``; None without a day on which anybody was active."""
    last = until.date()
    days = unit.analytics_usage.daily(venture, since=last - timedelta(days=goal.window_days), until=last, features=["", goal.feature])
    active = {each.day: each.people for each in days if not each.feature and each.people}
    users = {each.day: each.people for each in days if each.feature}
    if not active:
        return None
    share = sum(users.get(day, 0) / people for day, people in active.items()) / len(active)
    return Used(min(share, 1.0), sum(active.values()) / len(active), len(active))


def _traffic(unit: Unit, service: str, since: datetime) -> Traffic:
    """Of the versions that users had since then, as far as the seconds are kept."""
    newest = unit.releases.newest(service=service, environment=Environment.PRODUCTION, before=None, limit=50)
    names = sorted({name for release in newest for name in release.arms if name})
    seconds = unit.seconds.between(service, Environment.PRODUCTION, names, after_s=int(since.timestamp()))
    arms = [arm for row in seconds.values() for arm in row.values() if arm is not None]
    whole = summarise(arms, merge_histograms([arm.latency for arm in arms]))
    return Traffic(whole.requests, whole.failures, whole.p99_ms)


def answer_report(context: Context, text: str, kind: str, *, actor: Actor) -> AnswerReport:
    """``kind``: readiness or success. Raises: NotFoundError, ConflictError, ForbiddenError, StoreUnavailableError."""
    with context.store.read() as unit:
        now = context.clock.now()
        feature = find_feature(unit, text, actor)
        facts = gather(unit, feature, now=now)
        answer = readiness_of(unit, facts) if kind == "readiness" else success_of(unit, facts)
        return AnswerReport(feature, now, answer, facts.goal, unit.development_answers.newest(feature.id, kind))


def keep_answers(context: Context, venture: str, *, actor: Actor) -> list[KnownAnswer]:
    """Answer both questions of every feature of a venture that is not deleted, and keep what is another answer than before.

    Raises: NotFoundError, ForbiddenError, StoreUnavailableError.
    """
    with context.store.read() as unit:
        unit.catalog.venture_id(venture)
        actor.check(Operation.DEVELOPMENT_SYNC, venture=venture)
        features = unit.development.of(Feature, ventures=[venture], limit=5000)
    return [kept for feature in features for kept in _keep(context, feature, actor=actor)]


def _keep(context: Context, feature: Feature, *, actor: Actor) -> Sequence[KnownAnswer]:
    with context.store.write() as unit:
        now = context.clock.now()
        facts = gather(unit, feature, now=now)
        kept = []
        for answer in (readiness_of(unit, facts), success_of(unit, facts)):
            before = unit.development_answers.newest(feature.id, answer.kind)
            found = unit.development_answers.add(answer, venture=feature.venture, feature_id=feature.id, by=actor.name, now=now)
            if found is None:
                continue
            kept.append(found)
            unit.audit.add(
                f"feature.{answer.kind}", f"feature/{feature.id}", actor=actor.name, origin=actor.origin, now=now,
                before=before.state.value if before is not None else None, after=answer.state.value,
                detail={"key": feature.key, "sentence": answer.sentence[:1000]},
            )  # fmt: skip
        return kept


def answers_for_plan(unit: Unit, venture: str) -> list[KnownAnswer]:
    """What the next plan may take as facts: the last stored answers of every feature."""
    return unit.development_answers.facts(venture)
