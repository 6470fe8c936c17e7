"""The pages of logging in: plain HTML without scripts."""

from __future__ import annotations

from html import escape

from starlette.responses import Response

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "code{background:#f2f2f2;padding:.1em .3em;border-radius:3px}a,button{font-size:1em}li{margin:.4em 0}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#16181d}code{background:#2a2d34}a{color:#8ab4f8}}"
)
CSP = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def page(title: str, content: str, *, status: int = 200) -> Response:
    """A whole page; ``content`` is HTML."""
    document = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{content}</body></html>"
    )
    return Response(document, status_code=status, media_type="text/html", headers={"Content-Security-Policy": CSP})


def home(name: str, roles: str) -> Response:
    """What there is to open, for somebody who is logged in."""
    return page(
        "ProductOps",
        f"<p>You are <b>{escape(name)}</b> ({escape(roles)}).</p><ul>"
        '<li><a href="/prefect/">Prefect</a>: start and follow releases</li>'
        '<li><a href="/api/v1/product-ops/releases">Releases</a> (JSON)</li>'
        '<li><a href="/docs">The API</a></li></ul>'
        '<form method="post" action="/logout"><button>Log out</button></form>',
    )


def log_in(*, provider: str, next_path: str, problem: str = "", status: int = 200) -> Response:
    """How to get in. ``provider`` is an identity provider's address, empty when there is none; ``problem`` what went wrong before."""
    said = f"<p role='alert'><b>{escape(problem)}</b></p>" if problem else ""
    by_provider = f'<p><a href="/login/oidc?{escape(next_path)}">Log in with {escape(provider)}</a></p>' if provider else ""
    by_link = (
        "<p>On the machine it runs on, <code>productops login</code> prints a link that logs this browser in; it works once, for 60 s.</p>"
    )
    return page("Log in", said + by_provider + by_link, status=status)


def logged_out(provider_url: str | None) -> Response:
    """The end; with a way to log out at the provider as well."""
    also = (
        f'<p>The identity provider still knows you: <a href="{escape(provider_url)}">log out there as well</a>.</p>' if provider_url else ""
    )
    return page("Logged out", f'{also}<p><a href="/login">Log in again</a></p>')
