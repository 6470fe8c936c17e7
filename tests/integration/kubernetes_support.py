"""A small Kubernetes API on loopback: objects, server-side apply with field managers, merge patches, watches that can expire."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Document = dict[str, Any]
Controller = Callable[["Cluster", str, Document], None]


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Leaf fields of a document; lists count as one field, as atomic lists do."""
    if isinstance(value, dict):
        return {k: v for name, inner in value.items() for k, v in leaves(inner, f"{path}.{name}").items()}
    return {path: value}


def merged(base: Document, patch: Document) -> Document:
    """JSON merge patch. Source: RFC 7396."""
    result = dict(base)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = merged(result.get(name) if isinstance(result.get(name), dict) else {}, value)
        else:
            result[name] = value
    return result


@dataclass
class Cluster:
    """What is stored, who manages which field, and what changed since when. ``controller`` is told of each changed object."""

    token: str = "cluster-token"
    controller: Controller | None = None
    url: str = ""
    objects: dict[str, Document] = field(default_factory=dict)
    owners: dict[tuple[str, str], str] = field(default_factory=dict)
    events: list[tuple[int, str, str, Document]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    oldest: int = 0
    version: int = 100
    changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, path: str, document: Document, *, kind: str = "MODIFIED") -> Document:
        with self.changed:
            before = self.objects.get(path)
            self.version += 1
            stored = copy.deepcopy(document)
            meta = stored.setdefault("metadata", {})
            meta["resourceVersion"] = str(self.version)
            grew = before is None or before.get("spec") != stored.get("spec")
            meta["generation"] = (before["metadata"]["generation"] if before else 0) + (1 if grew else 0)
            self.objects[path] = stored
            self.events.append((self.version, path, kind if before else "ADDED", stored))
            self.changed.notify_all()
        if grew and self.controller is not None:
            threading.Thread(target=self.controller, args=(self, path, copy.deepcopy(stored)), daemon=True).start()
        return stored

    def set_status(self, path: str, status: Document) -> None:
        with self.changed:
            current = copy.deepcopy(self.objects[path])
        current["status"] = {**current.get("status", {}), **status}
        self.put(path, current)

    def apply(self, path: str, wanted: Document, manager: str, *, force: bool) -> tuple[int, Document]:
        current = self.objects.get(path, {})
        have, mine = leaves(current), leaves({k: v for k, v in wanted.items() if k not in {"apiVersion", "kind"}})
        conflicts = [
            {"reason": "FieldManagerConflict", "field": name, "message": f'conflict with "{self.owners[path, name]}"'}
            for name, value in mine.items()
            if self.owners.get((path, name), manager) != manager and have.get(name) != value
        ]
        if conflicts and not force:
            return 409, {"kind": "Status", "reason": "Conflict", "message": "Apply failed", "details": {"causes": conflicts}}
        for name in mine:
            self.owners[path, name] = manager
        return 200, self.put(path, merged(current, wanted))

    def expire(self) -> None:
        """Forget old versions: a watch from one of them is told 410."""
        with self.changed:
            self.oldest = self.version + 1


@contextmanager
def running_cluster(cluster: Cluster) -> Iterator[Cluster]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self, status: int, document: Document) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _any(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            cluster.asked.append((self.command, parts.path, query))
            if self.headers.get("authorization") != f"Bearer {cluster.token}":
                self._reply(401, {"kind": "Status", "message": "Unauthorized"})
            elif query.get("watch") == "true":
                self._watch(parts.path, query)
            else:
                self._reply(*self._object(parts.path, query, body))

        def _object(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, Document]:
            status = path.endswith("/status")
            place = path.removesuffix("/status")
            if self.command == "PATCH" and "apply-patch" in self.headers["content-type"]:
                return cluster.apply(place, json.loads(body), query["fieldManager"], force=query["force"] == "true")
            if place not in cluster.objects:
                return 404, {"kind": "Status", "message": "not found"}
            if self.command == "PATCH":
                assert self.headers["content-type"] == "application/merge-patch+json"
                patch = json.loads(body)
                patch = {"status": patch["status"]} if status else {k: v for k, v in patch.items() if k != "status"}
                return 200, cluster.put(place, merged(cluster.objects[place], patch))
            if self.command == "DELETE":
                gone = cluster.objects.pop(place)
                with cluster.changed:
                    cluster.version += 1
                    cluster.events.append((cluster.version, place, "DELETED", gone))
                    cluster.changed.notify_all()
                return 200, {"kind": "Status", "status": "Success"}
            return 200, cluster.objects[place]

        def _watch(self, collection: str, query: dict[str, str]) -> None:
            name = query["fieldSelector"].removeprefix("metadata.name=")
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("connection", "close")
            self.end_headers()
            after, deadline = int(query["resourceVersion"]), time.monotonic() + float(query["timeoutSeconds"])
            if after < cluster.oldest:
                self._line({"type": "ERROR", "object": {"kind": "Status", "code": 410}})
                return
            while time.monotonic() < deadline:
                with cluster.changed:
                    cluster.changed.wait(0.05)
                    news = [e for e in cluster.events if e[0] > after and e[1] == f"{collection}/{name}"]
                for number, _, kind, document in news:
                    after = number
                    self._line({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(number)}}})
                    self._line({"type": kind, "object": document})

        def _line(self, event: Document) -> None:
            try:
                self.wfile.write(json.dumps(event).encode() + b"\n")
                self.wfile.flush()
            except OSError:
                raise ConnectionAbortedError from None

        do_GET = do_PATCH = do_DELETE = _any  # noqa: N815

        def log_message(self, *_: Any) -> None:
            return

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:  # a watcher that has seen enough hangs up
            return

    httpd = Quiet(("127.0.0.1", 0), Handler)
    cluster.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=lambda: httpd.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(5)
