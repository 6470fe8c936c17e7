"""The page on which people read what is asked of them, and sign or refuse. It needs no script; reading it signs nothing."""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qs

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from productops.api.access import actor_of, allowed
from productops.domain.governance_access import Operation
from productops.domain.governance_approvals import ApprovalRequest, still_missing
from productops.errors import ForbiddenError, InvalidInputError, ProductOpsError
from productops.store.governance_approvals_links import ApprovalLink
from productops.usecases import governance_approvals, governance_approvals_override
from productops.usecases.context import Actor, Context
from productops.usecases.governance_approvals import ApprovalView
from productops.usecases.governance_approvals_links import PAGE, holder_of

router = APIRouter(include_in_schema=False)
FORM_BYTES_MAX = 20_000
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}td,th{border:1px solid #999;padding:.3rem .6rem;"
    "text-align:left;vertical-align:top}pre{background:#f2f2f2;padding:1rem;overflow:auto;max-height:30rem}"
    "label{display:block;margin:.6rem 0 .2rem}textarea{width:100%;font:inherit}"
    "button{font:inherit;padding:.4rem 1rem;margin:.6rem .6rem 0 0}"
    "form{border:1px solid #999;padding:1rem;margin:1rem 0}.said{border-left:.4rem solid #b35900;padding-left:1rem}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#16181d}pre{background:#2a2d34}a{color:#8ab4f8}}"
)


@router.get("/approvals/{approval_id}", dependencies=[allowed(Operation.APPROVAL_READ)])
async def show(request: Request, approval_id: str) -> Response:
    """For who is logged in, or carries a token. Raises: NotFoundError."""
    return await anyio.to_thread.run_sync(_shown, request, approval_id, actor_of(request), None)


@router.post("/approvals/{approval_id}", dependencies=[allowed(Operation.APPROVAL_READ)])
async def decide(request: Request, approval_id: str) -> Response:
    """The form of that page. Raises: ForbiddenError for a form that is not ours."""
    form = await _form(request)
    return await anyio.to_thread.run_sync(_decided, request, approval_id, actor_of(request), None, form)


@router.get(f"{PAGE}/{{approval_id}}")
async def show_by_link(request: Request, approval_id: str, token: str = "") -> Response:
    """For who holds a link. Chat programs fetch links ahead: that shows the page, and signs nothing. Raises: UnauthorizedError."""
    actor, _ = await anyio.to_thread.run_sync(holder_of, _context(request), approval_id, token)
    return await anyio.to_thread.run_sync(_shown, request, approval_id, actor, token)


@router.post(f"{PAGE}/{{approval_id}}")
async def decide_by_link(request: Request, approval_id: str) -> Response:
    """The form of that page; it spends the link. Raises: UnauthorizedError, ForbiddenError."""
    form = await _form(request)
    actor, link = await anyio.to_thread.run_sync(holder_of, _context(request), approval_id, form.get("token", ""))
    return await anyio.to_thread.run_sync(_decided, request, approval_id, actor, link, form)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


async def _form(request: Request) -> dict[str, str]:
    """The fields of a posted form, the first of each name. Raises: InvalidInputError."""
    body = await request.body()
    if len(body) > FORM_BYTES_MAX or not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise InvalidInputError("this is the address of a form; programs use /api/v1/product-ops/approvals")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise InvalidInputError("the form could not be read") from None
    return {name: values[0].replace("\x00", "") for name, values in fields.items()}


def _csrf(request: Request, actor: Actor, approval: ApprovalRequest) -> str:
    """What only a page that we gave this person about this content carries."""
    text = f"approval|{actor.name}|{approval.id}|{approval.content_hash}"
    return hmac.new(str(request.app.state.token).encode(), text.encode(), hashlib.sha256).hexdigest()


def _shown(request: Request, approval_id: str, actor: Actor, token: str | None) -> Response:
    view = governance_approvals.read_approval(_context(request), approval_id, actor=actor)
    return _page(request, view, actor, token=token)


def _decided(request: Request, approval_id: str, actor: Actor, link: ApprovalLink | None, form: Mapping[str, str]) -> Response:
    context = _context(request)
    view = governance_approvals.read_approval(context, approval_id, actor=actor)
    wanted = _csrf(request, actor, view.request)
    if not hmac.compare_digest(form.get("csrf", "").encode(), wanted.encode()):
        # Also when what is asked for changed since the page was shown: it is shown anew.
        return _page(
            request, view, actor, token=form.get("token"), said="It changed since you opened the page, or the page is too old.", status=409
        )
    try:
        _act(context, view.request, actor, link, form)
    except ProductOpsError as error:
        after = governance_approvals.read_approval(context, approval_id, actor=actor)
        return _page(request, after, actor, token=form.get("token"), said=str(error), status=error.status)
    after = governance_approvals.read_approval(context, approval_id, actor=actor)
    return _page(request, after, actor, token=None, said="Done.", done=link is not None)


def _act(context: Context, approval: ApprovalRequest, actor: Actor, link: ApprovalLink | None, form: Mapping[str, str]) -> None:
    words, shown = form.get("words", "").strip()[:2000], form.get("content_hash", "")
    match form.get("act"):
        case "sign":
            governance_approvals.sign(context, approval.id, actor=actor, note=words, content_hash=shown, link=link)
        case "refuse":
            governance_approvals.refuse(context, approval.id, reason=words, actor=actor, content_hash=shown, link=link)
        case "override" if link is None:
            governance_approvals_override.override(context, approval.id, reason=words, actor=actor)
        case _:
            raise ForbiddenError("this page can sign and refuse; an override takes a log-in")


def _page(
    request: Request, view: ApprovalView, actor: Actor, *, token: str | None, said: str = "", status: int = 200, done: bool = False
) -> Response:
    approval = view.request
    parts = [
        f"<h1>{escape(approval.title)}</h1>",
        f'<p role="status" class="said"><b>{escape(said)}</b></p>' if said else "",
        f"<p>{escape(still_missing(approval, now=view.read_at))}</p>",
        f"<p>You are <b>{escape(actor.name)}</b>.</p>",
        _asked(approval),
        _signatures(approval),
        _forms(request, approval, actor, token=token) if approval.waiting and not done else "",
    ]
    document = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(approval.title)}</title><style>{_STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>"
    )
    return Response(document, status_code=status, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


def _asked(approval: ApprovalRequest) -> str:
    rows = {
        "asked for by": approval.requested_by, "why": approval.reason or "no note", "where": str(approval.scope),
        "at": f"{approval.created_at:%Y-%m-%d %H:%M} UTC", "expires": f"{approval.expires_at:%Y-%m-%d %H:%M} UTC",
        "policies": ", ".join(approval.policies), "what is signed (SHA-256)": approval.content_hash,
    }  # fmt: skip
    content = dict(approval.content)
    before, after = content.pop("before", None), content.pop("after", None)
    rows |= {name: _plain(value) for name, value in content.items() if not isinstance(value, dict | list)}
    evidence = ""
    if approval.subject.startswith("release/"):
        evidence = f'<p><a href="/api/v1/product-ops/releases/{escape(approval.subject[8:])}">The release</a> with its evidence (JSON)</p>'
    more = {name: value for name, value in content.items() if isinstance(value, dict | list)}
    parts = ["<h2>What is asked</h2>", _table(rows), evidence]
    if after is not None or approval.subject.startswith("catalog/"):
        parts.append(f"<h2>What changes</h2><pre>{escape(_diff(before, after))}</pre>")
    elif before is not None:
        parts.append(f"<h2>As it is now</h2><pre>{escape(_json(before))}</pre>")
    if more:
        parts.append(f"<h2>In full</h2><pre>{escape(_json(more))}</pre>")
    return "".join(parts)


def _signatures(approval: ApprovalRequest) -> str:
    if not approval.signatures:
        return "<h2>Signatures</h2><p>none yet</p>"
    rows = "".join(
        f"<tr><td>{escape(s.person)}</td><td>{escape(', '.join(sorted(s.roles)))}</td><td>{s.at:%Y-%m-%d %H:%M} UTC</td>"
        f"<td>{escape(s.note)}</td><td>{'' if s.content_hash == approval.content_hash else 'for an earlier content'}</td></tr>"
        for s in approval.signatures
    )
    return f"<h2>Signatures</h2><table><tr><th>who</th><th>as</th><th>when</th><th>said</th><th></th></tr>{rows}</table>"


def _forms(request: Request, approval: ApprovalRequest, actor: Actor, *, token: str | None) -> str:
    action = f"{PAGE}/{approval.id}" if token else f"/approvals/{approval.id}"
    hidden = {"csrf": _csrf(request, actor, approval), "content_hash": approval.content_hash} | ({"token": token} if token else {})
    fields = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in hidden.items())
    override = "" if token else '<button name="act" value="override">Override (emergency)</button>'
    return (
        f'<form method="post" action="{escape(action)}">{fields}<label for="words">Note, or the reason of a refusal</label>'
        f'<textarea id="words" name="words" rows="3" maxlength="2000"></textarea>'
        f'<button name="act" value="sign">Sign</button><button name="act" value="refuse">Refuse</button>{override}</form>'
    )


def _table(rows: Mapping[str, str]) -> str:
    return "<table>" + "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows.items()) + "</table>"


def _diff(before: Any, after: Any) -> str:
    lines = difflib.unified_diff(_json(before).splitlines(), _json(after).splitlines(), "now", "then", lineterm="")
    return "\n".join(lines) or "nothing"


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> str:
    return "–" if value is None else str(value)
