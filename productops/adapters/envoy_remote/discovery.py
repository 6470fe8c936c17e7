"""Both ends of the folder between the agent, which writes resources, and the API, which hands them to Envoys and notes what they took.

Files of the agent: ``lds.json``, ``cds.json``, ``rds.json`` (as the embedded router's). Files of the API: ``nodes/<node>.json``.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from productops.errors import InvalidInputError, RouterError

_TYPE = "type.googleapis.com/"
KINDS: Mapping[str, tuple[str, str]] = {
    "listeners": ("lds.json", f"{_TYPE}envoy.config.listener.v3.Listener"),
    "clusters": ("cds.json", f"{_TYPE}envoy.config.cluster.v3.Cluster"),
    "routes": ("rds.json", f"{_TYPE}envoy.config.route.v3.RouteConfiguration"),
}
"""Kind of resource (the last part of its path) → file and type."""
NODES_MAX = 1000
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Resources:
    """One kind of resource: its version and the body of a DiscoveryResponse."""

    version: str
    body: bytes


@dataclass(slots=True)
class NodeState:
    """What a node told: the version of each kind it runs, how often it refused one, what last, and when it was heard (Unix time)."""

    versions: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    refusals: int = 0
    reason: str = ""
    heard_at: float = 0.0


class Discovery:
    """The folder, for both sides. The API's side belongs to one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._nodes = folder / "nodes"
        self._resources: dict[str, tuple[tuple[int, int, int], Resources]] = {}
        self._noted: dict[str, NodeState] = {}
        self._given: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def resources(self, kind: str) -> Resources | None:
        """What Envoys shall have now, or ``None`` while the agent has written nothing."""
        name, type_url = KINDS[kind]
        path = self.folder / name
        try:
            status = path.stat()
            signature = (status.st_ino, status.st_mtime_ns, status.st_size)
            known = self._resources.get(kind)
            if known is not None and known[0] == signature:
                return known[1]
            document = json.loads(path.read_bytes())
            version = str(document["version_info"])
            document |= {"type_url": type_url, "nonce": version}
        except (OSError, ValueError, KeyError, TypeError):
            return None
        made = Resources(version, json.dumps(document, separators=(",", ":")).encode())
        self._resources[kind] = (signature, made)
        return made

    def note(self, kind: str, request: Mapping[str, Any]) -> str:
        """Write down what a node's question says. Returns the version it refuses, or an empty text.

        Envoy confirms a version by naming it in its next question. One it refuses it does not name (over REST it says no more; other
        clients send ``error_detail``): it asks with the version it had before, although it was given another.
        Raises: InvalidInputError for a question without a usable node, RouterError when there are too many nodes or no room.
        """
        node = check_node((request.get("node") or {}).get("id"))
        with self._lock:
            state = self._noted.get(node)
            if state is None:
                if len(self._noted) >= NODES_MAX:
                    raise RouterError(f"more than {NODES_MAX} Envoys ask for a configuration; give each a lasting node id")
                state = self._noted[node] = self.node(node)
            before = (dict(state.versions), state.refusals)
            runs, given = str(request.get("version_info") or ""), self._given.get((node, kind), "")
            error = request.get("error_detail")
            refused = given if (runs and given and runs != given) or error else ""
            state.refused.pop(kind, None)
            if refused:
                state.refusals += 1
                state.refused[kind] = refused
                said = error.get("message", error) if isinstance(error, Mapping) else error
                state.reason = f"{kind} {refused}: {str(said)[:1000] if said else 'the log of that Envoy says why'}"
            state.versions[kind] = runs
            if (state.versions, state.refusals) != before or time.time() - state.heard_at > 1.0:
                state.heard_at = time.time()
                self._write(node, state)
            return refused

    def gave(self, kind: str, node: str, version: str) -> None:
        """Remember what a node was answered: what it says next is about that."""
        self._given[(node, kind)] = version

    def node(self, node: str) -> NodeState:
        """What is known of a node; nothing for one that never asked."""
        try:
            plain = json.loads((self._nodes / f"{node}.json").read_bytes())
            return NodeState(**plain)
        except (OSError, ValueError, TypeError):
            return NodeState()

    def _write(self, node: str, state: NodeState) -> None:
        plain = {name: getattr(state, name) for name in NodeState.__slots__}
        try:
            self._nodes.mkdir(parents=True, exist_ok=True)
            fresh = self._nodes / f".{node}.{os.getpid()}.new"
            fresh.write_text(json.dumps(plain), encoding="utf-8")
            fresh.replace(self._nodes / f"{node}.json")
        except OSError as error:
            raise RouterError(f"cannot note what Envoy {node} runs in {self._nodes}: {error.strerror}") from error


def check_node(node: object) -> str:
    """A node's id that can be a file's name. Raises: InvalidInputError."""
    if not isinstance(node, str) or not _NODE.fullmatch(node):
        raise InvalidInputError("an Envoy needs node.id: 1 to 64 letters, digits, '.', '_' and '-', starting with a letter or digit")
    return node
