"""Where a request of ours may go: the one guard against being sent to what only we can reach (SSRF)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# AWS' metadata service over IPv6; the others' are link-local.
_METADATA = ipaddress.ip_address("fd00:ec2::254")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, without zones. To be connected to as they are: the name may lead elsewhere a moment later.

    Raises: OSError when the name is not known or cannot be one.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host[:100]!r} is no name: {error}") from error
    return list(dict.fromkeys(str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found))


def is_public(address: str) -> bool:
    """Whether anybody in the world can be there: no loopback, private, link-local or multicast address, however it is wrapped."""
    return all(each.is_global and not each.is_multicast for each in _faces(address))


def is_forbidden(address: str) -> bool:
    """Whether nothing we were told to ask can be there: link-local (metadata of clouds), multicast, unspecified."""
    return any(each.is_link_local or each.is_multicast or each.is_unspecified or each == _METADATA for each in _faces(address))


def not_public(addresses: Iterable[str]) -> str | None:
    """The first of them that is not public; None when all are."""
    return next((address for address in addresses if not is_public(address)), None)


def _faces(address: str) -> list[_Address]:
    """The address and those that are written within it: IPv4 mapped into IPv6, 6to4, Teredo, NAT64."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    faces: list[_Address] = [parsed]
    if isinstance(parsed, ipaddress.IPv6Address):
        faces += [each for each in (parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ())) if each is not None]
        if parsed in _NAT64:
            faces.append(ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF))
    return faces
