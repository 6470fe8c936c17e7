"""Idempotency keys of every operation that makes or does something: a repeated request gets the first answer, and does nothing.

Operations that look up by the key what they made (releases, trains) keep their own memory of it; they are left alone here.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
import structlog
from anyio import to_thread
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from productops.api import problems
from productops.domain.rest_idempotency import StoredAnswer
from productops.errors import IdempotencyError, IdempotencyInFlightError, ProductOpsError, StoreUnavailableError
from productops.usecases.context import Context
from productops.usecases.rest_idempotency import Claim, claim_key, forget_answers, give_key_back, keep_answer

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
# A repetition that comes while the first request is under way waits this long for its answer before it is told to come back.
WAIT_S = 2.0
_LOOK_S = 0.05
SWEEP_S = 600.0
_KEPT_HEADERS = frozenset({"content-type", "location", "etag", "link", "cache-control", "deprecation", "sunset"})
_NONCE = 12
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with its key, as the store knows it: hashes only, of the caller's credentials, the operation, and what was sent."""

    key_hash: str
    fingerprint: str
    secret: bytes

    @classmethod
    def of(cls, scope: Scope, key: str, body: bytes, *, token: str) -> KeyedRequest:
        """The key belongs to who sent it and to one operation: another caller's same key is another key."""
        headers = Headers(scope=scope)
        caller = headers.get("authorization") or headers.get("cookie") or ""
        operation = f"{scope['method']} {scope['path']}"
        known = _digest(caller.encode("latin-1"), operation.encode("utf-8", "surrogateescape"), key.encode())
        sent = _digest(scope.get("query_string", b""), body)
        return cls(known.hex(), sent.hex(), hmac.new(token.encode(), key.encode(), hashlib.sha256).digest())

    def encrypted(self, body: bytes) -> bytes:
        """The answer, which only the key opens: it may hold what is shown once."""
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.secret).encrypt(nonce, body, self.key_hash.encode())

    def decrypted(self, kept: bytes) -> bytes:
        """Raises: IdempotencyError when it was kept by an installation with another token."""
        try:
            return AESGCM(self.secret).decrypt(kept[:_NONCE], kept[_NONCE:], self.key_hash.encode())
        except InvalidTag as error:
            raise IdempotencyError("the answer to this Idempotency-Key was kept under another installation token; use a new key") from error


def _digest(*parts: bytes) -> bytes:
    """SHA-256 of the parts with their lengths, so that no two lists of parts are the same text."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.digest()


def is_usable(key: str) -> bool:
    """Whether it is 1 to 255 printable ASCII characters."""
    return _KEY.fullmatch(key) is not None


def refused_key() -> Response:
    """The answer to a key that cannot be one."""
    reason = "1 to 255 printable ASCII characters"
    errors = [{"field": "Idempotency-Key", "reason": reason}]
    return problems.problem(
        422, slug="invalid-input", title="Invalid input", detail=f"Idempotency-Key: {reason}", extra={"errors": errors}
    )  # fmt: skip


@dataclass(slots=True)
class Idempotency:
    """Carries a request out once. Only answers that did something (2xx) are kept: after an error nothing was done, and the key is free."""

    _swept_at: float = field(default_factory=time.monotonic)

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, key: str, body: bytes) -> None:
        """Serve one request whose ``body`` was read already."""
        context: Context = scope["app"].state.context
        request = KeyedRequest.of(scope, key, body, token=scope["app"].state.token)
        try:
            claim = await self._claim(context, request)
            if claim.answer is not None:
                await self._replay(request, claim.answer)(scope, receive, send)
                return
        except ProductOpsError as error:
            await problems.from_error(error)(scope, receive, send)
            return
        assert claim.claim is not None  # noqa: S101 - _claim waits for one or the other
        await self._carry_out(app, scope, _said(body, receive), send, request=request, claim=claim.claim, context=context)

    async def _claim(self, context: Context, request: KeyedRequest) -> Claim:
        """Raises: IdempotencyInFlightError, IdempotencyError, StoreUnavailableError."""
        deadline = time.monotonic() + WAIT_S
        while True:
            claim = await to_thread.run_sync(claim_key, context, request.key_hash, request.fingerprint)
            if claim.claim is not None or claim.answer is not None:
                return claim
            if time.monotonic() > deadline:
                raise IdempotencyInFlightError("a request with this Idempotency-Key is under way; repeat this one in a moment")
            await anyio.sleep(_LOOK_S)

    async def _carry_out(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, request: KeyedRequest, claim: str, context: Context
    ) -> None:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        try:
            await app(scope, receive, keep)
        finally:  # also when it failed: the key is not ours for longer than the request
            await self._settle(context, request, claim, _answer_of(messages))
        for message in messages:
            await send(message)

    async def _settle(self, context: Context, request: KeyedRequest, claim: str, answer: StoredAnswer | None) -> None:
        try:
            if answer is None:
                await to_thread.run_sync(give_key_back, context, request.key_hash, claim)
            else:
                kept = StoredAnswer(answer.status, answer.headers, request.encrypted(answer.body))
                await to_thread.run_sync(keep_answer, context, request.key_hash, claim, kept)
            if time.monotonic() - self._swept_at > SWEEP_S:
                self._swept_at = time.monotonic()
                await to_thread.run_sync(forget_answers, context)
        except StoreUnavailableError as error:
            # What was done is done, and its caller is told so; a repetition finds the claim until it lapses.
            log.warning("the answer to an idempotency key is not kept", reason=str(error))

    @staticmethod
    def _replay(request: KeyedRequest, answer: StoredAnswer) -> Response:
        headers = dict(answer.headers) | {REPLAYED: "true"}
        return Response(request.decrypted(answer.body), status_code=answer.status, headers=headers)


def _answer_of(messages: list[Message]) -> StoredAnswer | None:
    """What was answered, when it is worth keeping; None after an error."""
    if not messages or messages[0]["type"] != "http.response.start" or not 200 <= messages[0]["status"] < 300:
        return None
    headers: Mapping[str, str] = Headers(raw=messages[0]["headers"])
    kept = {name: value for name, value in headers.items() if name in _KEPT_HEADERS}
    return StoredAnswer(messages[0]["status"], kept, b"".join(m.get("body", b"") for m in messages[1:]))


def _said(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that says again what was read."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
