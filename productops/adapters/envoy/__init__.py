"""The embedded router: Envoy, configured by files, confirmed and read through its admin port."""

from productops.adapters.envoy.router import EnvoyRouter

__all__ = ["EnvoyRouter"]
