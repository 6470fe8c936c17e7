"""A load generator for HTTP services: open loop, sticky users, latencies that do not hide waiting."""

from examples.load.model import SHOP_MIX, Action, LoadConfig, Response, Spacing, TransportError
from examples.load.report import LoadReport, VersionReport
from examples.load.runner import run_load

__all__ = [
    "SHOP_MIX",
    "Action",
    "LoadConfig",
    "LoadReport",
    "Response",
    "Spacing",
    "TransportError",
    "VersionReport",
    "run_load",
]
