"""Log-ins of people's browsers: by a one-time link, by an identity provider; and how they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.governance_access import Grant, Operation, Principal, Role, decide_somewhere
from productops.domain.governance_access_tokens import OWNER
from productops.domain.governance_sessions import (
    ATTEMPT_LIFE,
    LINK_LIFE,
    NOTED_EVERY,
    BrowserSession,
    LoginAttempt,
    hash_of_secret,
    new_secret,
    safe_target,
)
from productops.errors import ForbiddenError, NotFoundError, UnauthorizedError
from productops.store import Unit
from productops.usecases.context import Actor, Context

KEPT = timedelta(days=30)
USED_UP = "the link is unknown, used or older than 60 s; get another one with: productops login"


@dataclass(frozen=True, slots=True)
class MadeLink:
    """``code`` is shown once; only its hash is stored."""

    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class MadeSession:
    """``secret`` goes into the browser's cookie; only its hash is stored."""

    secret: str
    session: BrowserSession


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A living session and what its person may do at this moment."""

    session: BrowserSession
    principal: Principal


def make_link(context: Context, *, actor: Actor) -> MadeLink:
    """A code that logs the caller's browser in as the caller, once, within 60 s. Raises: ForbiddenError."""
    _check_own(actor)
    code, now = new_secret(), context.clock.now()
    with context.store.write() as unit:
        unit.browser_sessions.forget_old(before=now - KEPT)
        link_id = unit.browser_sessions.add_link(
            hash_of_secret(code), principal=actor.principal.name, token_id=actor.principal.token_id, now=now, expires_at=now + LINK_LIFE
        )
        unit.audit.add("login.link-made", f"login-link/{link_id}", actor=actor.name, origin=actor.origin, now=now, detail={})
    return MadeLink(code, now + LINK_LIFE)


def log_in_by_link(context: Context, code: str, *, browser: str, instead_of: str | None = None) -> MadeSession:
    """Use a link up and begin a session. Raises: UnauthorizedError for a link that is unknown, used or expired."""
    now = context.clock.now()
    with context.store.write() as unit:
        found = unit.browser_sessions.use_link(hash_of_secret(code), now=now)
        if found is None:
            raise UnauthorizedError(USED_UP)
        name, token_id = found
        if principal_of(unit, name, token_id, now=now) is None:
            raise UnauthorizedError(f"{name} may not log in any more; ask whoever gives access here")
        return _begin(unit, name, token_id, way="link", browser=browser, instead_of=instead_of, now=now)


def log_in_by_provider(context: Context, principal: Principal, *, browser: str, instead_of: str | None = None) -> MadeSession:
    """Begin a session of somebody whom the identity provider vouched for. Raises: ForbiddenError when nothing was granted to them."""
    now = context.clock.now()
    with context.store.write() as unit:
        current = principal_of(unit, principal.name, None, now=now)
        if current is None or not current.grants:
            raise ForbiddenError(
                f"{principal.name} is known to the identity provider and has no role here; ask an admin for: "
                f"productops access grant {principal.name} viewer"
            )
        return _begin(unit, principal.name, None, way="oidc", browser=browser, instead_of=instead_of, now=now)


def begin_attempt(context: Context, *, target: str, browser_secret: str) -> tuple[str, LoginAttempt]:
    """Write down a log-in that leaves for the provider; returns its state and what the provider is told of it."""
    state, now = new_secret(), context.clock.now()
    attempt = LoginAttempt(nonce=new_secret(), verifier=new_secret() + new_secret(), target=safe_target(target))
    with context.store.write() as unit:
        unit.browser_sessions.add_attempt(hash_of_secret(state), hash_of_secret(browser_secret), attempt, expires_at=now + ATTEMPT_LIFE)
    return state, attempt


def take_attempt(context: Context, state: str, *, browser_secret: str) -> LoginAttempt:
    """The log-in that comes back, once. Raises: UnauthorizedError when it did not begin in this browser, or too long ago."""
    with context.store.write() as unit:
        found = unit.browser_sessions.take_attempt(hash_of_secret(state), hash_of_secret(browser_secret), now=context.clock.now())
    if found is None:
        raise UnauthorizedError("this log-in did not begin in this browser, was used before, or took longer than 10 minutes; begin again")
    return found


def find_login(context: Context, secret: str, *, idle: timedelta, installation: bool = True) -> LoggedIn | None:
    """Whose browser it is; None when the session has ended or its person may do nothing any more.

    ``installation``: whether the installation's own token, and so a session that came of it, counts.
    """
    now = context.clock.now()
    with context.store.read() as unit:
        session = unit.browser_sessions.by_secret(hash_of_secret(secret))
        if session is None or not session.lives(now=now, idle=idle):
            return None
        principal = principal_of(unit, session.principal, session.token_id, now=now, installation=installation)
    return LoggedIn(session, principal) if principal is not None else None


def note_use(context: Context, session: BrowserSession) -> None:
    """Write down that a session is used, at most once a minute."""
    now = context.clock.now()
    if now - session.used_at < NOTED_EVERY:
        return
    with context.store.write() as unit:
        unit.browser_sessions.used(session.id, now=now)


def log_out(context: Context, secret: str) -> BrowserSession | None:
    """End a browser's session; no error when it has ended. Returns it, for who wants to log out at the provider as well."""
    with context.store.write() as unit:
        session = unit.browser_sessions.by_secret(hash_of_secret(secret))
        if session is not None:
            _end(unit, session, by=session.principal, origin="browser", now=context.clock.now())
    return session


def list_sessions(context: Context, *, idle: timedelta, everybody: bool, actor: Actor) -> Sequence[BrowserSession]:
    """Living sessions of the caller; with ``everybody`` of all people. Raises: ForbiddenError."""
    _check_own(actor)
    if everybody:
        actor.check(Operation.ACCESS_READ)
    with context.store.read() as unit:
        name = None if everybody else actor.principal.name
        return unit.browser_sessions.open_ones(name, used_after=context.clock.now() - idle)


def end_session(context: Context, session_id: str, *, actor: Actor) -> BrowserSession:
    """End one's own session, or with the right to manage access anybody's. Raises: NotFoundError, ForbiddenError."""
    _check_own(actor)
    with context.store.write() as unit:
        session = unit.browser_sessions.get(session_id)
        if session is None or session.ended_at is not None:
            raise NotFoundError(f"there is no living session {session_id[:80]!r}; list them with: productops sessions list")
        if session.principal != actor.principal.name:
            actor.check(Operation.ACCESS_MANAGE)
        _end(unit, session, by=actor.name, origin=actor.origin, now=context.clock.now())
    return session


def principal_of(unit: Unit, name: str, token_id: str | None, *, now: datetime, installation: bool = True) -> Principal | None:
    """What somebody may do now, with the token they came by; None when that is gone or they are."""
    if name == OWNER:
        return Principal(OWNER, (Grant(Role.ADMIN),)) if installation else None
    if token_id is not None:
        stored = unit.tokens.find(token_id)
        live = stored is not None and stored.token.state(now) == "live" and not stored.owner.disabled and stored.owner.name == name
        return stored.principal(now) if stored is not None and live else None
    person = unit.principals.find(name)
    return person.principal(now) if person is not None and not person.disabled else None


def _check_own(actor: Actor) -> None:
    decision = decide_somewhere(actor.principal, Operation.TOKEN_OWN)
    if not decision.allowed:
        raise ForbiddenError(decision.reason, operation=Operation.TOKEN_OWN.value)


def _begin(unit: Unit, name: str, token_id: str | None, *, way: str, browser: str, instead_of: str | None, now: datetime) -> MadeSession:
    """A session with a fresh secret; what the browser was logged in with before ends, whoever that was."""
    if instead_of and (earlier := unit.browser_sessions.by_secret(hash_of_secret(instead_of))):
        _end(unit, earlier, by=earlier.principal, origin="browser", now=now)
    secret = new_secret()
    session = unit.browser_sessions.begin(hash_of_secret(secret), principal=name, token_id=token_id, way=way, browser=browser, now=now)
    detail = {"way": way, "browser": browser[:200]}
    unit.audit.add("login.in", f"session/{session.id}", actor=name, origin="browser", now=now, detail=detail)
    return MadeSession(secret, session)


def _end(unit: Unit, session: BrowserSession, *, by: str, origin: str, now: datetime) -> None:
    if unit.browser_sessions.end(session.id, now=now):
        detail = {"before": {"principal": session.principal, "way": session.way}, "after": "ended"}
        unit.audit.add("login.out", f"session/{session.id}", actor=by, origin=origin, now=now, detail=detail)
