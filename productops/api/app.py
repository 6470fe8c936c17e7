"""The REST application: routes, errors, documents."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from productops.adapters.envoy_remote import Discovery
from productops.adapters.prefect_api import PrefectApi
from productops.api import (
    analytics_events,
    analytics_experiments,
    analytics_insights,
    analytics_optimize,
    analytics_reports,
    analytics_usage,
    deployment_ops,
    deployment_ops_read,
    development_dora,
    development_plan,
    development_progress,
    development_risk,
    development_sync,
    docs_pages,
    document,
    evidence,
    governance_access,
    governance_approvals,
    governance_approvals_page,
    governance_audit,
    governance_changes,
    governance_compliance,
    governance_login_api,
    governance_security,
    governance_webhooks,
    governance_webhooks_intake,
    health,
    incident,
    incident_alerts,
    incident_causes,
    incident_drills,
    incident_oncall,
    incident_playbooks,
    incident_postmortem,
    incident_room,
    incident_status,
    monitoring_detect,
    monitoring_insights,
    monitoring_logs,
    monitoring_logs_intake,
    monitoring_otlp_metrics,
    monitoring_rules,
    monitoring_series,
    monitoring_slo,
    monitoring_traces,
    ofrep,
    ofrep_events,
    problems,
    quality,
    quality_backtest,
    quality_learning,
    release,
    release_backtest,
    release_bundle,
    release_events,
    release_events_all,
    release_flags,
    release_train,
    release_windows,
    services,
)
from productops.api.access import bind, chosen_token, make_authenticator
from productops.api.analytics_events_intake import install_events
from productops.api.analytics_events_worker import events_running
from productops.api.analytics_usage_worker import usage_running
from productops.api.conventions import Conventions
from productops.api.development_plan_worker import plans_running
from productops.api.development_sync_worker import development_running
from productops.api.governance_access_ways import uses_written
from productops.api.governance_login_door import install_hosts, install_login, install_prefect
from productops.api.governance_security_seen import Sightings, sightings_written
from productops.api.governance_webhooks_intake import install_webhooks
from productops.api.governance_webhooks_worker import webhooks_running
from productops.api.incident_alerts_together import Together
from productops.api.middleware import Gate, RequestScope
from productops.api.monitoring_logs_intake import install_telemetry, telemetry_running
from productops.api.monitoring_otlp_metrics import install_otlp_metrics
from productops.api.monitoring_processes import process_seen
from productops.api.monitoring_traces_scope import Traced
from productops.api.ofrep_access import StreamKey
from productops.api.ofrep_door import flags_running, install_door
from productops.api.quality_worker import quality_running
from productops.api.streams import Streams
from productops.api.xds import Xds, xds_token
from productops.settings import Settings
from productops.usecases.context import Context

DESCRIPTION = (
    "Operations of software products. Every answer but those of /healthz and /readyz needs `Authorization: Bearer <token>`. "
    "Errors are application/problem+json; their `type` leads to /docs/errors. Long work answers 202 with a `Location`."
)
TAGS = [
    {"name": "release", "description": "Put versions on trial, follow them, give users the earlier version back."},
    {"name": "flags", "description": "Feature flags: declare, ramp, kill, restore; evaluated by OFREP (OpenFeature)."},
    {"name": "windows", "description": "Freezes and change windows: when releases may start; bypasses; feeds for calendar programs."},
    {"name": "deployment-ops", "description": "The same releases under the names of the DeploymentOpsAPI."},
    {"name": "access", "description": "Who may do what; tokens, and browsers that are logged in."},
    {"name": "audit", "description": "Who did what, when and why; each entry's hash covers the one before it."},
    {"name": "approvals", "description": "Who has to sign what: requests, signatures, refusals, overrides and their reviews."},
    {"name": "changes", "description": "Change records: what was changed, how risky it was, who approved it, how it ended."},
    {"name": "compliance", "description": "What has to hold, what does not, and what is borne for a time."},
    {"name": "quality", "description": "May a version go out? Gates, flaky tests, performance, and what would make tests better."},
    {"name": "development", "description": "Features and the work behind them: plans, dates, risk, DORA, and how far each tool was read."},
    {"name": "analytics", "description": "Usage: events taken in, features adopted, experiments, insights and what came of them."},
    {"name": "incidents", "description": "Alerts, incidents, their causes, what is done about them, and drills."},
    {"name": "oncall", "description": "Who is called, who is told, what users read, and what is learned from incidents."},
    {"name": "security", "description": "What looks like an attack, how well we are protected, and evidence that was kept."},
    {"name": "webhooks", "description": "What other systems tell us, and what we tell them; nothing is lost on either way."},
    {"name": "monitoring", "description": "Health of this program."},
]


def product_version() -> str:
    """The installed version; 0 when it runs from a folder that was never installed."""
    try:
        return version("productops")
    except PackageNotFoundError:
        return "0"


PARTS = (
    ofrep, release_backtest, release, release_events, release_events_all, services, deployment_ops, deployment_ops_read, incident, health,
    docs_pages, evidence, governance_access, governance_audit, governance_compliance, release_bundle, governance_login_api, release_flags,
    ofrep_events, release_windows, release_train, governance_approvals, governance_approvals_page, governance_changes,
    governance_webhooks_intake, governance_webhooks, analytics_events, analytics_insights, analytics_optimize, analytics_reports,
    incident_alerts, incident_room, incident_causes, incident_oncall, incident_postmortem, incident_status,
    incident_playbooks, incident_drills, governance_security,
    monitoring_logs, monitoring_logs_intake, monitoring_traces, monitoring_detect,
    monitoring_otlp_metrics, monitoring_series,
    monitoring_insights, monitoring_rules, monitoring_slo,
    quality, quality_backtest, quality_learning, development_plan, development_sync,
    analytics_experiments, analytics_usage,  # after the rest of analytics: it takes /analytics/{feature_id}
    development_dora, development_risk, development_progress,  # after all others: it takes /development/{feature_id}
)  # fmt: skip


def _equip(app: FastAPI, context: Context, settings: Settings, token: str) -> None:
    """What routes find beside the request."""
    app.state.context = context
    app.state.token = token
    app.state.streams = Streams()
    app.state.alerts_together = Together()
    app.state.settings = settings
    app.state.quality_news = threading.Event()
    app.state.development_news = threading.Event()
    app.state.plan_news = threading.Event()
    app.state.database_url = settings.sqlalchemy_url
    app.state.schema_checked = False
    app.state.audit_key = settings.anchor_key
    app.state.anchor_folder = settings.anchor_folder
    app.state.calendar_allow_private = settings.calendar_allow_private


def create_app(context: Context, settings: Settings) -> FastAPI:
    """The application over a wired context. It closes the context's store when it ends.

    Raises: SettingsError when it would be open to other machines without a token that was set on purpose.
    """
    token = chosen_token(settings)
    sightings = Sightings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            flags_running(app), uses_written(authenticator), webhooks_running(app, settings), quality_running(app, settings),
            development_running(app, settings), plans_running(app, settings), events_running(app, settings),
            usage_running(app, settings), telemetry_running(app, product_version()), sightings_written(app, sightings),
            process_seen(app, settings),
        ):  # fmt: skip
            yield
        context.store.close()
        if isinstance(context.orchestrator, PrefectApi):
            context.orchestrator.close()

    app = FastAPI(
        title="ProductOps", version=product_version(), description=DESCRIPTION, openapi_tags=TAGS, lifespan=lifespan,
        docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False,  # their pages load scripts from other hosts
    )  # fmt: skip
    _equip(app, context, settings, token)
    authenticator = make_authenticator(app, settings, token)
    install_door(app, context, settings)
    install_webhooks(app)
    install_events(app, context, settings)
    install_otlp_metrics(app, context)
    install_telemetry(app, context, settings)
    problems.install(app)
    # Flags come first: they are asked hundreds of times a second, and every route before them would be tried each time.
    for part in PARTS:
        app.router.routes.extend(part.router.routes)  # an included router is asked as a whole for each request, which takes longer
    app.add_middleware(Conventions)  # within the gate
    bind(app)
    install_prefect(app, context, settings)  # within the gate, too
    app.add_middleware(Gate, authenticator=authenticator, settings=settings, sightings=sightings)
    app.add_middleware(StreamKey, token=token)
    install_login(app, context, settings)
    install_hosts(app, settings)
    app.add_middleware(Traced)
    app.add_middleware(RequestScope)  # added last, so it is around the gate
    app.add_middleware(Xds, discovery=Discovery(settings.home / "xds"), token=xds_token(settings))  # remote Envoys, not our users
    document.install(app)
    return app
