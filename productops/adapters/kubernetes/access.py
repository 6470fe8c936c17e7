"""How to reach a cluster and as whom: a kubeconfig, or the service account of the pod we run in."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from productops.errors import SettingsError

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """The API server, the namespace, the trusted certificates, and the bearer token as it is now (it is renewed in its file)."""

    server: str
    namespace: str
    tls: ssl.SSLContext | None
    token: Callable[[], str]

    def __repr__(self) -> str:
        return f"Access({self.server!r}, {self.namespace!r})"


def in_cluster(*, folder: Path = _SERVICE_ACCOUNT, environment: Mapping[str, str] | None = None) -> Access:
    """The pod's own service account. Raises: SettingsError outside a pod."""
    ours = os.environ if environment is None else environment
    host, port = ours.get("KUBERNETES_SERVICE_HOST", ""), ours.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").is_file():
        raise SettingsError("this program does not run in a Kubernetes pod with a service account: name a kubeconfig")
    shown = f"[{host}]" if ":" in host else host
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    namespace = (folder / "namespace").read_text(encoding="utf-8").strip()
    return Access(f"https://{shown}:{port}", namespace, tls, lambda: (folder / "token").read_text(encoding="utf-8").strip())


def kubeconfig(path: Path, *, context: str = "") -> Access:
    """A context of a kubeconfig file, the current one when none is named.

    Raises: SettingsError naming what is missing or not supported: programs that make tokens, unchecked certificates, passwords.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"the kubeconfig {path} cannot be read: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"the kubeconfig {path} is empty")
    chosen = _named(document, "contexts", context or document.get("current-context", ""), path).get("context") or {}
    cluster = _named(document, "clusters", chosen.get("cluster", ""), path).get("cluster") or {}
    user = _named(document, "users", chosen.get("user", ""), path).get("user") or {}
    server = str(cluster.get("server", ""))
    if cluster.get("insecure-skip-tls-verify"):
        raise SettingsError(f"the kubeconfig {path} turns the check of the server's certificate off: give certificate-authority instead")
    return Access(server, str(chosen.get("namespace") or "default"), _tls(server, cluster, user, path), _token(user, path))


def _named(document: Mapping[str, Any], kind: str, name: str, path: Path) -> dict[str, Any]:
    for entry in document.get(kind) or ():
        if entry.get("name") == name:
            return dict(entry)
    raise SettingsError(f"the kubeconfig {path} has no entry {name!r} in {kind}")


def _tls(server: str, cluster: Mapping[str, Any], user: Mapping[str, Any], path: Path) -> ssl.SSLContext | None:
    if not server.startswith("https://"):
        return None
    authority = _content(cluster, "certificate-authority", path)
    try:
        context = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
        certificate, key = _content(user, "client-certificate", path), _content(user, "client-key", path)
        if certificate and key:
            _load_pair(context, certificate, key)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"a certificate or key of the kubeconfig {path} is not usable: {error}") from error
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads a key from a file only; ours is readable by us alone and gone at once."""
    with tempfile.TemporaryDirectory(prefix="productops-") as folder:
        files = {name: Path(folder, name) for name in ("certificate", "key")}
        files["certificate"].write_bytes(certificate)
        files["key"].touch(mode=0o600)
        files["key"].write_bytes(key)
        context.load_cert_chain(files["certificate"], files["key"])


def _content(entry: Mapping[str, Any], name: str, path: Path) -> bytes:
    """``name-data`` in base64, or the file ``name``, relative to the kubeconfig."""
    if inline := entry.get(f"{name}-data"):
        return base64.b64decode(inline)
    place = entry.get(name)
    if not place:
        return b""
    try:
        return Path(path.parent, place).read_bytes()
    except OSError as error:
        raise SettingsError(f"{name} of the kubeconfig {path} cannot be read: {error.strerror}") from error


def _token(user: Mapping[str, Any], path: Path) -> Callable[[], str]:
    for name in ("exec", "auth-provider", "username"):
        if user.get(name):
            raise SettingsError(f"the user of the kubeconfig {path} has {name!r}, which is not supported: use a token or a certificate")
    if place := user.get("tokenFile"):
        return lambda: Path(path.parent, place).read_text(encoding="utf-8").strip()
    token = str(user.get("token") or "")
    return lambda: token
