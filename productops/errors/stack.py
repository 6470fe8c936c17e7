"""What goes wrong with the processes on this machine."""

from __future__ import annotations

from productops.errors.base import ProductOpsError


class StackError(ProductOpsError):
    """A process of the local stack cannot run."""

    slug = "stack"
    title = "The stack failed"
    exit_code = 71


class AlreadyRunningError(StackError):
    """A stack runs in this home already."""

    status = 409
    slug = "already-running"
    title = "Already running"


class NotRunningError(StackError):
    """No stack answers; start one with ``productops up``."""

    status = 503
    slug = "not-running"
    title = "Not running"


class PortTakenError(StackError):
    """Another program listens on a port we need."""

    status = 409
    slug = "port-taken"
    title = "Port taken"
