"""Browser sessions, one-time links, log-ins under way, and callers of flow runs: rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Update, delete, select, update
from sqlalchemy.orm import Session

from productops.domain.governance_sessions import BrowserSession, Caller, LoginAttempt
from productops.store.identity import new_id
from productops.store.tables import BrowserSessionRow, LoginAttemptRow, LoginLinkRow, RunCallerRow


def _session(row: BrowserSessionRow) -> BrowserSession:
    return BrowserSession(
        id=str(row.id),
        principal=row.principal,
        token_id=row.token_id,
        way=row.way,
        browser=row.browser,
        began_at=row.began_at,
        used_at=row.used_at,
        ended_at=row.ended_at,
    )


class BrowserSessions:
    """Repository of log-ins within one transaction. It is given hashes; secrets never come here."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # ---- one-time links

    def add_link(self, code_hash: str, *, principal: str, token_id: str | None, now: datetime, expires_at: datetime) -> str:
        """A link for somebody; returns its id."""
        row = LoginLinkRow(
            id=new_id(), code_hash=code_hash, principal=principal, token_id=token_id, made_at=now, expires_at=expires_at, used_at=None
        )
        self._session.add(row)
        return str(row.id)

    def use_link(self, code_hash: str, *, now: datetime) -> tuple[str, str | None] | None:
        """Use it up: principal and token id, to one caller only. None for a link that is unknown, used or expired."""
        row = self._session.scalar(select(LoginLinkRow).where(LoginLinkRow.code_hash == code_hash, LoginLinkRow.expires_at > now))
        if row is None:
            return None
        taken = update(LoginLinkRow).where(LoginLinkRow.id == row.id, LoginLinkRow.used_at.is_(None)).values(used_at=now)
        return (row.principal, row.token_id) if self._changed(taken) else None

    # ---- sessions

    def begin(self, secret_hash: str, *, principal: str, token_id: str | None, way: str, browser: str, now: datetime) -> BrowserSession:
        """Write a session down."""
        row = BrowserSessionRow(
            id=new_id(),
            secret_hash=secret_hash,
            principal=principal,
            token_id=token_id,
            way=way,
            browser=browser[:200],
            began_at=now,
            used_at=now,
            ended_at=None,
        )
        self._session.add(row)
        return _session(row)

    def by_secret(self, secret_hash: str) -> BrowserSession | None:
        """By the hash of its secret; also one that has ended."""
        row = self._session.scalar(select(BrowserSessionRow).where(BrowserSessionRow.secret_hash == secret_hash))
        return _session(row) if row else None

    def get(self, session_id: str) -> BrowserSession | None:
        """By id; None also for a text that is no id."""
        try:
            row = self._session.get(BrowserSessionRow, uuid.UUID(session_id))
        except ValueError:
            return None
        return _session(row) if row else None

    def used(self, session_id: str, *, now: datetime) -> bool:
        """Note that it was used; false when it has ended."""
        return self._update(session_id, BrowserSessionRow.used_at < now, used_at=now)

    def end(self, session_id: str, *, now: datetime) -> bool:
        """End it; false when it has ended before."""
        return self._update(session_id, ended_at=now)

    def open_ones(self, principal: str | None, *, used_after: datetime) -> list[BrowserSession]:
        """Sessions that have not ended and were used since, newest first; of one principal, or of all."""
        query = select(BrowserSessionRow).where(BrowserSessionRow.ended_at.is_(None), BrowserSessionRow.used_at > used_after)
        if principal is not None:
            query = query.where(BrowserSessionRow.principal == principal)
        return [_session(row) for row in self._session.scalars(query.order_by(BrowserSessionRow.used_at.desc()).limit(500))]

    def _update(self, session_id: str, *conditions: Any, **values: Any) -> bool:
        where = (BrowserSessionRow.id == uuid.UUID(session_id), BrowserSessionRow.ended_at.is_(None), *conditions)
        return self._changed(update(BrowserSessionRow).where(*where).values(**values))

    # ---- log-ins under way at a provider

    def add_attempt(self, state_hash: str, browser_hash: str, attempt: LoginAttempt, *, expires_at: datetime) -> None:
        """A log-in that begins. ``browser_hash`` ties it to the browser that began it."""
        self._session.add(
            LoginAttemptRow(
                state_hash=state_hash,
                browser_hash=browser_hash,
                nonce=attempt.nonce,
                verifier=attempt.verifier,
                target=attempt.target,
                expires_at=expires_at,
            )
        )

    def take_attempt(self, state_hash: str, browser_hash: str, *, now: datetime) -> LoginAttempt | None:
        """Use it up. None when there is none, it has expired, or another browser began it."""
        row = self._session.get(LoginAttemptRow, state_hash)
        if row is None:
            return None
        found = LoginAttempt(nonce=row.nonce, verifier=row.verifier, target=row.target)
        fits = row.browser_hash == browser_hash and row.expires_at > now
        gone = self._session.execute(delete(LoginAttemptRow).where(LoginAttemptRow.state_hash == state_hash))
        return found if fits and gone.rowcount == 1 else None  # type: ignore[attr-defined]

    def forget_old(self, *, before: datetime) -> None:
        """Remove what has been of no use since ``before``."""
        for row, at in (
            (LoginLinkRow, LoginLinkRow.expires_at),
            (LoginAttemptRow, LoginAttemptRow.expires_at),
            (BrowserSessionRow, BrowserSessionRow.used_at),
        ):
            self._session.execute(delete(row).where(at < before))

    def _changed(self, statement: Update) -> bool:
        done = self._session.execute(statement.execution_options(synchronize_session=False))
        return bool(done.rowcount == 1)  # type: ignore[attr-defined]


class RunCallers:
    """Repository of who started which flow run, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, flow_run_id: str, principal: str, *, now: datetime, token_id: str | None = None) -> None:
        """Write down who started it; the first one stays."""
        if self._session.get(RunCallerRow, flow_run_id) is None:
            self._session.add(RunCallerRow(flow_run_id=flow_run_id, principal=principal, token_id=token_id, at=now))

    def get(self, flow_run_id: str) -> Caller | None:
        """Who started it through our door; None: nobody did."""
        row = self._session.get(RunCallerRow, flow_run_id)
        return Caller(row.principal, row.token_id, row.at) if row else None

    def known(self, flow_run_ids: Sequence[str]) -> dict[str, str]:
        """Principal by flow run, for those that have one."""
        rows = self._session.scalars(select(RunCallerRow).where(RunCallerRow.flow_run_id.in_(list(flow_run_ids))))
        return {row.flow_run_id: row.principal for row in rows}
