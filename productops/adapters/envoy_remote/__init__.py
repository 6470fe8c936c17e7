"""Envoys on other machines: they fetch their configuration from our API (REST xDS) and confirm it with their next question."""

from productops.adapters.envoy_remote.discovery import Discovery
from productops.adapters.envoy_remote.documents import bootstrap
from productops.adapters.envoy_remote.router import CAPABILITIES, RemoteEnvoyRouter, RemoteNode

__all__ = ["CAPABILITIES", "Discovery", "RemoteEnvoyRouter", "RemoteNode", "bootstrap"]
