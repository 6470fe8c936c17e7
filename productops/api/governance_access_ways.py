"""Ways for a caller to be known: the installation's token, tokens of people and programs, and what others add (sessions)."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers

from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.governance_access_tokens import OWNER, PREFIX, hash_of
from productops.errors import ProductOpsError, StoreUnavailableError
from productops.usecases.context import Context
from productops.usecases.governance_access_tokens import authenticate, note_used

log = structlog.get_logger(__name__)
Way = Callable[[Headers, str], Principal | None]
"""Headers and path of a request → who sent it, None where this way knows nobody. Called in a worker thread; it may ask the store."""
KNOWN_S = 5.0
"""So long a process believes what it read of a token: a revocation holds everywhere after it."""
KNOWN_MAX = 10_000
# While the database is away nobody can revoke anything: flags go on being answered, as they were read last.
OUTAGE_S = 600.0
OUTAGE_PATHS = "/ofrep/"
READERS = 4
FLUSH_S = 5.0
USED_EVERY_S = 60.0


def bearer(headers: Headers) -> str:
    """The presented token; empty without one."""
    scheme, _, given = (headers.get("authorization") or "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


class InstallationToken:
    """The token in the home folder, or PRODUCTOPS_API_TOKEN: the owner of the installation, admin everywhere."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._owner = Principal(OWNER, (Grant(Role.ADMIN),), token_id="installation")  # noqa: S106 - no secret, a name

    def __call__(self, headers: Headers, path: str) -> Principal | None:  # noqa: ARG002
        """The owner, after the same time for every wrong token."""
        if self._token is None:
            return None
        presented = bearer(headers).encode("utf-8", "surrogateescape")
        return self._owner if hmac.compare_digest(presented, self._token.encode()) else None


@dataclass(slots=True)
class _Known:
    principal: Principal | None
    read_at: float


class StoredTokens:
    """Tokens of people and programs. What was read of one is believed for five seconds. Safe for many threads."""

    def __init__(self, context: Callable[[], Context]) -> None:
        self._context = context
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._of: Context | None = None
        self._uses: dict[str, datetime] = {}
        self._written: dict[str, float] = {}

    def remembered(self, headers: Headers) -> Principal | None:
        """Who it is, when that was read lately; None when the store has to be asked."""
        presented = bearer(headers)
        if not presented.startswith(PREFIX) or self._context() is not self._of:
            return None
        known = self._known.get(hash_of(presented))
        if known is None or known.principal is None or time.monotonic() - known.read_at > KNOWN_S:
            return None
        self._note(known.principal)
        return known.principal

    def __call__(self, headers: Headers, path: str) -> Principal | None:
        """Whose token it is. Raises: StoreUnavailableError."""
        presented = bearer(headers)
        if not presented.startswith(PREFIX):
            return None
        context = self._context()
        if context is not self._of:
            self._of, self._known = context, OrderedDict()
        key, now = hash_of(presented), time.monotonic()
        known = self._known.get(key)
        if known is not None and now - known.read_at <= KNOWN_S:
            return known.principal
        try:
            principal = authenticate(context, presented)
        except StoreUnavailableError:
            if path.startswith(OUTAGE_PATHS) and known is not None and now - known.read_at <= OUTAGE_S:
                return known.principal
            raise
        self._keep(key, _Known(principal, now))
        if principal is not None:
            self._note(principal)
        return principal

    def _keep(self, key: str, known: _Known) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > KNOWN_MAX:
            with suppress(KeyError):  # another thread was first
                self._known.popitem(last=False)

    def _note(self, principal: Principal) -> None:
        if principal.token_id is not None:
            self._uses[principal.token_id] = self._context().clock.now()

    def flush(self) -> int:
        """Write when tokens were used last, each at most once a minute; returns how many. Raises: StoreUnavailableError."""
        now = time.monotonic()
        due = {p: at for p, at in list(self._uses.items()) if now - self._written.get(p, float("-inf")) >= USED_EVERY_S}
        if not due:
            return 0
        note_used(self._context(), due)
        for public_id, at in due.items():
            self._written[public_id] = now
            if self._uses.get(public_id) == at:
                del self._uses[public_id]
        return len(due)


class Authenticator:
    """Asks each way in order; the first that knows the caller decides."""

    def __init__(self, installation: InstallationToken, tokens: StoredTokens, more: Iterable[Way] = ()) -> None:
        self._installation = installation
        self.tokens = tokens
        self._ways: list[Way] = [tokens, *more]
        self._limiter: CapacityLimiter | None = None

    def add(self, way: Way) -> None:
        """Another way in, asked after those there are."""
        self._ways.append(way)

    def at_once(self, headers: Headers, path: str, *, installation: bool = True) -> Principal | None:
        """Who it is, where that costs no look into the store; ``installation``: whether the installation's token may be tried, too."""
        return (self._installation(headers, path) if installation else None) or self.tokens.remembered(headers)

    async def principal(self, headers: Headers, path: str) -> Principal | None:
        """Who sends the request; None for somebody unknown. Raises: StoreUnavailableError."""
        found = self.at_once(headers, path)
        if found is not None or not has_credentials(headers):
            return found
        if self._limiter is None:
            self._limiter = CapacityLimiter(READERS)
        return await to_thread.run_sync(self._ask, headers, path, limiter=self._limiter)

    def _ask(self, headers: Headers, path: str) -> Principal | None:
        return next((found for way in self._ways if (found := way(headers, path)) is not None), None)


def has_credentials(headers: Headers) -> bool:
    """Whether anything was presented that could make somebody known."""
    return "authorization" in headers or "cookie" in headers


@asynccontextmanager
async def uses_written(authenticator: Authenticator) -> AsyncIterator[None]:
    """Write the last uses of tokens beside the requests, every five seconds, and once more at the end."""
    task = asyncio.create_task(_flush_for_ever(authenticator))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await _flush(authenticator)


async def _flush_for_ever(authenticator: Authenticator) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        await _flush(authenticator)


async def _flush(authenticator: Authenticator) -> None:
    try:
        await to_thread.run_sync(authenticator.tokens.flush)
    except ProductOpsError as error:
        log.warning("last uses of tokens are not written yet", reason=str(error))
