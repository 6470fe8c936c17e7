"""How risky a change or a release is, before it goes out: the rule, what was learned, and what this product itself knows; with reasons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from productops.adapters.development_risk_files import public_prior
from productops.domain.catalog_approvals import RiskLevel
from productops.domain.development import Change, ChangeState
from productops.domain.development_progress import Row
from productops.domain.development_progress_measures import is_measured
from productops.domain.development_progress_risk import Signals, raised
from productops.domain.development_risk import Assessment, LearnedRisk, assess
from productops.domain.governance_access import Operation, Scope, may_see, visible_ventures
from productops.domain.governance_approvals_risk import Risk, RiskFacts, RiskRule
from productops.domain.release import Environment, Phase, Release
from productops.domain.versions import is_older
from productops.errors import ConflictError, NotFoundError, ProductOpsError
from productops.ports import RiskModel
from productops.stats.risk_model import RiskParts
from productops.store import Unit
from productops.store.development_risk import KnownModel, Prediction
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.development_progress_facts import FeatureFacts, check_reader
from productops.usecases.development_risk_facts import Past, changes_of_release, parts_of, past_of

RELEASES_LOOKED_AT = 5
WAITING_MAX = timedelta(days=30)
"""A change that was merged longer ago is taken to be with users, whoever brought it there."""
_ORDER = (RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH)
HOW = (
    "Each change is rated by what was known when it was made. A model speaks in a venture only after it has beaten simple rules on the "
    "venture's own later changes; until then the rule decides, and what the public model says is shown beside it."
)


@dataclass(frozen=True, slots=True)
class Model:
    """What rates: numbers, whether the venture trusts them, and why. ``id`` None: the public prior."""

    parts: RiskParts
    trusted: bool
    why: str
    id: str | None

    @property
    def method(self) -> str:
        """What it is called in predictions."""
        return "learned" if self.trusted else "prior"


@dataclass(frozen=True, slots=True)
class RiskReport:
    """Of one change or release. ``probability`` None: its measures are not known. ``assessed``: of the changes it consists of."""

    subject: str
    title: str
    venture: str
    level: RiskLevel
    probability: float | None
    usual: float | None
    method: str
    model_id: str | None
    why_method: str
    reasons: tuple[str, ...]
    assessed: tuple[Assessment, ...]
    rows: tuple[Row, ...]
    at: datetime
    stored: Prediction | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A version on its way to users, asked for or not yet. ``id`` empty: no release of it is written down."""

    id: str
    venture: str
    service: str
    environment: Environment
    version: str
    baseline_version: str | None
    at: datetime

    @classmethod
    def of(cls, release: Release) -> Outgoing:
        """A release that was asked for."""
        return cls(
            release.id, release.venture, release.service, release.environment, release.version, release.baseline_version, release.created_at
        )

    @property
    def title(self) -> str:
        """What it is called."""
        return f"{self.service} {self.baseline_version or 'nothing'} → {self.version} ({self.environment})"


@dataclass(frozen=True, slots=True)
class FeatureRisk:
    """The riskiest of what of a feature is not live yet."""

    values: dict[str, Any]
    how: str
    rows: tuple[Row, ...] = field(default=())


def model_of(unit: Unit, venture: str) -> Model:
    """The venture's own where one is in use; a stored one that cannot be read is not used, and said so."""
    current = unit.risk_models.current(venture)
    if current is not None:
        try:
            return Model(parts_of(current), trusted=True, why=current.reason, id=current.id)
        except ProductOpsError as error:
            return Model(public_prior(), trusted=False, why=f"the model in use cannot be read ({error}); the rule decides", id=None)
    newest = unit.risk_models.newest(venture, limit=1)
    why = _why_not(newest[0]) if newest else "nothing was learned from this venture's own changes yet; the rule decides"
    return Model(public_prior(), trusted=False, why=why, id=None)


def _why_not(model: KnownModel) -> str:
    if model.state == "drifted":
        warnings = "; ".join(model.drift.get("warnings", ()))
        return f"the model learned at {model.at:%Y-%m-%d} is out of use, what comes in has changed: {warnings}"
    return f"the model learned at {model.at:%Y-%m-%d} is not trusted: {model.reason}"


def rate_changes(past: Past, model: Model, wanted: Collection[str]) -> dict[str, Assessment]:
    """By id; changes whose files are not known are left out."""
    known = [each.id for each in past.records if each.id in set(wanted)]
    return {each.change: each for each in assess(model.parts, past.records, new=known)} if known else {}


def change_report(unit: Unit, change: Change, *, now: datetime) -> RiskReport:
    """Of one change, by itself."""
    past, model = past_of(unit, change.venture, now=now), model_of(unit, change.venture)
    found = rate_changes(past, model, [change.id]).get(change.id)
    return rate_change(change, found, model, now=now, stored=unit.risk_predictions.newest(f"change/{change.id}"))


def rate_change(change: Change, found: Assessment | None, model: Model, *, now: datetime, stored: Prediction | None = None) -> RiskReport:
    """The rule for its size and hour; raised by what was learned where that is trusted."""
    size = (change.additions or 0) + (change.deletions or 0) if change.additions is not None else None
    facts = RiskFacts("change", None, change.merged_at or change.opened_at or change.changed_at, size_lines=size)
    risk = LearnedRisk(RiskRule(), (found,) if found else (), model.trusted).rate(facts)
    shown = () if model.trusted or found is None else tuple(f"(not decisive) {each.text}" for each in found.reasons)
    return RiskReport(
        subject=f"change/{change.id}", title=f"{change.key} {change.title}", venture=change.venture, level=risk.level,
        probability=found.probability if found else None, usual=found.usual if found else None,
        method=model.method if found else "rule", model_id=model.id,
        why_method=model.why if found else "the files of this change are not known, so the rule decides",
        reasons=(*risk.reasons, *shown), assessed=(found,) if found else (), rows=(Row.of("change", change),), at=now, stored=stored,
    )  # fmt: skip


def release_report(unit: Unit, release: Outgoing, rule: RiskModel, *, now: datetime) -> RiskReport:
    """Of a release, by the changes it brings, its gates, the service's last releases and open incidents."""
    brought = changes_of_release(unit, release.venture, release.service, version=release.version, baseline=release.baseline_version)
    model = model_of(unit, release.venture)
    found: Sequence[Assessment] = ()
    why = model.why
    if brought is None:
        why = "nobody knows which changes this version brings (its commit comes with its quality reports), so the rule decides"
    elif not any(is_measured(change) for change in brought):
        why = f"the files of its {len(brought)} changes are not known, so the rule decides"
    else:
        past = past_of(unit, release.venture, now=now)
        found = sorted(rate_changes(past, model, [c.id for c in brought]).values(), key=lambda each: -each.probability)
    ruled = _ruled(release, rule, found, brought, model)
    risk = raised(ruled, signals_of(unit, release))
    chance = 1.0 - _product(1 - each.probability for each in found) if found else None
    return RiskReport(
        subject=f"release/{release.id}", title=release.title, venture=release.venture, level=risk.level, probability=chance,
        usual=found[0].usual if found else None, method=model.method if found else "rule", model_id=model.id if found else None,
        why_method=why, reasons=risk.reasons, assessed=tuple(found), rows=tuple(Row.of("change", change) for change in brought or ()),
        at=now, stored=unit.risk_predictions.newest(f"release/{release.id}"),
    )  # fmt: skip


def _product(values: Any) -> float:
    found = 1.0
    for value in values:
        found *= value
    return found


def _ruled(release: Outgoing, rule: RiskModel, found: Sequence[Assessment], brought: Sequence[Change] | None, model: Model) -> Risk:
    downgrade = release.baseline_version is not None and is_older(release.version, release.baseline_version)
    sizes = [change.additions + (change.deletions or 0) for change in brought or () if change.additions is not None]
    size = sum(sizes) if brought is not None and len(sizes) == len(brought) else None
    known = release.baseline_version is not None
    facts = RiskFacts("release", release.environment, release.at, has_baseline=known, downgrade=downgrade, size_lines=size)
    ruled = rule.rate(facts)
    if not model.trusted or not found or not isinstance(rule, RiskRule):
        return ruled
    return LearnedRisk(rule, tuple(found), trusted=True).rate(facts)


def signals_of(unit: Unit, release: Outgoing) -> Signals:
    """What this product knows of the version and its service."""
    run = unit.quality_runs.newest_of_version(release.service, release.version)
    last = unit.releases.newest(service=release.service, environment=release.environment, before=None, limit=RELEASES_LOOKED_AT + 1)
    ended = [each for each in last if each.id != release.id and each.ended][:RELEASES_LOOKED_AT]
    return Signals(
        gates=run.state.value if run is not None else None, rolled_back=sum(each.phase is Phase.ROLLED_BACK for each in ended),
        released=len(ended), incidents=tuple(unit.incidents.open_of(release.service, release.environment)),
    )  # fmt: skip


def feature_risk(unit: Unit, facts: FeatureFacts) -> FeatureRisk:
    """Of its changes that are open, or merged of late and in no promoted release."""
    shipped = bool(facts.live)
    waiting = [
        change for change in facts.changes
        if change.state is ChangeState.OPEN or (not shipped and facts.now - (change.merged_at or facts.now) <= WAITING_MAX)
    ]  # fmt: skip
    if not waiting:
        why = "no change of it waits to be released" if facts.changes else "no change names one of its items yet"
        return FeatureRisk({"level": None, "changes": 0}, f"{why}. {HOW}")
    found = _said(unit, facts, waiting)
    worst = max(found, key=lambda each: (_ORDER.index(RiskLevel(each.level)), each.probability or 0.0))
    values = {
        "level": RiskLevel(worst.level).value, "probability": worst.probability, "usual": worst.facts["usual"], "method": worst.method,
        "why_method": worst.facts["why_method"], "reasons": list(worst.reasons), "worst": worst.title, "changes": len(found),
        "by_change": [
            {"id": each.subject, "title": each.title, "level": each.level, "probability": each.probability, "at": each.at.isoformat()}
            for each in found[:50]
        ],
    }  # fmt: skip
    return FeatureRisk(values, HOW, tuple(Row.of("change", change) for change in waiting))


def _said(unit: Unit, facts: FeatureFacts, waiting: Sequence[Change]) -> list[Prediction]:
    """What was kept of changes that did not change since; the others are rated now."""
    kept = unit.risk_predictions.newest_of([f"change/{change.id}" for change in waiting])
    fresh = {c.id: k for c in waiting if (k := kept.get(f"change/{c.id}")) is not None and k.at >= max(c.changed_at, c.seen_at or k.at)}
    rest = [change for change in waiting if change.id not in fresh]
    if rest:
        past, model = past_of(unit, facts.feature.venture, now=facts.now), model_of(unit, facts.feature.venture)
        rated = rate_changes(past, model, [change.id for change in rest])
        fresh |= {c.id: prediction_of(rate_change(c, rated.get(c.id), model, now=facts.now)) for c in rest}
    return [fresh[change.id] for change in waiting]


def risk_report(context: Context, subject: str, *, actor: Actor) -> RiskReport:
    """``subject``: id or key of a change, id of a release, or either with ``change/`` or ``release/`` before it.

    Raises: NotFoundError, ConflictError when several changes are called so, StoreUnavailableError.
    """
    kind, _, name = subject.rpartition("/") if subject.startswith(("change/", "release/")) else ("", "", subject)
    with context.store.read() as unit:
        now = context.clock.now()
        change = None if kind == "release" else _change(unit, name, actor)
        if change is not None:
            return change_report(unit, change, now=now)
        release = None if kind == "change" else _release(unit, name, actor)
        if release is None:
            raise NotFoundError(f"there is no change or release {subject[:80]!r}; name it by its id, or a change by its key")
        return release_report(unit, Outgoing.of(release), context.risk, now=now)


def _change(unit: Unit, name: str, actor: Actor) -> Change | None:
    ventures = visible_ventures(actor.principal, Operation.DEVELOPMENT_READ)
    try:
        found = [unit.development.get(Change, name)]
    except NotFoundError:
        found = unit.development_progress.changes(name, ventures=ventures)
    found = [change for change in found if ventures is None or change.venture in ventures]
    if len(found) > 1:
        raise ConflictError(f"{len(found)} changes are called {name[:80]!r}; name it by its id: {', '.join(c.id for c in found)}")
    return found[0] if found else None


def _release(unit: Unit, name: str, actor: Actor) -> Release | None:
    try:
        release = unit.releases.get(name)
    except NotFoundError:
        return None
    visible = may_see(actor.principal, Operation.DEVELOPMENT_READ, Scope(release.venture, release.environment))
    return release if visible else None


def prediction_of(report: RiskReport) -> Prediction:
    """As it is kept. The same measures rated by the same model are the same prediction."""
    inputs = json.dumps(
        [report.subject, report.level, report.model_id, report.method, [[a.change, round(a.score, 9)] for a in report.assessed]]
    )
    return Prediction(
        id=str(new_id()), venture=report.venture, subject=report.subject, title=report.title[:500], level=report.level.value,
        probability=report.probability, model_id=report.model_id, method=report.method, reasons=report.reasons,
        facts={"usual": report.usual, "scores": {a.change: a.score for a in report.assessed}, "why_method": report.why_method},
        inputs=hashlib.blake2b(inputs.encode(), digest_size=16).hexdigest(), at=report.at,
    )  # fmt: skip


def noted_risk(
    context: Context, *, venture: str, service: str, version: str, environment: Environment
) -> dict[str, object]:  # fmt: skip
    """What a release's plan keeps of its risk; asked for before the transaction, for the past of the venture is read."""
    with context.store.read() as unit:
        now = context.clock.now()
        found = unit.traffic.find(service, environment)  # not get, which would write
        outgoing = Outgoing("", venture, service, environment, version, found.baseline_version if found else None, now)
        report = release_report(unit, outgoing, context.risk, now=now)
    return {
        "risk": {
            "level": report.level.value, "reasons": list(report.reasons), "probability": report.probability, "usual": report.usual,
            "method": report.method, "model_id": report.model_id, "why_method": report.why_method,
            "changes": [row.key for row in report.rows][:100], "scores": {a.change: round(a.score, 9) for a in report.assessed},
        }
    }  # fmt: skip


def keep_risk(unit: Unit, release: Release, *, now: datetime) -> None:
    """Within the transaction that writes a release: what was said of it, so that it can be held against what becomes of it."""
    noted: dict[str, Any] = release.plan.get("risk") or {}
    if not noted:
        return
    inputs = json.dumps([release.id, noted["level"], noted["method"], noted["scores"]], sort_keys=True)
    unit.risk_predictions.add(
        Prediction(
            id=str(new_id()), venture=release.venture, subject=f"release/{release.id}", title=release.title, level=noted["level"],
            probability=noted["probability"], model_id=noted["model_id"], method=noted["method"], reasons=tuple(noted["reasons"]),
            facts={"usual": noted["usual"], "scores": noted["scores"], "why_method": noted["why_method"]},
            inputs=hashlib.blake2b(inputs.encode(), digest_size=16).hexdigest(), at=now,
        )
    )  # fmt: skip


def list_predictions(context: Context, *, venture: str | None, before: str | None, limit: int, actor: Actor) -> list[Prediction]:
    """Newest first. Raises: StoreUnavailableError."""
    ventures = visible_ventures(actor.principal, Operation.DEVELOPMENT_READ)
    with context.store.read() as unit:
        return unit.risk_predictions.page(ventures=ventures, venture=venture, before=before, limit=limit)


def models_of(context: Context, venture: str, *, actor: Actor) -> tuple[Model, list[KnownModel]]:
    """What rates now, and what was learned before. Raises: NotFoundError, ForbiddenError, StoreUnavailableError."""
    with context.store.read() as unit:
        check_reader(actor, venture)
        unit.catalog.venture_id(venture)
        return model_of(unit, venture), unit.risk_models.newest(venture)
