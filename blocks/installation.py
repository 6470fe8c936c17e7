"""The wiring of a flow: settings of this installation, its store and ports."""

from __future__ import annotations

from functools import cache

from productops.adapters import token_file
from productops.adapters.analytics_mail import connect_mail
from productops.adapters.connections import build_target, load_connections, router_capabilities
from productops.adapters.doorbell import Doorbell
from productops.adapters.notify_apprise import AppriseNotifier
from productops.adapters.prefect_api import connect_prefect
from productops.adapters.webhook_secrets import SecretFolder
from productops.logs import set_up_logs
from productops.settings import Settings, load_settings
from productops.store import Store
from productops.usecases.context import Context


@cache
def settings() -> Settings:
    """Settings of this process, read once. Raises: SettingsError."""
    found = load_settings()
    set_up_logs(found, program="flow")
    return found


@cache
def context() -> Context:
    """What the use cases of a flow run are given; one per process."""
    found = settings()
    connections = load_connections(found)
    return Context(
        store=Store(found.sqlalchemy_url),
        doorbell=Doorbell(found.doorbell_port),
        lease_ttl_s=found.lease_ttl_s,
        target=build_target(found, connections),
        router=router_capabilities(connections),
        metric_sources=frozenset(source.name for source in connections.metric_sources),
        orchestrator=connect_prefect(found),
        secrets=SecretFolder(found.secret_folder),
        mail=connect_mail(found),
        notifier=AppriseNotifier(),
        analytics_folder=found.analytics_folder,
    )


def api_token() -> str:
    """The API's bearer token, for keys of evidence links; never shown itself. Raises: SettingsError."""
    given = settings().api_token
    return given.get_secret_value() if given else token_file.read_or_create(settings().home)
