"""What every route is given, and how it is made: the one place that names adapters."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from productops.adapters.analytics_mail import connect_mail
from productops.adapters.connections import build_target, load_connections, router_capabilities
from productops.adapters.doorbell import Doorbell
from productops.adapters.notify_apprise import AppriseNotifier
from productops.adapters.prefect_api import connect_prefect
from productops.adapters.webhook_secrets import SecretFolder
from productops.adapters.webhook_sender import WebhookSender
from productops.api.access import actor_of
from productops.api.streams import Streams
from productops.settings import Settings
from productops.store import Store
from productops.usecases.context import Actor, Context
from productops.usecases.monitoring_series_known import KnownSeries


def build_context(settings: Settings) -> Context:
    """The real store and ports of this program. Raises: SettingsError for a connections file that cannot be used."""
    connections = load_connections(settings)
    return Context(
        store=Store(settings.sqlalchemy_url),
        doorbell=Doorbell(settings.doorbell_port),
        lease_ttl_s=settings.lease_ttl_s,
        target=build_target(settings, connections),
        router=router_capabilities(connections),
        metric_sources=frozenset(source.name for source in connections.metric_sources),
        orchestrator=connect_prefect(settings),
        secrets=SecretFolder(settings.secret_folder),
        mail=connect_mail(settings),
        notifier=AppriseNotifier(),
        courier=WebhookSender(allow_private=settings.webhook_allow_private),
        analytics_folder=settings.analytics_folder,
        series=KnownSeries(settings.series_max),
    )


async def _context(request: Request) -> Context:  # async, because others are called in a thread
    context: Context = request.app.state.context
    return context


async def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


async def _actor(request: Request) -> Actor:  # async, because others are called in a thread
    return actor_of(request)


ContextDep = Annotated[Context, Depends(_context)]
StreamsDep = Annotated[Streams, Depends(_streams)]
ActorDep = Annotated[Actor, Depends(_actor)]
