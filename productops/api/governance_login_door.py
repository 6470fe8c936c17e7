"""The doors for people's browsers, put around and behind the gate."""

from __future__ import annotations

from datetime import timedelta

from fastapi import FastAPI

from productops.api.governance_login import Login
from productops.api.governance_login_hosts import Hosts
from productops.api.governance_login_session import SameOrigin, Sessions, settings_cookies
from productops.api.prefect_proxy import PrefectProxy
from productops.settings import Settings
from productops.usecases.context import Context


def install_prefect(app: FastAPI, context: Context, settings: Settings) -> None:
    """Prefect, behind the gate: called before the gate is added."""
    app.add_middleware(PrefectProxy, context=context, settings=settings)


def install_login(app: FastAPI, context: Context, settings: Settings) -> None:
    """The session as a way to be known, its pages, and what keeps strangers' pages out: called after the gate was added."""
    cookies = settings_cookies(settings)
    sessions = Sessions(context, cookies, timedelta(seconds=settings.session_idle_s), installation=settings.installation_token)
    app.state.authenticator.add(sessions)
    app.state.sessions = sessions
    app.add_middleware(Login, context=context, settings=settings, sessions=sessions)
    app.add_middleware(SameOrigin, cookies=cookies)


def install_hosts(app: FastAPI, settings: Settings) -> None:
    """The check of names, around everything that answers people."""
    app.add_middleware(Hosts, settings=settings)
