"""Sessions of people's browsers, one-time links, log-ins under way at a provider, and who started which flow run."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of


class LoginLinkRow(Base):
    """A link that logs its maker in once. The code itself is nowhere, only its SHA-256."""

    __tablename__ = "login_links"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    principal: Mapped[str] = mapped_column(String(255))
    token_id: Mapped[str | None] = mapped_column(String(20))
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class BrowserSessionRow(Base):
    """A browser that is logged in. ``token_id``: the token that made its link; the session ends with it and may do no more than it."""

    __tablename__ = "browser_sessions"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    principal: Mapped[str] = mapped_column(String(255), index=True)
    token_id: Mapped[str | None] = mapped_column(String(20))
    way: Mapped[str] = mapped_column(String(10))
    browser: Mapped[str] = mapped_column(String(200))
    began_at: Mapped[datetime]
    used_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    __table_args__ = (one_of("way", "link", "oidc"),)


class LoginAttemptRow(Base):
    """A log-in that is under way at the identity provider. It is removed by the answer that uses it."""

    __tablename__ = "login_attempts"
    state_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    browser_hash: Mapped[str] = mapped_column(String(64))
    nonce: Mapped[str] = mapped_column(String(64))
    verifier: Mapped[str] = mapped_column(String(128))
    target: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class RunCallerRow(Base):
    """Who started a flow run through our door to Prefect."""

    __tablename__ = "run_callers"
    flow_run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    principal: Mapped[str] = mapped_column(String(255))
    token_id: Mapped[str | None] = mapped_column(String(20))
    at: Mapped[datetime]
