"""HAProxy as the router: a generated configuration, weights and instances by its runtime sockets, a reload where those cannot do it."""

from productops.adapters.haproxy.router import CAPABILITIES, HAProxyRouter

__all__ = ["CAPABILITIES", "HAProxyRouter"]
