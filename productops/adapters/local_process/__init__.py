"""Instances as processes of this machine."""

from productops.adapters.local_process.free_port import free_port
from productops.adapters.local_process.processes import LocalProcess
from productops.adapters.local_process.target import LocalProcessTarget

__all__ = ["LocalProcess", "LocalProcessTarget", "free_port"]
