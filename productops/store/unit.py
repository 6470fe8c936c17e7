"""The store: one object per process, one unit per transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from sqlalchemy.orm import Session

from productops.store.analytics_events import AnalyticsEvents
from productops.store.analytics_experiments import AnalyticsExperiments
from productops.store.analytics_insights import AnalyticsInsights
from productops.store.analytics_reports import AnalyticsReports
from productops.store.analytics_usage import AnalyticsUsage
from productops.store.catalog import Catalog
from productops.store.database import make_engine, session_scope
from productops.store.development import Development
from productops.store.development_plans import DevelopmentPlans
from productops.store.development_plans_forecasts import DevelopmentForecasts
from productops.store.development_plans_teams import DevelopmentTeams
from productops.store.development_sources import DevelopmentSources
from productops.store.governance import Audit, Quarantine
from productops.store.governance_access import Principals, Tokens
from productops.store.governance_approvals import ApprovalPolicies, Approvals
from productops.store.governance_approvals_links import ApprovalLinks, ApprovalReviews
from productops.store.governance_changes import Changes
from productops.store.governance_compliance import Controls, Findings
from productops.store.governance_compliance_facts import ComplianceFacts
from productops.store.governance_outbox import Outbox, Targets
from productops.store.governance_outbox_told import ToldAudit, ToldIncidents, ToldReleases
from productops.store.governance_security_evidence import SecurityParts
from productops.store.governance_sessions import BrowserSessions, RunCallers
from productops.store.governance_webhooks import Received, Sources
from productops.store.incident import Incidents
from productops.store.incident_causes import CauseParts
from productops.store.incident_parts import IncidentParts
from productops.store.incident_people_parts import IncidentPeopleParts
from productops.store.incident_response import Responses
from productops.store.monitoring import Seconds
from productops.store.monitoring_detect import DetectParts
from productops.store.monitoring_logs_parts import LogParts
from productops.store.monitoring_processes import ProcessParts
from productops.store.monitoring_series_parts import SeriesParts
from productops.store.monitoring_slo_parts import SloParts
from productops.store.quality_history import QualityFindings, QualitySeries, QualityTests
from productops.store.quality_learning import QualityFacts, QualityInsights
from productops.store.quality_learning_tests import QualityHistories
from productops.store.quality_policies import QualityPolicies
from productops.store.quality_runs import QualityRuns
from productops.store.quality_uploads import QualityUploads
from productops.store.quality_waivers import QualityWaivers
from productops.store.release import Releases
from productops.store.release_agents import Agents
from productops.store.release_events import Events
from productops.store.release_flags import FlagChanges, Flags
from productops.store.release_flags_counts import FlagCounts
from productops.store.release_fleet import Fleets
from productops.store.release_record import Deployments
from productops.store.release_recordings import Recordings
from productops.store.release_traffic import Traffic
from productops.store.release_train import Trains
from productops.store.release_windows import Bypasses, Calendars
from productops.store.rest_idempotency import IdempotentAnswers
from productops.store.runs import Runs


class Unit(CauseParts, IncidentPeopleParts, IncidentParts, SeriesParts, LogParts, SloParts, DetectParts, SecurityParts, ProcessParts):
    """All repositories of one transaction."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)

    def undo(self) -> None:
        """Let nothing of this transaction remain; for plans that only look."""
        self.audit.forget()
        self.releases.forget()
        self.outbox.forget()
        self._session.rollback()

    def seal(self) -> None:
        """Number events and chain what the audit was given. The last act of a transaction: until it ends, other writers of them wait."""
        if "outbox" in self.__dict__:
            self.outbox.seal()
        if "releases" in self.__dict__:
            self.releases.seal()
        if "audit" in self.__dict__:
            self.audit.seal()

    @cached_property
    def catalog(self) -> Catalog:
        """Ventures and services."""
        return Catalog(self._session)

    @cached_property
    def releases(self) -> Releases:
        """Releases, steps, looks, events."""
        return ToldReleases(self._session, self.outbox)

    @cached_property
    def events(self) -> Events:
        """Events of all releases, in the order they were committed."""
        return Events(self._session)

    @cached_property
    def traffic(self) -> Traffic:
        """Desired traffic and leases."""
        return Traffic(self._session)

    @cached_property
    def fleets(self) -> Fleets:
        """Fleets and instances."""
        return Fleets(self._session)

    @cached_property
    def seconds(self) -> Seconds:
        """Traffic by second."""
        return Seconds(self._session)

    @cached_property
    def deployments(self) -> Deployments:
        """deployment_ops_events."""
        return Deployments(self._session)

    @cached_property
    def recordings(self) -> Recordings:
        """The seconds releases were judged by."""
        return Recordings(self._session)

    @cached_property
    def incidents(self) -> Incidents:
        """incident_management."""
        return ToldIncidents(self._session, self.outbox)

    @cached_property
    def responses(self) -> Responses:
        """Playbooks, responses to incidents, holds of people, drills."""
        return Responses(self._session)

    @cached_property
    def agents(self) -> Agents:
        """Which agent writes a router."""
        return Agents(self._session)

    @cached_property
    def runs(self) -> Runs:
        """Claims of flow runs."""
        return Runs(self._session)

    @cached_property
    def answers(self) -> IdempotentAnswers:
        """Idempotency keys with their answers."""
        return IdempotentAnswers(self._session)

    @cached_property
    def run_callers(self) -> RunCallers:
        """Who started which flow run."""
        return RunCallers(self._session)

    @cached_property
    def browser_sessions(self) -> BrowserSessions:
        """Sessions of browsers and the links that begin them."""
        return BrowserSessions(self._session)

    @cached_property
    def flags(self) -> Flags:
        """Feature flags, their revisions, their version rows."""
        return Flags(self._session)

    @cached_property
    def flag_changes(self) -> FlagChanges:
        """Changes of flags that wait for approval or their time."""
        return FlagChanges(self._session)

    @cached_property
    def flag_counts(self) -> FlagCounts:
        """Evaluations of flags."""
        return FlagCounts(self._session)

    @cached_property
    def calendars(self) -> Calendars:
        """Freezes and change windows."""
        return Calendars(self._session)

    @cached_property
    def trains(self) -> Trains:
        """Services that are released together."""
        return Trains(self._session)

    @cached_property
    def bypasses(self) -> Bypasses:
        """Permissions to start during a freeze."""
        return Bypasses(self._session)

    @cached_property
    def approval_policies(self) -> ApprovalPolicies:
        """Who has to sign what."""
        return ApprovalPolicies(self._session)

    @cached_property
    def approvals(self) -> Approvals:
        """Requests for signatures, and signatures."""
        return Approvals(self._session)

    @cached_property
    def approval_links(self) -> ApprovalLinks:
        """One-time links to sign."""
        return ApprovalLinks(self._session)

    @cached_property
    def approval_reviews(self) -> ApprovalReviews:
        """Overrides that somebody else has to look at."""
        return ApprovalReviews(self._session)

    @cached_property
    def changes(self) -> Changes:
        """Change records."""
        return Changes(self._session)

    @cached_property
    def audit(self) -> Audit:
        """The audit log."""
        return ToldAudit(self._session, self.outbox)

    @cached_property
    def controls(self) -> Controls:
        """What has to hold."""
        return Controls(self._session)

    @cached_property
    def findings(self) -> Findings:
        """What does not hold, waivers, and checks."""
        return Findings(self._session)

    @cached_property
    def compliance_facts(self) -> ComplianceFacts:
        """What controls ask about releases."""
        return ComplianceFacts(self._session)

    @cached_property
    def principals(self) -> Principals:
        """People, service accounts, groups and what they were granted."""
        return Principals(self._session)

    @cached_property
    def tokens(self) -> Tokens:
        """Tokens of the API."""
        return Tokens(self._session)

    @cached_property
    def outbox(self) -> Outbox:
        """What is told outside."""
        return Outbox(self._session)

    @cached_property
    def targets(self) -> Targets:
        """Who is told."""
        return Targets(self._session)

    @cached_property
    def sources(self) -> Sources:
        """Who may send webhooks."""
        return Sources(self._session)

    @cached_property
    def received(self) -> Received:
        """Webhooks that came in."""
        return Received(self._session)

    @cached_property
    def quality_policies(self) -> QualityPolicies:
        """What has to hold before a version goes out."""
        return QualityPolicies(self._session)

    @cached_property
    def quality_runs(self) -> QualityRuns:
        """Judgements of versions, with their gates and evidence."""
        return QualityRuns(self._session)

    @cached_property
    def quality_tests(self) -> QualityTests:
        """Tests that failed once, and what they did since."""
        return QualityTests(self._session)

    @cached_property
    def quality_findings(self) -> QualityFindings:
        """Findings by fingerprint, with when they were seen."""
        return QualityFindings(self._session)

    @cached_property
    def quality_series(self) -> QualitySeries:
        """Performance series over runs."""
        return QualitySeries(self._session)

    @cached_property
    def quality_waivers(self) -> QualityWaivers:
        """Objections that are borne for a time, and signed checklists."""
        return QualityWaivers(self._session)

    @cached_property
    def quality_uploads(self) -> QualityUploads:
        """Reports that wait to be judged."""
        return QualityUploads(self._session)

    @cached_property
    def quality_insights(self) -> QualityInsights:
        """Findings about the tests themselves."""
        return QualityInsights(self._session)

    @cached_property
    def quality_facts(self) -> QualityFacts:
        """What reviews of quality ask about runs and incidents."""
        return QualityFacts(self._session)

    @cached_property
    def quality_histories(self) -> QualityHistories:
        """Watched tests over runs, and their quarantine."""
        return QualityHistories(self._session)

    @cached_property
    def analytics_events(self) -> AnalyticsEvents:
        """Which files hold usage events, and what is in them."""
        return AnalyticsEvents(self._session)

    @cached_property
    def analytics_usage(self) -> AnalyticsUsage:
        """Daily figures of use, saved funnels and cohorts."""
        return AnalyticsUsage(self._session)

    @cached_property
    def analytics_insights(self) -> AnalyticsInsights:
        """Insights about use, the nights that looked for them, their tasks."""
        return AnalyticsInsights(self._session)

    @cached_property
    def development(self) -> Development:
        """The work as tools tell it."""
        return Development(self._session)

    @cached_property
    def development_sources(self) -> DevelopmentSources:
        """Tools that are read, and how far."""
        return DevelopmentSources(self._session)

    @cached_property
    def development_teams(self) -> DevelopmentTeams:
        """Who does the work, and when."""
        return DevelopmentTeams(self._session)

    @cached_property
    def development_plans(self) -> DevelopmentPlans:
        """Who does what when."""
        return DevelopmentPlans(self._session)

    @cached_property
    def development_forecasts(self) -> DevelopmentForecasts:
        """By when things are done, and what came true."""
        return DevelopmentForecasts(self._session)

    @cached_property
    def analytics_experiments(self) -> AnalyticsExperiments:
        """Experiments and looks at them."""
        return AnalyticsExperiments(self._session)

    @cached_property
    def analytics_reports(self) -> AnalyticsReports:
        """Looks at performance, predictions, weekly reports."""
        return AnalyticsReports(self._session)

    @cached_property
    def quarantine(self) -> Quarantine:
        """Barred versions."""
        return Quarantine(self._session)


class Store:
    """A database, opened lazily. Both contexts raise StoreUnavailableError when it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = make_engine(url)

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """One transaction that may write; commits at the end, undoes all on an error."""
        with session_scope(self._engine, read_only=False) as session:
            unit = Unit(session)
            yield unit
            unit.seal()

    @contextmanager
    def read(self) -> Iterator[Unit]:
        """One consistent view."""
        with session_scope(self._engine, read_only=True) as session:
            yield Unit(session)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()
