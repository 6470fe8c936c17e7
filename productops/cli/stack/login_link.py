"""A log-in link of the stack that runs here, without loading an HTTP library into the supervisor."""

from __future__ import annotations

import http.client
import json
import ssl

from productops.adapters import token_file
from productops.errors import ProductOpsError
from productops.settings import Settings

HINT = "productops login"
_TIMEOUT_S = 3.0
_PATH = "/api/v1/access/login-links"


def told_link(settings: Settings) -> str:
    """What a person who has just started the stack opens next; how to get such a link when there is none to be had."""
    try:
        return f"{settings.api_url}{_make(settings)}   (once, for 60 s; then: {HINT})"
    except (OSError, http.client.HTTPException, ValueError, KeyError, ProductOpsError):
        return f"{HINT}   (prints a link for a browser)"


def _make(settings: Settings) -> str:
    given = settings.api_token.get_secret_value().strip() if settings.api_token else ""
    token = given or token_file.read(settings.home) or ""
    if settings.tls_certificate:
        trusted = ssl.create_default_context(cafile=str(settings.tls_certificate))
        trusted.check_hostname = False  # the certificate is of the public name; whoever holds its key here is the API
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", settings.api_port, timeout=_TIMEOUT_S, context=trusted
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", settings.api_port, timeout=_TIMEOUT_S)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", _PATH, body=b"{}", headers=headers)
        return str(json.loads(connection.getresponse().read(65_536))["path"])
    finally:
        connection.close()
