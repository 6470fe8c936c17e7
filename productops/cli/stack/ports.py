"""Whether the ports are free, and who has them if not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psutil

from productops.errors import PortTakenError, SettingsError
from productops.settings import Settings

_HIGHEST = 65_535


@dataclass(frozen=True, slots=True)
class Port:
    """A port the stack needs; ``offset`` from PRODUCTOPS_PORT_BASE."""

    number: int
    use: str
    offset: int
    host: str = "127.0.0.1"
    datagram: bool = False

    @property
    def protocol(self) -> str:
        """``TCP`` or ``UDP``."""
        return "UDP" if self.datagram else "TCP"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who listens on a port; ``pid`` 0 when the system does not tell."""

    pid: int = 0
    command: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})" if self.pid else "another program (the system does not tell which)"


def stack_ports(settings: Settings) -> list[Port]:
    """The ports that the processes of the stack bind."""
    return [
        Port(settings.api_port, "API", 0, host=settings.host),
        Port(settings.prefect_port, "Prefect", 1),
        Port(settings.router_port, "router", 2),
        Port(settings.router_admin_port, "router admin", 3),
        Port(settings.doorbell_port, "agent doorbell", 4, datagram=True),
    ]


def is_free(port: Port) -> bool:
    """Whether it can be bound now. Raises: SettingsError when this machine does not have the address."""
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    kind = socket.SOCK_DGRAM if port.datagram else socket.SOCK_STREAM
    with closing(socket.socket(family, kind)) as candidate:
        if not port.datagram:
            # Connections of an earlier stack that are still closing do not matter; somebody who listens does.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((port.host, port.number))
        except OSError as error:
            if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT} or isinstance(error, socket.gaierror):
                raise SettingsError(f"PRODUCTOPS_HOST: this machine has no address {port.host}; use 127.0.0.1") from error
            return False
    return True


def holder(port: Port) -> Holder:
    """The process that has a port, as far as this user may know."""
    try:
        connections = psutil.net_connections(kind="udp" if port.datagram else "tcp")
    except psutil.Error:
        return Holder()
    for connection in connections:
        listening = port.datagram or connection.status == psutil.CONN_LISTEN
        if listening and connection.laddr and connection.laddr.port == port.number and connection.pid:
            return Holder(connection.pid, _command(connection.pid))
    return Holder()


def taken(settings: Settings) -> Iterator[tuple[Port, Holder]]:
    """Every port of the stack that cannot be bound, and who has it."""
    for port in stack_ports(settings):
        if not is_free(port):
            yield port, holder(port)


def check_ports(settings: Settings) -> None:
    """Raises: PortTakenError naming every port in the way, its setting and who holds it."""
    problems = list(taken(settings))
    if not problems:
        return
    lines = [
        f"{port.protocol} port {port.number} ({port.use}, PRODUCTOPS_PORT_BASE + {port.offset}) is taken by {who}" for port, who in problems
    ]
    other = free_port_base(settings)
    proposal = f"; --port-base {other} is free" if other else ""
    lines.append(f"end what holds it, or choose other ports with --port-base or PRODUCTOPS_PORT_BASE (now {settings.port_base}){proposal}")
    numbers = [port.number for port, _ in problems]
    raise PortTakenError("; ".join(lines), ports=numbers, pids=[who.pid for _, who in problems])


def free_port_base(settings: Settings) -> int | None:
    """The next higher base whose ports are all free; ``None`` when there is none."""
    step = 300
    for base in range(settings.port_base + step, _HIGHEST - step, step):
        if all(is_free(port) for port in stack_ports(settings.model_copy(update={"port_base": base}))):
            return base
    return None


def _command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:120] or psutil.Process(pid).name()
    except psutil.Error:
        return "?"
