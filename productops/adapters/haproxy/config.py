"""HAProxy's own words: the configuration file, the maps, names. Pure: no file, no socket.

A switch of traffic is one entry of a map, which HAProxy replaces at once while it runs. A version is a backend with slots for
instances; instances come and go in the slots. Only new backends, more slots or other limits need a reload.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from productops.domain.release import Environment
from productops.domain.routing import Endpoint, ServiceRoute, VersionKey
from productops.domain.traffic import TEST_HEADER

VERSION_HEADER = "x-productops-version"
STICKY_COOKIE = "po-uid"
STICKY_S = 86_400
HOSTS, ROUTES = "hosts.map", "routes.map"
NOBODY = "nobody"
SLOTS_MIN = 8
SHARES = 10_000
_PROBLEM = "application/problem+json"
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PLAIN = re.compile(r"[A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Backend:
    """One version as HAProxy holds it; ``slots`` is how many instances fit without a reload."""

    key: VersionKey
    health_path: str
    timeout_s: float
    slots: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What the maps and backends must be. Keys of ``hosts`` are host names, of ``routes`` and ``backends`` HAProxy's names."""

    hosts: dict[str, str]
    routes: dict[str, str]
    backends: dict[str, Backend]
    servers: dict[str, tuple[Endpoint, ...]]


def backend_name(key: VersionKey) -> str:
    """Name of a version's backend: letters, digits, '.', '_', '-' and ':' are all HAProxy allows."""
    service, environment, version = key
    safe = "".join(c if _PLAIN.fullmatch(c) else f":{ord(c):02x}" for c in version)
    return f"po.{service}.{environment}.{safe}"


def version_key(name: str) -> VersionKey | None:
    """Service, environment and version of a backend, or ``None`` when it is none of ours."""
    parts = name.split(".")
    if len(parts) != 4 or parts[0] != "po" or parts[2] not in set(Environment):
        return None
    return (parts[1], Environment(parts[2]), re.sub(r":([0-9a-f]{2})", lambda m: chr(int(m.group(1), 16)), parts[3]))


def route_key(route: ServiceRoute) -> str:
    """Key of a service in the map of routes."""
    return f"{route.service}|{route.environment}"


def unsupported(route: ServiceRoute) -> str:
    """What HAProxy cannot do of a route, or an empty text."""
    if route.mirror is not None:
        return "mirrored requests"
    if route.segments:
        return "steps for a segment of the users"
    bad = [h for h in route.hosts if not _HOST.fullmatch(_domain(h))]
    if bad:
        return f"the host {bad[0][:120]!r}"
    addresses = [e.host for fleet in route.fleets.values() for e in fleet if not _is_address(e.host)]
    return f"the instance address {addresses[0]!r}, which is no IP address" if addresses else ""


def reduced(route: ServiceRoute) -> ServiceRoute:
    """What is left of a route HAProxy cannot do: the baseline, for the hosts and instances it can have."""
    return replace(
        route, candidate_version=None, candidate_pct=0, header_only=False, segments=(), mirror=None,
        hosts=tuple(h for h in route.hosts if _HOST.fullmatch(_domain(h))),
        fleets={v: tuple(e for e in fleet if _is_address(e.host)) for v, fleet in route.fleets.items()},
    )  # fmt: skip


def route_value(route: ServiceRoute) -> str:
    """``baseline/candidate/share/flags/generation``; the share counts in ten-thousandths of the requests.

    Flags: ``t`` the test header chooses, ``s`` users stay (cookie), ``-`` none of them.
    """
    baseline = _arm(route, route.baseline_version)
    exposed = route.candidate_version is not None and (route.candidate_pct > 0 or route.header_only)
    if not exposed:
        return f"{baseline}/{NOBODY}/0/-/{route.generation}"
    share = 0 if route.header_only else round(min(max(route.candidate_pct, 0), 100) * SHARES / 100)
    sticky = route.sticky and share > 0 and route.baseline_version is not None
    return f"{baseline}/{_arm(route, route.candidate_version)}/{share}/{'ts' if sticky else 't'}/{route.generation}"


def _arm(route: ServiceRoute, version: str | None) -> str:
    return NOBODY if version is None else backend_name((route.service, route.environment, version))


def layout(routes: Iterable[ServiceRoute]) -> Layout:
    """All services. A host that two services claim belongs to the first by name."""
    hosts: dict[str, str] = {}
    values: dict[str, str] = {}
    backends: dict[str, Backend] = {}
    servers: dict[str, tuple[Endpoint, ...]] = {}
    for route in sorted(routes, key=route_key):
        values[route_key(route)] = route_value(route)
        for host in route.hosts:
            hosts.setdefault(_domain(host), route_key(route))
        arms = {v for v in (route.baseline_version, route.candidate_version) if v is not None}
        for version in sorted(arms | route.fleets.keys()):
            key = (route.service, route.environment, version)
            fleet = route.fleets.get(version, ())
            slots = max(SLOTS_MIN, 1 << max(0, 2 * len(fleet) - 1).bit_length())
            backends[backend_name(key)] = Backend(key, route.health_path, route.timeout_s, slots)
            servers[backend_name(key)] = tuple(sorted(fleet, key=lambda e: (e.host, e.port)))
    return Layout(hosts, values, backends, servers)


def known_only(value: str, before: str | None, backends: Collection[str]) -> str:
    """A route for a worker from before a reload, which has only ``backends``: no share for a candidate it lacks, and when it lacks the
    baseline, what it had. It serves one more request of each connection that was idle at the reload.
    """
    baseline, candidate, _, _, generation = value.split("/")
    if baseline not in backends:
        return before or f"{NOBODY}/{NOBODY}/0/-/{generation}"
    return value if candidate in backends else f"{baseline}/{NOBODY}/0/-/{generation}"


def map_text(entries: Mapping[str, str]) -> str:
    """A map file."""
    return "".join(f"{key} {entries[key]}\n" for key in sorted(entries))


def digest(backends: Mapping[str, Backend], *, frontend: str) -> str:
    """Names what needs a reload to change; HAProxy reports it as its description."""
    parts = [[n, b.health_path, b.timeout_s, b.slots] for n, b in sorted(backends.items())]
    return "productops-" + hashlib.sha256(json.dumps([parts, frontend]).encode()).hexdigest()[:16]


def text(
    backends: Mapping[str, Backend], servers: Mapping[str, Iterable[Endpoint]], *, folder: Path, socket: Path, bind: str, threads: int
) -> str:
    """``haproxy.cfg``."""
    front = _frontend(folder, bind)
    head = (
        f"global\n  description {digest(backends, frontend=bind)}\n  nbthread {threads}\n"
        f"  stats socket {socket} mode 600 level admin expose-fd listeners\n  hard-stop-after 1h\n\n"
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 75s\n  timeout http-request 15s\n  timeout queue 1s\n"
        "  timeout http-keep-alive 15s\n  option idle-close-on-response\n"
        "  option redispatch 1\n  retries 2\n  retry-on conn-failure\n  http-reuse safe\n  option forwardfor\n\n"
    )
    nobody = json.dumps({"title": "No version serves", "status": 503, "detail": "No version of this service takes requests now."})
    rest = f"backend {NOBODY}\n  http-request return status 503 content-type {_PROBLEM} string {_quoted(nobody)}\n"
    return head + front + rest + "".join(_backend(n, backends[n], servers.get(n, ())) for n in sorted(backends))


def _frontend(folder: Path, bind: str) -> str:
    unknown = json.dumps({"title": "Unknown host", "status": 404, "detail": "No service answers to this host."})
    cookie = f"{STICKY_COOKIE}=%[var(txn.new)]; Path=/; Max-Age={STICKY_S}; HttpOnly; SameSite=Lax"
    sticky, testing = "{ var(txn.flags) -m sub s }", "{ var(txn.flags) -m sub t }"
    rules = [
        "http-request set-header x-request-id %[uuid()] unless { req.hdr(x-request-id) -m found }",
        f"http-request set-var(txn.key) req.hdr(host),field(1,:),lower,map({folder / HOSTS})",
        f"http-request return status 404 content-type {_PROBLEM} string {_quoted(unknown)} unless {{ var(txn.key) -m found }}",
        f"http-request set-var(txn.route) var(txn.key),map({folder / ROUTES},{NOBODY}/{NOBODY}/0/-/0)",
        "http-request set-var(txn.baseline) var(txn.route),field(1,/)",
        "http-request set-var(txn.candidate) var(txn.route),field(2,/)",
        "http-request set-var(txn.share) var(txn.route),field(3,/)",
        "http-request set-var(txn.flags) var(txn.route),field(4,/)",
        # A user's first request is split by the very id the cookie will carry, so it already goes where the user will stay.
        f"http-request set-var(txn.uid) req.cook({STICKY_COOKIE}) if {sticky} {{ req.cook({STICKY_COOKIE}) -m len gt 0 }}",
        f"http-request set-var(txn.new) uuid() if {sticky} !{{ var(txn.uid) -m found }}",
        "http-request set-var(txn.uid) var(txn.new) if { var(txn.new) -m found }",
        f"http-request set-var(txn.margin) var(txn.uid),xxh32,mod({SHARES}),sub(txn.share) if {sticky}",
        f"http-request set-var(txn.margin) rand({SHARES}),sub(txn.share) unless {sticky}",
        f'http-after-response add-header set-cookie "{cookie}" if {{ var(txn.new) -m found }}',
        f"use_backend %[var(txn.candidate)] if {testing} {{ req.hdr({TEST_HEADER}) -m str always }}",
        f"use_backend %[var(txn.baseline)] if {testing} {{ req.hdr({TEST_HEADER}) -m str never }}",
        "use_backend %[var(txn.candidate)] if { var(txn.margin) -m int lt 0 }",
        "use_backend %[var(txn.baseline)]",
    ]
    return f"frontend users\n  bind {bind}\n" + "".join(f"  {rule}\n" for rule in rules) + "\n"


def _backend(name: str, backend: Backend, servers: Iterable[Endpoint]) -> str:
    service, _, version = backend.key
    path = quote(backend.health_path, safe="/?&=%:@!$'()*+,;~-._")
    lines = [
        f"\nbackend {name}",
        "  balance leastconn",
        f"  timeout server {max(1, round(backend.timeout_s * 1000))}ms",
        "  option httpchk",
        f"  http-check send meth GET uri {_quoted(path)} ver HTTP/1.1 hdr host {service}.health",
        "  http-check expect status 200-299",
        # Its own time, and not that between two checks: an instance on a busy machine is slow, which is better than no instance at all;
        # right after a start HAProxy believes the first check that fails.
        "  timeout check 2s",
        f"  http-after-response set-header {VERSION_HEADER} {_quoted(version.replace('%', '%%'))}",
        # Common servers close an idle connection after 2 or 5 s; a request sent into that close would fail.
        "  default-server check inter 500ms fall 3 rise 1 pool-purge-delay 1500ms",
    ]
    placed = list(servers)[: backend.slots]
    for number in range(1, backend.slots + 1):
        place = placed[number - 1] if number <= len(placed) else None
        address = f"{_bracketed(place.host)}:{place.port}" if place else "127.0.0.1:9"
        lines.append(f"  server s{number} {address}{'' if place else ' disabled'}{' weight 0' if place and place.draining else ''}")
    return "\n".join(lines) + "\n"


def _domain(host: str) -> str:
    return re.sub(r":\d*$", "", host.lower())


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _quoted(value: str) -> str:
    """One word for HAProxy, without its variables and escapes. Source: HAProxy configuration manual, 2.2."""
    return "'" + value.replace("'", "'\\''") + "'"
