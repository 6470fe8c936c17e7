"""The collectors of one program with their meters: what ``agent/watch.py`` calls."""

from __future__ import annotations

import socket
from collections.abc import Callable

from productops.domain.monitoring_series_host import HostReading
from productops.settings import Settings
from productops.usecases.context import Context
from productops.usecases.monitoring_collect import FastCollector
from productops.usecases.monitoring_collect_slow import SlowCollector
from productops.usecases.monitoring_detect_saturation import SaturationWatch


def build_saturation(context: Context) -> SaturationWatch:
    """Looks at this machine; give its ``see`` to the fast collector, call its ``turn`` each second."""
    from productops.adapters.monitoring_busy import BusyMeter

    return SaturationWatch(context, socket.gethostname(), BusyMeter())


def build_fast(context: Context, *, watch_host: Callable[[float, HostReading], None] | None = None) -> FastCollector:
    """Call its ``turn(now)`` each second. ``watch_host`` is told each reading of this machine."""
    from productops.adapters.monitoring_host import HostMeter
    from productops.adapters.monitoring_processes import ProcessMeter

    return FastCollector(context, HostMeter(), ProcessMeter(), watch_host=watch_host)


def build_slow(context: Context, settings: Settings) -> SlowCollector:
    """Call its ``turn(now)`` each second from a thread of its own. Raises: SettingsError for a connections file that cannot be used."""
    from productops.adapters.connections import PodmanConnection, build_sources, load_connections
    from productops.adapters.monitoring_containers import ContainerMeter
    from productops.adapters.monitoring_scrape import HttpScraper
    from productops.adapters.podman import default_socket

    connections = load_connections(settings)
    sources = {source.name: source for source in build_sources(connections)}
    containers = None
    if isinstance(connections.target, PodmanConnection):
        containers = ContainerMeter(settings.home, socket=connections.target.socket or default_socket())
    return SlowCollector(context, HttpScraper(), sources, containers)
