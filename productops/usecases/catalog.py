"""Apply the declared ventures and services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.adapters.catalog_files import LoadedEntry
from productops.domain.catalog import VentureEntry
from productops.domain.catalog_access import AccessEntry
from productops.domain.catalog_analytics import CohortEntry, FunnelEntry
from productops.domain.catalog_analytics_events import TrackingPlanEntry
from productops.domain.catalog_approvals import ApprovalPolicyEntry
from productops.domain.catalog_compliance import ControlEntry
from productops.domain.catalog_development import DevelopmentSourceEntry
from productops.domain.catalog_experiment import ExperimentEntry
from productops.domain.catalog_feature import FeatureEntry
from productops.domain.catalog_flags import FlagEntry
from productops.domain.catalog_incident import MaintenanceWindowEntry, SeverityPolicyEntry
from productops.domain.catalog_monitoring import ScrapeTargetEntry
from productops.domain.catalog_oncall import EscalationEntry, OnCallEntry
from productops.domain.catalog_oncall_telling import ChannelEntry, StatusPageEntry, TellingEntry
from productops.domain.catalog_playbook import PlaybookEntry
from productops.domain.catalog_quality import QualityPolicy
from productops.domain.catalog_security import SecurityPolicyEntry
from productops.domain.catalog_slo import (
    AlertConditionEntry,
    AlertNotificationTargetEntry,
    AlertPolicyEntry,
    DataSourceEntry,
    OpenSloServiceEntry,
    SliEntry,
    SloEntry,
)
from productops.domain.catalog_team import TeamEntry
from productops.domain.catalog_webhooks import WebhookSourceEntry, WebhookTargetEntry
from productops.domain.catalog_windows import CalendarEntry, ChangeWindowEntry
from productops.domain.governance_access import Operation
from productops.domain.monitoring_detect_heartbeat import HeartbeatEntry
from productops.store import Unit
from productops.usecases.analytics_events_declared import DeclaredTrackingPlan, put_tracking_plans
from productops.usecases.analytics_experiment_declared import DeclaredExperiment, put_experiments
from productops.usecases.analytics_usage_saved import DeclaredUsage, put_usage_definitions
from productops.usecases.context import Actor, Context
from productops.usecases.development_plan_teams import DeclaredTeam, put_teams
from productops.usecases.development_readiness_declared import DeclaredFeature, put_features
from productops.usecases.development_sync_declared import DeclaredDevelopmentSource, put_development_sources
from productops.usecases.governance_access_catalog import DeclaredAccess, put_access
from productops.usecases.governance_approvals_policies import DeclaredPolicy, hold_access, put_policies
from productops.usecases.governance_changes_record import record_catalog
from productops.usecases.governance_compliance_catalog import DeclaredControl, put_controls
from productops.usecases.governance_security_declared import DeclaredSecurity, put_security_policies
from productops.usecases.governance_webhooks_declared import DeclaredWebhook, put_webhooks
from productops.usecases.incident_declared import DeclaredIncident, put_incident_policies
from productops.usecases.incident_oncall_declared import DeclaredPeople, put_people
from productops.usecases.incident_playbooks import DeclaredPlaybook, put_playbooks
from productops.usecases.monitoring_detect_heartbeats import DeclaredHeartbeat, put_heartbeats
from productops.usecases.monitoring_series_declared import DeclaredScrapeTarget, put_scrape_targets
from productops.usecases.monitoring_slo_declared import DeclaredSlo, put_slos
from productops.usecases.quality_policies import DeclaredQualityPolicy, put_quality_policies
from productops.usecases.release_flags_catalog import put_declared
from productops.usecases.release_windows_refresh import DeclaredCalendar, put_calendars


@dataclass(frozen=True, slots=True)
class Change:
    """What applying an entry did, or would do.

    ``created``, ``changed``, ``unchanged``, ``proposed`` (somebody has to approve it; ``waits_for`` says who), ``removed`` (a
    calendar that went).
    """

    kind: str
    name: str
    outcome: str
    waits_for: str = ""


_OpenSlo = (
    SloEntry | SliEntry | AlertPolicyEntry | AlertConditionEntry | AlertNotificationTargetEntry | DataSourceEntry | OpenSloServiceEntry
)
# Stored kind by kind, each by its own function: what is no longer declared has to go.
_Together = (
    CalendarEntry | ChangeWindowEntry | AccessEntry | ApprovalPolicyEntry | ControlEntry | WebhookSourceEntry | WebhookTargetEntry
    | QualityPolicy | DevelopmentSourceEntry | TeamEntry | FeatureEntry | ExperimentEntry | TrackingPlanEntry
    | PlaybookEntry | FunnelEntry | CohortEntry | ScrapeTargetEntry | HeartbeatEntry | _OpenSlo
    | OnCallEntry | EscalationEntry | ChannelEntry | TellingEntry | StatusPageEntry | SeverityPolicyEntry | MaintenanceWindowEntry
    | SecurityPolicyEntry
)  # fmt: skip


class _PlanOnlyError(Exception):
    """Leaves the transaction so that a plan writes nothing."""


def apply_catalog(context: Context, entries: Sequence[LoadedEntry], *, actor: Actor, plan_only: bool = False) -> list[Change]:
    """Store the entries; all or none. ``plan_only`` tells what would change and writes nothing.

    Raises: NotFoundError for a service whose venture is not declared, StoreUnavailableError.
    """
    changes: list[Change] = []
    try:
        with context.store.write() as unit:
            now = context.clock.now()
            for loaded in entries:
                if not isinstance(loaded.entry, _OpenSlo):  # of the venture of its service, which is known later
                    actor.check(Operation.CATALOG_APPLY, venture=_venture_of(loaded))
            others = [e for e in entries if not isinstance(e.entry, _Together)]
            ordered = sorted(others, key=lambda e: not isinstance(e.entry, VentureEntry))
            for loaded in ordered:
                entry = loaded.entry
                before = unit.catalog.last_spec(entry.kind, entry.metadata.name)
                outcome = _put(unit, loaded, actor=actor, now=now)
                changes.append(Change(entry.kind, entry.metadata.name, outcome))
                if outcome != "unchanged":
                    unit.audit.add(
                        f"catalog.{outcome}", f"{entry.kind}/{entry.metadata.name}", actor=actor.name, origin=actor.origin, now=now,
                        before=before, after=unit.catalog.last_spec(entry.kind, entry.metadata.name),
                    )  # fmt: skip
            for put in _IN_ORDER:
                changes += put(unit, entries, actor=actor, now=now)
            record_catalog(unit, {f"{c.kind}/{c.name}": c.outcome for c in changes}, actor=actor, now=now)
            if plan_only:
                raise _PlanOnlyError
    except _PlanOnlyError:
        return changes
    context.doorbell.ring()
    return changes


def _put_calendars(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Calendars come last, for they name services; those that are no longer declared are removed. Raises: CatalogError."""
    declared = [DeclaredCalendar(e.entry, str(e.base)) for e in entries if isinstance(e.entry, CalendarEntry | ChangeWindowEntry)]
    ventures = {e.entry.metadata.name for e in entries if isinstance(e.entry, VentureEntry)}
    outcomes = put_calendars(unit, declared, ventures=ventures, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_access(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Who may do what, for the ventures there are now. Raises: CatalogError, ForbiddenError."""
    declared = [DeclaredAccess(e.entry, str(e.base)) for e in entries if isinstance(e.entry, AccessEntry)]
    bases = {str(e.base) for e in entries}
    allowed, proposed = hold_access(unit, declared, bases=bases, actor=actor, now=now)
    waiting = {each.name for each in proposed}
    outcomes = put_access(unit, allowed, bases=bases, actor=actor, now=now)
    changes = [Change(kind, name, outcome) for kind, name, outcome in outcomes if name not in waiting]
    return changes + [Change(each.kind, each.name, each.outcome, each.waits_for) for each in proposed]


def _put_policies(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Approval policies come last, for they are about what there is and who there is. Raises: ImpossiblePolicyError."""
    declared = [DeclaredPolicy(e.entry, str(e.base)) for e in entries if isinstance(e.entry, ApprovalPolicyEntry)]
    ventures = {e.entry.metadata.name for e in entries if isinstance(e.entry, VentureEntry)}
    outcomes = put_policies(unit, declared, ventures=ventures, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(each.kind, each.name, each.outcome, each.waits_for) for each in outcomes]


def _put_controls(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """What has to hold; controls that are no longer declared are removed. Raises: CatalogError."""
    declared = [DeclaredControl(e.entry, str(e.base)) for e in entries if isinstance(e.entry, ControlEntry)]
    ventures = {e.entry.metadata.name for e in entries if isinstance(e.entry, VentureEntry)}
    outcomes = put_controls(unit, declared, ventures=ventures, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_webhooks(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Who may send webhooks and who is told; what is no longer declared is removed. Raises: CatalogError, NotFoundError."""
    declared = [DeclaredWebhook(e.entry, str(e.base)) for e in entries if isinstance(e.entry, WebhookSourceEntry | WebhookTargetEntry)]
    outcomes = put_webhooks(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_development(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Tools that know of the work; what is no longer declared is read no more. Raises: CatalogError, NotFoundError."""
    declared = [DeclaredDevelopmentSource(e.entry, str(e.base)) for e in entries if isinstance(e.entry, DevelopmentSourceEntry)]
    outcomes = put_development_sources(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_quality(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """What has to hold before a version goes out. Before the approval policies: the present ones decide. Raises: CatalogError."""
    declared = [DeclaredQualityPolicy(e.entry, str(e.base)) for e in entries if isinstance(e.entry, QualityPolicy)]
    ventures = {e.entry.metadata.name for e in entries if isinstance(e.entry, VentureEntry)}
    outcomes = put_quality_policies(unit, declared, ventures=ventures, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(each.kind, each.name, each.outcome, each.waits_for) for each in outcomes]


def _put_teams(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Who does the work; teams that are no longer declared are removed. Raises: NotFoundError."""
    declared = [DeclaredTeam(e.entry, str(e.base)) for e in entries if isinstance(e.entry, TeamEntry)]
    outcomes = put_teams(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_features(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """What features are for; those that are no longer declared are removed. Raises: CatalogError, NotFoundError."""
    declared = [DeclaredFeature(e.entry, str(e.base)) for e in entries if isinstance(e.entry, FeatureEntry)]
    outcomes = put_features(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_experiments(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """What is tried on users; drafts that are no longer declared are removed. After the flags. Raises: CatalogError, NotFoundError."""
    declared = [DeclaredExperiment(e.entry, str(e.base)) for e in entries if isinstance(e.entry, ExperimentEntry)]
    outcomes = put_experiments(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_tracking_plans(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Which usage events are expected; plans that are no longer declared are removed. Raises: CatalogError, NotFoundError."""
    declared = [DeclaredTrackingPlan(e.entry, str(e.base)) for e in entries if isinstance(e.entry, TrackingPlanEntry)]
    outcomes = put_tracking_plans(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_usage(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Saved funnels and cohorts; those that are no longer declared are removed. Raises: CatalogError, NotFoundError."""
    declared = [DeclaredUsage(e.entry, str(e.base)) for e in entries if isinstance(e.entry, FunnelEntry | CohortEntry)]
    outcomes = put_usage_definitions(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_scrape_targets(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Where metrics are fetched; what is no longer declared is asked no more. Raises: CatalogError, NotFoundError."""
    declared = [DeclaredScrapeTarget(e.entry, str(e.base)) for e in entries if isinstance(e.entry, ScrapeTargetEntry)]
    outcomes = put_scrape_targets(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_heartbeats(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Who has to report; what is no longer declared is waited for no more. Raises: CatalogError, NotFoundError."""
    declared = [DeclaredHeartbeat(e.entry, str(e.base)) for e in entries if isinstance(e.entry, HeartbeatEntry)]
    outcomes = put_heartbeats(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_slos(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """What is promised to users; what is no longer declared is removed, with what was counted. Raises: CatalogError, ForbiddenError."""
    declared = [DeclaredSlo(e.entry, str(e.base), f"{e.file}:{e.line}") for e in entries if isinstance(e.entry, _OpenSlo)]
    outcomes = put_slos(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_playbooks(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """What is done about incidents; what is no longer declared is removed. Raises: NotFoundError."""
    declared = [DeclaredPlaybook(e.entry, str(e.base)) for e in entries if isinstance(e.entry, PlaybookEntry)]
    outcomes = put_playbooks(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_incident_policies(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """How alerts become incidents; what is no longer declared is removed. Raises: CatalogError, NotFoundError."""
    kinds = SeverityPolicyEntry | MaintenanceWindowEntry
    declared = [DeclaredIncident(e.entry, str(e.base)) for e in entries if isinstance(e.entry, kinds)]
    outcomes = put_incident_policies(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_security(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """What counts as a danger; what is no longer declared is as shipped again. Raises: CatalogError, NotFoundError."""
    declared = [DeclaredSecurity(e.entry, str(e.base)) for e in entries if isinstance(e.entry, SecurityPolicyEntry)]
    outcomes = put_security_policies(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put_people(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Who is called and who is told; what is no longer declared is removed. Raises: CatalogError, NotFoundError."""
    kinds = OnCallEntry | EscalationEntry | ChannelEntry | TellingEntry | StatusPageEntry
    declared = [DeclaredPeople(e.entry, str(e.base)) for e in entries if isinstance(e.entry, kinds)]
    outcomes = put_people(unit, declared, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _venture_of(loaded: LoadedEntry) -> str | None:
    """The venture that an entry is about; None for what is of all of them."""
    if isinstance(loaded.entry, VentureEntry):
        return loaded.entry.metadata.name
    venture: str | None = getattr(loaded.entry.metadata, "venture", None)
    return venture


def _put(unit: Unit, loaded: LoadedEntry, *, actor: Actor, now: datetime) -> str:
    """Store one entry; returns the outcome. Raises: NotFoundError, InvalidInputError."""
    entry = loaded.entry
    if isinstance(entry, VentureEntry):
        return unit.catalog.put_venture(
            entry.metadata.name, title=entry.spec.title, description=entry.spec.description, author=actor.name, now=now
        )
    if isinstance(entry, FlagEntry):
        return put_declared(unit, entry, actor=actor, now=now)
    if isinstance(entry, _Together):
        raise TypeError("calendars, access, policies, controls, webhooks and quality policies are stored together")
    return unit.catalog.put_service(
        entry.metadata.name, venture=entry.metadata.venture or "", spec=entry.spec, base=str(loaded.base), author=actor.name, now=now
    )


def form_choices(context: Context) -> dict[str, list[str]]:
    """What a form offers: names of services and ventures. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return {"service": [s.name for s in unit.catalog.services()], "venture": unit.catalog.ventures()}


# What is declared as a whole: each part looks at all entries; policies come last, for they are about everything before.
_IN_ORDER = (
    _put_calendars, _put_access, _put_controls, _put_webhooks, _put_development, _put_teams, _put_features, _put_experiments,
    _put_tracking_plans, _put_playbooks, _put_usage, _put_scrape_targets, _put_heartbeats, _put_people,
    _put_incident_policies, _put_security, _put_slos, _put_quality, _put_policies,
)  # fmt: skip
