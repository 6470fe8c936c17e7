"""Prefect's pages and REST interface behind our door: under ``/prefect``, as whoever is logged in, never as Prefect's own secret."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from productops.adapters.prefect_api import auth_header
from productops.adapters.prefect_auth import prefect_auth
from productops.api import problems
from productops.api.access import principal_of
from productops.api.governance_login_session import own_origin
from productops.api.prefect_proxy_redact import Blanker, blank_blocks
from productops.api.prefect_proxy_rights import Rights, Verdict
from productops.errors import InvalidInputError, OrchestratorError, ProductOpsError
from productops.settings import Settings
from productops.usecases.context import Actor, Context
from productops.usecases.prefect_proxy import check_known

log = structlog.get_logger(__name__)

BASE = "/prefect"
API = f"{BASE}/api"
CONNECT_S, ANSWER_S = 2.0, 30.0
# Plain HTTP on loopback: none are needed, and loading those of the world takes 0.1 s.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
REWRITTEN_BYTES_MAX = 16_000_000
# Scripts and answers come from us only: the pages would call an analytics host, and artifacts are written by anybody's flow.
CSP = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_PLAIN = re.compile(r"[A-Za-z0-9/_.~@!$&'()*+,=: -]*")
_SENT_ON = frozenset({"accept", "accept-language", "content-type", "if-none-match", "if-modified-since", "range", "user-agent"})
_SENT_ON_PREFIXES = ("prefect-", "x-prefect-")
_NOT_BACK = frozenset(
    {
        "connection",
        "keep-alive",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "server",
        "date",
        "set-cookie",
        "www-authenticate",
        "content-length",
        "strict-transport-security",
        "cache-control",
    }
)


@dataclass(slots=True)
class PrefectProxy:
    """Serves ``/prefect``; everything else goes on to the application. It stands behind the gate, which says who calls."""

    app: ASGIApp
    context: Context
    settings: Settings
    _http: httpx.AsyncClient | None = None
    _auth: str = ""
    _blanker: Blanker = field(default_factory=Blanker)

    def __post_init__(self) -> None:
        self._auth = prefect_auth(self.settings)
        self._blanker = Blanker(self._auth)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] == "lifespan" or not (path == BASE or path.startswith(f"{BASE}/")):
            await self._pass_on(scope, receive, send)
            return
        if scope["type"] == "websocket":
            from productops.api.prefect_proxy_socket import serve_socket  # only programs use them: most installations never load it

            await serve_socket(scope, receive, send, context=self.context, settings=self.settings, auth=self._auth)
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ProductOpsError as error:
            response = problems.from_error(error)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["type"] == "lifespan" and self._http is not None:
                await self._http.aclose()

    async def _answer(self, request: Request) -> Response:
        principal = principal_of(request.scope)
        actor = Actor(name=principal.name, origin="prefect", principal=principal)
        path = _plain_path(request)
        if path == BASE:
            return RedirectResponse(f"{BASE}/", status_code=307)
        if not path.startswith(f"{API}/"):
            check_known(actor)
            return await self._page(request, path)
        rights = Rights(self.context, self._client(), actor)
        body = await request.body()
        verdict = await rights.judge(request.method, path.removeprefix(API), request.url.query, body)
        answer = await self._send(request, path.removeprefix(BASE), verdict.body if verdict.body is not None else body)
        if verdict.noted:
            return await self._noted(rights, verdict, request, answer)
        return await self._back(answer, path)

    async def _noted(self, rights: Rights, verdict: Verdict, request: Request, answer: httpx.Response) -> Response:
        """A change: its answer is read whole, because what it made belongs on record before anybody hears of it."""
        content = await self._read(answer)
        await rights.note(verdict, request.method, request.url.path.removeprefix(API), answer.status_code, content)
        return Response(self._safe(content), status_code=answer.status_code, headers=_back_headers(answer.headers))

    async def _page(self, request: Request, path: str) -> Response:
        """A file of Prefect's pages, or what they ask first: where the interface is, and that there is nobody to log in there."""
        if request.method not in {"GET", "HEAD"}:
            raise InvalidInputError("pages are read, not written")
        answer = await self._send(request, path, b"")
        if path != f"{BASE}/ui-settings":
            return await self._back(answer, path, encoded=True)
        document = json.loads(await self._read(answer))
        document |= {"api_url": f"{own_origin(request.scope)}{API}", "auth": None}
        return Response(json.dumps(document), media_type="application/json", headers={"Content-Security-Policy": CSP})

    async def _send(self, request: Request, path: str, body: bytes) -> httpx.Response:
        """Raises: OrchestratorError when Prefect does not answer."""
        headers = {name: value for name, value in request.headers.items() if name in _SENT_ON or name.startswith(_SENT_ON_PREFIXES)}
        if not path.startswith("/api/"):  # only what we need not look into comes packed
            headers["accept-encoding"] = request.headers.get("accept-encoding", "identity")
        else:
            headers["accept-encoding"] = "identity"
        query = request.url.query
        target = httpx.URL(self.settings.prefect_api_url).copy_with(raw_path=(quote(path) + (f"?{query}" if query else "")).encode("ascii"))
        client = self._client()
        try:
            return await client.send(client.build_request(request.method, target, headers=headers, content=body or None), stream=True)
        except httpx.HTTPError as error:
            raise OrchestratorError(
                f"Prefect does not answer ({error or type(error).__name__}); is it running? productops status"
            ) from error

    async def _back(self, answer: httpx.Response, path: str, *, encoded: bool = False) -> Response:
        """What Prefect answered, as it comes; documents that may hold blocks are read whole and masked."""
        headers = _back_headers(answer.headers)
        if encoded:
            headers["Cache-Control"] = "private, max-age=86400" if "/assets/" in path else "no-cache"
            if "content-encoding" in answer.headers:
                headers["Content-Encoding"] = answer.headers["content-encoding"]
            return StreamingResponse(_closing(answer.aiter_raw(), answer), status_code=answer.status_code, headers=headers)
        if "/block_" in path:
            return Response(self._safe(await self._read(answer)), status_code=answer.status_code, headers=headers)
        return StreamingResponse(
            self._blanker.stream(_closing(answer.aiter_raw(), answer)), status_code=answer.status_code, headers=headers
        )

    async def _read(self, answer: httpx.Response) -> bytes:
        content = bytearray()
        try:
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > REWRITTEN_BYTES_MAX:
                    raise OrchestratorError(f"Prefect's answer has more than {REWRITTEN_BYTES_MAX:,} bytes; ask for less")
        except httpx.HTTPError as error:
            raise OrchestratorError(f"Prefect broke off its answer ({error or type(error).__name__})") from error
        finally:
            await answer.aclose()
        return bytes(content)

    def _safe(self, content: bytes) -> bytes:
        """Without our secret and without values of blocks; what is no JSON is no document of Prefect's."""
        content = self._blanker.text(content)
        if b"block_type_id" not in content:
            return content
        try:
            return json.dumps(blank_blocks(json.loads(content))).encode()
        except ValueError:
            return b'{"detail": "an answer that could not be read, and so not checked for secrets"}'

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
            self._http = httpx.AsyncClient(
                headers=auth_header(self._auth),
                timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
                trust_env=False,
                limits=limits,
                base_url=self.settings.prefect_api_url,
                verify=NO_CERTIFICATES,
            )
        return self._http


def _plain_path(request: Request) -> str:
    """The path that is judged is the one that is asked for. Raises: InvalidInputError where two programs could read it differently."""
    path: str = request.scope["path"]
    encoded_slash = b"%2f" in request.scope.get("raw_path", b"").lower()
    if encoded_slash or not _PLAIN.fullmatch(path) or {".", ".."} & set(path.split("/")) or "//" in path:
        raise InvalidInputError("the path has parts that can be read in two ways; write it plainly")
    return path


def _back_headers(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in headers.items()
        if name.lower() not in _NOT_BACK and not name.lower().startswith("access-control-") and name.lower() != "content-encoding"
    }
    if "location" in kept:
        kept["location"] = kept["location"].replace("/prefect/api", API)
    return kept | {"Content-Security-Policy": CSP}


async def _closing(pieces: AsyncIterator[bytes], answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    except httpx.HTTPError as error:
        log.info("Prefect broke off an answer", reason=str(error) or type(error).__name__)
        raise
    finally:
        await answer.aclose()
