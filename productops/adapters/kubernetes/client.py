"""Kubernetes' API: server-side apply with its conflicts, patches, and waiting by watch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from productops.adapters.kubernetes.access import Access
from productops.adapters.safe_http import Answer, SafeHttp, check_url
from productops.errors import ConflictError, DependencyError, NotFoundError

MANAGER = "productops"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
_GONE = 410

Document = dict[str, Any]


class KubernetesClient:
    """One namespace of a cluster. Usable from many threads."""

    def __init__(self, access: Access, *, timeout_s: float = 10.0) -> None:
        """Raises: SettingsError for a server that would get the token unencrypted."""
        self.namespace = access.namespace
        self._access, self._timeout_s = access, timeout_s
        self._base = check_url(access.server, secret=True)
        self._http = SafeHttp(self._base, what="Kubernetes", timeout_s=timeout_s, patience_s=timeout_s, verify=access.tls)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str) -> Document | None:
        """An object, or ``None``. Raises: DependencyError."""
        answer = self._http.call("GET", path, headers=self._headers())
        if answer.status == 404:
            return None
        return self._document(answer, f"GET {path}")

    def apply(self, path: str, wanted: Document, *, force: bool = False) -> Document:
        """Server-side apply: what ``wanted`` names becomes ours, the rest of the object stays.

        Raises: ConflictError naming the fields and who else manages them (``force`` takes them over), DependencyError.
        """
        params = {"fieldManager": MANAGER, "force": "true" if force else "false"}
        # JSON is YAML. The call may be repeated: applying the same twice is applying it once.
        answer = self._http.call("PATCH", path, params=params, body=json.dumps(wanted).encode(), headers=self._headers(APPLY))
        if answer.status == 409:
            raise ConflictError(f"Kubernetes does not let us set {path}: {_causes(answer)}; let go of these fields there, or set force")
        return self._document(answer, f"apply {path}")

    def merge(self, path: str, patch: Document) -> Document:
        """A JSON merge patch. Raises: NotFoundError, ConflictError, DependencyError."""
        answer = self._http.call(
            "PATCH", path, params={"fieldManager": MANAGER}, body=json.dumps(patch).encode(), headers=self._headers(MERGE)
        )
        if answer.status == 404:
            raise NotFoundError(f"Kubernetes has no {path}")
        if answer.status == 409:
            raise ConflictError(f"{path} was changed by somebody else at the same moment; try again")
        return self._document(answer, f"patch {path}")

    def delete(self, path: str) -> bool:
        """Whether there was something to delete; what it owns goes, too. Raises: DependencyError."""
        answer = self._http.call(
            "DELETE", path, body={"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}, headers=self._headers()
        )
        if answer.status == 404:
            return False
        self._document(answer, f"delete {path}")
        return True

    def wait_for(self, collection: str, name: str, ready: Callable[[Document], bool], *, within_s: float) -> Document:
        """Follow an object until it is ``ready``. Raises: DependencyError when it is not in time, NotFoundError when it is gone."""
        deadline = time.monotonic() + within_s
        found = self._present(collection, name)
        while not ready(found):
            left = deadline - time.monotonic()
            if left <= 0:
                raise DependencyError(f"{collection}/{name} is not ready after {within_s:g} s", last=found.get("status"))
            newest = None
            for newest in self._changes(collection, name, found["metadata"]["resourceVersion"], within_s=left):
                found = newest
                if ready(found):
                    return found
            if newest is None:  # the watch ended without news, or our version is too old: look again
                time.sleep(min(0.2, max(0.0, deadline - time.monotonic())))
                found = self._present(collection, name)
        return found

    def _present(self, collection: str, name: str) -> Document:
        found = self.get(f"{collection}/{name}")
        if found is None:
            raise NotFoundError(f"Kubernetes has no {collection}/{name}")
        return found

    def _changes(self, collection: str, name: str, version: str, *, within_s: float) -> Iterator[Document]:
        """New states of an object after ``version``; ends with the watch. Raises: NotFoundError when it is deleted, DependencyError."""
        params = {
            "watch": "true", "fieldSelector": f"metadata.name={name}", "resourceVersion": version,
            "allowWatchBookmarks": "true", "timeoutSeconds": str(max(1, int(within_s))),
        }  # fmt: skip
        timeout = httpx.Timeout(self._timeout_s, read=within_s + 2)
        verify = self._access.tls or False
        try:
            with (
                httpx.Client(trust_env=False, verify=verify, timeout=timeout) as client,
                client.stream("GET", f"{self._base}{collection}", params=params, headers=self._headers()) as response,
            ):
                if response.status_code != 200:
                    return
                for line in response.iter_lines():
                    event = json.loads(line)
                    if event["type"] == "DELETED":
                        raise NotFoundError(f"{collection}/{name} was deleted while we waited for it")
                    if event["type"] == "ERROR":  # 410 Gone: this version is not kept any more
                        return
                    if event["type"] != "BOOKMARK":
                        yield event["object"]
        except httpx.ReadTimeout:
            return
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise DependencyError(f"Kubernetes at {self._base} broke off the watch of {collection}: {error}") from error

    def _headers(self, content_type: str = "application/json") -> Mapping[str, str]:
        token = self._access.token()
        return {"content-type": content_type, **({"authorization": f"Bearer {token}"} if token else {})}

    def _document(self, answer: Answer, what: str) -> Document:
        document = answer.document()
        if not answer.ok or not isinstance(document, dict):
            said = document.get("message") if isinstance(document, dict) else answer.text()
            raise DependencyError(f"Kubernetes at {self._base} answered {answer.status} to {what}: {str(said)[:500]}")
        return document


def _causes(answer: Answer) -> str:
    """Who manages which field, as the conflict says it."""
    document = answer.document()
    details = document.get("details") or {} if isinstance(document, dict) else {}
    causes = [f"{c.get('field', '')} ({c.get('message', '')})" for c in details.get("causes") or ()]
    return ", ".join(causes[:5]) or (str(document.get("message")) if isinstance(document, dict) else answer.text())
