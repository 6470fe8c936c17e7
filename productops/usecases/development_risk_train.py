"""The review of risk: causes of incidents, what became of predictions, a better model where there is one, drift, new predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from productops.adapters.development_risk_files import public_prior
from productops.domain.development import Change, ChangeState
from productops.domain.development_progress_measures import Fate, made_at
from productops.domain.development_risk import ChangeRecord, assess, history_of, learn_risk
from productops.domain.development_risk_file import write_model
from productops.domain.development_risk_trust import Drift, Outcome, trust, watch_drift
from productops.domain.governance_access import Operation
from productops.domain.release import Phase
from productops.stats.risk_features import features
from productops.stats.risk_model import RiskParts
from productops.store import Unit
from productops.store.development_risk import KnownModel, Prediction
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.development_attribution import attribute_incidents
from productops.usecases.development_readiness import keep_answers
from productops.usecases.development_risk import model_of, prediction_of, rate_change, rate_changes
from productops.usecases.development_risk_facts import Past, parts_of, past_of

LEARNED_SHARE = 0.7
"""The older part of what is known is learned from, the newer part judges it."""
LEARN_AGAIN_AFTER = 50
"""So many new outcomes make another attempt worth while."""
RATED_BACK = timedelta(days=30)
RATED_MAX = 500


@dataclass(frozen=True, slots=True)
class RiskReview:
    """What a review of one venture did. ``model``: the sentence about the one that rates now; ``learned``: the one that was tried."""

    venture: str
    attributed: int
    settled: int
    predicted: int
    learned: KnownModel | None
    drift: tuple[str, ...]
    model: str
    answers: int


def review_risk(context: Context, venture: str, *, learn_now: bool = False, actor: Actor) -> RiskReview:
    """Everything, in the order in which one depends on the other; each part in a transaction of its own, so it can be repeated.

    ``learn_now``: try to learn even if little is new. Raises: NotFoundError, ForbiddenError, ConflictError, StoreUnavailableError.
    """
    attributed = attribute_incidents(context, venture, actor=actor)
    with context.store.read() as unit:
        actor.check(Operation.DEVELOPMENT_SYNC, venture=venture)
        now = context.clock.now()
        past = past_of(unit, venture, now=now)
    settled = _settle(context, venture, past, actor=actor)
    drift = _watch(context, venture, past, actor=actor)
    learned = _learn(context, venture, past, learn_now=learn_now, actor=actor)
    predicted = _predict(context, venture, past, actor=actor)
    answers = keep_answers(context, venture, actor=actor)
    with context.store.read() as unit:
        model = model_of(unit, venture)
    return RiskReview(venture, len(attributed), settled, predicted, learned, drift, model.why, len(answers))


def _settle(context: Context, venture: str, past: Past, *, actor: Actor) -> int:
    """Write what became of predictions; returns how many."""
    with context.store.write() as unit:
        now = context.clock.now()
        changed: dict[str, str] = {}
        for prediction in unit.risk_predictions.of(venture):
            fate = _fate_of(unit, prediction, past.fates, now=now)
            if fate is None:
                continue
            word = "broke" if fate.broke else "held"
            if unit.risk_predictions.settle(prediction.id, word, fate.reason, now=fate.known_at):
                changed[prediction.subject] = word
        if changed:
            detail = {"outcomes": dict(list(changed.items())[:100]), "count": len(changed)}
            unit.audit.add("risk.settled", f"venture/{venture}", actor=actor.name, origin=actor.origin, now=now, detail=detail)
    return len(changed)


def _fate_of(unit: Unit, prediction: Prediction, fates: Mapping[str, Fate], *, now: datetime) -> Fate | None:
    kind, _, name = prediction.subject.partition("/")
    if kind == "change":
        return fates.get(name)
    release = unit.releases.get(name)
    at = release.ended_at or release.updated_at
    if release.phase is Phase.ROLLED_BACK:
        return Fate(broke=True, known_at=at, reason=f"it was rolled back: {release.reason}")
    blamed = [a for a in unit.attributions.standing(prediction.venture) if a.deployment == prediction.subject]
    sure = [a for a in blamed if a.by_person or a.confidence >= 0.5]
    if sure:
        return Fate(broke=True, known_at=sure[0].at, reason=f"incident {sure[0].incident_id} is attributed to it")
    if release.phase is Phase.PROMOTED and now - at >= timedelta(days=14):
        return Fate(broke=False, known_at=at + timedelta(days=14), reason="users have had it for 14 days and were not harmed by it")
    return None


def _known(past: Past) -> list[ChangeRecord]:
    return [each for each in past.records if each.broke is not None]


def _learn(context: Context, venture: str, past: Past, *, learn_now: bool, actor: Actor) -> KnownModel | None:
    """Learn from the older outcomes, judge by the newer ones; trusted: learn from all and put it into use. None: too little is new."""
    known = _known(past)
    with context.store.read() as unit:
        newest = next(iter(unit.risk_models.newest(venture, limit=1)), None)
    if len(known) < 2 or (not learn_now and newest is not None and len(known) < newest.changes + LEARN_AGAIN_AFTER):
        return None
    now = context.clock.now()
    cut = known[int(len(known) * LEARNED_SHARE)].at
    early = _learned(past.records, cut)
    later = [each for each in known if each.at > cut]
    said = {each.change: each for each in assess(early, past.records, new=[each.id for each in later])}
    usual = early.broke / early.changes if early.changes else 0.5
    judged = trust([_outcome(each, said[each.id].probability) for each in later], usual=usual)
    whole = _learned(past.records, now) if judged.trusted else early
    provenance = {
        "by": actor.name, "at": now.isoformat(), "venture": venture, "changes": str(whole.changes), "broke": str(whole.broke),
        "prior": "productops public prior",
    }  # fmt: skip
    model = KnownModel(
        id=str(new_id()), venture=venture, state="trusted" if judged.trusted else "distrusted", reason=judged.why,
        model=json.loads(write_model(whole, provenance=provenance)), judged=asdict(judged), drift={}, changes=len(known),
        broke=sum(bool(each.broke) for each in known), by=actor.name, at=now,
    )  # fmt: skip
    with context.store.write() as unit:
        before = unit.risk_models.current(venture)
        unit.risk_models.add(model)
        unit.audit.add(
            "risk.learned", f"venture/{venture}", actor=actor.name, origin=actor.origin, now=now,
            before=before.id if before is not None else None, after=model.id if judged.trusted else (before.id if before else None),
            detail={"model": model.id, "state": model.state, "reason": model.reason, "changes": model.changes, "broke": model.broke},
        )  # fmt: skip
    return model


def _learned(records: Sequence[ChangeRecord], now: datetime) -> RiskParts:
    """With trees where LightGBM is installed; the linear model beside the prior where it is not."""
    prior = public_prior().trees
    try:
        return learn_risk(records, now=now, prior=prior)
    except ImportError:
        return learn_risk(records, now=now, prior=prior, with_trees=False)


def _outcome(record: ChangeRecord, probability: float) -> Outcome:
    lines = record.measures
    return Outcome(probability, lines.lines_added, lines.lines_added + lines.lines_deleted, broke=bool(record.broke))


def _watch(context: Context, venture: str, past: Past, *, actor: Actor) -> tuple[str, ...]:
    """Whether the model in use still fits; one that does not is taken out of use, and the rule decides until a new one is trusted."""
    with context.store.read() as unit:
        current = unit.risk_models.current(venture)
    if current is None:
        return ()
    drift = _drift(current, past)
    told: dict[str, Any] = {
        "at": context.clock.now().isoformat(), "warnings": list(drift.warnings), "features": [list(each) for each in drift.features],
        "windows": [{"changes": w.changes, "auc": w.auc, "calibration_error": w.calibration_error} for w in drift.windows],
    }  # fmt: skip
    with context.store.write() as unit:
        now = context.clock.now()
        if drift.drifted and unit.risk_models.end(venture, "drifted", now=now, drift=told):
            unit.audit.add(
                "risk.drifted", f"venture/{venture}", actor=actor.name, origin=actor.origin, now=now, before=current.id, after=None,
                detail={"warnings": told["warnings"][:20]},
            )  # fmt: skip
        elif not drift.drifted:
            unit.risk_models.note_drift(current.id, told)
    return drift.warnings


def _drift(current: KnownModel, past: Past) -> Drift:
    rows = features(history_of(past.records)) if past.records else np.empty((0, 58))
    late = np.array([each.at > current.at for each in past.records], bool)
    parts = parts_of(current)
    newer = [each for each in _known(past) if each.at > current.at]
    said = {each.change: each for each in assess(parts, past.records, new=[each.id for each in newer])}
    return watch_drift(rows[~late], rows[late] if late.sum() >= 50 else rows[:0], [_outcome(e, said[e.id].probability) for e in newer])


def _predict(context: Context, venture: str, past: Past, *, actor: Actor) -> int:
    """Rate changes that are open or new, so that what is said of them stands before anybody knows what becomes of them."""
    now = context.clock.now()
    wanted = [c for c in past.changes.values() if c.id not in past.fates and _is_new(c, now=now)]
    wanted = sorted(wanted, key=made_at)[-RATED_MAX:]
    if not wanted:
        return 0
    with context.store.write() as unit:
        model = model_of(unit, venture)
        said = rate_changes(past, model, [change.id for change in wanted])
        reports = [rate_change(change, said.get(change.id), model, now=now) for change in wanted]
        written = [report.subject for report in reports if unit.risk_predictions.add(prediction_of(report))]
        if written:
            detail = {"count": len(written), "subjects": written[:100], "model": model.id}
            unit.audit.add("risk.predicted", f"venture/{venture}", actor=actor.name, origin=actor.origin, now=now, detail=detail)
    return len(written)


def _is_new(change: Change, *, now: datetime) -> bool:
    return change.state is ChangeState.OPEN or now - made_at(change) <= RATED_BACK


def ventures_to_review(context: Context) -> list[str]:
    """Every venture that has changes or incidents. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return [name for name in unit.catalog.ventures() if _has_something(unit, name)]


def _has_something(unit: Unit, venture: str) -> bool:
    return bool(unit.development.of(Change, ventures=[venture], limit=1) or unit.development_dora.incidents(venture))
